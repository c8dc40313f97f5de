"""Exits with an error unless the plugin's model, metric and judge are on the board."""

import json
import sys
from pathlib import Path

board = json.loads(Path(sys.argv[1]).read_text())
rated = {(row["judge"], row["model"]) for row in board["ratings"] if row["elo"] is not None}
measured = {(row["model"], row["metric"]) for row in board["metrics"] if row["value"] is not None}
missing = {("overlap", model) for model in ("lda", "clusters")} - rated
missing |= {(model, "sharpness") for model in ("lda", "clusters")} - measured
if missing:
    sys.exit(f"not on the board, or without a value: {sorted(missing)}")
print("the plugin's model, metric and judge are on the board")
