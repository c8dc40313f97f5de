"""Texts become counts of words and of SAE features.

The face is :func:`mtmbench.features.views.make_views`. :mod:`words` tokenises and counts,
:mod:`sae` has feature sources, :mod:`embeddings` embeds; :mod:`filters` drops features and
:mod:`labels` says what their labels are about. :mod:`base` is the interface of a source,
:mod:`registry` their names.
"""
