"""A study on the terminal."""

from __future__ import annotations

from rich.console import Console

from mtmbench.studies.pages import study_page
from mtmbench.studies.run import StudyOutcome


def print_study(outcome: StudyOutcome) -> None:
    """Prints what was found, what failed and where the files lie."""
    console = Console()
    for section in study_page(outcome.study).sections:
        console.print(section.title, style="bold", markup=False, highlight=False)
        for who, sentence in (*section.findings, *section.others):
            console.print(f"- {who}: {sentence}", markup=False, highlight=False)
    for note in outcome.study["notes"]:
        console.print(note, style="dim", markup=False, highlight=False)
    run = outcome.run
    console.print(f"{run.played} cells played, {run.reused} reused, {len(run.errors)} errors.")
    for cell, reason in run.errors[:20]:
        console.print(f"error: {cell}: {reason}", style="red", markup=False, highlight=False)
    console.print("The study's files:")
    for path in outcome.files:
        console.print(f"  {path}", markup=False, highlight=False)
