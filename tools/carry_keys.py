"""Carries committed records from keys that hash module addresses to keys that do not; run once.

Plans every committed suite under both ways of hashing, cell by cell, and replaces each old key in
the suite's files by the new one; records are sorted anew. Records of ``labelled`` that no plan of
today has keep their keys. Needs the data folder; kept in the history alone.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import mtmbench.plan as planning
from mtmbench.cards import Suite, read_card
from mtmbench.registries import METRICS, MODELS
from mtmbench.serialise import content_hash
from mtmbench.studies.run import plan_study

BOARDS = Path(__file__).parents[1] / "leaderboards"
SUITES = ("labelled", "quick", "steering", "tinylm", "studies/steering")
STUDIES = ("studies/layer", "studies/threshold")
KEY = re.compile(r"\b[0-9a-f]{32}\b")


def with_addresses(*parts: Any) -> str:
    """The hash as it was: a fit's and a metric's registered address stood behind its name."""
    if parts[0] == "fit":
        parts = (*parts[:3], MODELS.origin(parts[2]), *parts[3:])
    elif parts[0] == "metric":
        parts = (*parts[:2], METRICS.origin(parts[1]), *parts[2:])
    return content_hash(*parts)


def keys_of(suite: str, data: Path) -> list[str]:
    """Keys of the plan of a committed suite, in its order."""
    card = read_card(BOARDS / suite / "suite.toml", Suite)
    if suite in STUDIES:
        plan = plan_study(card, data, ())
    else:
        plan = planning.make_plan(card, data_dir=data)
    return [cell.key for cell in plan.cells()]


def main(data: Path) -> None:
    """Rewrites the files of every committed suite."""
    for suite in (*SUITES, *STUDIES):
        new = keys_of(suite, data)
        planning.content_hash = with_addresses
        old = keys_of(suite, data)
        planning.content_hash = content_hash
        carried = dict(zip(old, new, strict=True))
        folder = BOARDS / suite
        lines = (folder / "records.jsonl").read_text(encoding="utf-8").split("\n")[:-1]
        held = {json.loads(line)["key"] for line in lines}
        for path in sorted(folder.iterdir()):
            if path.suffix in (".json", ".jsonl", ".csv", ".md", ".html"):
                text = path.read_text(encoding="utf-8")
                changed = KEY.sub(lambda match, to=carried: to.get(match[0], match[0]), text)
                if path.name == "records.jsonl":
                    records = [(json.loads(line), line) for line in changed.split("\n")[:-1]]
                    records.sort(key=lambda both: (both[0]["kind"], both[0]["key"]))
                    changed = "".join(line + "\n" for _, line in records)
                path.write_text(changed, encoding="utf-8")
                print(f"{suite}/{path.name}: {'changed' if changed != text else 'as it was'}")
        print(f"{suite}: {len(held & carried.keys())} of {len(held)} records carried over")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
