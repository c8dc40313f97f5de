"""What the build of the site adds to the pages: facts, notebooks, files, formulas.

Nothing is fetched, here or by the pages: formulas become MathML now, and what pages link outside
``docs/`` is copied into the site.
"""

from __future__ import annotations

import html
import posixpath
import re
from typing import TYPE_CHECKING

from diagram import FENCE, draw
from facts import fill_in
from latex2mathml.converter import convert
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, InclusionLevel
from notebooks import as_page, notebooks
from repository import ROOT

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

COPIED = "repository/"
"""Where in the site the repository's own files lie."""

LINK = re.compile(r"(?<=\]\()(?!https?:|mailto:|#)([^)\s#]+)(#[^)\s]*)?(?=\))")
EXTERNAL = re.compile(r'<(?:script|img|iframe|link)[^>]+(?:src|href)="?(https?://[^">\s]+)')
FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.S)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds notebooks as pages, and what pages, or added pages, link outside of ``docs/``."""
    for path in notebooks():
        uri = f"notebooks/{path.stem}.md"
        files.append(File.generated(config, uri, abs_src_path=str(path)))
    left = [file for file in files if file.is_documentation_page()]
    while left:
        file = left.pop()
        for uri in _linked(file.src_uri, _source(file.src_uri)):
            if uri.startswith(COPIED) and files.get_file_from_path(uri) is None:
                path = ROOT / uri.removeprefix(COPIED)
                if not path.is_file():
                    continue  # the build says that the link leads nowhere
                added = File.generated(
                    config, uri, abs_src_path=str(path), inclusion=InclusionLevel.NOT_IN_NAV
                )
                files.append(added)
                if added.is_documentation_page():
                    left.append(added)
    return files


def on_page_read_source(page: Page, config: MkDocsConfig) -> str:  # noqa: ARG001
    """Returns a page with its facts, and links to where things lie in the site."""
    uri = page.file.src_uri
    folder = posixpath.dirname(uri)

    def link(found: re.Match[str]) -> str:
        return posixpath.relpath(_uri(uri, found[1]), folder or ".") + (found[2] or "")

    return LINK.sub(link, _source(uri))


def on_page_content(content: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """Returns a page's HTML with formulas as MathML, which browsers show without a script."""
    return FORMULA.sub(_mathml, content)


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:  # noqa: ARG001
    """Refuses a page that would load anything from elsewhere.

    Raises:
        PluginError: it does; the message names what.
    """
    if found := EXTERNAL.search(output):
        raise PluginError(f"{page.file.src_uri} would load {found[1]}; pages ask no network")
    return output


def _mathml(found: re.Match[str]) -> str:
    display = "block" if found[1] == "div" else "inline"
    return convert(html.unescape(found[2]).strip(), display=display)


def _source(uri: str) -> str:
    if uri.startswith("notebooks/"):
        return as_page(ROOT / _path(uri))
    text = (ROOT / _path(uri)).read_text(encoding="utf-8")
    if uri.startswith(COPIED):
        return text
    return FENCE.sub(lambda found: draw(found[1].strip()), fill_in(text))


def _linked(uri: str, text: str) -> set[str]:
    return {_uri(uri, found[1]) for found in LINK.finditer(text)}


def _uri(page: str, link: str) -> str:
    """Returns where in the site that lies which a page links by its place in the repository."""
    path = posixpath.normpath(posixpath.join(posixpath.dirname(_path(page)), link))
    if path.startswith("docs/notebooks/"):
        path = path.removesuffix(".ipynb") + ".md"
    return path.removeprefix("docs/") if path.startswith("docs/") else COPIED + path


def _path(uri: str) -> str:
    """Returns where in the repository that lies which the site has at ``uri``."""
    if uri.startswith("notebooks/"):
        return f"docs/{uri.removesuffix('.md')}.ipynb"
    return uri.removeprefix(COPIED) if uri.startswith(COPIED) else f"docs/{uri}"
