"""The parts of a suite file: corpora, words, features, judging, steering."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from mtmbench.core.errors import InputError
from mtmbench.core.files import read_word_list
from mtmbench.core.languages import language_named

_T = TypeVar("_T")

Representation = Literal["items", "projected", "summary"]
"""How topics are shown: by their top items, by the words of their documents, by a summary."""
Part = Literal["tuning", "scored"]
"""Documents on which models are tuned, or those that boards score."""
Seed = Annotated[int, Field(ge=0)]
KSpec = Annotated[int, Field(ge=1, le=1_000_000)] | Literal["labels"]
"""A number of topics, or ``"labels"``: the number of gold labels, at least 20."""


def each_once(names: tuple[_T, ...]) -> tuple[_T, ...]:
    """Returns ``names`` without those that come again."""
    return tuple(dict.fromkeys(names))


def _as_list(value: object) -> object:
    return (value,) if isinstance(value, int | str) else value


BY_CORPUS = "by corpus"
"""What stands for K where corpora are pooled that have a K each."""


def capped(k_spec: int | str, documents_per_topic: int) -> str:
    """Returns what is on record of a K that is less than ``k_spec`` for want of documents."""
    return f"min({k_spec}, documents / {documents_per_topic})"


def is_capped(k_spec: int | str) -> bool:
    """Whether that is what :func:`capped` says."""
    return isinstance(k_spec, str) and k_spec.startswith("min(")


KSpecs = Annotated[tuple[KSpec, ...], BeforeValidator(_as_list)]
"""Several of these; one alone stands for itself."""


class Card(BaseModel):
    """Base of every card: unknown fields are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _as_stop_words(value: object) -> object:
    """Reads a file of stop words; English by its name is the English list."""
    if not isinstance(value, str):
        return value
    path = Path(value).expanduser()
    try:
        if path.is_file():
            return read_word_list(path)
    except OSError as error:  # a name that is too long, for one
        raise InputError(
            f"stop_words {value!r:.60} is no file ({error.strerror}), and no language; several "
            "words are a list"
        ) from error
    if path.suffix or len(path.parts) > 1:
        raise InputError(f"there is no file {value}")
    language = language_named(value)
    return True if language == "english" else language


_OF_PARTS = ("tuning_share", "tuning_seed")


class CorpusSpec(Card):
    """One corpus of a suite; a bare string in the file is ``{name = …}``.

    ``name`` is a registered corpus, a file, a folder or a hub id; the columns are for the latter
    three. ``max_documents`` takes a seeded sample.

    ``part`` takes the documents on which models are tuned, "tuning", or the others, "scored": a
    document is in the former by the hash of its id and ``tuning_seed``, with probability
    ``tuning_share``. The sample is of the part.
    """

    name: str
    text: str | None = None
    label: str | None = None
    id: str | None = None
    split: str | None = None
    subset: str | None = None
    max_documents: int | None = Field(default=None, ge=1)
    sample_seed: Seed = 0
    part: Part | None = None
    tuning_share: float = Field(default=0.5, gt=0, lt=1)
    tuning_seed: Seed = 0

    @model_validator(mode="after")
    def _has_a_part(self) -> CorpusSpec:
        fields = type(self).model_fields
        told = [name for name in _OF_PARTS if getattr(self, name) != fields[name].default]
        if self.part is None and told:
            raise ValueError(f"{told[0]} goes with part = 'tuning' or 'scored'")
        return self

    @model_serializer(mode="wrap")
    def _without_parts(self, dump: SerializerFunctionWrapHandler) -> dict[str, object]:
        """What says nothing is not written, as it is in suites that tune nothing."""
        told: dict[str, object] = dump(self)
        return told if self.part else {k: v for k, v in told.items() if k not in _OF_PARTS}

    @property
    def called(self) -> str:
        """What a registered corpus is called on the board; of others the path or hub id."""
        registered = "/" not in self.name
        return f"{self.name}-{self.subset}" if registered and self.subset else self.name


DEFAULT_TOKENISER = "unicode"


