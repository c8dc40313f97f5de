"""What a plan's features would take of a GPU and of the disk: reckoned, not measured."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from mtmbench.core.errors import UnknownNameError
from mtmbench.core.types import Corpus
from mtmbench.corpora.stated import missing_note
from mtmbench.engine.plan import Plan
from mtmbench.features.registry import source_of
from mtmbench.features.sae.hub import ModelFeatures
from mtmbench.features.sae.sae import ENCODED_CELLS
from mtmbench.features.sae.shapes import ModelShape, SAEShape, model_shape, sae_shape

TOKENS_PER_WORD = 1.4
"""Of words between white space. MiniLM's tokeniser cuts bills, AG News, 20 Newsgroups and
WritingPrompts into 1.26, 1.37, 1.49 and 1.31; Gemma's own was not at hand."""

BYTES_PER_FIRING = 3.7
"""Of a shard (:mod:`mtmbench.features.sae.shards`), on disk. Six bytes before compression; measured
are 2.98 to 3.26 with 2,048 and 4,096 features on those four corpora, and 3.55 to 3.65 with drawn
firings of 16,384 features."""

READING_SHARE = 0.3
"""Of a GPU's arithmetic that a forward pass over texts is taken to reach."""
GENERATING_SHARE = 0.2
"""Of its memory bandwidth that generation, which reads all weights for each step, is taken to
reach."""

_HALF, _SINGLE = 2, 4
_HOUR = 3600.0


@dataclass(frozen=True)
class GPU:
    """What a maker states of a GPU.

    Attributes:
        name: as a command names it.
        tflops: 10¹² bf16 operations a second, dense.
        bandwidth: of its memory, 10⁹ bytes a second.
        memory: 10⁹ bytes.
    """

    name: str
    tflops: float
    bandwidth: float
    memory: float

    @property
    def told(self) -> str:
        """The numbers, for people."""
        return (
            f"{self.name} ({self.memory:g} GB, {self.tflops:g} TFLOPS in bf16, "
            f"{self.bandwidth:,.0f} GB/s)"
        )


GPUS = {
    gpu.name: gpu
    for gpu in (
        GPU("rtx4090", 165, 1008, 24),
        GPU("a100", 312, 1555, 40),
        GPU("h100", 989, 3350, 80),
    )
}
"""Those that can be named, smallest memory first."""


@dataclass(frozen=True)
class CorpusExtent:
    """What one corpus takes under the SAEs that are read on it.

    Attributes:
        corpus: its name.
        documents: D.
        tokens: read through the model, about: by words, which some texts cut into more tokens.
        hours: GPU hours of that and of the SAEs; None where the model's size is not known.
        disk: bytes of the activation stores; None where an SAE's size is not known.
    """

    corpus: str
    documents: int
    tokens: int
    hours: float | None
    disk: float | None


