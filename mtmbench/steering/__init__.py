"""Topics as directions in a language model.

:mod:`vector` makes directions, :mod:`hook` and :mod:`generate` steer by them, :mod:`units` says how
far; :mod:`suite` plays the experiment of a suite (:mod:`experiment`, :mod:`rows`) against
:mod:`controls`, and :mod:`table` writes it down.
"""
