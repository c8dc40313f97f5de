"""Judges against people: what people said of topics, and how far a judge says the same."""
