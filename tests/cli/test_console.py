"""What several commands print: text as it was typed, and counts as bars."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from support.commands import AS_TYPED, cells

from mtmbench.cli.console import (
    ConsoleProgress,
    echo,
    print_files,
    print_line,
    print_table,
    printable,
)

COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture(params=["pipe", "terminal"])
def coloured(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setenv("COLUMNS", "200")
    if request.param == "terminal":
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("TERM", "xterm-256color")
    return request.param == "terminal"


def test_tables_show_cells_and_titles_as_typed(
    coloured: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    for text in AS_TYPED:
        print_table(("name", "reason"), [(text, f"no {text}")], title=f"judge {text}")
        out = capsys.readouterr().out
        title, _, _, _, row, _ = out.splitlines()
        assert COLOURS.sub("", title).rstrip() == f"judge {text}"
        assert cells(row) == [[text, f"no {text}"]]  # so no colour was taken from the text either
        assert ("\x1b[3mjudge" in title) == coloured


def test_control_characters_are_shown_and_not_sent(capsys: pytest.CaptureFixture[str]) -> None:
    every = "".join(map(chr, range(0x100))) + "\ud800é\u2028"
    shown = printable(every)
    kept = {chr(i) for i in range(0x100) if i >= 0xA0 or 0x20 <= i < 0x7F} | set("\t\n")
    assert set(shown) == kept | set("é\u2028")
    assert printable("\x1b[31m\x9b\x7f\r") == "\\u001b[31m\\u009b\\u007f\\u000d"
    for mark in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069":
        assert printable(f"a{mark}cd") == f"a\\u{ord(mark):04x}cd"
    assert json.loads(printable(json.dumps("\x9b", ensure_ascii=False))) == "\x9b"
    odd = "\x1b[2J\x07"
    print_table((odd,), [(odd,)], title=odd)
    print_line(odd)
    print_files(odd, [Path(odd)])
    echo(odd)
    echo(odd, err=True)
    with ConsoleProgress() as progress:
        progress.phase(odd, 1)
        progress.advance(1, odd)
    out, err = capsys.readouterr()
    assert not set(out + err) & set(odd[0] + odd[-1])
    assert (out.count("\\u001b[2J"), err.count("\\u001b[2J")) == (7, 2)


def test_a_table_without_a_title_begins_with_its_head(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("a", "b"), [("1", "2")])
    assert capsys.readouterr().out.splitlines() == [
        "┏━━━┳━━━┓", "┃ a ┃ b ┃", "┡━━━╇━━━┩", "│ 1 │ 2 │", "└───┴───┘",
    ]  # fmt: skip


def test_long_cells_fold_and_lose_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    name = "".join(f"[{i}]" for i in range(40))
    print_table(("name",), [(name,)])
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("│")]
    assert len(rows) > 1
    assert "".join(row.strip("│ ") for row in rows) == name


def test_lines_show_text_as_typed(coloured: bool, capsys: pytest.CaptureFixture[str]) -> None:
    for text in AS_TYPED:
        print_line(f"Missing: {text}")
        assert COLOURS.sub("", capsys.readouterr().out) == f"Missing: {text}\n"
        print_line(text, style="red", highlight=False)
        assert capsys.readouterr().out == (f"\x1b[31m{text}\x1b[0m\n" if coloured else f"{text}\n")
    print_files("Files:", [Path("[b]") / "c"])
    assert COLOURS.sub("", capsys.readouterr().out) == "Files:\n  [b]/c\n"


def test_numbers_are_coloured_where_there_are_colours(
    coloured: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    print_line("8 files")
    assert ("\x1b[1;36m8\x1b[0m files" in capsys.readouterr().out) == coloured
    print_line("8 files", highlight=False)
    assert capsys.readouterr().out == "8 files\n"


def test_a_pipe_gets_a_line_at_each_tenth(capsys: pytest.CaptureFixture[str]) -> None:
    with ConsoleProgress() as progress:
        progress.phase("[/fits]", 40)
        for _ in range(40):
            progress.advance(1, "[/x]")
    out, err = capsys.readouterr()
    assert out == ""
    told = [line.partition(" s spent")[0] for line in err.splitlines()]
    assert [re.sub(r"\d+$", "", line) for line in told] == [
        f"[/fits]: {tenth}0%, " for tenth in range(1, 11)
    ]


def test_a_terminal_gets_a_bar_that_names_the_last_unit_as_typed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    with ConsoleProgress() as progress:
        progress.phase("[/fits]", 1)
        progress.advance(1, "[red]x[/red]")
    err = COLOURS.sub("", capsys.readouterr().err)
    assert re.search(r"\[/fits\]  ━+ 100% \d:\d\d:\d\d \[red\]x\[/red\]", err)


class Recorded(ConsoleProgress):
    """Keeps what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[str, float]] = []

    def phase(self, name: str, total: float) -> None:
        self.told.append((name, total))

    def advance(self, units: float, what: str) -> None:
        self.told.append((what, units))


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        # One by one, as labels and questions are counted; a second round of as many begins anew.
        ([(1, 2), (2, 2), (1, 2), (2, 2)],
         [("texts", 2), ("it", 1), ("it", 1), ("texts", 2), ("it", 1), ("it", 1)]),
        # A round of another length begins anew, from what is there already.
        ([(0, 5), (3, 5), (5, 5), (4, 9), (9, 9)],
         [("texts", 5), ("it", 0), ("it", 3), ("it", 2), ("texts", 9), ("it", 4), ("it", 5)]),
        # All there already, twice: one bar.
        ([(5, 5), (5, 5)], [("texts", 5), ("it", 5), ("it", 0)]),
    ],
)  # fmt: skip
def test_counts_become_phases(counts: list[tuple[int, int]], told: list[tuple[str, float]]) -> None:
    progress = Recorded()
    tell = progress.counted("texts", "it")
    for done, total in counts:
        tell(done, total)
    assert progress.told == told
