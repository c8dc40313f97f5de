"""``mtmbench study``: what it tells of a study that was played."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.commands import AS_TYPED, Call

from mtmbench.cli.study import print_study
from mtmbench.engine.harness import RunOutcome
from mtmbench.studies.k import KStudy
from mtmbench.studies.run import StudyOutcome


def outcome(folder: Path, errors: tuple[tuple[str, str], ...] = ()) -> StudyOutcome:
    def finding(corpus: str, model: str, text: str, leads: bool) -> dict[str, Any]:
        series = "nmi" if leads else None
        return {"corpus": corpus, "model": model, "series": series, "text": text, "leads": leads}

    study: dict[str, Any] = {
        "study": "width", "question": "?", "varied": "width", "source": "planted",
        "max_tokens": None, "seeds": [0],
        "models": ["mlda"], "reference": None, "metrics": [], "rows": [], "firings": [],
        "errors": [], "settings": [],
        "corpora": [
            {"name": name, "n_docs": 1234, "n_labels": 3 if name == "a[b]" else 0, "k": 20}
            for name in AS_TYPED
        ],
        "findings": [
            found
            for name in AS_TYPED
            for found in (
                finding(name, "mlda", "Second.", False),
                finding(name, name, f"First of {name}.", True),
            )
        ],
        "notes": list(AS_TYPED),
    }  # fmt: skip
    return StudyOutcome(folder, study, RunOutcome(folder, 5, 6, errors), (folder / "[b]study.md",))


def test_findings_notes_and_files_are_told_as_typed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    print_study(outcome(Path("runs"), (("cell [/x]", "reason [/x]"),)))
    told: list[str] = []
    for name in AS_TYPED:
        labels = "3 labels" if name == "a[b]" else "no labels"
        told += [
            f"{name}: 1,234 documents, {labels}, K = 20",
            f"- {name}, nmi: First of {name}.",
            "- mlda: Second.",
        ]
    assert capsys.readouterr().out.splitlines() == [
        *told, *AS_TYPED, "5 cells played, 6 reused, 1 errors.",
        "error: cell [/x]: reason [/x]", "The study's files:", "  runs/[b]study.md",
    ]  # fmt: skip


@pytest.mark.parametrize(("errors", "status"), [((), 0), ((("cell", "reason"),), 1)])
def test_what_was_asked_for_is_played(
    call: Call,
    monkeypatch: pytest.MonkeyPatch,
    errors: tuple[tuple[str, str], ...],
    status: int,
) -> None:
    asked: list[Any] = []

    def play(*names: Any, progress: object, **options: Any) -> StudyOutcome:
        asked.extend([*names, options])
        return outcome(Path("runs"), errors)

    monkeypatch.setattr("mtmbench.studies.run.run_study", play)
    code, _, err = call("study", "width", "lee", "--models", "mlda, metm,", "--reference", "none",
                        "--k", "7", "--set", "features.max_tokens=9")  # fmt: skip
    assert code == status, err
    assert asked == [
        "width", ["lee"],
        {"source": "minilm", "models": ["mlda", "metm"], "reference": None, "seeds": 5, "k": 7,
         "out": None, "overrides": {"features.max_tokens": 9}, "data_dir": None, "plugins": [],
         "workers": None},
    ]  # fmt: skip


@pytest.mark.parametrize("k", ["0", "x", "-1", "2.5"])
def test_k_is_a_number_or_labels(call: Call, k: str) -> None:
    code, _, err = call("study", "layer", "--k", k)
    assert code == 2
    assert err == f"mtmbench: --k takes a number of topics from 1 up, or labels, not {k!r}\n"


@pytest.mark.parametrize(("errors", "status"), [((), 0), ((("cell", "reason"),), 1)])
def test_a_study_of_k_is_played_and_told(
    call: Call,
    monkeypatch: pytest.MonkeyPatch,
    errors: tuple[tuple[str, str], ...],
    status: int,
) -> None:
    asked: list[Any] = []
    study: dict[str, Any] = {
        "models": ["nmf"], "ks": [2, 4], "seeds": [0], "judge": None, "question": "?",
        "corpora": [{"name": "lee", "n_docs": 300, "n_labels": 0}], "measures": [], "rows": [],
        "flows": [], "notes": [], "errors": [],
        "findings": [{"corpus": "lee", "model": "nmf", "measure": "npmi", "text": "So it is."}],
    }  # fmt: skip

    def play(corpora: Any, *, progress: object, **options: Any) -> KStudy:
        asked.extend([corpora, options])
        return KStudy(Path("runs"), study, RunOutcome(Path("runs"), 5, 6, errors), ())  # type: ignore[arg-type]

    monkeypatch.setattr("mtmbench.studies.k.run_k_study", play)
    code, out, err = call("study", "k", "lee", "--models", "lda,nmf", "--ks", "2, 4", "--seeds",
                          "1", "--judge", "none", "--set", "words.min_df=3")  # fmt: skip
    assert code == status, err
    assert out.splitlines()[:2] == ["lee: 300 documents, no labels", "- nmf: So it is."]
    assert asked == [
        ["lee"],
        {"models": ["lda", "nmf"], "ks": [2, 4], "seeds": 1, "judge": None, "out": None,
         "overrides": {"words.min_df": 3}, "data_dir": None, "plugins": [], "workers": None,
         "budget": None},
    ]  # fmt: skip


@pytest.mark.parametrize("ks", ["5,x", "0,5", "5,-1", "2.5"])
def test_ks_are_numbers(call: Call, ks: str) -> None:
    code, _, err = call("study", "k", "--ks", ks)
    wrong = next(part for part in ks.split(",") if not part.isdecimal() or part == "0")
    assert code == 2
    assert err == f"mtmbench: --ks takes numbers of topics from 1 up, not {wrong!r}\n"
