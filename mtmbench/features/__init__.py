"""Corpora become counts: words, SAE features, sentence embeddings."""
