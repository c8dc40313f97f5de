"""Neuronpedia's export files in both formats, which explanation is taken, and fetching them."""

from __future__ import annotations

import gzip
import json
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import pytest
from support.odd_text import ODD_TEXT

from mtmbench.core.errors import InputError
from mtmbench.labelling import neuronpedia_fetch
from mtmbench.labelling.neuronpedia import RULE, UNLABELLED, neuronpedia_labels

MINI, FLASH = ("gpt-4o-mini", "oai_token-act-pair"), ("gemini-2.0-flash", "np_acts-logits-general")
OF = "gpt2-small/6-res-jb"


def record(index: Any, text: Any, by: tuple[str, str] = MINI, **more: Any) -> dict[str, Any]:
    """One record as the bucket has them; the embedding of older ones is a string."""
    return {
        "id": f"c{index}", "modelId": "gpt2-small", "layer": "6-res-jb", "index": index,
        "authorId": "someone", "description": text, "embedding": "[0.25, -0.5]",
        "typeName": by[1], "explanationModelName": by[0], "umap_x": 0.5, **more,
    }  # fmt: skip


RECORDS = [
    record("0", " references to  hockey\n"),
    record("1", "tax law", FLASH),
    record("1", "taxation and law"),
    record("2", "the word “of”"),
    record("4", "rivers", FLASH, embedding=[0.25, -0.5]),
    record("5", ""),
]
LABELS = (
    "references to hockey", "taxation and law", "the word “of”", UNLABELLED, "rivers", UNLABELLED,
)  # fmt: skip


def write(path: Path, records: list[Any], how: str) -> Path:
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in records)
    if how == "jsonl.gz":
        path.write_bytes(gzip.compress(lines.encode()))
    elif how == "jsonl":
        path.write_text(lines, encoding="utf-8")
    elif how == "json":
        path.write_text(json.dumps(records, indent=2), encoding="utf-8")
    elif how == "json.gz":
        path.write_bytes(gzip.compress(json.dumps(records).encode()))
    else:
        path.write_text(json.dumps({"modelId": "m", "explanations": records}), encoding="utf-8")
    return path


@pytest.mark.parametrize("how", ["jsonl.gz", "jsonl", "json", "json.gz", "wrapped"])
def test_every_format_gives_the_same_labels(tmp_path: Path, how: str) -> None:
    path = write(tmp_path / "export", RECORDS, how)
    found = neuronpedia_labels(str(path), 6, expected=OF)
    assert found.labels == LABELS
    source = dict(found.source)
    assert source.pop("files") == [{"name": "export", "hash": source_hash(path)}]
    assert source == {
        "source": "neuronpedia", "of": OF, "rule": RULE, "explainer": None,
        # gpt-4o-mini explains features 0, 1 and 2, gemini 1 and 4: the former wins feature 1.
        "explainers": {"gemini-2.0-flash · np_acts-logits-general": 1,
                       "gpt-4o-mini · oai_token-act-pair": 3},
        "explanations": 5, "empty": 1, "several": 1, "missing": 2,
    }  # fmt: skip


def source_hash(path: Path) -> str:
    from mtmbench.core.serialise import content_hash

    data = path.read_bytes()
    return content_hash((gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode())


def test_odd_characters_of_an_explanation_part_no_records(tmp_path: Path) -> None:
    path = write(tmp_path / "export", [record(0, ODD_TEXT), record(1, "rivers")], "jsonl")
    # A label is one line: white space in it is single spaces.
    assert neuronpedia_labels(str(path), 2).labels == ("one two three four five", "rivers")


def test_one_explainer_may_be_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path / "export.jsonl", RECORDS, "jsonl")
    found = neuronpedia_labels(str(path), 6, explainer="gemini-2.0-flash", partial=True)
    assert found.labels == (UNLABELLED, "tax law", UNLABELLED, UNLABELLED, "rivers", UNLABELLED)
    with pytest.raises(InputError, match=r"by 'gpt-5'; it has: gemini-2\.0-flash, gpt-4o-mini"):
        neuronpedia_labels(str(path), 6, explainer="gpt-5")


def test_the_choice_does_not_depend_on_the_order_of_records(tmp_path: Path) -> None:
    records = [
        record(0, "b", id="x2"), record(0, "z", id="x1"), record(0, "a", id="x1"),
        record(1, "by flash", FLASH), record(1, "by mini"), record(0, "z", id="x1"),
    ]  # fmt: skip
    for order in (records, records[::-1]):
        found = neuronpedia_labels(str(write(tmp_path / "e.jsonl", order, "jsonl")), 2)
        # Mini explains two features, flash one; of mini's of feature 0 the first id's first text.
        assert found.labels == ("a", "by mini")
        assert found.source["several"] == 2
        assert found.source["explanations"] == 5
    tied = [record(0, "by mini"), record(0, "by flash", FLASH)]
    found = neuronpedia_labels(str(write(tmp_path / "e.jsonl", tied, "jsonl")), 1)
    assert found.labels == ("by flash",)