@dataclass(frozen=True)
class Resources:
    """What the features of a suite take, and at what speed they are reckoned.

    Attributes:
        source: the feature source.
        backbone: the model as the suite names it.
        model: its size; None where it is not known.
        saes: the SAEs' by name; None where one is not known.
        gpu: whose figures are assumed.
        reading: tokens a second that the whole model reads; None where nothing says.
        generating: tokens a second that it generates, all rows of a batch together.
        weight_bytes: of one weight.
        batch_rows: texts generated together.
        corpora: what each takes.
        stated: whether the speeds were given by the user: of reading, of generating.
    """

    source: str
    backbone: str
    model: ModelShape | None
    saes: Mapping[str, SAEShape | None]
    gpu: GPU
    reading: float | None
    generating: float | None
    weight_bytes: int
    batch_rows: int
    corpora: tuple[CorpusExtent, ...]
    stated: tuple[bool, bool]

    @property
    def tokens(self) -> int:
        """Of all corpora."""
        return sum(each.tokens for each in self.corpora)

    @property
    def hours(self) -> float | None:
        """GPU hours of feature extraction."""
        return _sum([each.hours for each in self.corpora])

    @property
    def disk(self) -> float | None:
        """Bytes of the activation stores."""
        return _sum([each.disk for each in self.corpora])

    @property
    def memory(self) -> float | None:
        """Bytes on the GPU; None where a size is not known.

        Weights, the SAEs' encoders and pre-activations in f32, and the keys and values of a batch
        of 128 tokens a row.
        """
        known = _known(self.saes.values())
        if self.model is None or known is None:
            return None
        weights = self.model.parameters * self.weight_bytes
        encoders = self.model.hidden * sum(sae.features for sae in known)
        held = 128 * self.batch_rows * 2 * self.model.layers * self.model.key * self.weight_bytes
        return float(weights + _SINGLE * (encoders + ENCODED_CELLS) + held)

    def hours_of_reading(self, tokens: int) -> float | None:
        """GPU hours in which the whole model reads so many tokens."""
        return None if self.reading is None else tokens / self.reading / _HOUR

    def hours_of_generating(self, tokens: int) -> float | None:
        """GPU hours in which it generates so many."""
        return None if self.generating is None else tokens / self.generating / _HOUR

    def assumptions(self) -> Iterator[str]:
        """Yields what all this rests on, a sentence each."""
        if self.model is None:
            yield f"The size of {self.backbone} is not known here: give --tokens-per-second."
        else:
            known = _known(self.saes.values())
            layers = "" if known is None else _layers(self.model, known)
            yield (
                f"{self.backbone} has {self.model.parameters / 1e9:.2f} · 10⁹ weights in "
                f"{self.model.layers} blocks{layers}."
            )
        for name, sae in self.saes.items():
            called = f"SAE {name!r}" if len(self.saes) > 1 else "The SAE"
            if sae is None:
                yield f"{called} is of a size not known here, so the disk that firings take is not."
            else:
                yield (
                    f"{called} has {sae.features:,} features, {sae.firings:g} of which fire "
                    f"on a token ({sae.said_by}); a firing takes {BYTES_PER_FIRING} bytes on disk."
                )
        yield (
            f"A word is {TOKENS_PER_WORD} tokens. GPU hours are those of one {self.gpu.told}, by "
            "arithmetic and not measured: " + "; ".join(self._speeds()) + "."
        )

    def _speeds(self) -> Iterator[str]:
        if self.reading is not None:
            how = "as given" if self.stated[0] else f"2 FLOP a weight at {READING_SHARE:.0%} of it"
            yield f"the whole model reads {self.reading:,.0f} tokens a second ({how})"
        if self.generating is not None:
            how = (
                "as given"
                if self.stated[1]
                else f"{self.batch_rows} texts at a time, all weights read for each step at "
                f"{GENERATING_SHARE:.0%} of the bandwidth"
            )
            yield f"it generates {self.generating:,.0f} a second ({how})"


def resources(
    plan: Plan,
    *,
    gpu: str | None = None,
    tokens_per_second: float | None = None,
    generated_per_second: float | None = None,
) -> Resources | None:
    """Reckons what the features of a planned suite take.

    On a corpus whose fits read features one forward pass serves all SAEs that may go together, as
    a run has it; an SAE for which texts are cut otherwise takes a pass of its own.

    Args:
        plan: the plan.
        gpu: one of :data:`GPUS`; by default the smallest that holds one and a half times the
            weights.
        tokens_per_second: what the whole model reads; by default 2 FLOP for each weight, at
            :data:`READING_SHARE` of the GPU's arithmetic.
        generated_per_second: what it generates, all rows of a batch together; by default by its
            memory's bandwidth.

    Returns:
        None for features that are not read from a model of the hub, or of a folder: those that ship
        are small, and run on a processor.

    Raises:
        UnknownNameError: there is no such GPU.
    """
    if gpu is not None and gpu not in GPUS:
        raise UnknownNameError("GPU", gpu, GPUS)
    features = plan.suite.features
    source = source_of(features, offline=True)
    read = _passes_by_corpus(plan, source) if isinstance(source, ModelFeatures) else {}
    if not isinstance(source, ModelFeatures) or not read:
        return None
    model = model_shape(source.model_name)
    used = {name for passes in read.values() for names in passes for name in names}
    saes = {name: sae_shape(given) for name, given in source.given.items() if name in used}
    weight_bytes = _HALF if source.dtype in ("bfloat16", "float16") else _SINGLE
    weights = 0 if model is None else model.parameters * weight_bytes
    chosen = GPUS[gpu] if gpu else _holding(1.5 * weights)
    rows = 64 if plan.suite.steering is None else plan.suite.steering.batch_rows
    reading, generating = tokens_per_second, generated_per_second
    if model is not None:
        peak = chosen.tflops * 1e12 * READING_SHARE
        reading = reading or peak / (2 * model.parameters)
        step = weights / (chosen.bandwidth * 1e9 * GENERATING_SHARE)
        generating = generating or rows / step
    return Resources(
        features.source, source.model_name, model, saes, chosen, reading, generating, weight_bytes,
        rows,
        tuple(
            _extent(
                plan.corpora[name], features.max_tokens, model, reading,
                [[saes[sae] for sae in names] for names in passes],
            )
            for name, passes in read.items()
        ),
        (tokens_per_second is not None, generated_per_second is not None),
    )  # fmt: skip


