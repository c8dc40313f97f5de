"""Suites are planned, played and stored.

The face is :func:`mtmbench.engine.harness.run_suite`. :mod:`plan` lays out the cells,
:mod:`workers` (or :mod:`ray`) have them played in processes, each with a :mod:`workspace` and a
:mod:`cell_player`; :mod:`results` finds what was fitted, :mod:`exhibits` says what a judge is
shown, :mod:`estimate` what judges will cost.
"""
