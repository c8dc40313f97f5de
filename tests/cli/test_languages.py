"""Chinese, German and Arabic from a file to the board, by the command that people type."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pandas as pd
import pytest
from support.commands import Call
from support.languages import ARABIC, CHINESE, GERMAN, Language

from mtmbench.core.store import read_records

SUITE = """
name = "{name}"
corpora = ["{file}"]
models = ["lda", "k_means"]
k = 3
metrics = ["npmi", "nmi"]
[params.lda]
iterations = {iterations}
[words]
language = "{code}"
tokeniser = "{tokeniser}"
[judging]
judges = ["lexical", "embedding"]
documents = 12
bootstrap = 100
"""


def write(language: Language, kind: str) -> str:
    rows = language.rows()
    path = Path(f"{language.name}.{kind}")
    if kind == "jsonl":
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    elif kind == "csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    else:
        pd.DataFrame(rows).to_parquet(path)
    return str(path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("language", "code", "kind"),
    [(CHINESE, "zh", "jsonl"), (GERMAN, "de", "csv"), (ARABIC, "arabic", "parquet")],
    ids=lambda value: getattr(value, "name", None),
)
def test_a_language_goes_from_a_file_to_the_board(
    call: Call, language: Language, code: str, kind: str
) -> None:
    """Every topic's words are those of one theme, which only right words and stop words give."""
    file = write(language, kind)
    suite = SUITE.format(
        name=language.name, file=file, code=code, tokeniser=language.tokeniser, iterations=200
    )
    Path("suite.toml").write_text(suite)
    status, _, said = call("run", "suite.toml", "--out", "run", "--workers", "0")
    assert status == 0, said
    board = json.loads(Path("run/board.json").read_text())
    assert board["errors"] == []
    assert f"## {language.name}" in Path("run/board.md").read_text()
    scores = {(row["metric"], row["model"], row["view"]): row["value"] for row in board["metrics"]}
    for model in ("lda", "k_means"):
        assert scores["nmi", model, None] > 0.9
        assert scores["npmi", model, "projected"] > 0
    assert {row["judge"] for row in board["ratings"]} == {"lexical", "embedding"}
    themes = {tuple(sorted(map(str.lower, words))) for words in language.themes.values()}
    fits = [r.payload for r in read_records(Path("run/records.jsonl")) if r.kind == "fit"]
    for fit in fits:
        assert {tuple(sorted(topic["words"])) for topic in fit["topics"]} == themes
    page = Path("run/index.html").read_text()
    parts = "".join(path.read_text() for path in Path("run/site").glob("topics-*.js"))
    for topic in fits[0]["topics"]:
        assert " · ".join(topic["items"][:3]) in page
        assert topic["items"][0] in parts
    rtl = language is ARABIC
    assert ('<li dir="auto"><small>' in page) == ('dir: "auto"' in page) == rtl
