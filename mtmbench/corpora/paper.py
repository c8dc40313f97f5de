"""Corpus cards of the paper's eight corpora, and two more: from a data folder, or their source.

A local data folder (``MTMBENCH_DATA`` or ``data_dir``) has one sub-folder a corpus with a JSON
lines file in it: ``id``, ``text``, ``label`` and, where there is one, ``split``; or a copy of the
hub's data set under the hub's own id (``zli12321/Wiki``), which goes before. The numbers
depend on where the texts come from (the hub's files are larger than most local ones), so
``Corpus.source`` says which it was, and the revision differs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from mtmbench.core.errors import InputError, did_you_mean
from mtmbench.core.types import Corpus
from mtmbench.corpora.files import load_file, table_suffix
from mtmbench.corpora.hub import load_hub
from mtmbench.corpora.newsgroups import load_newsgroups
from mtmbench.corpora.offline import is_cached
from mtmbench.corpora.rows import Columns, count_duplicates


@dataclass(frozen=True)
class StatedSize:
    """How large a corpus is where it comes from, for plans that are made without its texts.

    Attributes:
        documents: number of documents, empty ones left out where that is known.
        mean_words: mean words of a document between white space; None where nobody says.
        labels: number of gold labels; 0 without.
        source: where the numbers come from, and which of them were measured on a part.
    """

    documents: int
    mean_words: float | None
    labels: int
    source: str


@dataclass(frozen=True)
class CorpusCard:
    """Where one corpus comes from.

    Attributes:
        name: registered name.
        folder: its folder in a local data folder.
        file: the file in that folder that is taken unless a subset names another.
        licence: the licence of the texts, as their source states it.
        label_is: what the gold label means in the local file.
        stated: how large the source's version is, for plans without texts.
        columns: the local file's columns.
        labels: what the local file's labels are called, where not as they are; documents of other
            labels are left out.
        hub: dataset on the Hugging Face hub; None where there is none that we know.
        hub_subset: its configuration.
        hub_splits: those of its splits that are the corpus; all if empty.
        hub_columns: its columns; of several possibilities the first whose columns are there.
        hub_labels: what the hub's labels are called, where not as they are.
        hub_note: how the hub's texts or labels differ from the local file's.
        homepage: where to get it where there is no hub dataset.
        renamed: what this name stood for before, for errors; "" for what it always did.
    """

    name: str
    folder: str
    file: str
    licence: str
    label_is: str
    stated: StatedSize
    columns: Columns = field(default_factory=Columns)
    labels: Mapping[str, str] = field(default_factory=dict)
    hub: str | None = None
    hub_subset: str | None = None
    hub_splits: tuple[str, ...] = ()
    hub_columns: tuple[Columns, ...] = (Columns(),)
    hub_labels: Mapping[str, str] = field(default_factory=dict)
    hub_note: str = ""
    homepage: str = ""
    renamed: str = ""


CARDS = {
    card.name: card
    for card in (
        CorpusCard(
            "20ng", "20newsgroups", "20newsgroups_clean.jsonl.gz",
            licence="none stated", label_is="newsgroup",
            stated=StatedSize(
                18_331, 186.7, 20, "counted in all of it, without the 515 that are empty"
            ),
        ),
        CorpusCard(
            "bills", "bills", "bills_topicgpt_subset.jsonl.gz",
            licence="US government text", label_is="topic of the Policy Agendas Project",
            stated=StatedSize(
                32_661, 185.2, 21,
                "the hub's page; words of the 1,000 summaries of TopicGPT's subset",
            ),
            hub="zli12321/Bills", hub_splits=("train",),
            hub_columns=(Columns(text="summary", label="topic"),),
            hub_note="the 32,661 summaries of the training split, on which topic models are fitted "
            "in the literature; TopicGPT's subset holds 1,000 of the whole corpus",
        ),
        CorpusCard(
            "wiki", "wikipedia", "proxann_wikipedia_docs.jsonl.gz",
            licence="CC BY-SA 3.0", label_is="the 349 articles have no labels",
            stated=StatedSize(
                14_290, 1400.0, 15,
                "the hub's page; words at most, by the size of its file (110 MB) and 5.4 bytes a "
                "word (second-hand: the texts were not seen)",
            ),
            hub="zli12321/Wiki", hub_splits=("train",),
            hub_columns=tuple(
                Columns(text=text, label=label)
                for text in ("text", "summary")
                for label in ("supercategory", "topic", "category", "label")
            ),
            hub_note="the 14,290 articles of the training split, on which topic models are fitted "
            "in the literature; the local file holds 349 articles of WikiText, unlabelled. The "
            "names of the hub's columns are second-hand",
            renamed="until now 'wiki' was DBpedia's abstracts; these are 'dbpedia'",
        ),
        CorpusCard(
            "dbpedia", "wikipedia", "dbpedia14_sample.jsonl.gz",
            licence="CC BY-SA 3.0", label_is="DBpedia class",
            stated=StatedSize(630_000, 47.2, 14, "the hub's page; words of 700 of them"),
            hub="fancyzhx/dbpedia_14", hub_columns=(Columns(text="content", label="label"),),
            hub_note="630,000 abstracts; the local file holds 700",
        ),
        CorpusCard(
            "yelp_polarity", "yelp", "yelp_augpe_dev_test.jsonl.gz",
            licence="Yelp's dataset terms",
            label_is="polarity: 1 and 2 stars are negative, 4 and 5 positive, 3 left out",
            stated=StatedSize(
                598_000, 134.0, 2,
                "the hub's page (560,000 + 38,000); words by its bytes, at 5.4 bytes a word as in "
                "10,000 other reviews of Yelp",
            ),
            columns=Columns(label="stars"),
            labels={"1": "negative", "2": "negative", "4": "positive", "5": "positive"},
            hub="fancyzhx/yelp_polarity", hub_labels={"1": "negative", "2": "positive"},
            hub_note="560,000 + 38,000 reviews; the local file is another sample of Yelp's",
        ),
        CorpusCard(
            "yelp", "yelp", "yelp_augpe_dev_test.jsonl.gz",
            licence="Yelp's dataset terms", label_is="business category",
            stated=StatedSize(
                700_000, 102.9, 5,
                "the hub's page (650,000 + 50,000); words of 10,000 other reviews of Yelp",
            ),
            hub="Yelp/yelp_review_full",
            hub_note="labels are stars, not business categories",
        ),
        CorpusCard(
            "agnews", "ag_news", "ag_news_test.jsonl.gz",
            licence="non-commercial research", label_is="section",
            stated=StatedSize(
                127_600, 37.8, 4, "the hub's page (120,000 + 7,600); words of the test split"
            ),
            hub="fancyzhx/ag_news", hub_note="both splits; the local file is the test split",
        ),
        CorpusCard(
            "goemotions", "goemotions", "goemotions.jsonl.gz",
            licence="Apache-2.0", label_is="emotion; comments with several count as unlabelled",
            stated=StatedSize(54_263, 12.8, 28, "counted in all of it"),
            hub="google-research-datasets/go_emotions", hub_subset="simplified",
            hub_columns=(Columns(label="labels"),),
        ),
        CorpusCard(
            "poemsum", "poemsum", "poemsum_valid_test.jsonl.gz",
            licence="GPL-3.0 repository; the poems their own", label_is="poet",
            stated=StatedSize(
                3_011, 197.2, 319,
                "PoemSum's abstract; words and poets of the 603 poems of validation and test",
            ),
            homepage="github.com/Ridwan230/PoemSum",
        ),
        CorpusCard(
            "writingprompts", "writingprompts", "writingprompts_subset.jsonl.gz",
            licence="none stated", label_is="kind of prompt",
            stated=StatedSize(
                303_358, 734.5, 0,
                "Fan et al. 2018, table 1 (272,600 + 15,620 + 15,138; second-hand)",
            ),
            hub="euclaise/writingprompts", hub_columns=(Columns(text="story"),),
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
    """Wikipedia: the 14,290 good articles beside Bills in the literature; ProxAnn's 349 locally."""
    return _load("wiki", data_dir, subset)


