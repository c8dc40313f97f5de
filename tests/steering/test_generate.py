"""Generated text: batches and caches change nothing, and what is made is kept."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from mtmbench.core.errors import InputError, UnknownNameError
from mtmbench.core.store import RunStore
from mtmbench.features.sae.hugging_face import HuggingFaceBackbone
from mtmbench.steering import generate as module
from mtmbench.steering.generate import Job, Sampling, generate, generation_key
from mtmbench.steering.hook import Push, steering
from mtmbench.steering.language_model import CausalLM
from mtmbench.steering.vector import Origin, SteeringVector

FAMILIES = ("gpt2", "llama", "gpt_neox", "qwen2", "gemma2")
HOOK = "blocks.1.hook_resid_post"


def pushed(lm, seed, strength, hook_point=HOOK):
    numbers = np.random.default_rng(seed).standard_normal(16)
    origin = Origin(lm.backbone.name, lm.backbone.revision, hook_point)
    return Push(SteeringVector.of(numbers, origin), strength)


@pytest.fixture
def lm(backbone):
    return CausalLM(backbone)


@pytest.fixture
def store(tmp_path):
    with RunStore(tmp_path / "run") as opened:
        yield opened


def jobs_of(lm, n=12):
    """Prompts of several lengths, unsteered, and steered by one and by two directions."""
    generator = np.random.default_rng(1)
    jobs = []
    for i in range(n):
        prompt = " ".join(f"w{j}" for j in generator.integers(0, 50, size=1 + i % 5))
        pushes = [
            (), (pushed(lm, i % 3, 20.0 * (i % 4)),),
            (pushed(lm, 0, 15.0), pushed(lm, 1, -15.0)),
        ][i % 3]  # fmt: skip
        jobs.append(Job(prompt, i, pushes))
    return jobs


def greedy_alone(lm, job, sampling):
    """Whole passes without a cache, one text at a time."""
    ids = lm.begun(lm.backbone.tokenise([job.prompt])[0]).tolist()
    n = len(ids)
    rows = [list(job.pushes)]
    new, changes = [], []
    for _ in range(sampling.max_tokens):
        with (
            torch.inference_mode(),
            steering(
                lm.model,
                HOOK,
                rows,
                mode=sampling.mode,
                positions=sampling.positions,
                prompt_columns=n,
            ) as steered,
        ):
            token = int(lm.model(input_ids=torch.tensor([ids])).logits[0, -1].argmax())
        changes = [float(c) for part in steered.changes for c in part[0]]
        if token == 51:
            break
        new.append(token)
        ids.append(token)
    return new, float(np.mean(changes)) if changes else 0.0


@pytest.mark.parametrize(
    ("family", "positions"),
    [*((family, "generated") for family in FAMILIES), ("llama", "last"), ("gpt2", "all")],
)
def test_batched_with_a_cache_is_unbatched_without(tiny_model, store, family, positions):
    lm = CausalLM(HuggingFaceBackbone(tiny_model(family)[0]))
    jobs = jobs_of(lm)
    sampling = Sampling(max_tokens=6, temperature=0, positions=positions)
    found = generate(lm, jobs, sampling, store, batch_rows=5)
    for job, made in zip(jobs, found, strict=True):
        ids, change = greedy_alone(lm, job, sampling)
        assert list(made.ids) == ids
        assert made.mean_change == pytest.approx(change, rel=1e-3, abs=1e-4)
        # Qwen2's tokenizer class joins words without spaces.
        assert made.text.replace(" ", "") == "".join(f"w{i}" for i in ids)


@pytest.mark.slow
def test_a_draw_depends_on_its_key_alone(lm, tmp_path):
    jobs, sampling = jobs_of(lm, 20), Sampling(max_tokens=10, temperature=2.0)
    made = []
    for name, rows, order in (("a", 1, jobs), ("b", 7, jobs), ("c", 32, jobs[::-1])):
        with RunStore(tmp_path / name) as store:
            found = generate(lm, order, sampling, store, batch_rows=rows)
        made.append({each.key: each.ids for each in found})
    assert made[0] == made[1] == made[2]
    assert len(set(made[0].values())) > 15


def test_samples_and_seeds_differ(lm, store):
    texts = {
        made.ids
        for seed in range(3)
        for made in generate(
            lm, [Job("w1 w2", sample) for sample in range(4)],
            Sampling(max_tokens=10, temperature=1.5, top_p=1, seed=seed), store,
        )
    }  # fmt: skip
    assert len(texts) == 12


def test_steering_moves_what_is_drawn(lm, store):
    """The direction of a token's unembedding, read behind the last block, brings the token."""
    rows = lm.model.get_output_embeddings().weight * lm.model.model.norm.weight
    # No other token's row has more along the direction of the longest.
    token = int(rows.norm(dim=1).argmax())
    row = rows[token].detach().numpy()
    place = "blocks.2.hook_resid_post"
    origin = Origin("tiny", lm.backbone.revision, place)
    push = Push(SteeringVector.of(row, origin), 1e4)
    sampling = Sampling(max_tokens=20, temperature=0, positions="last")
    steered, plain = generate(lm, [Job("w3", 0, (push,)), Job("w3")], sampling, store)
    assert steered.ids == (token,) * 20
    assert plain.ids != steered.ids
    assert plain.mean_change == 0


