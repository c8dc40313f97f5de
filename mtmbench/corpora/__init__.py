"""Corpora: where texts, labels and splits come from; :func:`mtmbench.load_corpus` is the door."""
