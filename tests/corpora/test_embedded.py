"""The corpora that gensim ships: counts against gensim's own readers, and clean prose."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.odd_text import ODD_TEXT

from mtmbench.core.errors import InputError
from mtmbench.core.types import Corpus
from mtmbench.corpora import embedded
from mtmbench.corpora.load import load_corpus


@pytest.fixture(scope="module")
def wiki() -> Corpus:
    return load_corpus("gensim-wiki")


def test_lee_is_gensims_three_hundred_documents() -> None:
    from gensim.test.utils import datapath
    from gensim.utils import open as open_file

    corpus = load_corpus("lee")
    with open_file(datapath("lee_background.cor"), encoding="utf-8") as file:
        lines = [line.rstrip("\n") for line in file]
    assert list(corpus.texts) == lines
    assert len(corpus) == 300
    assert corpus.n_duplicates == 300 - len(set(lines))
    assert corpus.revision == "b733d204449e368efea2ba6bbf1ed2d5"


@pytest.mark.slow
def test_wiki_holds_the_articles_that_gensims_reader_finds(wiki: Corpus) -> None:
    import bz2

    from gensim.corpora.wikicorpus import IGNORED_NAMESPACES, extract_pages
    from gensim.test.utils import datapath

    with bz2.open(datapath(embedded.WIKI_FILE)) as dump:
        pages = {title: text for title, text, _ in extract_pages(dump, ("0",))}
    ignored = tuple(f"{namespace}:" for namespace in IGNORED_NAMESPACES)
    articles = {
        title
        for title, text in pages.items()
        if not text.lower().startswith("#redirect") and not title.startswith(ignored)
    }
    assert set(wiki.doc_ids) <= articles
    assert articles - set(wiki.doc_ids) == {"Asia Minor (disambiguation)"}
    assert 100 <= len(wiki) <= 110


@pytest.mark.slow
def test_wiki_is_prose_without_markup(wiki: Corpus) -> None:
    lines = [line for text in wiki.texts for line in text.split("\n")]
    marked = [
        line for line in lines if re.search(r"\[\[|\]\]|\{\{|\{\||'''|</?\w+>|^=|File:", line)
    ]
    assert marked == []
    lengths = sorted(len(text.split()) for text in wiki.texts)
    assert lengths[0] >= embedded.MIN_ARTICLE_WORDS
    assert 2_000 < lengths[len(lengths) // 2] < 4_000
    anarchism = wiki.texts[wiki.doc_ids.index("Anarchism")]
    assert anarchism.startswith(
        "Anarchism is a political philosophy that advocates self-governed societies based on "
        "voluntary institutions. These are often described as stateless societies"
    )


def test_paragraphs_keep_prose_and_drop_the_rest() -> None:
    prose = (
        "The '''cat''' (, ) is a [[domestic animal|pet]] that people of [many] countries keep , "
        "feed and love."
    )
    article = "\n".join(
        [prose, "== Kinds ==", "* tabby", "A caption of a picture", "{| table", "| cell."]
        + [prose] * 4
        + ["==References==", prose, "===Web===", prose, "== Life ==", prose]
    )
    kept = embedded.plain_paragraphs(article).split("\n\n")
    clean = "The cat is a pet that people of many countries keep, feed and love."
    assert kept == [clean] * 6


def test_a_page_that_is_a_list_keeps_its_items() -> None:
    page = "'''Ada''' may refer to:\n\n== People ==\n* [[Ada Lovelace]], poet\n* [[Ada Yonath]]"
    assert embedded.plain_paragraphs(page) == "Ada Lovelace, poet\n\nAda Yonath"


def test_no_subsets_and_a_clear_error_where_gensim_lacks_its_test_data(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="'lee' has no subset 'x'"):
        load_corpus("lee", subset="x")
    spec = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(embedded, "find_spec", lambda name: spec)
    with pytest.raises(InputError, match=r"lacks test/test_data/lee_background\.cor"):
        load_corpus("lee")


def test_a_document_of_lee_may_hold_odd_characters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "lee.cor"
    file.write_text(f"{ODD_TEXT}\nSecond.\n", encoding="utf-8")
    monkeypatch.setattr(embedded, "_gensim_file", lambda *_: file)
    assert embedded.load_lee().texts == (ODD_TEXT, "Second.")
