"""Every command of README.md and of the pages of docs, played on the project's own suites.

They name what is not here, models and SAEs of the hub, a server, a folder of data, and take up to
hours at full size. The table says what stands in for what is missing, and which options make a line
smaller; nothing else of a line changes, and a line without a row fails.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support import SUPPORT
from support.chat_server import ChatServer
from support.pages import DOCS, ROOT, commands, named_files
from support.serving import call, served
from typer.main import get_command

import mtmbench as mb
from mtmbench.cli.app import app

pytestmark = pytest.mark.slow

TINYLM = ROOT / "mtmbench" / "embedded" / "tinylm"
FEW = (
    "--set 'corpora=[{name=\"lee\", max_documents=60}]' --set 'seeds=[0]' "
    "--set 'metrics=[\"npmi\"]' --set k=[4] --set judging.documents=4"
)
SMALL = f"--models lda,mlda {FEW}"
SMALL_CORPORA = (
    '--workers 0 --set \'corpora=[{name="20ng", max_documents=40}, {name="bills", '
    "max_documents=40}]'"
)
SMALL_STUDY = (
    "--models mlda --reference none --seeds 1 --k 4 --set 'metrics=[\"nmi\"]' " + SMALL_CORPORA
)
SMALL_STEERING = (
    "--set steering.topics=2 --set steering.n_prompts=4 --set steering.max_tokens=6 "
    "--set steering.drawn=2 --set steering.documents=4"
)


@dataclass(frozen=True)
class Play:
    """How a line is played here.

    Attributes:
        leaves: a file that the command must leave, of more than nothing.
        says: what it must print, a regular expression.
        instead: what stands in for a part of the line, by that part.
        more: options that make it smaller, or name a plugin.
        before: lines that are played first, as a reader would have.
        data: whether it reads the shared data.
    """

    leaves: str | None = None
    says: str = ""
    instead: Mapping[str, str] = field(default_factory=dict)
    more: str = ""
    before: tuple[str, ...] = ()
    data: bool = False


BOARD = f"mtmbench run quick {SMALL} --workers 0 --out boards/main"
SUBMITTED = "mtmbench run boards/main/suite.toml --models lda,mlda,mk_means --out runs/mine"
QUICK = f"mtmbench run quick {SMALL} --workers 0"
FEATURES = (
    f"mtmbench features --backbone {TINYLM} --sae {TINYLM}/saes/block1 --reference texts.jsonl "
    "--out saes/resid8 --tokens 4000"
)
TABLE = {
    "mtmbench run my.toml --plugin my_model.py --workers 0": Play(leaves="runs/my/board.md"),
    "mtmbench run quick --models mlda,log_nmf --plugin my_model.py": Play(
        leaves="runs/quick/board.md",
        says="log_nmf",
        more=f"{FEW} --workers 0",
    ),
    "mtmbench score topics.json --corpus lee": Play(says="npmi"),
    "mtmbench run quick --models lda,imported/mine.toml --set 'corpora=[\"lee\"]'": Play(
        leaves="runs/quick/index.html",
        says="mine",
        more="--workers 0 --set 'seeds=[0]' --set 'metrics=[\"npmi\"]' --set judging.documents=4",
        before=(
            "python make_topics.py",
            "mtmbench import topics.npz --corpus lee --name mine",
        ),
    ),
    "mtmbench tune lda --corpus bills --metric npmi --k 50 --trials 20": Play(
        leaves="runs/tuning/lda-bills/lda-tuned.toml",
        says="By npmi",
        more="--k 4 --trials 2 --seeds 1 --limit 60 --workers 0",
        data=True,
    ),
    "mtmbench doctor": Play(says="lee"),
    "mtmbench doctor --backbone NAME": Play(
        says=r"blocks.*\.hook_resid_post", instead={"NAME": str(TINYLM)}
    ),
    "mtmbench doctor --backbone gpt2": Play(says="hub|is here"),
    "mtmbench features --backbone gpt2 --release gpt2-small-res-jb "
    "--sae blocks.8.hook_resid_pre --reference texts.jsonl --out saes/resid8": Play(
        leaves="saes/resid8/features.safetensors",
        instead={
            "--backbone gpt2 --release gpt2-small-res-jb": f"--backbone {TINYLM}",
            "blocks.8.hook_resid_pre": f"{TINYLM}/saes/block1",
        },
        more="--tokens 4000",
    ),
    "mtmbench label saes/resid8 --judge my_judge": Play(
        leaves="runs/labels/resid8/labels.json",
        more=f"--plugin {SUPPORT / 'label_judge.py'} --features 3",
        before=(FEATURES,),
    ),
    "mtmbench run my.toml --executor ray": Play(
        leaves="runs/my/board.md", more="--plugin my_model.py"
    ),
    "mtmbench study threshold 20ng bills": Play(
        leaves="runs/studies/threshold/study.md",
        more=f"{SMALL_STUDY} --source tinylm",
        data=True,
    ),
    "mtmbench study layer 20ng bills --source tinylm": Play(
        leaves="runs/studies/layer/study.md", more=SMALL_STUDY, data=True
    ),
    "mtmbench study k 20ng bills --models lda,k_means": Play(
        leaves="runs/studies/k/study.png",
        more=f"--models k_means --ks 2,3 --seeds 1 --judge lexical {SMALL_CORPORA} "
        "--set judging.documents=4",
        data=True,
    ),
    "mtmbench study features lee": Play(
        leaves="runs/studies/features-lee/features.csv", more="--documents 4 --source tinylm"
    ),
    "mtmbench run quick --set judging.judges='[\"lexical\"]' --out runs/lexical": Play(
        leaves="runs/lexical/board.json", more=f"{SMALL} --workers 0"
    ),
    "mtmbench run my.toml --limit 50 --metrics npmi --judges lexical --dry-run": Play(
        says=r"50 .*\n(.*\n)*.*lexical", more="--plugin my_model.py"
    ),
    "mtmbench topics leaderboards/quick --corpus lee --model mlda": Play(says="mlda, paper"),
    "mtmbench show leaderboards/quick lee/mlda/3": Play(says="Topic 3 of mlda, default"),
    "mtmbench export leaderboards/quick --to tables": Play(leaves="tables/ratings.parquet"),
    "mtmbench plan my.toml --power": Play(says="Elo", more="--plugin my_model.py"),
    "mtmbench plan paper": Play(says="GPU hours"),
    "mtmbench run my.toml --budget 5.00": Play(
        leaves="runs/my/board.md",
        more="--plugin my_model.py --workers 0 --set 'judging.judges=[\"local\"]' "
        "--set judging.documents=4",
    ),
    "mtmbench judge runs/quick --judge local": Play(
        leaves="runs/quick/board.md", says="local", more="--workers 0", before=(QUICK,)
    ),
    "mtmbench serve quick": Play(more=SMALL, before=(QUICK,)),
    "mtmbench validate local --data-dir DATA": Play(leaves="runs/judges/board.md", data=True),
    "mtmbench run my.toml --workers 0": Play(leaves="runs/my/board.md"),
    "mtmbench steer my.toml": Play(
        leaves="runs/my/steering.md",
        more=SMALL_STEERING,
        before=(f"mtmbench run my.toml --workers 0 {SMALL_STEERING}",),
    ),
    "mtmbench study steering": Play(
        leaves="runs/studies/steering/study.md",
        more=f"lee --models mlda --topics 1 --k 4 --workers 0 {SMALL_STEERING} "
        "--set 'corpora=[{name=\"lee\", max_documents=40}]'",
    ),
    "mtmbench compare leaderboards/quick runs/quick": Play(says="nothing moved"),
    SUBMITTED: Play(leaves="runs/mine/records.jsonl", more="--workers 0", before=(BOARD,)),
    "mtmbench submit runs/mine boards/main": Play(
        says="nothing is wrong", before=(BOARD, f"{SUBMITTED} --workers 0")
    ),
    "mtmbench publish leaderboards/quick --to site": Play(leaves="site/index.html"),
}
SHOWN = ("README.md", "docs/importing.md", "docs/models/external.md")
"""Pages whose files a reader has; of one name, that of the first page."""
PLAYED_ELSEWHERE = {"docs/paper.md": "tests/test_paper_path.py plays its commands at toy size"}
NAMES_IN_SENTENCES = {f"mtmbench {command}" for command in get_command(app).commands} - {
    "mtmbench doctor"
}
# Lines of ``console`` blocks in docs are run as they are printed (tests/test_contributing.py).
LINES = sorted(
    {
        *commands("README.md"),
        *commands("docs/steering.md"),
        *(
            line
            for page in DOCS
            if page not in PLAYED_ELSEWHERE
            for line in commands(page, ("sh",))
        ),
    }
    - NAMES_IN_SENTENCES
)


def test_every_line_has_a_row_and_every_row_a_line() -> None:
    assert sorted(TABLE) == LINES


@pytest.fixture(scope="module")
def server() -> Iterator[ChatServer]:
    with ChatServer() as made:
        yield made


@pytest.fixture
def folder(tmp_path: Path, server: ChatServer) -> Path:
    """A reader's folder: the files that pages show, and what they say that the reader has."""
    for page in reversed(SHOWN):
        for name, text in named_files(page).items():
            (tmp_path / name).write_text(text, encoding="utf-8")
    texts = mb.load_corpus("lee", max_documents=40).texts
    lines = [json.dumps({"text": text}) + "\n" for text in texts]
    (tmp_path / "texts.jsonl").write_text("".join(lines), encoding="utf-8")
    cards = tmp_path / "judges"
    cards.mkdir()
    local = (ROOT / "judges" / "local.toml").read_text(encoding="utf-8")
    (cards / "local.toml").write_text(local.replace("http://localhost:8000/v1", server.url))
    (cards / "my_judge.toml").write_text('client = "reader"\n')
    shutil.copytree(ROOT / "leaderboards" / "quick", tmp_path / "leaderboards" / "quick")
    return tmp_path


