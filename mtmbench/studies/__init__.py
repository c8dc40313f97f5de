"""Open questions as experiments: a table, a plot with intervals, a plain sentence.

:mod:`run` plays those that vary feature settings (:mod:`design`), :mod:`features` has labels
marked, :mod:`steering` draws what steering buys and costs; :mod:`page` is the page of each.
"""
