"""The documentation: what has a page, what its tables say, where it links, who may be cited.

That the site builds strictly, without dead links or anchors, is `make docs`; that its examples run
is tests/test_contributing.py, and its other commands tests/test_readme_commands.py.
"""

from __future__ import annotations

import inspect
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from about_api import api_facts
from about_judges import judge_facts
from about_metrics import metric_facts, metric_list
from about_models import model_parameters
from about_people import people_facts
from about_plugins import own_names
from about_suites import SUITE_TABLES, suite_facts
from diagram import draw
from facts import fill_in
from notebooks import notebooks
from support.pages import DOCS, ROOT, sections

import mtmbench
from mtmbench.core.cards import Suite
from mtmbench.judges.registry import load_judge_card
from mtmbench.metrics.registry import METRICS
from mtmbench.models.registry import MODELS

KINDS = {
    "models": [*own_names(MODELS), *MODELS.families()],
    "metrics": own_names(METRICS),
    "judges": sorted(path.stem for path in (ROOT / "judges").glob("*.toml")),
}
LINK = re.compile(r"\]\((?!https?:|#)([^)\s#]+)")
LANGUAGES = {"python", "console", "sh", "toml", "json", "csv", "text", "mermaid"}


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", KINDS)
def test_everything_that_has_a_name_has_a_page(kind: str) -> None:
    names = {Path(page).stem for page in DOCS if page.startswith(f"docs/{kind}/")} - {"index"}
    assert names == set(KINDS[kind])
    for name in names:
        page = text_of(f"docs/{kind}/{name}.md")
        assert f"<!-- facts: {kind.removesuffix('s')} {name} -->" in page
        assert page.startswith(f"# `{name}`"), name
        if kind != "judges":
            assert "## Cost" in page or name == "external", name
            assert "## Pitfalls" in page, name


def test_the_menu_has_every_page() -> None:
    # The site's own build says so too; this one runs without mkdocs.
    menu = yaml.safe_load(text_of("mkdocs.yml"))["nav"]
    listed: list[str] = []
    left = list(menu)
    while left:
        entry = left.pop()
        if isinstance(entry, str):
            listed.append(f"docs/{entry}")
        else:
            left += entry if isinstance(entry, list) else list(entry.values())
    assert sorted(listed) == sorted([*DOCS, *(f"docs/notebooks/{p.stem}.md" for p in notebooks())])


@pytest.mark.parametrize("page", DOCS)
def test_links_lead_to_files_of_the_repository(page: str) -> None:
    folder = (ROOT / page).parent
    filled = fill_in(text_of(page))
    missing = [link for link in LINK.findall(filled) if not (folder / link).exists()]
    assert missing == []
    assert "<!-- facts" not in filled


@pytest.mark.parametrize("page", DOCS)
def test_every_block_is_run_or_read(page: str) -> None:
    """Blocks without a name that no test runs are suites, or parts of one, and JSON."""
    for blocks in sections(page).values():
        for block in blocks:
            assert block.language in LANGUAGES, block
            if block.language == "toml" and block.file is None:
                suite = suite_of(tomllib.loads(block.code))
                for model, params in suite.params.items():
                    MODELS.get(model)(**params)
            if block.language == "json" and block.file is None:
                json.loads(block.code)


def suite_of(part: dict[str, Any]) -> Suite:
    return Suite.model_validate({"name": "x", "corpora": ["lee"], "models": ["lda"], **part})


@pytest.mark.parametrize("name", own_names(MODELS))
def test_a_models_table_has_its_parameters_and_defaults(name: str) -> None:
    shown = model_parameters(name).split("Values worth a search")[0]
    for parameter, spec in inspect.signature(MODELS.get(name)).parameters.items():
        (row,) = (line for line in shown.splitlines() if line.startswith(f"| `{parameter}` |"))
        default = row.split(" | ")[1].strip()
        assert default in (f"`{spec.default}`", "none" if spec.default is None else "", ""), row
        assert row.split(" | ")[2].strip(" |"), f"{name}: nothing is said of {parameter}"


