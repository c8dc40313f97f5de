"""Suites are planned, played and stored.

The face is :func:`mtmbench.engine.harness.run_suite`. :mod:`plan` lays out the cells,
:mod:`workers` (or :mod:`ray`) plays them in processes, each with a :mod:`workspace`;
:mod:`results` finds what was fitted, :mod:`exhibits` says what a judge is shown,
:mod:`estimate` what judges will cost.
"""
