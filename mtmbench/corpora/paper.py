"""Corpus cards of the paper's eight corpora: from a local data folder, else from their source.

A local data folder (``MTMBENCH_DATA`` or ``data_dir``) has one sub-folder a corpus with a JSON
lines file in it: ``id``, ``text``, ``label`` and, where there is one, ``split``. The numbers
depend on where the texts come from (the hub's files are larger than most local ones), so
``Corpus.source`` says which it was, and the revision differs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from mtmbench.core.errors import InputError, did_you_mean
from mtmbench.core.types import Corpus
from mtmbench.corpora.files import load_file, table_suffix
from mtmbench.corpora.hub import load_hub
from mtmbench.corpora.newsgroups import load_newsgroups
from mtmbench.corpora.rows import Columns


@dataclass(frozen=True)
class CorpusCard:
    """Where one corpus comes from.

    Attributes:
        name: registered name.
        folder: its folder in a local data folder.
        file: the file in that folder that is taken unless a subset names another.
        licence: the licence of the texts, as their source states it.
        label_is: what the gold label means in the local file.
        hub: dataset on the Hugging Face hub; None where there is none that we know.
        hub_subset: its configuration.
        hub_columns: its columns.
        hub_note: how the hub's texts or labels differ from the local file's.
        homepage: where to get it where there is no hub dataset.
    """

    name: str
    folder: str
    file: str
    licence: str
    label_is: str
    hub: str | None = None
    hub_subset: str | None = None
    hub_columns: Columns = field(default_factory=Columns)
    hub_note: str = ""
    homepage: str = ""


CARDS = {
    card.name: card
    for card in (
        CorpusCard(
            "20ng", "20newsgroups", "20newsgroups_clean.jsonl.gz",
            licence="none stated", label_is="newsgroup",
        ),
        CorpusCard(
            "bills", "bills", "bills_topicgpt_subset.jsonl.gz",
            licence="US government text", label_is="topic of the Policy Agendas Project",
            hub="zli12321/Bills", hub_columns=Columns(text="summary", label="topic"),
            hub_note="the whole corpus; TopicGPT's subset holds 1,000 of its summaries",
        ),
        CorpusCard(
            "wiki", "wikipedia", "dbpedia14_sample.jsonl.gz",
            licence="CC BY-SA 3.0", label_is="DBpedia class",
            hub="fancyzhx/dbpedia_14", hub_columns=Columns(text="content", label="label"),
            hub_note="630,000 abstracts; the local file holds 700",
        ),
        CorpusCard(
            "yelp", "yelp", "yelp_augpe_dev_test.jsonl.gz",
            licence="Yelp's dataset terms", label_is="business category",
            hub="Yelp/yelp_review_full",
            hub_note="labels are stars, not business categories",
        ),
        CorpusCard(
            "agnews", "ag_news", "ag_news_test.jsonl.gz",
            licence="non-commercial research", label_is="section",
            hub="fancyzhx/ag_news", hub_note="both splits; the local file is the test split",
        ),
        CorpusCard(
            "goemotions", "goemotions", "goemotions.jsonl.gz",
            licence="Apache-2.0", label_is="emotion; comments with several count as unlabelled",
            hub="google-research-datasets/go_emotions", hub_subset="simplified",
            hub_columns=Columns(label="labels"),
        ),
        CorpusCard(
            "poemsum", "poemsum", "poemsum_valid_test.jsonl.gz",
            licence="GPL-3.0 repository; the poems their own", label_is="poet",
            homepage="github.com/Ridwan230/PoemSum",
        ),
        CorpusCard(
            "writingprompts", "writingprompts", "writingprompts_subset.jsonl.gz",
            licence="none stated", label_is="kind of prompt",
            hub="euclaise/writingprompts", hub_columns=Columns(text="story"),
            hub_note="no labels",
        ),
    )
}  # fmt: skip
"""The cards by registered name."""


def load_20ng(data_dir: Path | None = None, subset: str | None = None) -> Corpus:
    """20 Newsgroups, by date, without headers, footers and quotes.

    From the data folder, else through scikit-learn: from its cache, or its own download.
    """
    return _load("20ng", data_dir, subset)


def load_bills(data_dir: Path | None = None, subset: str | None = None) -> Corpus:
    """Summaries of bills of the US Congress; ``proxann_bills_docs`` is another local subset."""
    return _load("bills", data_dir, subset)


def load_wiki(data_dir: Path | None = None, subset: str | None = None) -> Corpus:
    """Wikipedia: DBpedia's abstracts, or another local file such as ``proxann_wikipedia_docs``."""
    return _load("wiki", data_dir, subset)


