"""Real corpora that need no download: two that the installed gensim ships with its tests."""

from __future__ import annotations

import bz2
import re
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from mtmbench.core.errors import InputError
from mtmbench.core.files import lines_of, read_text
from mtmbench.core.types import Corpus
from mtmbench.corpora.rows import Columns, SourceRow, build_corpus

LEE_FILE = "lee_background.cor"
WIKI_FILE = "enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2"

MIN_ARTICLE_WORDS = 50
"""Shorter articles (redirects and stubs) are left out, as in gensim's own WikiCorpus."""
MIN_PARAGRAPH_WORDS = 10
"""Shorter lines are captions, table cells and list remnants."""

# Sections that hold references and link lists rather than prose.
_BACK_MATTER = {
    "bibliography", "citations", "discography", "external links", "filmography", "footnotes",
    "further reading", "gallery", "notes", "notes and references", "references", "see also",
    "sources", "works cited",
}  # fmt: skip


def load_lee(data_dir: Path | None = None, subset: str | None = None) -> Corpus:
    """Lee's 300 short news documents (2001, Australian Broadcasting Corporation), unlabelled.

    Raises:
        InputError: the installed gensim lacks the file, or a subset was asked for.
    """
    del data_dir
    path = _gensim_file(LEE_FILE, "lee", subset)
    lines = lines_of(read_text(path))
    return build_corpus(
        "lee",
        [SourceRow(number, {"text": line}) for number, line in enumerate(lines, start=1)],
        Columns(),
        where=str(path),
        source={"format": "gensim", "file": LEE_FILE, "gensim": version("gensim")},
    )


def load_gensim_wiki(data_dir: Path | None = None, subset: str | None = None) -> Corpus:
    """The articles of gensim's Wikipedia sample as plain paragraphs, unlabelled; about 105.

    Redirects are left out. Mark-up, tables, captions, headings, reference sections and lists (but
    for pages that are little else) are stripped; what is left are paragraphs separated by an empty
    line. Ids are the article titles.

    Raises:
        InputError: the installed gensim lacks the file, or a subset was asked for.
    """
    del data_dir
    path = _gensim_file(WIKI_FILE, "gensim-wiki", subset)
    rows = [
        SourceRow(number, {"id": title, "text": text})
        for number, (title, text) in enumerate(_articles(path))
    ]
    return build_corpus(
        "gensim-wiki",
        rows,
        Columns(),
        where=str(path),
        unit="article",
        source={
            "format": "gensim",
            "file": WIKI_FILE,
            "gensim": version("gensim"),
            "licence": "CC BY-SA",
            "min_article_words": MIN_ARTICLE_WORDS,
            "min_paragraph_words": MIN_PARAGRAPH_WORDS,
        },
    )


def _gensim_file(name: str, corpus: str, subset: str | None) -> Path:
    if subset is not None:
        raise InputError(f"the embedded corpus {corpus!r} has no subset {subset!r}")
    # find_spec locates the package without the second that importing gensim takes.
    spec = find_spec("gensim")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    for folder in folders:
        path = Path(folder) / "test" / "test_data" / name
        if path.is_file():
            return path
    raise InputError(
        f"corpus {corpus!r} is read from the installed gensim, which lacks test/test_data/{name}; "
        "install gensim from PyPI"
    )


@cache
def _articles(path: Path) -> tuple[tuple[str, str], ...]:
    from gensim.corpora.wikicorpus import extract_pages, filter_wiki

    articles = []
    with bz2.open(path) as dump:
        for title, raw, _ in extract_pages(dump, filter_namespaces=("0",)):
            if not raw or raw.lstrip().lower().startswith("#redirect"):
                continue
            text = plain_paragraphs(filter_wiki(_without_blocks(raw), promote_remaining=False))
            if len(text.split()) >= MIN_ARTICLE_WORDS:
                articles.append((title, text))
    return tuple(articles)


def plain_paragraphs(filtered: str) -> str:
    """Returns the prose of an article that gensim's ``filter_wiki`` has been over.

    Keeps lines that are sentences of the running text; drops headings, table rows, captions and
    everything under a heading such as "References". Lists are dropped too, unless the page is
    little else (a disambiguation page, a list of people).
    """
    paragraphs, items = [], []
    in_back_matter = False
    for raw_line in filtered.split("\n"):
        line = raw_line.strip()
        heading = re.fullmatch(r"(={2,6})\s*(.*?)\s*\1", line)
        if heading:
            if len(heading[1]) == 2:
                in_back_matter = heading[2].lower() in _BACK_MATTER
            continue
        if in_back_matter or re.match(r"[|!{}=:;]|(File|Image):", line, re.IGNORECASE):
            continue
        if line.startswith(("*", "#")):
            items.append(_without_marks(line.lstrip("*#:; ")))
            continue
        line = _without_marks(line)
        is_sentence = re.search(r"[.!?][\"'”’)]*$", line) is not None
        if is_sentence and len(line.split()) >= MIN_PARAGRAPH_WORDS:
            paragraphs.append(line)
    if len(" ".join(paragraphs).split()) < MIN_ARTICLE_WORDS:
        paragraphs += [item for item in items if item]
    return "\n\n".join(paragraphs)


def _without_marks(line: str) -> str:
    line = re.sub(r"'{2,}", "", line)
    line = re.sub(r"\[\[[^\[\]|]*\|([^\[\]]*)\]\]", r"\1", line)
    line = line.replace("[", "").replace("]", "").replace("\xa0", " ")
    # A template that is gone leaves "( , )" or a space before the comma.
    line = re.sub(r"\(\s*[,;:–—-]*\s*\)", "", line)
    line = re.sub(r"\(\s*[,;:]\s*", "(", line)
    line = re.sub(r"\s+([,.;:)])", r"\1", line)
    return re.sub(r"\s+", " ", line).strip()


def _without_blocks(raw: str) -> str:
    """Drops tables and images; their cells and nested captions pass gensim's expressions."""
    raw = _without_balanced(raw, r"\{\|", "{|", "|}")
    return _without_balanced(raw, r"\[\[\s*(?:File|Image)\s*:", "[[", "]]")


def _without_balanced(text: str, start: str, opening: str, closing: str) -> str:
    kept = []
    position = 0
    delimiter = re.compile(f"{re.escape(opening)}|{re.escape(closing)}")
    for found in re.finditer(start, text, re.IGNORECASE):
        if found.start() < position:
            continue
        depth, end = 0, found.start()
        for mark in delimiter.finditer(text, found.start()):
            depth += 1 if mark[0] == opening else -1
            if depth == 0:
                end = mark.end()
                break
        kept.append(text[position : found.start()])
        position = end
    kept.append(text[position:])
    return "".join(kept)
