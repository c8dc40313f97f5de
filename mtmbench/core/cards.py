"""The TOML files that users write: suites, model cards, judge cards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    field_validator,
    model_validator,
)

from mtmbench.core.errors import InputError
from mtmbench.core.names import check_name
from mtmbench.core.specs import (
    BY_CORPUS,
    Card,
    CorpusSpec,
    EmbeddingsSpec,
    FeatureSpec,
    JudgingSpec,
    KSpecs,
    Part,
    Seed,
    SteeringSpec,
    WordSpec,
    capped,
    each_once,
    is_capped,
)
from mtmbench.core.tuning import Search, TunedFacts, TuningSpec

_T = TypeVar("_T")


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
    those of a model in place of ``seeds``. ``orders`` says in how many orders of the documents
    ``stability_order`` compares fits of a model's first seed, the corpus's own order among them; no
    other metric reads those fits, and without it there are none. ``params`` sets
    parameters of models, and ``params_per_corpus`` those on one corpus, over the former and over
    the model's card; ``metric_params`` those of metrics, such as the judge card of a metric that a
    judge answers. Models and corpora are called what they are called on the board.
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
    orders: int = Field(default=1, ge=1)
    metrics: Annotated[tuple[str, ...], AfterValidator(each_once)] = ()
    metric_params: Mapping[str, Mapping[str, object]] = Field(default_factory=dict)
    params: Mapping[str, Mapping[str, object]] = Field(default_factory=dict)
    params_per_corpus: Mapping[str, Mapping[str, Mapping[str, object]]] = Field(
        default_factory=dict
    )
    words: WordSpec = WordSpec()
    embeddings: EmbeddingsSpec = EmbeddingsSpec()
    features: FeatureSpec = FeatureSpec()
    judging: JudgingSpec | None = None
    steering: SteeringSpec | None = None
    tuning: TuningSpec | None = None

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

    def limited(self, n_documents: int) -> Suite:
        """Returns the suite on a sample of at most so many documents of each corpus.

        Its name and title say so: it has a folder of its own, and no board of it passes for a
        whole one's. The sample is that of the corpus's ``max_documents`` and ``sample_seed``.
        """
        corpora = tuple(
            spec.model_copy(
                update={"max_documents": min(n_documents, spec.max_documents or n_documents)}
            )
            for spec in self.corpora
        )
        limit = f"limited to {n_documents:,} documents a corpus"
        return self.model_copy(
            update={
                "name": f"{self.name}-limit-{n_documents}",
                "title": f"{self.title or self.name}, {limit}",
                "corpora": corpora,
            }
        )

    def of_what_is_left(self, whole: Suite) -> Suite:
        """Returns the suite without what it says of what only ``whole`` plays.

        That is of models, corpora and metrics.
        """
        models = _names_gone(whole.all_models, self.all_models)
        corpora = _names_gone(*([spec.called for spec in suite.corpora] for suite in (whole, self)))
        params = {
            corpus: _without(told, models)
            for corpus, told in _without(self.params_per_corpus, corpora).items()
        }
        tuning = self._tuning_left(models)
        tuned_by = set() if tuning is None else {tuning.metric}
        metrics = _names_gone(whole.metrics, self.metrics) - tuned_by
        features = self.features.model_copy(
            update={"settings_per_corpus": _without(self.features.settings_per_corpus, corpora)}
        )
        return self.model_copy(
            update={
                "models_per_corpus": _without(self.models_per_corpus, corpora),
                "k_per_corpus": _without(self.k_per_corpus, corpora),
                "seeds_per_model": _without(self.seeds_per_model, models),
                "metric_params": _without(self.metric_params, metrics),
                "params": _without(self.params, models),
                "params_per_corpus": params,
                "features": features,
                "steering": self._steering_left(models, corpora),
                "tuning": tuning,
                # Models that are left are scored on the documents of the whole suite's board.
                "corpora": (self.on_part("scored") if tuning is None else self).corpora,
            }
        )

    def _tuning_left(self, models: set[str]) -> TuningSpec | None:
        """Returns the tuning of models that are left; None if all that it names are gone."""
        spec = self.tuning
        if spec is None or not spec.models:
            return spec
        left = tuple(name for name in spec.models if name not in models)
        return spec.model_copy(update={"models": left}) if left else None

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

    @property
    def tunes_first(self) -> bool:
        """Whether models are tuned before the suite is played: on corpora that name no part."""
        return self.tuning is not None and any(spec.part is None for spec in self.corpora)

    def check_tuned(self) -> None:
        """Raises :class:`InputError` where models are yet to be tuned, and fits are not final."""
        if self.tunes_first:
            raise InputError(
                f"suite {self.name!r} tunes models before it is played: mtmbench run, or "
                "mtmbench.tuning.suite.tune_suite, whose suite, the suite.toml of the run's "
                "folder, is then taken here"
            )

    def on_part(self, part: Part) -> Suite:
        """Returns the suite on one part of each corpus, split as ``tuning`` says.

        A corpus whose ``part`` is said keeps it: its models are not tuned.
        """
        if self.tuning is None:
            return self
        split = {
            "part": part,
            "tuning_share": self.tuning.share,
            "tuning_seed": self.tuning.split_seed,
        }
        corpora = tuple(
            spec.model_copy(update=split) if spec.part is None else spec for spec in self.corpora
        )
        return self.model_copy(update={"corpora": corpora})

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
    """A model preset in ``baselines/NAME.toml``.

    ``search`` says what tuning may set, ``tuned`` how the parameters were found; neither enters a
    key.
    """

    model: str
    description: str = ""
    reference: str = ""
    params: Mapping[str, object] = Field(default_factory=dict)
    search: Mapping[str, Search] = Field(default_factory=dict)
    corpus: Mapping[str, Mapping[str, object]] = Field(default_factory=dict)
    tuned: TunedFacts | None = None

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
