"""Automatic interpretation by judges that read: scores known in closed form, kills, bad replies."""

from __future__ import annotations

import importlib.util
import json
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from support import SUPPORT
from support.judged import asked

from mtmbench.core.errors import InputError, UnknownNameError
from mtmbench.core.serialise import canonical_json
from mtmbench.features.interpretation import Detection, Interpretation
from mtmbench.features.label_files import (
    read_label_classes,
    read_label_scores,
    read_source,
    write_classes,
    write_labels,
    write_scores,
)
from mtmbench.features.sae.contexts import Context, FeatureContexts, RandomContext
from mtmbench.judges.base import JudgeError
from mtmbench.judges.prompt import load_template, prompt_hash
from mtmbench.labelling.autointerp import InterpretSpec, interpret
from mtmbench.labelling.label_folder import label_folder, sample_features

PLUGIN = SUPPORT / "label_judge.py"
N = 8
"""Contexts held out of each kind."""
SPEC = InterpretSpec(strongest=5, random=0, held_out=N, min_held_out=4)
FILLER = ["a cat sat", "one dog ran", "two birds flew", "no fish swam", "that horse stood"]


@pytest.fixture(scope="module")
def judges() -> ModuleType:
    # Under the name that load_plugins gives it, so that both register the same classes.
    name = f"mtmbench_plugin_{PLUGIN.stem}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, PLUGIN)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name]


def context(word: str, tag: str, value: float = 1.0, *, said: bool = True) -> Context:
    """A window of its own that holds the word, or only its token's place without it."""
    before = f"{FILLER[hash_of(tag) % len(FILLER)]} {tag} near "
    token = word if said else "it"
    return Context(f"{before}{token} again", len(before), len(before) + len(token), value)


def hash_of(text: str) -> int:
    return sum(map(ord, text))