@pytest.mark.parametrize("name", KINDS["metrics"])
def test_a_metrics_table_has_its_range_direction_and_settings(name: str) -> None:
    shown = metric_facts(name)
    metric = METRICS.get(name)
    assert f"| better | {'higher' if metric.higher_is_better else 'lower'} |" in shown
    assert f"| version | {metric.version} |" in shown
    for variant in metric.variants:
        for parameter, value in variant.items():
            assert f"`{parameter}`" in shown
            assert f"`{value}`" in shown or (value is None and "none" in shown)


def test_ranges_are_written_as_people_do() -> None:
    assert "| range | −1 to 1 |" in metric_facts("npmi")
    assert "| range | −∞ to 0 |" in metric_facts("u_mass")
    assert "| range | any number |" in metric_facts("uci")
    assert "| range | 1 to ∞ |" in metric_facts("perplexity")


@pytest.mark.parametrize("name", KINDS["judges"])
def test_a_judges_table_has_what_its_card_says(name: str) -> None:
    shown, card = judge_facts(name), load_judge_card(name)
    assert f"`{card.client}`" in shown
    for value in (card.model, card.endpoint and card.endpoint.base_url):
        assert value is None or f"`{value}`" in shown
    if card.endpoint is None:
        for parameter in card.params:
            assert f"| `{parameter}` |" in shown
    if card.prices is not None:
        assert f"{card.prices.input:g} a million tokens in" in shown


def against_people(dataset: str, task: str, statistic: str) -> dict[str, dict[str, Any]]:
    rows = json.loads(text_of("leaderboards/judges/board.json"))["rows"]
    return {
        row["judge"]: row
        for row in rows
        if (row["dataset"], row["task"], row["statistic"]) == (dataset, task, statistic)
        and "published" not in row["judge"]
    }


@pytest.mark.parametrize(
    ("dataset", "task"),
    [
        ("proxann-bills", "fit"), ("proxann-bills", "rank"), ("hoyle-nytimes", "rating"),
        ("hoyle-nytimes", "intrusion"), ("hoyle-wikitext", "rating"),
        ("hoyle-wikitext", "intrusion"),
    ],
)  # fmt: skip
def test_figures_against_people_are_those_of_the_committed_board(dataset: str, task: str) -> None:
    marker = f"<!-- facts: people {dataset} {task} -->"
    assert marker in text_of("docs/which-judge.md") + text_of("docs/which-metric.md")
    shown = people_facts(dataset, task)
    rows = against_people(dataset, task, "kendall_tau")
    assert len(shown.splitlines()) == 2 + len(rows)
    for judge, row in rows.items():
        figures = f"{row['value']:.2f} ({row['lo']:.2f} to {row['hi']:.2f})"
        assert f"| `{judge}` | {figures.replace('-', '−')} |" in shown


def test_sentences_about_judges_and_people_hold() -> None:
    fits = {j: r["value"] for j, r in against_people("proxann-bills", "fit", "kendall_tau").items()}
    models = {judge: tau for judge, tau in fits.items() if "nstruct" in judge or "wen" in judge}
    models["gpt-4o-2024-08-06"] = fits["gpt-4o-2024-08-06"]
    models["llama-3.3-70b-instruct-awq"] = fits["llama-3.3-70b-instruct-awq"]
    assert len(models) == 7
    below = {judge for judge, tau in models.items() if tau < fits["people"]}
    assert below == {"Meta-Llama-3.1-8B-Instruct"}
    assert fits["embedding"] < fits["people"]
    assert fits["Meta-Llama-3.1-8B-Instruct"] < fits["embedding"] < fits["Qwen3-8B"]


def test_the_page_of_suite_files_has_every_key_and_what_it_takes() -> None:
    shown = suite_facts()
    for spec in SUITE_TABLES:
        for key in spec.model_fields:
            assert f"| `{key}` | " in shown
    for row in (
        "| `name` | text | must be given |",
        "| `stop_words` | true or false or a list of text or text | `true` |",
        '| `k` | a list of number or "labels" | `[20]` |',
        "| `judging` | a table | none |",
        "| `prompts` | a file | none |",
        '| `schedule` | "uniform" or "adaptive" | `"uniform"` |',
    ):
        assert row in shown.splitlines(), row


