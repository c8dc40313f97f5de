"""The tuning part of a corpus and the scored one: apart, together whole, the same in any sample."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mtmbench.core.card_reading import parse_card
from mtmbench.core.errors import InputError
from mtmbench.core.serialise import content_hash
from mtmbench.core.specs import CorpusSpec
from mtmbench.corpora.load import load_spec
from mtmbench.corpora.paper import CARDS
from mtmbench.corpora.stated import stand_in


@pytest.fixture
def path(tmp_path: Path) -> str:
    rows = [{"id": f"d{i}", "text": f"text {i % 450}"} for i in range(500)]
    file = tmp_path / "many.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(file)


def test_the_parts_are_apart_and_together_the_corpus(path: str) -> None:
    whole = load_spec(CorpusSpec(name=path))
    tuning = load_spec(CorpusSpec(name=path, part="tuning", tuning_share=0.3))
    scored = load_spec(CorpusSpec(name=path, part="scored", tuning_share=0.3))
    assert sorted([*tuning.doc_ids, *scored.doc_ids]) == sorted(whole.doc_ids)
    # Copies of a text, d450 to d499, are where its first document is.
    assert not set(tuning.texts) & set(scored.texts)
    assert tuning.n_duplicates + scored.n_duplicates == whole.n_duplicates == 50
    # 450 draws at .3 have standard deviation 9.7.
    assert abs(len(set(tuning.texts)) - 135) < 4 * 9.7
    fraction = int(content_hash("tuning part", 0, "d7"), 16) / 2**128
    assert ("d7" in tuning.doc_ids) == (fraction < 0.3)
    told = {"part": "tuning", "tuning_share": 0.3, "seed": 0, "of": 500}
    assert tuning.source["part"] == told
    assert len({whole.revision, tuning.revision, scored.revision}) == 3


def test_a_larger_share_holds_a_smaller_and_a_seed_draws_another(path: str) -> None:
    def ids(share: float, seed: int = 0) -> set[str]:
        spec = CorpusSpec(name=path, part="tuning", tuning_share=share, tuning_seed=seed)
        return set(load_spec(spec).doc_ids)

    assert ids(0.2) < ids(0.6)
    assert len(ids(0.5) & ids(0.5, seed=1)) < 0.75 * len(ids(0.5))


def test_a_sample_is_of_the_part(path: str) -> None:
    few = CorpusSpec(name=path, part="scored", max_documents=40)
    tuning = load_spec(CorpusSpec(name=path, part="tuning"))
    sampled = load_spec(few)
    assert len(sampled) == 40
    assert not set(sampled.texts) & set(tuning.texts)


def test_what_a_part_cannot_be(path: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="tuning_share goes with part = 'tuning' or 'scored'"):
        parse_card({"name": path, "tuning_share": 0.2}, CorpusSpec, "corpus")
    one = tmp_path / "one.jsonl"
    one.write_text(json.dumps({"id": "d", "text": "alone"}))
    empty = "tuning" if int(content_hash("tuning part", 0, "d"), 16) >= 2**127 else "scored"
    spec = parse_card({"name": str(one), "part": empty}, CorpusSpec, "corpus")
    with pytest.raises(InputError, match=f"the {empty} part of corpus 'one' has none of its 1"):
        load_spec(spec)


def test_a_stand_in_is_as_large_as_the_part() -> None:
    card = CARDS["agnews"]
    n = card.stated.documents
    assert len(stand_in("agnews", card.stated, None, 0.25)) == round(n / 4)
