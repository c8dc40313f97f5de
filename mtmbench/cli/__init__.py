"""The command line: one module a command; what several share is in ``options`` and ``console``.

Modules of commands do without ``from __future__ import annotations``: typer would evaluate the text
of every annotation, twice, before any help is printed, a sixth of the time that `--help` takes.
"""
