"""The attacks of ``tests/benchmarks/attacks.py``, a module for each kind of thing attacked."""
