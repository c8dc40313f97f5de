"""Puts ``mtmbench-board/comment.md`` on the pull request: one comment, updated by later runs.

GITHUB_TOKEN, GITHUB_API_URL, GITHUB_REPOSITORY and GITHUB_EVENT_PATH come from the environment. The
comment is found by its first line, a hidden marker. A token that may not comment, as on pull
requests from forks, is a warning: what the comparison came to is another step's exit status.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

COMMENT = Path("mtmbench-board/comment.md")
_PER_PAGE = 100
_MOST_PAGES = 50
_SECONDS = 30


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Follows none: the token would go along, to whatever host."""

    def redirect_request(self, *_: object, **__: object) -> None:
        return None


def main() -> int:
    """Writes the comment; returns 0, or 1 if the service failed."""
    number = _pull_request()
    if number is None:
        print("this is no pull request: nothing to comment on")
        return 0
    if not COMMENT.is_file():
        print("there is no comparison to tell of")
        return 0
    text = COMMENT.read_text(encoding="utf-8")
    repository = quote(os.environ["GITHUB_REPOSITORY"], safe="/")
    try:
        for id_ in _own(repository, number, text.split("\n", 1)[0]):
            try:
                _call("PATCH", f"/repos/{repository}/issues/comments/{id_}", {"body": text})
            except urllib.error.HTTPError as error:
                if error.code not in (403, 404):  # someone else's, or gone meanwhile
                    raise
                continue
            print(f"updated comment {id_}")
            return 0
        made = _call("POST", f"/repos/{repository}/issues/{number}/comments", {"body": text})
        print(f"wrote comment {made['id']}")
        return 0
    except urllib.error.HTTPError as error:
        if error.code in (401, 403, 404):
            print(f"::warning::this token may not comment on pull request {number} ({error.code})")
            return 0
        print(f"::error::GitHub answered {error.code} to a comment")
    except (urllib.error.URLError, TimeoutError, ValueError, KeyError, TypeError) as error:
        print(f"::error::cannot comment: {type(error).__name__}")
    return 1


def _pull_request() -> int | None:
    event = json.loads(Path(os.environ["GITHUB_EVENT_PATH"]).read_text(encoding="utf-8"))
    number = event.get("pull_request", {}).get("number")
    return number if isinstance(number, int) else None


def _own(repository: str, number: int, marker: str) -> list[int]:
    """Returns the comments that begin with the marker, the oldest first."""
    found: list[int] = []
    for page in range(1, _MOST_PAGES + 1):
        query = f"?per_page={_PER_PAGE}&page={page}"
        comments = _call("GET", f"/repos/{repository}/issues/{number}/comments{query}")
        found += [int(each["id"]) for each in comments if each["body"].startswith(marker)]
        if len(comments) < _PER_PAGE:
            break
    return found


def _call(method: str, path: str, body: object = None) -> Any:
    address = os.environ.get("GITHUB_API_URL", "https://api.github.com").rstrip("/")
    parts = urlsplit(address)
    if parts.scheme != "https" and parts.hostname != "127.0.0.1":
        raise ValueError("the token goes over https alone")
    request = urllib.request.Request(
        address + path,
        data=None if body is None else json.dumps(body).encode("utf-8"),
        method=method,
        headers={
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {os.environ['GITHUB_TOKEN']}",
            "Content-Type": "application/json",
            "User-Agent": "mtmbench-board",
            "X-GitHub-Api-Version": "2022-11-28",
        },
    )
    opener = urllib.request.build_opener(_NoRedirects)
    with opener.open(request, timeout=_SECONDS) as reply:
        return json.loads(reply.read())


if __name__ == "__main__":
    sys.exit(main())