def planted() -> FeatureContexts:
    """Features whose labels score 1, ¾, ½, …; see EXPECTED."""

    def strongest(word: str) -> list[Context]:
        return [context(word, f"strong{i}{word}", 9.0 - i) for i in range(5)]

    def sampled(word: str, said: int, n: int = N) -> list[Context]:
        return [context(word, f"sample{i}{word}", said=i < said) for i in range(n)]

    # Every random context holds "the", a quarter of them "river"; of 10, features 0 to 4 fire in
    # the last two, so that N are silent.
    random = [
        RandomContext(
            f"the {FILLER[i % 5]} random{i}" + (" river" if i < 2 else ""),
            tuple(range(5)) if i >= N else (),
        )
        for i in range(N + 2)
    ]
    words = ["hockey", "budget", "the", "river", "music"]
    return FeatureContexts(
        [*(strongest(word) for word in words), [], strongest("tax"), strongest("opera")],
        [
            sampled("hockey", N), sampled("budget", N // 2), sampled("the", N),
            sampled("river", 3 * N // 4), sampled("music", 0), [], sampled("tax", 3, 3),
            [],
        ],
        random,
        {"reference": "planted"},
    )  # fmt: skip


EXPECTED = {
    # (hits + silent ones not named) / 2: all and all; half and all; all and none; ¾ and ¾; 0, all.
    0: ("hockey", 1.0), 1: ("budget", 0.75), 2: ("the", 0.5), 3: ("river", 0.75),
    4: ("music", 0.5), 5: (None, None), 6: ("tax", None), 7: ("opera", None),
}  # fmt: skip


def play(client: Any, answers: Path, **options: Any) -> Interpretation:
    kept = {"answers": answers, "concurrency": options.pop("concurrency", 8)}
    given = {"spec": SPEC, **options}
    return asked(client, lambda asker: interpret(asker, planted(), **given), **kept)


def test_scores_are_what_they_must_be(judges: ModuleType, tmp_path: Path) -> None:
    client = judges.Reader()
    found = play(client, tmp_path / "answers.sqlite")
    got = {
        label.feature: (label.label, label.detection.score)
        for label in found.labels
        if label.detection is not None
    }
    assert got == EXPECTED
    assert [label.status for label in found.labels] == [*["ok"] * 5, "no contexts", "ok", "ok"]
    assert found.labels[5].shown == "(dead)"
    assert found.labels[3].detection == Detection("ok", N, 6, N, 2)
    assert found.labels[6].detection == Detection("too few contexts", 3, 0, N, 0)
    # Seven labels were asked for, and five scores.
    assert found.asked == found.judge["questions"] == len(client.questions) == 12
    assert found.judge["usage"] == {"input": 84}
    assert found.judge["revisions"] == ["reader-1"]
    assert found.prompts == {
        "label": {"name": "label", "hash": prompt_hash_of("label")},
        "detect": {"name": "detect", "hash": prompt_hash_of("detect")},
    }
    assert client.closed == 1


def prompt_hash_of(name: str) -> str:
    placeholders = {
        "label": {"fence", "open", "close", "active", "others"},
        "detect": {"fence", "label", "passages"},
    }[name]
    settings = {"context_characters": 1, **({"label_characters": 1} if name == "label" else {})}
    return load_template(name, placeholders, settings).hash


def test_what_scores_a_label_was_not_shown_for_it(judges: ModuleType, tmp_path: Path) -> None:
    client = judges.Reader()
    contexts = planted()
    spec = InterpretSpec(strongest=3, random=2, held_out=5, min_held_out=4, seed=1)
    play(client, tmp_path / "answers.sqlite", spec=spec)
    by_task = {
        (question.context["task"], question.context["feature"]): question.context
        for question in client.questions
    }
    assert len(by_task) == len(client.questions)
    plainly = {context.text: set(context.features) for context in contexts.random}
    for feature in range(5):
        shown = by_task["label", feature]
        strong = [f"{c.text[: c.start]}⟦{c.text[c.start : c.end]}⟧{c.text[c.end :]}"
                  for c in contexts.strongest[feature][:3]]  # fmt: skip
        assert shown["active"] == strong
        assert len(shown["others"]) == 2
        passages = by_task["detect", feature]["passages"]
        assert len(passages) == len(set(passages)) == 10
        silent = [text for text in passages if text in plainly]
        assert len(silent) == 5
        assert not any(feature in plainly[text] for text in (*silent, *shown["others"]))
        assert not set(silent) & set(shown["others"])
        sampled = {context.text for context in contexts.sampled[feature]}
        assert set(passages) - set(silent) <= sampled
    # The order of the two kinds is another for each feature.
    orders = {
        tuple(text in plainly for text in by_task["detect", feature]["passages"])
        for feature in range(5)
    }
    assert len(orders) > 1


def test_a_short_sample_is_filled_up_from_the_strongest_not_shown(
    judges: ModuleType, tmp_path: Path
) -> None:
    client = judges.Reader()
    spec = InterpretSpec(strongest=2, random=0, held_out=5, min_held_out=3)
    found = play(client, tmp_path / "answers.sqlite", spec=spec)
    contexts = planted()
    # Feature 6 has 3 sampled contexts, 7 none; each has 5 strong ones, of which 2 are shown.
    for feature, n_sampled, n_strong in ((0, 5, 0), (6, 3, 2), (7, 0, 3)):
        (asked,) = (
            question.context["passages"]
            for question in client.questions
            if question.context["task"] == "detect" and question.context["feature"] == feature
        )
        sampled = {context.text for context in contexts.sampled[feature]}
        unshown = {context.text for context in contexts.strongest[feature][2:]}
        assert len(sampled & set(asked)) == n_sampled
        assert len(unshown & set(asked)) == n_strong
        assert len(asked) == n_sampled + n_strong + 5
        detection = found.labels[feature].detection
        assert detection == Detection("ok", n_sampled + n_strong, n_sampled + n_strong, 5, 0)


def test_messages_hold_what_the_fields_hold(judges: ModuleType, tmp_path: Path) -> None:
    client = judges.Reader()
    play(client, tmp_path / "answers.sqlite", classes=True)
    for question in client.questions:
        text = "\n".join(message["content"] for message in question.messages)
        assert "{{" not in text
        for name in ("active", "others", "passages", "labels"):
            for line in question.context.get(name, ()):
                assert line in text


def test_refusals_are_kept_as_such(judges: ModuleType, tmp_path: Path) -> None:
    client = judges.Refuser()
    found = play(client, tmp_path / "answers.sqlite", classes=True)
    assert Counter(label.status for label in found.labels) == {"refused": 7, "no contexts": 1}
    assert {label.label for label in found.labels} == {None}
    assert [label.shown for label in found.labels] == [*["(refused)"] * 5, "(dead)",
                                                       *["(refused)"] * 2]  # fmt: skip
    statuses = {label.detection.status for label in found.labels if label.detection is not None}
    assert statuses == {"no label"}
    # Neither scores nor classes of labels that there are not are asked for.
    assert len(client.questions) == 7
    assert set(found.classes or ()) == {"none"}
    given = ["hockey"] * 8
    found = play(client, tmp_path / "answers.sqlite", labels=given, classes=True)
    scored = Counter(label.detection.status for label in found.labels if label.detection)
    assert scored == {"refused": 5, "too few contexts": 3}
    assert found.classes == ("refused",) * 8


def test_babble_is_unparsed_and_never_a_label(judges: ModuleType, tmp_path: Path) -> None:
    found = play(judges.Babbler(), tmp_path / "answers.sqlite")
    assert Counter(label.status for label in found.labels) == {"unparsed": 7, "no contexts": 1}
    assert found.labels[0].shown == "(unparsed)"
    found = play(judges.Babbler(), tmp_path / "answers.sqlite", labels=["hockey"] * 8, classes=True)
    assert [label.label for label in found.labels] == ["hockey"] * 8
    detections = [label.detection for label in found.labels]
    assert detections[0] == Detection("unparsed", N, 0, N, 0)
    assert detections[0].score is None
    assert found.classes == ("unparsed",) * 8


def test_nothing_shared_is_no_label(judges: ModuleType, tmp_path: Path) -> None:
    found = play(judges.Reader(labels={0: "(none)", 1: "(dead)"}), tmp_path / "answers.sqlite")
    assert [(f.status, f.label, f.shown) for f in found.labels[:2]] == [
        ("none", None, "(none)"), ("unparsed", None, "(unparsed)"),
    ]  # fmt: skip


def test_given_labels_are_scored_and_not_written(judges: ModuleType, tmp_path: Path) -> None:
    client = judges.Reader()
    labels = ["music", "hockey budget", "(dead)", "river", "(unlabelled)", "x", "x", "x"]
    found = play(client, tmp_path / "answers.sqlite", labels=labels)
    assert [label.shown for label in found.labels] == labels
    scores = [label.detection.score if label.detection else 9 for label in found.labels]
    # "music" is in no context of feature 0, and in no silent one: nothing is named.
    assert scores == [0.5, 0.75, None, 0.75, None, None, None, None]
    assert {question.context["task"] for question in client.questions} == {"detect"}


def test_only_the_features_asked_for(judges: ModuleType, tmp_path: Path) -> None:
    client = judges.Reader()
    answers = tmp_path / "answers.sqlite"
    found = play(client, answers, features=[3, 0])
    assert [label.status for label in found.labels] == [
        "ok", "not asked", "not asked", "ok", *["not asked"] * 4,
    ]  # fmt: skip
    assert found.labels[1].shown == "(unlabelled)"
    assert len(client.questions) == 4
    again = play(client, answers, features=[0, 1, 3], classes=True)
    assert again.asked == 3
    assert again.classes == ("none", "none", "not asked", "none", *["not asked"] * 4)
    with pytest.raises(InputError, match="features 3 to 8 were asked for; there are 8"):
        play(client, answers, features=[8, 3])
    with pytest.raises(InputError, match="2 labels for the contexts of 8 features"):
        play(client, answers, labels=["a", "b"])


def test_classes_by_a_judge(judges: ModuleType, tmp_path: Path) -> None:
    client = judges.Reader()
    given = ["comma use", "noun phrases", "the", "hockey", "comma use", "(numbers)",
             "(stop words) the, of", "(word piece) fr"]  # fmt: skip
    found = play(client, tmp_path / "answers.sqlite", labels=given, classes=True, score=False)
    assert found.classes == (
        "punctuation", "grammar", "stop words", "none", "punctuation", "numbers", "stop words",
        "none",
    )  # fmt: skip
    # Equal labels are asked about once, marks not at all.
    assert [question.context["labels"] for question in client.questions] == [
        ["comma use", "noun phrases", "the", "hockey"]
    ]
    write_labels(tmp_path, given, {"source": "given"})
    write_classes(tmp_path, found)
    masks = read_label_classes(tmp_path, given)
    assert masks is not None
    members = {name: np.flatnonzero(mask).tolist() for name, mask in masks.items() if mask.any()}
    assert members == {
        "grammar": [1], "stop words": [2, 6], "punctuation": [0, 4], "numbers": [5],
        "formatting": [0, 4, 5],
    }  # fmt: skip
    with pytest.raises(InputError, match="has no classes"):
        write_classes(tmp_path, play(client, tmp_path / "answers.sqlite", labels=given))


def test_many_labels_take_many_questions(judges: ModuleType, tmp_path: Path) -> None:
    prompts = Path("judges/prompts/label_class.md")
    source = next(
        path for path in (Path.cwd() / prompts, PLUGIN.parents[2] / prompts) if path.is_file()
    )
    changed = tmp_path / "three.md"
    text = source.read_text(encoding="utf-8")
    changed.write_text(text.replace("labels_per_question = 20", "labels_per_question = 3"))
    client = judges.Reader()
    spec = InterpretSpec(class_prompt=str(changed))
    labels = [f"{word} {i}" for i, word in enumerate(["comma", "x", "the", "y"] * 2)]
    found = play(client, tmp_path / "a.jsonl", labels=labels, classes=True, score=False, spec=spec)
    assert found.classes == ("punctuation", "none", "stop words", "none") * 2
    assert [len(question.context["labels"]) for question in client.questions] == [3, 3, 2]
    assert found.prompts["class"]["name"] == "three"
    assert found.prompts["class"]["hash"] != load_template(
        "label_class", {"fence", "labels"}, {"labels_per_question": 1}
    ).hash  # fmt: skip


def test_a_label_prompt_is_no_match_prompt() -> None:
    with pytest.raises(UnknownNameError, match="placeholder in"):
        prompt_hash("label")


def test_wrong_specs_are_named() -> None:
    for options, message in (
        ({"strongest": 0}, "strongest must be at least 1, not 0"),
        ({"random": -1}, "random must be at least 0"),
        ({"held_out": 3}, "held_out is 3, less than min_held_out = 5"),
    ):
        with pytest.raises(InputError, match=message):
            InterpretSpec(**options)  # type: ignore[arg-type]


def test_files_hold_labels_and_scores(judges: ModuleType, tmp_path: Path) -> None:
    found = play(judges.Reader(), tmp_path / "answers.sqlite")
    shown = [label.shown for label in found.labels]
    write_labels(tmp_path, shown, {"source": "judge", "judge": found.judge})
    write_scores(tmp_path, found, card="reader")
    assert json.loads((tmp_path / "labels.json").read_text()) == shown
    written = json.loads((tmp_path / "label_scores.json").read_text())
    assert written["judge"]["card"]["client"] == "reader"
    assert written["prompts"] == found.prompts
    assert written["statuses"] == {"ok": 5, "too few contexts": 2, "no label": 1}
    assert written["features"][3] == {
        "feature": 3, "label": "river", "label_status": "ok", "score": 0.75, "score_status": "ok",
        "n": 2 * N, "n_active": N, "hits": 6, "n_random": N, "false_alarms": 2,
    }  # fmt: skip
    scores = read_label_scores(tmp_path, shown)
    assert scores is not None
    assert scores.dtype == np.float32
    expected = [EXPECTED[i][1] for i in range(8)]
    np.testing.assert_array_equal(scores, [np.nan if s is None else s for s in expected])
    assert read_source(tmp_path, shown) == {"source": "judge", "judge": found.judge}


def test_scores_of_other_labels_are_never_read(judges: ModuleType, tmp_path: Path) -> None:
    assert read_label_scores(tmp_path, ["a"]) is None
    assert read_label_classes(tmp_path, ["a"]) is None
    found = play(judges.Reader(), tmp_path / "answers.sqlite")
    shown = [label.shown for label in found.labels]
    write_labels(tmp_path, shown, {})
    write_scores(tmp_path, found)
    other = ["golf", *shown[1:]]
    with pytest.raises(InputError, match=r"label_scores\.json is of other labels than"):
        read_label_scores(tmp_path, other)
    write_labels(tmp_path, shown, {})
    assert read_label_scores(tmp_path, shown) is not None
    write_labels(tmp_path, other, {})
    assert not (tmp_path / "label_scores.json").exists()
    assert read_source(tmp_path, shown) == {"source": "given"}
    (tmp_path / "label_scores.json").write_text("[]")
    with pytest.raises(InputError, match=r"label_scores\.json is not a JSON object"):
        read_label_scores(tmp_path, other)
    (tmp_path / "label_scores.json").write_text('{"schema": 2}')
    with pytest.raises(InputError, match="has schema 2; expected 1"):
        read_label_scores(tmp_path, other)


def sae_folder(path: Path, contexts: FeatureContexts | None = None, **cfg: Any) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    (path / "cfg.json").write_text(canonical_json({"d_sae": 8, "metadata": {}, **cfg}))
    (contexts or planted()).save(path / "contexts.parquet")
    return path


SCRIPT = """
import sys
from pathlib import Path
from mtmbench.labelling.autointerp import InterpretSpec
from mtmbench.labelling.label_folder import label_folder
from mtmbench.core.plugins import load_plugins

plugin, folder, out, card = sys.argv[1:]
load_plugins([plugin])
spec = InterpretSpec(strongest=5, random=0, held_out=8, min_held_out=4)
report = label_folder(
    Path(folder), Path(out), judge=card, classes=True, spec=spec, concurrency=1
)
print("\\n".join(report.lines))
"""


@pytest.mark.slow
def test_killed_between_calls_it_goes_on_and_asks_nothing_twice(tmp_path: Path) -> None:
    folder = sae_folder(tmp_path / "sae")
    log = tmp_path / "log"

    def run(out: str, **params: Any) -> subprocess.CompletedProcess[str]:
        import tomli_w

        card = tmp_path / "card.toml"
        card.write_text(tomli_w.dumps({"client": "reader", "params": params}))
        return subprocess.run(
            [
                sys.executable,
                "-c",
                SCRIPT,
                str(PLUGIN),
                str(folder),
                str(tmp_path / out),
                str(card),
            ],
            capture_output=True,
            text=True,
            check=False,
        )

    # The judge reads how far it may go from its card, which is in the key of every answer: the
    # limit is the same in both runs, and the log of the first is put away in between.
    params = {"log": str(log), "kill_after": 7}
    killed = run("out", **params)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    first = log.read_text().splitlines()
    assert len(first) == 7
    assert not (tmp_path / "out" / "labels.json").exists()
    with closing(sqlite3.connect(tmp_path / "out" / "answers.sqlite")) as ledger:
        assert ledger.execute("SELECT count(*) FROM answers").fetchone() == (7,)
    log.unlink()
    done = run("out", **params)
    assert done.returncode == 0, done.stderr
    second = log.read_text().splitlines()
    # 7 labels, 5 scores, 1 question of classes.
    assert len(first) + len(second) == 13
    assert len(set(first + second)) == 13
    assert "13 questions, 7 of them answered before" in done.stdout
    names = ("labels.json", "label_scores.json", "label_classes.json", "label_source.json")
    files = {name: (tmp_path / "out" / name).read_bytes() for name in names}
    assert json.loads(files["labels.json"])[:2] == ["hockey", "budget"]
    # A run that nobody killed writes the same bytes, however many questions are under way.
    (tmp_path / "again").mkdir()
    shutil.copy(tmp_path / "out" / "answers.sqlite", tmp_path / "again")
    log.unlink()
    assert run("again", **params).returncode == 0
    assert not log.exists()
    assert {name: (tmp_path / "again" / name).read_bytes() for name in names} == files


def test_a_folder_is_labelled(judges: ModuleType, tmp_path: Path) -> None:
    folder = sae_folder(tmp_path / "sae")
    told: list[tuple[int, int]] = []
    report = label_folder(
        folder, tmp_path / "out", judge="reader", spec=SPEC, n_features=5,
        progress=lambda done, total: told.append((done, total)),
    )  # fmt: skip
    assert told == [(i, 5) for i in range(1, 6)]
    chosen = sample_features(8, 5, 0)
    labels = json.loads((tmp_path / "out" / "labels.json").read_text())
    assert [i for i in range(8) if labels[i] != "(unlabelled)"] == chosen
    for i in chosen:
        assert labels[i] == (EXPECTED[i][0] or "(dead)")
    assert {path.name for path in report.files} == {
        "labels.json", "label_scores.json", "label_source.json",
    }  # fmt: skip
    source = json.loads((tmp_path / "out" / "label_source.json").read_text())
    assert source["contexts"] == {
        "revision": planted().revision, "source": {"reference": "planted"},
    }  # fmt: skip
    assert source["shown"]["held_out"] == N
    assert source["card"] == "reader"


def test_the_folders_own_labels_are_scored(judges: ModuleType, tmp_path: Path) -> None:
    folder = sae_folder(tmp_path / "sae")
    with pytest.raises(InputError, match=r"cannot read .*labels\.json"):
        label_folder(folder, folder, judge="reader", own=True)
    own = ["hockey", "hockey", "(dead)", "river", "music", "x", "y", "z"]
    write_labels(folder, own, {"source": "words"})
    label_folder(folder, folder, judge="reader", own=True, spec=SPEC)
    assert json.loads((folder / "labels.json").read_text()) == own
    assert read_source(folder, own) == {"source": "words"}
    scores = read_label_scores(folder, own)
    assert scores is not None
    np.testing.assert_array_equal(scores, [1, 0.5, np.nan, 0.75, 0.5, *[np.nan] * 3])


def test_labels_of_neuronpedia_are_scored_by_a_judge(judges: ModuleType, tmp_path: Path) -> None:
    folder = sae_folder(tmp_path / "sae", metadata={"neuronpedia_id": "m/1-res"})
    records = [
        {"modelId": "m", "layer": "1-res", "index": str(i), "description": word}
        for i, word in enumerate(["hockey", "river", "the", "river", "music"])
    ]
    export = tmp_path / "export.jsonl"
    export.write_text("".join(json.dumps(record) + "\n" for record in records))
    out = tmp_path / "out"
    report = label_folder(folder, out, neuronpedia=str(export))
    assert report.lines == ("5 of 8 features of m/1-res labelled; 0 had several explanations",)
    assert {path.name for path in report.files} == {"labels.json", "label_source.json"}
    label_folder(folder, out, neuronpedia=str(export), judge="reader", spec=SPEC)
    labels = json.loads((out / "labels.json").read_text())
    assert labels == ["hockey", "river", "the", "river", "music", *["(unlabelled)"] * 3]
    scores = read_label_scores(out, labels)
    assert scores is not None
    # "river" is in no context of feature 1, and in two silent ones of eight.
    np.testing.assert_array_equal(scores[:5], [1, 0.375, 0.5, 0.75, 0.5])
    assert json.loads((out / "label_source.json").read_text())["of"] == "m/1-res"
    other = sae_folder(tmp_path / "other", metadata={"neuronpedia_id": "m/2-res"})
    with pytest.raises(InputError, match="explains m/1-res, but this SAE is m/2-res"):
        label_folder(other, out, neuronpedia=str(export))


def test_wrong_folders_and_judges_are_named(judges: ModuleType, tmp_path: Path) -> None:
    folder = sae_folder(tmp_path / "sae")
    with pytest.raises(InputError, match="who labels"):
        label_folder(folder, tmp_path)
    with pytest.raises(InputError, match="not both"):
        label_folder(folder, tmp_path, judge="reader", neuronpedia="x", own=True)
    with pytest.raises(UnknownNameError, match="did you mean 'reader'"):
        label_folder(folder, tmp_path, judge="readr")
    with pytest.raises(InputError, match="must be at least 1, not 0"):
        label_folder(folder, tmp_path, judge="reader", n_features=0)
    with pytest.raises(InputError, match=r"cannot read .*cfg\.json"):
        label_folder(tmp_path / "absent", tmp_path, judge="reader")
    odd = sae_folder(tmp_path / "odd", d_sae="wide")
    with pytest.raises(InputError, match=r"d_sae of .*cfg\.json: 'wide' is no whole number"):
        label_folder(odd, tmp_path, judge="reader")
    narrow = sae_folder(tmp_path / "narrow", d_sae=7)
    with pytest.raises(InputError, match="contexts of 8 features for an SAE of 7"):
        label_folder(narrow, tmp_path, judge="reader")
    (folder / "contexts.parquet").unlink()
    with pytest.raises(InputError, match=r"there is no .*contexts\.parquet"):
        label_folder(folder, tmp_path, judge="reader")
    proxy = sae_folder(tmp_path / "proxied")
    with pytest.raises(JudgeError, match=r"'scripted' failed on the label.*of kind 'label'"):
        label_folder(proxy, tmp_path / "out", judge="scripted")


def test_samples_are_nested() -> None:
    small, large = (set(sample_features(100, n, 3)) for n in (10, 40))
    assert small < large
    assert len(small) == 10
    assert sample_features(100, 200, 3) == list(range(100))
    assert set(sample_features(100, 10, 4)) != small


def test_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from mtmbench.cli.app import main

    sae_folder(tmp_path / "mine")
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["mtmbench", "label", *arguments])
        with pytest.raises(SystemExit) as stop:
            main()
        return int(stop.value.code or 0)

    assert call("mine", "--judge", "reader", "--plugin", str(PLUGIN), "--no-score") == 0
    out = capsys.readouterr().out.splitlines()
    assert out[:2] == ["8 features: 7 ok, 1 no contexts", "7 questions, 0 of them answered before"]
    written = [Path("runs/labels/mine") / name for name in ("labels.json", "label_source.json")]
    assert out[2:4] == [f"wrote {path}" for path in written]
    assert out[4:] == ["to use them, copy these files into mine"]
    assert all(path.is_file() for path in written)
    arguments = ("mine", "--judge", "reader", "--classes", "--features", "4", "--out", "o")
    assert call(*arguments, "--plugin", str(PLUGIN)) == 0
    assert "not asked" in capsys.readouterr().out
    assert (tmp_path / "o" / "label_classes.json").is_file()
    assert call("mine") == 2
    assert "who labels?" in capsys.readouterr().err