def load_yelp(data_dir: Path | None = None, subset: str | None = None) -> Corpus:
    """Yelp reviews."""
    return _load("yelp", data_dir, subset)


def load_agnews(data_dir: Path | None = None, subset: str | None = None) -> Corpus:
    """AG News: titles and first sentences of news articles."""
    return _load("agnews", data_dir, subset)


def load_goemotions(data_dir: Path | None = None, subset: str | None = None) -> Corpus:
    """GoEmotions: Reddit comments; a comment with several emotions has no single label."""
    return _load("goemotions", data_dir, subset)


def load_poemsum(data_dir: Path | None = None, subset: str | None = None) -> Corpus:
    """PoemSum: poems, labelled by poet; from a local data folder only."""
    return _load("poemsum", data_dir, subset)


def load_writingprompts(data_dir: Path | None = None, subset: str | None = None) -> Corpus:
    """WritingPrompts: stories written for a prompt."""
    return _load("writingprompts", data_dir, subset)


def local_file(card: CorpusCard, data_dir: Path | None, subset: str | None = None) -> Path | None:
    """Returns the local file of a corpus, or None where the data folder has no folder for it.

    Raises:
        InputError: the folder is there but not the file; the message lists what is there.
    """
    if data_dir is None or not (data_dir / card.folder).is_dir():
        return None
    folder = data_dir / card.folder
    files = {
        path.name.removesuffix(suffix): path
        for path in sorted(folder.iterdir())
        if path.is_file() and not path.name.startswith(".") and (suffix := table_suffix(path))
    }
    wanted = subset or card.file.removesuffix(table_suffix(Path(card.file)) or "")
    if wanted in files:
        return files[wanted]
    raise InputError(
        f"{folder} holds no subset {wanted!r} of {card.name}{did_you_mean(wanted, files)}"
    )


def _load(name: str, data_dir: Path | None, subset: str | None) -> Corpus:
    card = CARDS[name]
    path = local_file(card, data_dir, subset)
    label = name if subset is None else f"{name}-{subset}"
    if path is not None:
        return _described(load_file(path, Columns(), label), card, card.label_is)
    if subset is not None:
        raise InputError(
            f"subset {subset!r} of {name} is a file of the local folder {card.folder!r}, and "
            f"{_place(data_dir)}"
        )
    if name == "20ng":
        return _described(_or_advice(card, data_dir, load_newsgroups), card, card.label_is)
    if card.hub is None:
        raise InputError(
            f"corpus {name!r} is not on the hub, and {_place(data_dir)}; get it from "
            f"{card.homepage} and save it as {card.folder}/{card.file}"
        )
    hub = card.hub
    corpus = _or_advice(
        card, data_dir, lambda: load_hub(hub, card.hub_columns, card.hub_subset, name)
    )
    return _described(corpus, card, card.hub_note)


def _or_advice(card: CorpusCard, data_dir: Path | None, load: Callable[[], Corpus]) -> Corpus:
    try:
        return load()
    except InputError as error:
        raise InputError(
            f"{error}. Without a network, set MTMBENCH_DATA to a folder that holds "
            f"{card.folder}/{card.file} ({_place(data_dir)})"
        ) from error


def _place(data_dir: Path | None) -> str:
    return f"{data_dir} has no such folder" if data_dir else "MTMBENCH_DATA is not set"


def _described(corpus: Corpus, card: CorpusCard, note: str) -> Corpus:
    source = {**corpus.source, "licence": card.licence}
    return replace(corpus, source={**source, "note": note} if note else source)
