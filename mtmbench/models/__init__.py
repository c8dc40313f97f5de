"""Counts become topics.

:mod:`base` is the interface, :mod:`registry` the names and their cards; one module a model.
:mod:`external` and :mod:`importers` take in results that were fitted elsewhere;
:mod:`import_formats` knows their formats, each of which has a reader of its own.
"""
