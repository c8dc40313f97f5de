"""The themes of the planted corpus, each with its words."""

from __future__ import annotations

THEMES = {
    "sea": "harbour anchor sailor tide whale reef ferry lighthouse",
    "kitchen": "oven butter pepper recipe saucepan flour onion whisk",
    "space": "orbit rocket comet telescope galaxy lunar satellite eclipse",
    "garden": "tulip compost hedge seedling orchard trowel pollen lawn",
}
