"""What the paper's way takes, at toy size: a Gemma-2 folder, Gemma Scope, texts, an export, cards.

Everything lies in one folder as a user would have it; the model's words are those of the texts.
"""

from __future__ import annotations

import json
import random
import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mtmbench.core.card_files import card_path
from mtmbench.core.types import FloatArray

SUBJECTS = {
    "sport": "team goal match coach season league score player fans cup",
    "law": "court judge bill senate vote statute appeal clause treaty ruling",
    "sky": "orbit planet moon comet rocket probe star galaxy launch crater",
    "food": "bread oven flour butter recipe salt kitchen sugar dough spice",
}
PLAIN = ["the", "of", "and", "with", "for", "from", "that", "this", "was", "not", "but", "they"]
CODE = ["import", "def", "print", "return", "lambda"]
WORDS = [word for words in SUBJECTS.values() for word in words.split()]
HIDDEN, FEATURES, LAYER = 32, 96, 6
HOOK = f"blocks.{LAYER}.hook_resid_post"
BACKBONE = Path("google/gemma-2-2b")
"""The hub's name, which is that of a folder too where one lies."""
SCOPE = Path(f"gemma-scope-2b-pt-res/layer_{LAYER}/width_16k/average_l0_70")
NEURONPEDIA = f"gemma-2-2b/{LAYER}-gemmascope-res-16k"
_FENCED = re.compile(r"\[([0-9a-f]{16}) ([\w ]+) begins\]\n(.*?)\n\[\1 \2 ends\]", re.S)


