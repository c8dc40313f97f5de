"""What leaves a machine in texts: paths, secrets and passages are found, and little else is."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from mtmbench.core.types import Corpus
from mtmbench.corpora.licences import may_be_shown
from mtmbench.publishing.traces import LONGEST_QUOTATION, Passages, is_path, leaves, secret_in

BOARDS = Path(__file__).parents[2] / "leaderboards"


@pytest.mark.parametrize(
    "text",
    [
        "/home/ann/x.npz", "cannot read /Users/ann/x y", "at /tmp/a: no", "(/var/lib/x)", "~/x/y",
        "C:\\Users\\ann", "d:/texts/x", "file:///x", "\\\\server\\share", "path=/data/x",
        "/anything/at/the/start",
    ],
)  # fmt: skip
def test_paths_are_found(text: str) -> None:
    assert is_path(text)


@pytest.mark.parametrize(
    "text",
    [
        "baselines/x.toml", "https://example.org/home/ann", "and/or", "google/gemma-2-2b",
        "a / b", "50/50", "http://x.org/data/y", "blocks.5.hook_resid_post", "he/she/they", "/",
        "see: a/b", "</home/ann>", "10:/30",
    ],
)  # fmt: skip
def test_what_is_no_path_is_let_be(text: str) -> None:
    assert not is_path(text)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("sk-proj-" + "a1" * 20, "a key of OpenAI or Anthropic"),
        ("hf_" + "aB" * 17, "a token of Hugging Face"),
        ("x ghp_" + "aB" * 18, "a token of GitHub"),
        ("github_pat_" + "1a" * 20, "a token of GitHub"),
        ("AKIA" + "Q1" * 8, "a key of AWS"),
        ("AIza" + "b-" * 17 + "c", "a key of Google"),
        ("-----BEGIN RSA PRIVATE KEY-----", "a private key"),
        ("Authorization: Bearer " + "q7" * 12, "a bearer token"),
        ("http://ann:pass@host/v1", "a password in an address"),
        ("https://host:8000/v1", None), ("task-" + "a" * 30, None), ("the bearer of news", None),
        ("0885b9af3ade3b0df31f699d753562b0", None),
    ],
)  # fmt: skip
def test_secrets_are_told_by_kind(text: str, kind: str | None) -> None:
    assert secret_in(text) == kind


def test_committed_records_hold_neither() -> None:
    path = BOARDS / "quick" / "records.jsonl"
    for line in path.read_text(encoding="utf-8").splitlines():
        for place, value in leaves(json.loads(line)):
            if isinstance(value, str):
                assert not is_path(value), (place, value)
                assert secret_in(value) is None, (place, value)


def test_passages_are_found_as_by_looking_for_every_run_of_words() -> None:
    draw = random.Random(0)
    words = [f"w{i}" for i in range(400)]
    texts = [" ".join(draw.choices(words, k=120)) for _ in range(4)]
    passages = Passages(texts)
    for _ in range(60):
        n, start = draw.randrange(5, 60), draw.randrange(60)
        quoted = draw.choice(texts).split()[start : start + n]
        before, after = (["x"] * draw.randrange(20) for _ in range(2))
        text = [*before, *quoted, *after]
        longest = max(
            (end - begin for begin in range(len(text)) for end in range(begin + 1, len(text) + 1)
             if any(f" {' '.join(text[begin:end])} " in f" {other} " for other in texts)),
            default=0,
        )  # fmt: skip
        expected = longest if longest > LONGEST_QUOTATION else 0
        assert passages.longest("\n ".join(text)) == expected


@pytest.mark.parametrize(
    ("licence", "shown"),
    [
        ("CC BY-SA 3.0", True), ("CC0", True), ("US government text", True), ("Apache-2.0", True),
        ("none stated", False), ("Yelp's dataset terms", False), ("CC BY-NC 4.0", False),
        ("non-commercial research", False), ("CC BY-ND", False), (None, False), ("", False),
        ("GPL-3.0 repository; the poems their own", False),
    ],
)  # fmt: skip
def test_texts_may_be_shown_where_their_licence_says_so(licence: str | None, shown: bool) -> None:
    source = {} if licence is None else {"licence": licence}
    assert may_be_shown(Corpus("x", ("a",), ("text",), source=source)) is shown