class WordSpec(Card):
    """The one word tokenisation of a suite.

    ``language`` is the texts', by name or ISO code. It says whose stop words are left out and
    whether English contractions are undone; without it the language is English.

    ``stop_words`` says whether those of the language are left out: scikit-learn's of English, of
    others those of the extra ``languages``. A list of words, or a file of them (one a line, or a
    JSON list), which is read at once, takes their place. The name of a language says both. A list,
    a file or another language than English is left out of texts that were tokenised before, too.

    ``tokeniser`` names what cuts texts into words (:mod:`mtmbench.features.tokenisers`).
    """

    min_df: int = Field(default=2, ge=1)
    max_df: float = Field(default=0.5, gt=0, le=1)
    stop_words: bool | tuple[str, ...] | str = True
    max_vocabulary: int | None = Field(default=None, ge=1)
    language: str = "english"
    tokeniser: str = DEFAULT_TOKENISER

    @model_validator(mode="before")
    @classmethod
    def _say_the_language_once(cls, data: object) -> object:
        """Has ``stop_words`` name the list of ``language``, however the two were given."""
        if not isinstance(data, Mapping):
            return data
        given, language = data.get("stop_words", True), data.get("language")
        stop_words = _as_stop_words(given)
        named = _language_of(stop_words)
        if not isinstance(language, str | None):
            return data
        if language is None:
            return {**data, "stop_words": stop_words, "language": named}
        language = language_named(language)
        if isinstance(given, str) and isinstance(stop_words, str | bool) and named != language:
            raise ValueError(
                f"stop_words are those of {named}, and language is {language}; say language alone"
            )
        if stop_words is True and language != named:
            stop_words = language
        return {**data, "stop_words": stop_words, "language": language}

    @model_serializer(mode="wrap")
    def _without_defaults(self, dump: SerializerFunctionWrapHandler) -> dict[str, object]:
        """What says nothing is not written, so that keys are those of suites without it."""
        told: dict[str, object] = dump(self)
        if self.language == _language_of(self.stop_words):
            told.pop("language", None)
        if self.tokeniser == DEFAULT_TOKENISER:
            told.pop("tokeniser", None)
        return told


def _language_of(stop_words: object) -> str:
    """Returns the language that stop words say, which is English unless they name another."""
    return stop_words if isinstance(stop_words, str) else "english"


DEFAULT_WORDS = WordSpec()

LabelChoice = Literal["auto", "corpus", "shipped"]
"""What features are called; see :class:`FeatureSpec`."""


class FeatureSpec(Card):
    """Where SAE features come from, under which settings, cut to how many tokens a document.

    ``settings_per_corpus`` are those of a corpus in place of ``settings``.

    ``labels`` says what features are called where topics are shown: by "corpus", the words at which
    they fire in the corpus that is played, cross-fitted over halves of its documents; or as the SAE
    came, "shipped", which a judge or Neuronpedia may have labelled. With "auto" it is the labels
    that a judge scored where the SAE has such, else the corpus's. Fits and filters do not depend on
    it.
    """

    source: str = "minilm"
    settings: tuple[str, ...] = ("default",)
    settings_per_corpus: Mapping[str, Annotated[tuple[str, ...], Field(min_length=1)]] = Field(
        default_factory=dict
    )
    labels: LabelChoice = "auto"
    max_tokens: int | None = Field(default=None, ge=8)
    params: Mapping[str, Any] = Field(default_factory=dict)

    def settings_of(self, corpus: str) -> tuple[str, ...]:
        """Returns the settings under which features of ``corpus`` are read."""
        return self.settings_per_corpus.get(corpus, self.settings)

    @property
    def all_settings(self) -> tuple[str, ...]:
        """The settings of all corpora, each once."""
        more = [name for names in self.settings_per_corpus.values() for name in names]
        return tuple(dict.fromkeys([*self.settings, *more]))


DEFAULT_ENCODER = "all-MiniLM-L6-v2"


class EmbeddingsSpec(Card):
    """What embeds documents for models and metrics that read embeddings.

    ``encoder`` is all-MiniLM-L6-v2, or a folder in sentence-transformers' own format, or a hub id.
    """

    encoder: str = DEFAULT_ENCODER


class RefineSpec(Card):
    """How topics are refined: the refiner sees ``show`` items and drops at most ``drop``."""

    show: int = Field(ge=2)
    drop: int = Field(default=2, ge=1)

    @model_validator(mode="after")
    def _leaves_one(self) -> RefineSpec:
        if self.drop >= self.show:
            raise ValueError(
                f"drop is {self.drop} and show {self.show}: a topic must keep an item, so drop is "
                f"at most {self.show - 1}"
            )
        return self