def tokens_of(corpus: Corpus, max_tokens: int | None) -> int:
    """Returns the tokens of a corpus, about; of one that is not here at most, by its mean."""
    if missing_note(corpus) is not None:
        # All documents are as long as the mean: what is cut from long ones is not seen.
        return len(corpus) * _cut(len(corpus.texts[0].split()), max_tokens)
    return sum(_cut(len(text.split()), max_tokens) for text in corpus.texts)


def _cut(words: int, max_tokens: int | None) -> int:
    tokens = round(words * TOKENS_PER_WORD)
    return tokens if max_tokens is None else min(tokens, max_tokens)


def _passes_by_corpus(plan: Plan, source: ModelFeatures) -> dict[str, list[list[str]]]:
    """Returns the SAEs of each forward pass over the corpora whose fits read features."""
    found = {}
    for name in plan.corpora:
        settings = {fit.setting for fit in plan.fits if fit.corpus == name and fit.setting}
        asked = set(map(source.sae_of, settings))
        passes = [names for names in source.passes() if asked & set(names)]
        if passes:
            found[name] = passes
    return found


def _extent(
    corpus: Corpus,
    max_tokens: int | None,
    model: ModelShape | None,
    reading: float | None,
    passes: Sequence[Sequence[SAEShape | None]],
) -> CorpusExtent:
    once = tokens_of(corpus, max_tokens)
    # Of a model whose depth is not known, or the SAE's, all layers are read at most.
    read = once * sum(
        1.0 if model is None or (known := _known(saes)) is None else _share_read(model, known)
        for saes in passes
    )
    hours = None if reading is None else read / reading / _HOUR
    known = _known([sae for saes in passes for sae in saes])
    disk = None
    if known is not None:
        disk = once * sum(sae.firings for sae in known) * BYTES_PER_FIRING
    return CorpusExtent(corpus.name, len(corpus), once * len(passes), hours, disk)


def _share_read(model: ModelShape, saes: Sequence[SAEShape]) -> float:
    """The arithmetic of a token up to the SAEs, with theirs, as a share of the whole model's."""
    used = _depth(saes) * model.block + model.hidden * sum(sae.features for sae in saes)
    return used / model.parameters


def _depth(saes: Sequence[SAEShape]) -> int:
    return max(sae.layer for sae in saes) + 1


def _layers(model: ModelShape, saes: Sequence[SAEShape]) -> str:
    return (
        f", of which features need the first {_depth(saes)}: with the "
        f"SAE{'s' * (len(saes) > 1)} {_share_read(model, saes):.0%} of the arithmetic of a token"
    )


def _known(saes: Iterable[SAEShape | None]) -> list[SAEShape] | None:
    """Returns all of them, or None where one is not known."""
    held = list(saes)
    known = [sae for sae in held if sae is not None]
    return known if len(known) == len(held) else None


def _holding(size: float) -> GPU:
    return next((gpu for gpu in GPUS.values() if gpu.memory * 1e9 >= size), [*GPUS.values()][-1])


def _sum(parts: Sequence[float | None]) -> float | None:
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None
