"""The models by name, and their cards; nothing is imported until a name is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mtmbench.core.card_files import card_names, card_path
from mtmbench.core.card_reading import read_card
from mtmbench.core.cards import ModelCard
from mtmbench.core.errors import UnknownNameError
from mtmbench.core.registry import Registry

if TYPE_CHECKING:
    from mtmbench.models.base import TopicModel

MODELS: Registry[type[TopicModel]] = Registry("model", "mtmbench.models")

register_model = MODELS.register


def card_of(model: str) -> str:
    """Returns the name of a model's own card; no file on Windows can have a colon in its name."""
    return model.replace(":", "-")


def load_model_card(name: str) -> ModelCard:
    """Loads a model card; a registered model without a card is a card without parameters.

    Raises:
        UnknownNameError: there is no such model or card; the nearest is named.
    """
    is_file = Path(name).suffix == ".toml"
    card_name = name if is_file else card_of(name)
    if not is_file and card_name not in card_names("baselines"):
        if name not in MODELS:
            raise UnknownNameError("model", name, {*MODELS.names(), *card_names("baselines")})
        return ModelCard(model=name)
    card = read_card(card_path("baselines", card_name), ModelCard)
    if card.model not in MODELS:
        raise UnknownNameError("model", card.model, MODELS.names())
    return card