def test_what_is_there_is_not_made_again(lm, tmp_path, monkeypatch):
    jobs, sampling = jobs_of(lm), Sampling(max_tokens=4)
    with RunStore(tmp_path / "whole") as store:
        expected = generate(lm, jobs, sampling, store)
    batches = []
    original = module.sample_batch

    def dying(*args):
        if len(batches) == 2:
            raise KeyboardInterrupt
        batches.append(len(args[1]))
        return original(*args)

    monkeypatch.setattr(module, "sample_batch", dying)
    with RunStore(tmp_path / "run") as store, pytest.raises(KeyboardInterrupt):
        generate(lm, jobs, sampling, store, batch_rows=3)
    monkeypatch.setattr(module, "sample_batch", original)
    told = []
    with RunStore(tmp_path / "run") as store:
        # Unsteered rows have no hook point and go first, in batches of their own.
        assert batches == [3, 1]
        assert len(store.finished()) == 4
        found = generate(
            lm, jobs, sampling, store, progress=lambda done, of: told.append((done, of))
        )
    assert found == expected
    assert told[0] == (4, 12)
    assert told[-1] == (12, 12)


def test_without_a_store_the_texts_are_the_same_and_nothing_is_kept(lm, store):
    jobs, sampling = jobs_of(lm), Sampling(max_tokens=4)
    told = []
    alone = generate(lm, jobs, sampling, progress=lambda done, of: told.append((done, of)))
    assert alone == generate(lm, jobs, sampling, store)
    assert (told[0], told[-1]) == ((0, 12), (12, 12))


def test_the_record_says_all(lm, store):
    job = Job("w1 w2", 3, (pushed(lm, 0, 2.5),), lead="w9 ")
    sampling = Sampling(max_tokens=3, seed=4)
    (made,) = generate(lm, [job], sampling, store)
    (record,) = store.records()
    payload = json.loads(record.to_json())["payload"]
    assert record.kind == "generation"
    assert record.key == made.key == generation_key(lm, job, sampling)
    assert payload["sampling"] == {
        "max_tokens": 3, "temperature": 1.0, "top_p": 0.95, "seed": 4, "mode": "project",
        "positions": "generated",
    }  # fmt: skip
    assert payload["pushes"] == [{"vector": job.pushes[0].vector.revision, "lambda": 2.5}]
    assert payload["backbone_revision"] == lm.backbone.revision
    assert (payload["lead"], payload["sample"]) == ("w9 ", 3)
    assert payload["mean_change"] == made.mean_change > 0


def test_a_lead_is_read_but_not_part_of_the_text(lm, store):
    sampling = Sampling(max_tokens=6, temperature=0)
    led, whole, plain = generate(
        lm, [Job("w2", lead="w1 "), Job("w1 w2"), Job("w2")], sampling, store
    )
    assert led.text == whole.text != plain.text
    assert led.prompt == "w2"


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda lm, s: generate(lm, [Job("w1 " * 31)], Sampling(max_tokens=2), s), "has 32 tokens"),
        (
            lambda lm, s: generate(
                lm, [Job("w1", 0, (Push(pushed(lm, 0, 1).vector, 1.0),))], Sampling(), s,
                batch_rows=0,
            ),
            "batch_rows must be at least 1, not 0",
        ),
        (lambda lm, s: Sampling(max_tokens=0), "max_tokens must be at least 1, not 0"),
        (lambda lm, s: Sampling(temperature=-1), "temperature must be 0 or above, not -1"),
        (lambda lm, s: Sampling(top_p=0), "top_p must lie above 0"),
        (
            lambda lm, s: generate(
                lm, [Job("w1", 0, (pushed(lm, 0, 1, "blocks.9.hook_resid_post"),))],
                Sampling(max_tokens=2), s,
            ),
            "no hook point 'blocks.9.hook_resid_post'",
        ),
    ],
)  # fmt: skip
def test_errors_name_the_value(lm, store, act, message):
    with pytest.raises(InputError, match=message):
        act(lm, store)


def test_a_direction_of_another_model_is_refused(lm, store):
    vector = SteeringVector.of(np.ones(16), Origin("gpt2", "another", HOOK))
    with pytest.raises(InputError, match=r"of gpt2 \(revision another\) cannot steer tiny"):
        generate(lm, [Job("w1", 0, (Push(vector, 1.0),))], Sampling(), store)


def test_unknown_names():
    with pytest.raises(UnknownNameError, match="did you mean 'generated'"):
        Sampling(positions="generate")
    with pytest.raises(UnknownNameError, match="did you mean 'add'"):
        Sampling(mode="ad")
