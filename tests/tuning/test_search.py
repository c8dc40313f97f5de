"""What committed cards let tuning set: parameters that there are, and values that these take."""

from __future__ import annotations

from typing import get_type_hints

import pytest
from pydantic import TypeAdapter

from mtmbench.core.card_files import PACKAGE
from mtmbench.core.card_reading import read_card
from mtmbench.core.cards import ModelCard
from mtmbench.core.tuning import SearchRange
from mtmbench.models.registry import MODELS
from mtmbench.tuning.space import search_of

CARDS = {path.stem: path for path in sorted((PACKAGE.parent / "baselines").glob("*.toml"))}
SEARCHED = {
    name: card for name, path in CARDS.items() if (card := read_card(path, ModelCard)).search
}


def test_the_field_s_models_can_be_tuned() -> None:
    assert {"lda", "etm", "dvae", "bertopic", "fastopic", "mlda", "metm", "mbertopic"} <= set(
        SEARCHED
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", SEARCHED)
def test_a_search_is_of_values_that_the_parameter_takes(name: str) -> None:
    card = SEARCHED[name]
    model = MODELS.get(card.model)
    hints = get_type_hints(model.__init__)
    for parameter, allowed in search_of(name, card, {}).items():
        # Models of another library have its parameters, without types.
        takes = TypeAdapter(hints.get(parameter, object))
        ends = (allowed.low, allowed.high) if isinstance(allowed, SearchRange) else allowed
        for value in ends:
            takes.validate_python(value, strict=True)
            assert getattr(model(**{parameter: value}), parameter) == value
