"""Texts with ids and, where there are any, gold labels.

The face is :func:`mtmbench.corpora.load.load_corpus`: a registered name (:mod:`registry`), a file
or folder (:mod:`files`, :mod:`rows`), a data set of the hub (:mod:`hub`), a list of strings.
"""
