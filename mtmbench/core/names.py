"""Names that become parts of paths: what one may be."""

from __future__ import annotations

import re
import unicodedata

from mtmbench.core.errors import InputError

_MOST_BYTES = 200
"""Of 255 that file systems take, less what is put around a name."""

_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
"""What Windows takes for a device, with whatever suffix."""


def check_name(name: str, what: str) -> str:
    """Returns a name that can be part of a file's or folder's name, and is not a path itself.

    Args:
        name: the name.
        what: what it is the name of, for the message.

    Raises:
        InputError: it is empty or too long, begins with a dot, ends with a dot or space, is
            reserved, or holds a slash, a backslash or a control character.
    """
    size = len(name.encode("utf-8", "surrogatepass"))
    odd = [c for c in name if c in "/\\" or unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp")]
    if not name.strip():
        wrong = "it is empty"
    elif size > _MOST_BYTES:
        wrong = f"it has {size} bytes; {_MOST_BYTES} are enough"
    elif odd:
        wrong = f"it holds {odd[0]!a}, and is to be a name, not a path"
    elif name.startswith((".", " ")) or name.endswith((".", " ")):
        wrong = "it begins or ends with a dot or a space"
    elif _RESERVED.fullmatch(name):
        wrong = "it is the name of a device on some systems"
    else:
        return name
    shown = name if len(name) <= 60 else name[:57] + "…"
    raise InputError(f"{what} cannot be called {shown!r}: {wrong}")


def check_path(given: str, what: str) -> str:
    """Returns the text of a path that no system call stumbles over.

    Raises:
        InputError: it holds a NUL, or a part longer than file systems take.
    """
    longest = max(len(part.encode("utf-8", "surrogatepass")) for part in given.split("/"))
    if "\0" in given or longest > 255 or len(given) > 4000:
        shown = given if len(given) <= 60 else given[:57] + "…"
        raise InputError(
            f"{what} {shown!r} is no path: a part of one has at most 255 bytes, no NUL"
        )
    return given