class JudgingSpec(Card):
    """The matches of a suite.

    ``nulls`` plays null controls beside them, on ``null_documents`` of the sampled documents.
    ``ties`` says how they are rated. ``lengths`` records how long the descriptions shown were, and
    puts ratings at equal lengths beside the raw ones. Under the "adaptive" ``schedule`` pairs play
    only as many of the documents as it takes to separate each model from the next, or to know their
    difference to within ``resolution`` Elo.

    ``seeds`` says which fits meet: those of each model's "first" seed, or "all", the fits of the
    first seeds among themselves, those of the second ones, and so on, or a number: as many of
    these. Ratings are those of the first; how far they move with the seed stands beside them.

    ``representations`` are the ways in which topics are shown, each with leagues of its own:
    "items", a topic's ``top_items`` strongest; "projected", as many of the words that its documents
    use, so that models over words and over features are shown alike; "summary".

    ``summariser`` names the judge card that writes the summaries of representation "summary"; it
    must be another model than the judges' unless ``same_summariser`` is set. The card "extractive"
    takes them from documents without a language model; the documents judged are then others.
    ``refiner`` names one that drops up to two odd items among the top ones of every topic, for all
    models alike; projected words and what is taken from documents are no items and stay whole.
    With ``refine`` it is shown that many of a topic's strongest items and drops at most so many of
    them, and the topic is shown by the ``top_items`` strongest of those left; without, it is shown
    ``top_items``, and what it drops is not filled up.
    """

    judges: tuple[str, ...] = ("embedding",)
    documents: int = Field(default=100, ge=2)
    representations: Annotated[tuple[Representation, ...], AfterValidator(each_once)] = ("items",)
    summariser: str | None = None
    same_summariser: bool = False
    refiner: str | None = None
    refine: RefineSpec | None = None
    max_topics: int = Field(default=2, ge=1)
    share: float = Field(default=0.75, gt=0, le=1)
    top_items: int = Field(default=10, ge=1)
    seed: Seed = 0
    bootstrap: int = Field(default=1000, ge=100)
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    nulls: bool = False
    null_documents: int = Field(default=50, ge=10)
    seeds: Literal["first", "all"] | Annotated[int, Field(ge=1)] = "first"
    ties: Literal["half", "davidson"] = "half"
    lengths: bool = False
    schedule: Literal["uniform", "adaptive"] = "uniform"
    resolution: float = Field(default=30.0, gt=0)

    @model_validator(mode="after")
    def _refines_what_is_shown(self) -> JudgingSpec:
        if self.refine is None:
            return self
        if self.refiner is None:
            raise ValueError("refine says how a refiner refines; name one: refiner = 'CARD'")
        if self.refine.show < self.top_items:
            raise ValueError(
                f"refine.show is {self.refine.show} and top_items {self.top_items}: the refiner is "
                f"shown what a topic may be shown by, so show is at least {self.top_items}"
            )
        return self

    @model_validator(mode="after")
    def _adaptive_goes_alone(self) -> JudgingSpec:
        if self.schedule == "adaptive" and (self.ties != "half" or self.lengths):
            raise ValueError(
                "schedule = 'adaptive' rates mean scores of pairs: it goes with ties = 'half' and "
                "without lengths"
            )
        if self.schedule == "adaptive" and self.seeds not in ("first", 1):
            raise ValueError("schedule = 'adaptive' plays the first seeds alone: seeds = 'first'")
        return self


class SteeringSpec(Card):
    """The steering of a suite: topics of largest share, λ grid, text, judges, controls.

    ``models`` are those whose topics steer, all over features if empty, and ``corpora`` those that
    they are of, all if empty. With ``features`` of its own the models are fitted for steering
    alone, which a suite needs whose features are no causal language model's. ``lambdas`` are in
    ``unit``; ``prompts`` is a file, the built-in neutral set if not given; ``drawn`` directions are
    drawn of each control that has several, and controls' λ are calibrated on ``pilot_prompts``
    prompts. ``direction`` says by which formula a topic is one: "topic_raw", the published one, or
    "topic", with weights less their mean over topics; the other formula is a control. With
    ``weights`` "frequencies" a topic's direction is made of how often features occur in its
    documents, in place of the model's β. ``describe`` says what stands for a topic before judges
    and in the prompt that names it: its items (its summary where it has one), or the words of its
    documents, which read better where features have poor labels. ``axbench`` names the judge card
    of a language model that gives AxBench's three scores.
    """

    models: tuple[str, ...] = ()
    corpora: tuple[str, ...] = ()
    features: FeatureSpec | None = None
    topics: int = Field(default=10, ge=1)
    lambdas: tuple[float, ...] = Field(default=(0.5, 1.0, 2.0), min_length=1)
    unit: Literal["absolute", "mean_norm", "p99"] = "p99"
    mode: Literal["project", "add"] = "project"
    direction: Literal["topic", "topic_raw"] = "topic_raw"
    weights: Literal["model", "frequencies"] = "model"
    positions: Literal["generated", "last", "all"] = "generated"
    prompts: Path | None = None
    n_prompts: int = Field(default=100, ge=2)
    pilot_prompts: int = Field(default=12, ge=1)
    samples: int = Field(default=1, ge=1)
    max_tokens: int = Field(default=40, ge=1)
    temperature: float = Field(default=1.0, ge=0)
    top_p: float = Field(default=0.95, gt=0, le=1)
    judges: tuple[str, ...] = Field(default=("embedding", "regression"), min_length=1)
    describe: Literal["items", "words"] = "items"
    axbench: str | None = None
    drawn: int = Field(default=10, ge=1)
    documents: int = Field(default=50, ge=1)
    document_tokens: int = Field(default=256, ge=2)
    reference_tokens: int = Field(default=10_000, ge=1)
    batch_rows: int = Field(default=64, ge=1)
    seed: Seed = 0
    note: str = ""
