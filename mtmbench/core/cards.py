"""The TOML files that users write: suites, model cards, judge cards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from mtmbench.core.errors import InputError
from mtmbench.core.files import read_word_list
from mtmbench.core.languages import language_named
from mtmbench.core.names import check_name

_T = TypeVar("_T")

Representation = Literal["items", "projected", "summary"]
"""How topics are shown: by their top items, by the words of their documents, by a summary."""
Seed = Annotated[int, Field(ge=0)]
KSpec = Annotated[int, Field(ge=1, le=1_000_000)] | Literal["labels"]
"""A number of topics, or ``"labels"``: the number of gold labels, at least 20."""


def _each_once(names: tuple[_T, ...]) -> tuple[_T, ...]:
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


class CorpusSpec(Card):
    """One corpus of a suite; a bare string in the file is ``{name = …}``.

    ``name`` is a registered corpus, a file, a folder or a hub id; the columns are for the latter
    three. ``max_documents`` takes a seeded sample.
    """

    name: str
    text: str | None = None
    label: str | None = None
    id: str | None = None
    split: str | None = None
    subset: str | None = None
    max_documents: int | None = Field(default=None, ge=1)
    sample_seed: Seed = 0

    @property
    def called(self) -> str:
        """What a registered corpus is called on the board; of others the path or hub id."""
        registered = "/" not in self.name
        return f"{self.name}-{self.subset}" if registered and self.subset else self.name


class WordSpec(Card):
    """The one word tokenisation of a suite.

    ``stop_words`` says whether scikit-learn's English ones are left out; or it is a list of words,
    a file of them (one a line, or a JSON list), which is read at once, or the name of a language,
    whose words are those of the extra ``languages``. A list, a file or another language than
    English is left out of texts that were tokenised before, too.
    """

    min_df: int = Field(default=2, ge=1)
    max_df: float = Field(default=0.5, gt=0, le=1)
    stop_words: Annotated[bool | tuple[str, ...] | str, BeforeValidator(_as_stop_words)] = True
    max_vocabulary: int | None = Field(default=None, ge=1)


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
    representations: Annotated[tuple[Representation, ...], AfterValidator(_each_once)] = ("items",)
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


def _as_corpus(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


def shown_name(model: str) -> str:
    """Returns the name under which a model of a suite plays: its own, or that of its card."""
    return Path(model).stem if model.endswith(".toml") else model


class Suite(Card):
    """A suite file: what is played. One cell per corpus, K, model, feature setting and seed.

    ``k`` may be a table by corpus, ``{agnews = 50, default = 100}``: what it says of corpora is
    ``k_per_corpus``, and ``k`` what holds for all others. With ``documents_per_topic`` no corpus
    has more topics than its documents divided by that, but two.

    ``models_per_corpus`` are played on a corpus in place of ``models``, ``seeds_per_model`` are
    those of a model in place of ``seeds``. ``params`` sets parameters of models, and
    ``params_per_corpus`` those on one corpus, over the former and over the model's card;
    ``metric_params`` those of metrics, such as the judge card of a metric that a judge answers.
    Models and corpora are called what they are called on the board.
    """

    name: str
    title: str = ""
    description: str = ""
    corpora: tuple[Annotated[CorpusSpec, BeforeValidator(_as_corpus)], ...] = Field(min_length=1)
    models: tuple[str, ...] = Field(min_length=1)
    models_per_corpus: Mapping[str, Annotated[tuple[str, ...], Field(min_length=1)]] = Field(
        default_factory=dict
    )
    k: KSpecs = (20,)
    k_per_corpus: Mapping[str, Annotated[KSpecs, Field(min_length=1)]] = Field(default_factory=dict)
    documents_per_topic: int | None = Field(default=None, ge=1)
    seeds: tuple[Seed, ...] = Field(default=(0,), min_length=1)
    seeds_per_model: Mapping[str, tuple[Seed, ...]] = Field(default_factory=dict)
    metrics: Annotated[tuple[str, ...], AfterValidator(_each_once)] = ()
    metric_params: Mapping[str, Mapping[str, object]] = Field(default_factory=dict)
    params: Mapping[str, Mapping[str, object]] = Field(default_factory=dict)
    params_per_corpus: Mapping[str, Mapping[str, Mapping[str, object]]] = Field(
        default_factory=dict
    )
    words: WordSpec = WordSpec()
    features: FeatureSpec = FeatureSpec()
    judging: JudgingSpec | None = None
    steering: SteeringSpec | None = None

    @field_validator("name")
    @classmethod
    def _names_a_folder(cls, name: str) -> str:
        return check_name(name, "a suite")

    @model_validator(mode="before")
    @classmethod
    def _k_by_corpus(cls, data: object) -> object:
        if not isinstance(data, Mapping) or not isinstance(table := data.get("k"), Mapping):
            return data
        if data.get("k_per_corpus"):
            raise ValueError("k is a table by corpus, and k_per_corpus another; give one of them")
        by_corpus = {name: asked for name, asked in table.items() if name != "default"}
        return {**data, "k": table.get("default", ()), "k_per_corpus": by_corpus}

    @model_validator(mode="after")
    def _has_k(self) -> Suite:
        if not self.k and not self.k_per_corpus:
            raise ValueError("k: at least 1 item is needed, a number of topics or 'labels'")
        return self

    def k_of(self, corpus: str) -> tuple[int | Literal["labels"], ...]:
        """Returns the numbers of topics asked for on ``corpus``, before any is capped."""
        return self.k_per_corpus.get(corpus, self.k)

    def pooled_ks(self, k_specs: Iterable[int | str]) -> dict[int | str, int | str]:
        """Returns what ratings over several corpora call K, by what it is on one of them.

        Where each corpus has one K of its own, that is :data:`BY_CORPUS`; where a cap holds for
        some, what it is capped from. What no corpus has otherwise stays as it is.

        Args:
            k_specs: all that were played, on any corpus.
        """
        pooled = {k_spec: self._pooled_k(k_spec) for k_spec in k_specs}
        alike = Counter(pooled.values())
        return {own: name if alike[name] > 1 else own for own, name in pooled.items()}

    def _pooled_k(self, k_spec: int | str) -> int | str:
        asked = [*self.k_per_corpus.values(), *([self.k] if self.k else [])]
        if (self.k_per_corpus or self.documents_per_topic) and all(len(ks) == 1 for ks in asked):
            return BY_CORPUS
        if self.documents_per_topic and not is_capped(k_spec):
            return capped(k_spec, self.documents_per_topic)
        return k_spec

    def models_of(self, corpus: str) -> tuple[str, ...]:
        """Returns what is played on ``corpus``."""
        return self.models_per_corpus.get(corpus, self.models)

    @property
    def all_models(self) -> tuple[str, ...]:
        """What is played on any corpus, each once."""
        more = [name for names in self.models_per_corpus.values() for name in names]
        return tuple(dict.fromkeys([*self.models, *more]))

    def of_what_is_left(self, whole: Suite) -> Suite:
        """Returns the suite without what it says of models and corpora that only ``whole`` has."""
        models = _names_gone(whole.all_models, self.all_models)
        corpora = _names_gone(*([spec.called for spec in suite.corpora] for suite in (whole, self)))
        params = {
            corpus: _without(told, models)
            for corpus, told in _without(self.params_per_corpus, corpora).items()
        }
        features = self.features.model_copy(
            update={"settings_per_corpus": _without(self.features.settings_per_corpus, corpora)}
        )
        return self.model_copy(
            update={
                "models_per_corpus": _without(self.models_per_corpus, corpora),
                "k_per_corpus": _without(self.k_per_corpus, corpora),
                "seeds_per_model": _without(self.seeds_per_model, models),
                "params": _without(self.params, models),
                "params_per_corpus": params,
                "features": features,
                "steering": self._steering_left(models, corpora),
            }
        )

    def _steering_left(self, models: set[str], corpora: set[str]) -> SteeringSpec | None:
        """Returns the steering by models and of corpora that are left; None if all are gone."""
        spec = self.steering
        if spec is None:
            return None
        # With features of their own, models that steer need not be played.
        steer = spec.models if spec.features else tuple(m for m in spec.models if m not in models)
        on = tuple(name for name in spec.corpora if name not in corpora)
        if (spec.models and not steer) or (spec.corpora and not on):
            return None
        return spec.model_copy(update={"models": steer, "corpora": on})

    def seeds_of(self, model: str) -> tuple[int, ...]:
        """Returns the seeds under which ``model`` is fitted."""
        return self.seeds_per_model.get(model, self.seeds)

    def params_of(self, model: str, corpus: str) -> dict[str, object]:
        """Returns the parameters that the suite sets of ``model`` on ``corpus``."""
        here = self.params_per_corpus.get(corpus, {})
        return {**self.params.get(model, {}), **here.get(model, {})}


def _names_gone(before: Sequence[str], after: Sequence[str]) -> set[str]:
    """Returns names of ``before`` that are none of ``after``; a path goes by its last part."""
    named = [{*names, *(Path(name).stem for name in names)} for names in (before, after)]
    return named[0] - named[1]


def _without(table: Mapping[str, _T], names: set[str]) -> dict[str, _T]:
    return {name: value for name, value in table.items() if name not in names}


class ModelCard(Card):
    """A model preset in ``baselines/NAME.toml``."""

    model: str
    description: str = ""
    reference: str = ""
    params: Mapping[str, object] = Field(default_factory=dict)
    search: Mapping[str, tuple[object, ...]] = Field(default_factory=dict)
    corpus: Mapping[str, Mapping[str, object]] = Field(default_factory=dict)

    def params_for(self, corpus: str) -> dict[str, object]:
        """Returns the parameters on ``corpus``: the card's, then its overrides for that corpus."""
        return {**self.params, **self.corpus.get(corpus, {})}


