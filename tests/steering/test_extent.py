"""What a plan says that steering takes, against what an experiment on a tiny model takes."""

from __future__ import annotations

from mtmbench.core.specs import SteeringSpec
from mtmbench.steering.extent import steering_extent


def test_an_extent_is_the_sum_of_what_is_made() -> None:
    spec = SteeringSpec(
        topics=2, lambdas=(1.0, 2.0), n_prompts=10, pilot_prompts=3, max_tokens=7, drawn=4,
        documents=5, document_tokens=11,
    )  # fmt: skip
    found = steering_extent(spec, [3, 1])
    # Three topics steer. Directions: 3 single, 2 x 4 drawn, and other topics: 2 for K = 3, 0 for 1.
    directions = 2 * (3 + 8 + 2) + 1 * (3 + 8 + 0)
    grid, named, calibrated = 3 * 2 * 10, 3 * 5, 4 * 3 * directions
    shared = 10 + 5
    assert found.topics == 3
    assert found.texts == grid + named + 5 * directions + calibrated + shared
    assert found.generated == found.texts * 7
    assert found.compared == grid + named + 5 * directions + 3 * 5
    assert found.rated == 0
    # Every text once more, and 2 x 5 documents under 2 λ, 3 single controls and none.
    assert found.read == found.generated + 3 * (2 + 3 + 1) * 2 * 5 * 11
    assert steering_extent(spec.model_copy(update={"axbench": "openai"}), [1]).rated == (
        5 * (1 + 11) + 2 * 5
    )
