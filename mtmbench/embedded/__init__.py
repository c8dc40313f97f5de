"""Data that ship with the package, and in ``training`` the scripts that made them.

A small causal language model (``tinylm``) with its SAEs, and SAEs of MiniLM (``minilm``);
:mod:`mtmbench.features.sae.shipped` reads them.
"""