class EndpointSpec(Card):
    """Where a chat model is asked.

    ``api_key_env`` names an environment variable; the key itself stands nowhere else. With
    ``structured`` verdicts are asked for by a JSON schema, for endpoints that take one.
    ``insecure`` lets the key go unencrypted, by ``http://``, to another machine than this one.
    """

    base_url: str
    api_key_env: str | None = None
    structured: bool = False
    insecure: bool = False


class PriceSpec(Card):
    """What a million tokens costs, in the user's currency; without ``cached`` it is ``input``.

    ``batch`` is the share of these prices that the Batch API takes. ``as_of`` is the day on which
    ``source`` said so.
    """

    input: float = Field(ge=0)
    output: float = Field(ge=0)
    cached: float | None = Field(default=None, ge=0)
    batch: float = Field(default=1.0, gt=0, le=1)
    as_of: date | None = None
    source: str = ""


class LimitSpec(Card):
    """How fast an endpoint may be asked, how often again, and how long it may take, in seconds.

    ``timeout`` is for a reply as a whole, to its last byte; a file of a batch, which holds
    thousands of them, may take ten times as long.
    """

    requests_per_minute: int | None = Field(default=None, ge=1)
    tokens_per_minute: int | None = Field(default=None, ge=1)
    concurrency: int = Field(default=8, ge=1)
    retries: int = Field(default=6, ge=0)
    timeout: float = Field(default=120.0, gt=0)


class JudgeCard(Card):
    """A judge in ``judges/NAME.toml``: a client, its parameters, and where it is asked.

    ``revision`` pins what must answer: the model or system fingerprint that answers are said to
    come from.
    """

    client: str
    description: str = ""
    prompt: str = "match"
    params: Mapping[str, object] = Field(default_factory=dict)
    decoding: Mapping[str, object] = Field(default_factory=dict)
    model: str | None = None
    revision: str | None = None
    endpoint: EndpointSpec | None = None
    prices: PriceSpec | None = None
    limits: LimitSpec = LimitSpec()

    def asked(self) -> dict[str, object]:
        """Returns who is asked where, as far as an answer can depend on it; empty if not given."""
        found: dict[str, object] = {"model": self.model, "revision": self.revision}
        if self.endpoint is not None:
            found["endpoint"] = self.endpoint.base_url
            found["structured"] = self.endpoint.structured
        return {name: value for name, value in found.items() if value is not None}

    def identity(self) -> dict[str, object]:
        """Returns all that tells matches of one card from another's; no prices, limits or keys."""
        told = {"client", "description", "prompt", "params", "decoding"}
        return {**self.model_dump(include=told), **self.asked()}
