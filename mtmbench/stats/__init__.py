"""Pure numbers: arrays in, estimates with their uncertainty out.

:mod:`rate` rates (:mod:`pairs`, :mod:`bradley_terry`, :mod:`ties`, :mod:`many` for thousands of
names, :mod:`sandwich`, :mod:`length`, :mod:`elo`), :mod:`pairwise_file` rates what
:mod:`comparisons` reads from files and frames,
:mod:`intervals` has every interval, :mod:`agreement` and :mod:`correlation` compare judges,
:mod:`paired` compares settings seed by seed, :mod:`adaptive` and :mod:`power` plan what is asked.
"""