def test_a_folder_of_batches_is_read_in_whole(tmp_path: Path) -> None:
    for number, part in enumerate((RECORDS[:2], RECORDS[2:4], RECORDS[4:])):
        write(tmp_path / f"batch-{number + 9}.jsonl.gz", part, "jsonl.gz")
    (tmp_path / "model.jsonl").write_text("{}")
    found = neuronpedia_labels(str(tmp_path), 6)
    assert found.labels == LABELS
    names = [file["name"] for file in found.source["files"]]
    assert names == ["batch-9.jsonl.gz", "batch-10.jsonl.gz", "batch-11.jsonl.gz"]


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([*RECORDS, record(6, "x")], "explains feature 6 of gpt2-small/6-res-jb, but this SAE has"),
        ([record(0, "x", layer="7-res-jb")], "explains gpt2-small/7-res-jb, but this SAE is gpt2-"),
        ([record(0, "x", modelId="gpt2")], "explains gpt2/6-res-jb, but this SAE is gpt2-small/6-"),
        (
            [*RECORDS, record(3, "x", layer="7-res-jb")],
            r"export:7: explains gpt2-small/7-res-jb, b",
        ),
        (
            [record("3.5", "x"), record(0, "x")],
            r"export:1: index is '3\.5'; it must be a whole number",
        ),
        ([record(True, "x")], "index is True"),
        ([record(-1, "x")], "index is -1"),
        ([{"index": 3, "description": "x"}], "an explanation without modelId, layer"),
        ([RECORDS[0], ["x"]], r"export:2: not an explanation but \['x'\]"),
        ([{"message": "Moved to the bucket", "newUrl": "u"}], "it says 'Moved to the bucket'"),
        (RECORDS[:1], "leaves 5 of 6 features of gpt2-small/6-res-jb without a label.*--partial"),
        ([], "holds no explanations"),
    ],
)
def test_what_is_not_this_saes_export_is_named(
    tmp_path: Path, records: list[Any], message: str
) -> None:
    path = write(tmp_path / "export", records, "jsonl")
    with pytest.raises(InputError, match=message):
        neuronpedia_labels(str(path), 6, expected=OF)


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    for content, message in (
        (b"{not json\n", r"export:1: neither JSON nor JSON lines"),
        (json.dumps(RECORDS[0]).encode() + b'\n{"index"\n', r"export:2: neither"),
        (gzip.compress(b"x" * 1000)[:-9], "cannot read"),
        (b"\xff\xfe\x00", "cannot read"),
    ):
        (tmp_path / "export").write_bytes(content)
        with pytest.raises(InputError, match=message):
            neuronpedia_labels(str(tmp_path / "export"), 6)
    with pytest.raises(InputError, match=r"there is no file absent\.jsonl; give an export file"):
        neuronpedia_labels("absent.jsonl", 6)
    with pytest.raises(InputError, match=r"there is no file folder/absent\.jsonl\.gz"):
        neuronpedia_labels("folder/absent.jsonl.gz", 6)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"holds no batch-0\.jsonl\.gz"):
        neuronpedia_labels(str(tmp_path / "empty"), 6)


def test_a_part_may_be_wanted(tmp_path: Path) -> None:
    path = write(tmp_path / "export.jsonl", RECORDS[:1], "jsonl")
    found = neuronpedia_labels(str(path), 6, partial=True)
    assert found.labels == (LABELS[0], *[UNLABELLED] * 5)
    assert found.source["missing"] == 5


class Bucket(BaseHTTPRequestHandler):
    """A bucket of S3's listing protocol, two keys a page; ``fails`` counts down errors to give."""

    objects: ClassVar[dict[str, bytes]] = {}
    requests: ClassVar[Counter[str]] = Counter()
    fails: ClassVar[list[int]] = []

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        key = unquote(parts.path).lstrip("/")
        self.requests[key or f"list {query.get('prefix')}"] += 1
        if self.fails:
            self.send_error(self.fails.pop())
        elif not key:
            self.reply(self.listing(query))
        elif key in self.objects:
            self.reply(self.objects[key])
        else:
            self.send_error(404)

    def listing(self, query: dict[str, str]) -> bytes:
        prefix = query["prefix"]
        keys = sorted(key for key in self.objects if key.startswith(prefix))
        space = "http://s3.amazonaws.com/doc/2006-03-01/"
        if query.get("delimiter"):
            names = sorted({key.removeprefix(prefix).split("/")[0] for key in keys})
            body = "".join(
                f"<CommonPrefixes><Prefix>{prefix}{n}/</Prefix></CommonPrefixes>" for n in names
            )
        else:
            first = int(query.get("continuation-token", "0 ").split()[0])
            more = first + 2 < len(keys)
            body = "".join(
                f"<Contents><Key>{escape(key)}</Key></Contents>" for key in keys[first : first + 2]
            )
            body += f"<IsTruncated>{str(more).lower()}</IsTruncated>"
            if more:
                body += f"<NextContinuationToken>{first + 2} +/=</NextContinuationToken>"
        return f'<ListBucketResult xmlns="{space}">{body}</ListBucketResult>'.encode()

    def reply(self, data: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments: Any) -> None:
        """Keeps the test's output clean."""


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Bucket]]:
    """A server with the export of one SAE in three batches, and other files."""
    batches = {
        f"v1/{OF}/explanations/batch-{number}.jsonl.gz": gzip.compress(
            "".join(json.dumps(row) + "\n" for row in part).encode()
        )
        for number, part in ((0, RECORDS[:2]), (2, RECORDS[2:4]), (10, RECORDS[4:]))
    }
    Bucket.objects = {
        **batches,
        f"v1/{OF}/explanations-claude/batch-0.jsonl.gz": gzip.compress(b""),
        f"v1/{OF}/model.jsonl": b"{}",
        "v1/gpt2-small/7-res-jb/features/batch-0.jsonl.gz": gzip.compress(b"{}"),
        "v1/gemma-2-2b/0-gemmascope-res-16k/model.jsonl": b"{}",
    }
    Bucket.requests = Counter()
    Bucket.fails = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Bucket)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("MTMBENCH_NEURONPEDIA", f"http://127.0.0.1:{server.server_port}/")
    monkeypatch.setattr(neuronpedia_fetch, "RETRY_SECONDS", (0.0, 0.0))
    yield Bucket
    server.shutdown()
    server.server_close()