def environment() -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    # A Ray cluster of other tests, which is found on this machine, is not to be played on.
    ray = {"RAY_ADDRESS": "local"}
    return {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "COLUMNS": "200", **ray}


def play(line: str, folder: Path) -> str:
    done = subprocess.run(
        ["bash", "-c", line],
        cwd=folder, env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("line", [line for line in LINES if line != "mtmbench serve quick"])
def test_a_line_of_the_readme_plays(
    line: str, folder: Path, request: pytest.FixtureRequest
) -> None:
    row = TABLE[line]
    if line in ("mtmbench run my.toml --workers 0", "mtmbench steer my.toml"):
        suite = named_files("docs/steering.md")["my.toml"]
        (folder / "my.toml").write_text(suite, encoding="utf-8")
    if line.startswith("mtmbench compare"):
        shutil.copytree(folder / "leaderboards" / "quick", folder / "runs" / "quick")
    shown = line
    for part, other in row.instead.items():
        assert part in shown
        shown = shown.replace(part, other)
    if row.data:
        data = shlex.quote(str(request.getfixturevalue("shared_data")))
        shown = shown.replace(" DATA", f" {data}")
        if "--data-dir" not in shown:
            shown += f" --data-dir {data}"
    for first in row.before:
        play(first, folder)
    out = play(f"{shown} {row.more}", folder)
    assert re.search(row.says, out), out
    if row.leaves is not None:
        assert (folder / row.leaves).stat().st_size > 0


def test_people_vote_on_the_quick_board(folder: Path) -> None:
    """``mtmbench serve quick``: the page that it prints opens, and takes a vote."""
    line = "mtmbench serve quick"
    for first in TABLE[line].before:
        play(first, folder)
    arguments = shlex.split(f"{line} {TABLE[line].more}")[1:]
    with served(arguments, folder, environment()) as (process, url):
        assert b"Which topics describe the document better?" in call(url, "GET", "")
        question = json.loads(call(url, "GET", "question?voter=ann"))["question"]
        vote = {"voter": "ann", "question": question["key"], "verdict": "tie"}
        assert json.loads(call(url, "POST", "vote", vote))["done"] == 1
        process.send_signal(signal.SIGINT)
        assert "1 vote" in process.communicate(timeout=30)[0]
