"""What is known of the corpora that have a card."""

from __future__ import annotations

from markdown_tables import code, table

from mtmbench.corpora.paper import CARDS


def corpus_facts() -> str:
    """Returns the corpora that have a card: their size where they come from, and the licence."""
    rows = []
    for card in sorted(CARDS.values(), key=lambda card: card.name):
        size = card.stated
        words = "" if size.mean_words is None else f"{size.mean_words:g}"
        labels = f"{size.labels:,}" if size.labels else "none"
        rows.append((code(card.name), f"{size.documents:,}", words, labels, card.licence))
    header = ("corpus", "documents at the source", "words, mean", "gold labels", "licence")
    return table(header, rows)