def test_the_api_page_has_every_public_name() -> None:
    shown = api_facts()
    names = set(re.findall(r"^### (\w+)$", shown, re.M))
    assert names == set(mtmbench.__all__) - {"errors"}
    assert "n_topics" not in shown.split("### load_corpus")[0].split("### judge")[1]
    for name in ("run", "views", "steer"):
        section = shown.split(f"### {name}\n")[1].split("\n### ")[0]
        for parameter in inspect.signature(getattr(mtmbench, name)).parameters:
            assert parameter in section, (name, parameter)


def test_the_api_page_has_what_values_can_do() -> None:
    shown = api_facts()
    for name in ("Board", "Judgement", "Steering", "TopicResult"):
        value = getattr(mtmbench, name)
        members = {member for member in vars(value) if not member.startswith("_")}
        listed = set(re.findall(rf"^#### {name}\.(\w+)$", shown, re.M))
        assert listed == members - set(value.__dataclass_fields__)
        assert any(member.startswith("plot") for member in listed)
    metric = shown.split("#### Board.plot_metric\n")[1].split("\n#### ")[0]
    assert "self" not in metric.split("\n### ")[0]
    assert "- `view`: " in metric


def test_the_flowchart_draws_every_arrow_and_refuses_circles() -> None:
    svg = draw("a --> b & c\nb & c --> d")
    assert svg.count("<line") == 4
    assert [svg.count(f">{name}</text>") for name in "abcd"] == [1] * 4
    with pytest.raises(ValueError, match="circle"):
        draw("a --> b\nb --> a")


def test_the_citation_file_is_whole_and_of_this_version() -> None:
    cited = yaml.safe_load(text_of("CITATION.cff"))
    project = tomllib.loads(text_of("pyproject.toml"))["project"]
    # What schema 1.2.0 of citation-file-format.org requires, and the values that it knows.
    assert {"cff-version", "message", "title", "authors"} <= set(cited)
    assert cited["cff-version"] == "1.2.0"
    assert cited["type"] in ("software", "dataset")
    assert all(isinstance(cited[key], str) and cited[key] for key in ("message", "title"))
    assert cited["authors"] == [{"name": "mtmbench contributors"}]
    assert len(set(cited["keywords"])) == len(cited["keywords"])
    assert str(cited["version"]) == project["version"] == mtmbench.__version__
    assert cited["license"] == project["license"]


@pytest.mark.parametrize("name", KINDS["metrics"])
def test_a_metric_says_what_it_measured_against_people(name: str) -> None:
    page, metric = metric_facts(name), METRICS.get(name)
    (row,) = (line for line in metric_list().splitlines() if line.startswith(f"| [`{name}`]"))
    told = next(line for line in page.splitlines() if line.startswith("| against people |"))
    figures = told.removeprefix("| against people | ").removesuffix(" |")
    assert figures in row
    rows = [
        row
        for dataset in ("hoyle-nytimes", "hoyle-wikitext", "proxann-bills")
        for task in (metric.people.tasks if metric.people else ())
        for judge, row in against_people(dataset, task, "kendall_tau").items()
        if metric.people and judge in metric.people.judges
    ]
    if not rows:
        assert figures == "not measured against people"
    shown = [f"{row['value']:.2f} ({row['lo']:.2f} to " for row in rows]
    assert any(text.replace("-", "−") in figures for text in shown) or not rows
    assert row.count(" | ") == 7


def test_the_table_of_metrics_reads_their_pages() -> None:
    (row,) = (line for line in metric_list().splitlines() if line.startswith("| [`npmi`]"))
    assert "Bouma 2009" in row
    assert "[formula](npmi.md#formula)" in row
    assert "0.26 (0.15 to 0.38) with ratings of 150 New York Times topics" in row