def test_an_export_is_fetched_once(bucket: type[Bucket], own_cache: Path) -> None:
    found = neuronpedia_labels(OF, 6)
    assert found.labels == LABELS
    assert found.source["of"] == OF
    names = [file["name"] for file in found.source["files"]]
    assert names == ["batch-0.jsonl.gz", "batch-2.jsonl.gz", "batch-10.jsonl.gz"]
    # Two pages of the listing, then each batch.
    asked = sum(bucket.requests.values())
    assert asked == 5
    assert neuronpedia_labels(OF, 6, expected=OF).labels == LABELS
    assert sum(bucket.requests.values()) == asked
    kept = own_cache / "neuronpedia" / OF / "explanations"
    for damage in (lambda p: p.write_bytes(b"x"), lambda p: p.unlink()):
        damage(kept / "batch-2.jsonl.gz")
        assert neuronpedia_labels(OF, 6).labels == LABELS
        asked += 1
        assert sum(bucket.requests.values()) == asked


def test_a_fetch_cut_short_goes_on(bucket: type[Bucket]) -> None:
    last = f"v1/{OF}/explanations/batch-10.jsonl.gz"
    batch = bucket.objects.pop(last)
    bucket.objects[last] = batch[:-9]
    with pytest.raises(InputError, match="came damaged"):
        neuronpedia_labels(OF, 6)
    bucket.objects[last] = batch
    assert neuronpedia_labels(OF, 6).labels == LABELS
    first = f"v1/{OF}/explanations/batch-0.jsonl.gz"
    assert bucket.requests[first] == 1
    assert bucket.requests[last] == 2


def test_what_the_server_fails_at_is_tried_again(bucket: type[Bucket]) -> None:
    bucket.fails = [503, 500]
    assert neuronpedia_labels(OF, 6).labels == LABELS
    assert bucket.requests[f"list v1/{OF}/explanations/"] == 4
    bucket.fails = [500] * 3
    with pytest.raises(InputError, match=r"cannot fetch .*HTTP Error 500.*aws s3 sync"):
        neuronpedia_labels("gpt2-small/7-res-jb", 6)
    bucket.fails = [403]
    with pytest.raises(InputError, match="HTTP Error 403"):
        neuronpedia_labels("gpt2-small/7-res-jb", 6)
    assert bucket.fails == []


@pytest.mark.parametrize(
    ("of", "message"),
    [
        ("gpt2-small/6-res-jc", "exports no SAE '6-res-jc' of gpt2-small; did you mean '6-res-jb'"),
        ("gpt2-small/7-res-jb", "export of gpt2-small/7-res-jb has no explanations, only features"),
        ("gpt2-smal/6-res-jb", "exports no model 'gpt2-smal'; did you mean 'gpt2-small'"),
    ],
)
def test_unknown_exports_are_named(bucket: type[Bucket], of: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        neuronpedia_labels(of, 6)


def test_another_sae_than_the_folders_is_not_fetched(bucket: type[Bucket]) -> None:
    with pytest.raises(InputError, match=f"{OF} was asked for, but this SAE is gpt2-small/8-res"):
        neuronpedia_labels(OF, 6, expected="gpt2-small/8-res-jb")
    assert not bucket.requests


def test_without_a_network_it_says_how_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(neuronpedia_fetch, "RETRY_SECONDS", ())
    monkeypatch.setenv("MTMBENCH_NEURONPEDIA", "http://127.0.0.1:9")
    with pytest.raises(InputError, match=r"cannot fetch .*neuronpedia-datasets/v1/gpt2-small/6-r"):
        neuronpedia_labels(OF, 6)
    monkeypatch.setenv("MTMBENCH_NEURONPEDIA", "file:///etc")
    with pytest.raises(InputError, match="must be an http"):
        neuronpedia_labels(OF, 6)