def load_dbpedia(data_dir: Path | None = None, subset: str | None = None) -> Corpus:
    """DBpedia's abstracts of Wikipedia articles, by class."""
    return _load("dbpedia", data_dir, subset)


def load_yelp_polarity(data_dir: Path | None = None, subset: str | None = None) -> Corpus:
    """Yelp reviews, negative or positive."""
    return _load("yelp_polarity", data_dir, subset)


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


def hub_copy(card: CorpusCard, data_dir: Path | None) -> Path | None:
    """Returns the data folder's copy of the hub's data set, or None where it has none."""
    copied = None if data_dir is None or card.hub is None else data_dir / card.hub
    return copied if copied is not None and copied.is_dir() else None


def is_here(card: CorpusCard, data_dir: Path | None) -> bool:
    """Whether anything of a corpus is on this machine, damaged or whole."""
    return (
        hub_copy(card, data_dir) is not None
        or (data_dir is not None and (data_dir / card.folder).is_dir())
        or (card.hub is not None and is_cached(card.hub))
    )


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
    told = f"; {card.renamed}" if card.renamed else ""
    raise InputError(
        f"{folder} holds no subset {wanted!r} of {card.name}{did_you_mean(wanted, files)}{told}"
    )


def _load(name: str, data_dir: Path | None, subset: str | None) -> Corpus:
    card = CARDS[name]
    copied = hub_copy(card, data_dir)
    if copied is not None and subset is None:
        return _from_hub(card, copied)
    path = local_file(card, data_dir, subset)
    label = name if subset is None else f"{name}-{subset}"
    if path is not None:
        corpus = load_file(path, card.columns, label)
        if card.labels:
            known = [i for i, said in enumerate(corpus.labels or ()) if said in card.labels]
            corpus = _relabelled(corpus.select(known), card.labels, path)
        return _described(corpus, card, card.label_is)
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
    return _or_advice(card, data_dir, lambda: _from_hub(card, hub))


def _from_hub(card: CorpusCard, source: str | Path) -> Corpus:
    """Loads a corpus from the hub, or from a copy of the hub's folder."""
    corpus = load_hub(source, card.hub_columns, card.hub_subset, card.name, splits=card.hub_splits)
    if card.hub_labels:
        corpus = _relabelled(corpus, card.hub_labels, source)
    return _described(corpus, card, card.hub_note)


def _relabelled(corpus: Corpus, names: Mapping[str, str], where: str | Path) -> Corpus:
    """Returns the corpus with its labels called by ``names``.

    Raises:
        InputError: it has a label that is none of them, or none at all.
    """
    labels = set(corpus.labels or ("",))
    if unknown := sorted(str(label) for label in labels if label not in names):
        raise InputError(f"{where}: a label is {unknown[0]!r}; expected {', '.join(names)}")
    named = tuple(names[str(label)] for label in corpus.labels or ())
    return replace(corpus, labels=named, n_duplicates=count_duplicates(corpus.texts))


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
