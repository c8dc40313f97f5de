"""A number about topics.

:mod:`base` is the interface, :mod:`registry` the names, :mod:`context` what a metric may read;
:mod:`compute` gives one value, :mod:`score` all that a result and its corpus allow.
"""