def write_gemma(folder: Path, *, hidden: int = HIDDEN) -> None:
    """Writes a Gemma-2 of random weights in shards of the hub's names, and its tokeniser."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import Gemma2Config, Gemma2ForCausalLM, PreTrainedTokenizerFast

    words = ["<pad>", "<eos>", "<bos>", "<unk>", *PLAIN, *CODE, *WORDS]
    torch.manual_seed(0)
    model = Gemma2ForCausalLM(
        Gemma2Config(
            vocab_size=len(words), hidden_size=hidden, intermediate_size=2 * hidden,
            num_hidden_layers=LAYER + 2, num_attention_heads=2, num_key_value_heads=1,
            head_dim=hidden // 2, query_pre_attn_scalar=hidden // 2, max_position_embeddings=128,
            sliding_window=16, pad_token_id=0, eos_token_id=1, bos_token_id=2,
        )
    ).eval()  # fmt: skip
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    model.to(torch.bfloat16).save_pretrained(folder, max_shard_size="20KB")
    tokenizer = Tokenizer(
        models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>", bos_token="<bos>",
        unk_token="<unk>",
    ).save_pretrained(folder)  # fmt: skip


def scope_arrays(hidden: int, features: int, seed: int = 0) -> dict[str, FloatArray]:
    """Returns a Gemma Scope SAE of random weights, of whose features a twentieth fires."""
    rng = np.random.default_rng(seed)
    w_dec = rng.standard_normal((features, hidden)).astype(np.float32)
    w_dec /= np.linalg.norm(w_dec, axis=1, keepdims=True)
    return {
        "W_enc": np.ascontiguousarray(w_dec.T), "W_dec": w_dec,
        "b_enc": (0.1 * rng.standard_normal(features)).astype(np.float32),
        "b_dec": (0.1 * rng.standard_normal(hidden)).astype(np.float32),
        "threshold": rng.uniform(1.2, 2.2, features).astype(np.float32),
    }  # fmt: skip


def write_texts(path: Path, n: int, seed: int) -> None:
    """Writes documents, each on one subject, its name the gold label."""
    draw, names = random.Random(seed), list(SUBJECTS)
    rows = []
    for i in range(n):
        label = names[i % len(names)]
        known = SUBJECTS[label].split()
        words = [*draw.choices(known, k=16), *draw.choices(PLAIN, k=8), *draw.choices(WORDS, k=3)]
        words += draw.choices(CODE, k=draw.randrange(2))
        draw.shuffle(words)
        rows.append({"id": f"d{i}", "text": " ".join(words), "label": label})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def write_export(folder: Path, labels: Sequence[str]) -> None:
    """Writes a Neuronpedia export in two batches, of every feature but the last three.

    Args:
        folder: made here.
        labels: the words at which each feature fires, the first one most.
    """
    folder.mkdir(parents=True)
    model, layer = NEURONPEDIA.split("/")
    rows = []
    for feature, label in enumerate(labels[:-3]):
        word = re.findall(r"[a-z]+", label)[-1 if label.startswith("(") else 0]
        text = f"references to {word}" if word in WORDS else f"the word {word}"
        rows.append(
            {"id": f"c{feature}", "modelId": model, "layer": layer, "index": str(feature),
             "description": text, "explanationModelName": "gpt-4o-mini",
             "typeName": "oai_token-act-pair"}
        )  # fmt: skip
    for number, part in enumerate((rows[: len(rows) // 2], rows[len(rows) // 2 :])):
        lines = "".join(json.dumps(row) + "\n" for row in part)
        (folder / f"batch-{number}.jsonl").write_text(lines, encoding="utf-8")


def write_card(folder: Path, name: str, url: str) -> None:
    """Writes a judge card as it is committed, but for where its model is asked."""
    committed = card_path("judges", name).read_text(encoding="utf-8")
    card, n = re.subn(r'base_url = ".*"', f'base_url = "{url}"', committed)
    assert n == 1
    folder.mkdir(parents=True)
    (folder / f"{name}.toml").write_text(card, encoding="utf-8")


def answers(messages: Sequence[Any]) -> str:
    """Answers as one model that judges, refines, summarises and sorts labels."""
    return _verdict(messages) if "VERDICT" in messages[-1]["content"] else _written(messages)


def _written(messages: Sequence[Any]) -> str:
    """Answers as a model that sorts labels, refines and summarises, each in its prompt's form."""
    parts = _parts(messages)
    if "descriptions" in parts:
        lines = [line.partition(". ") for line in parts["descriptions"].splitlines()]
        return "\n".join(
            f"{number}: {'stop words' if label.startswith('the word') else 'none'}"
            for number, _, label in lines
        )
    items = [line.partition(". ")[2] or line for line in parts["items"].splitlines()]
    shared = [_subject(item) for item in items]
    best = max(SUBJECTS, key=shared.count)
    if "ODD:" in messages[-1]["content"]:
        odd = [str(i) for i, subject in enumerate(shared, start=1) if subject != best]
        return f"ODD: {', '.join(odd[:2]) or 'none'}"
    return f"SUMMARY: Texts about {', '.join(_known(parts['items'], best)[:4]) or 'nothing much'}."


def _verdict(messages: Sequence[Any]) -> str:
    """Answers by the schema for verdicts: the set, or text, with more words of the subject asked.

    Where a document is shown the subject is the document's, else the topic's. Every fifth answer,
    by a hash of the question's parts, is a tie: no model wins all, so that all can be rated.
    """
    parts = _parts(messages)
    subject = _subject(parts.get("document") or parts["topic"])
    kind = "set" if "document" in parts else "text"
    scores = [len(_known(parts[f"{kind} {side}"], subject)) for side in "AB"]
    tired = zlib.crc32("".join(sorted(parts.values())).encode()) % 5 == 0
    verdict = "tie" if tired or scores[0] == scores[1] else "AB"[scores[1] > scores[0]]
    return json.dumps({"reason": f"{scores[0]} words against {scores[1]}.", "verdict": verdict})


def _parts(messages: Sequence[Any]) -> dict[str, str]:
    return {name: text for _, name, text in _FENCED.findall(messages[-1]["content"])}


def _known(text: str, subject: str) -> list[str]:
    words = re.findall(r"[a-z]+", text)
    return sorted(set(words) & set(SUBJECTS[subject].split()))


def _subject(text: str) -> str:
    words = re.findall(r"[a-z]+", text)
    return max(SUBJECTS, key=lambda name: sum(word in SUBJECTS[name].split() for word in words))
