"""What a suite will play: one cell per fit, metric value and match, each with its content key."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

from mtmbench.core.arrays import memory
from mtmbench.core.cards import Suite, shown_name
from mtmbench.core.cells import (
    Cell,
    FitCell,
    LabelCell,
    MatchCell,
    MetricCell,
    RewriteCell,
    labels_of,
)
from mtmbench.core.competitors import Competitor
from mtmbench.core.errors import InputError, UnknownNameError
from mtmbench.core.serialise import content_hash
from mtmbench.core.specs import DEFAULT_ENCODER, DEFAULT_WORDS, CorpusSpec, capped
from mtmbench.core.types import Corpus
from mtmbench.corpora.offline import offline as without_network
from mtmbench.engine.labels import label_cells
from mtmbench.engine.orders import reordered_cells
from mtmbench.features.encoders import encoder_identity, is_default
from mtmbench.features.registry import source_of
from mtmbench.features.sae.minilm import EMBEDDINGS_VERSION
from mtmbench.features.words import check_spaces, identity_of
from mtmbench.judges.registry import JUDGES, clients_of, load_judge_card, traits_of
from mtmbench.judges.topic_writer import writer_inputs
from mtmbench.matches.controls import refits_of
from mtmbench.matches.rewrites import representations_of, rewrite_cells
from mtmbench.matches.summaries import check_writers
from mtmbench.metrics.registry import METRICS
from mtmbench.models.registry import MODELS, load_model_card

if TYPE_CHECKING:
    from mtmbench.models.base import TopicModel

_THETA_BYTES = 8

_MIN_TOPICS_FOR_LABELS = 20
"""``k = "labels"`` means the number of gold labels, but at least this."""

_LEAST_TOPICS = 2
"""``documents_per_topic`` leaves so many."""


@dataclass(frozen=True)
class Plan:
    """Every cell of a suite, in the order in which they are played.

    ``reordered`` are fits whose documents came in another order: what compares orders reads them,
    and nothing else does.
    """

    suite: Suite
    corpora: Mapping[str, Corpus]
    fits: tuple[FitCell, ...]
    metrics: tuple[MetricCell, ...]
    matches: tuple[MatchCell, ...]
    data_dir: Path | None = None
    plugins: tuple[str, ...] = ()
    specs: Mapping[str, CorpusSpec] = field(default_factory=dict)
    rewrites: tuple[RewriteCell, ...] = ()
    labels: tuple[LabelCell, ...] = ()
    reordered: tuple[FitCell, ...] = ()

    @property
    def all_fits(self) -> tuple[FitCell, ...]:
        """The fits that compete, and those in other orders of the documents."""
        return self.fits + self.reordered

    def cells(self) -> Iterator[Cell]:
        """Yields every cell."""
        yield from self.all_fits
        yield from self.labels
        yield from self.metrics
        yield from self.rewrites
        yield from self.matches

    def keys(self) -> set[str]:
        """Returns the keys of every cell; a board shows these and no others."""
        return {cell.key for cell in self.cells()}


def make_plan(
    suite: Suite,
    *,
    data_dir: Path | None = None,
    plugins: Sequence[str] = (),
    offline: bool = False,
    loaded: Mapping[CorpusSpec, Corpus] | None = None,
) -> Plan:
    """Loads the corpora and lays out every cell; nothing is fitted, judged or extracted.

    Args:
        suite: what to play.
        data_dir: folder of local corpora; None reads ``MTMBENCH_DATA``.
        plugins: files or modules that register more models, metrics or judges.
        offline: lay the cells out without a network and without weights, to be counted: a corpus
            that is not here is one of its stated size (:mod:`mtmbench.corpora.stated`), and
            settings of features are told apart by how they were given. Such a plan cannot be
            played, and its keys are those of no records.
        loaded: corpora that need not be loaded again.

    With ``[tuning]`` that is the plan of what is played after it, on the documents that are left,
    and by the parameters that the suite gives by now.

    Raises:
        InputError: a corpus cannot be loaded, or has no spaces between words while something that
            is played needs them; the list of stop words cannot be had; or a tokeniser, model,
            metric or judge is unknown; the message names the nearest valid one.
    """
    # Encoders, too, are not fetched to be counted with.
    with without_network() if offline else nullcontext():
        return _make_plan(suite, data_dir, plugins, offline, loaded)


def _make_plan(
    suite: Suite,
    data_dir: Path | None,
    plugins: Sequence[str],
    offline: bool,
    loaded: Mapping[CorpusSpec, Corpus] | None,
) -> Plan:
    from mtmbench.core.plugins import load_plugins
    from mtmbench.corpora.load import load_spec
    from mtmbench.corpora.stated import StandIn, load_here
    from mtmbench.features.stop_words import stop_words_of
    from mtmbench.features.tokenisers import tokeniser_of

    load_plugins(plugins)
    suite = suite.on_part("scored")
    if isinstance(suite.words.stop_words, str):
        stop_words_of(suite.words.stop_words)
    tokeniser_of(suite.words)
    corpora: dict[str, Corpus] = {}
    specs: dict[str, CorpusSpec] = {}
    for spec in suite.corpora:
        load = load_here if offline else load_spec
        corpus = (loaded or {}).get(spec) or load(spec, data_dir)
        corpus = corpus.with_words(suite.words)
        if corpus.name in corpora:
            raise InputError(f"corpus {corpus.name!r} stands twice in suite {suite.name!r}")
        corpora[corpus.name], specs[corpus.name] = corpus, spec
    _check_names(suite, corpora)
    fits = _told_apart(
        cell for corpus in corpora.values() for cell in _fit_cells(suite, corpus, offline)
    )
    if suite.judging is not None:
        check_writers(judges_of_fits(fits), suite.judging)
    first: list[FitCell] = []
    later: list[FitCell] = []
    for name, k_spec in _leagues(fits):
        rounds = _by_seed(suite, fits, name, k_spec)
        first += rounds[0]
        later += [fit for fits_of_seed in rounds[1:] for fit in fits_of_seed]
    refits = [fit for fit in refits_of(suite.judging, first, fits) if fit not in later]
    labels = label_cells(suite, corpora, fits, offline=offline)
    rewrites = rewrite_cells(suite.judging, [*first, *later], refits, corpora, labels)
    reordered = reordered_cells(suite, fits)
    metrics = tuple(_metric_cells(suite, fits, reordered, labels))
    if _reads_words(suite, fits, metrics, rewrites):
        for corpus in corpora.values():
            if not isinstance(corpus, StandIn):
                check_spaces(corpus)
    return Plan(
        suite,
        corpora,
        tuple(fits),
        metrics,
        tuple(_match_cells(suite, corpora, fits, rewrites, labels)),
        data_dir,
        tuple(plugins),
        specs,
        tuple(rewrites),
        tuple(labels),
        tuple(reordered),
    )


def judges_of_metrics(cells: Sequence[MetricCell]) -> list[str]:
    """Returns the judge cards that metrics ask."""
    return sorted({str(name) for cell in cells if (name := cell.params.get("judge")) is not None})


def judges_of_fits(cells: Iterable[FitCell]) -> list[str]:
    """Returns the judge cards that models ask."""
    return sorted({str(c.params["judge"]) for c in cells if MODELS.get(c.registry).asks})


def asks_models(cells: Sequence[MetricCell]) -> bool:
    """Whether a language model answers any of these metrics."""
    return any(traits_of(load_judge_card(name))["is_llm"] for name in judges_of_metrics(cells))


def _reads_words(
    suite: Suite,
    fits: Sequence[FitCell],
    metrics: Sequence[MetricCell],
    rewrites: Sequence[RewriteCell],
) -> bool:
    """Whether a model, metric, judge or summariser of a suite needs the words of the documents.

    Those that topics are projected to are none of that: without them a fit's record says why, and
    so does a metric's value of them, where the metric has others.
    """
    from mtmbench.metrics.compute import reads_words

    judges = [] if suite.judging is None else map(load_judge_card, suite.judging.judges)
    has_other = {
        cell.metric
        for cell in metrics
        if not reads_words(cell.metric, cell.view, MODELS.get(cell.fit.registry).item_view)
    }
    return (
        any("words" in MODELS.get(fit.registry).needs for fit in fits)
        or any(cell.metric not in has_other for cell in metrics)
        or any(JUDGES.get(client).reads_words for client in clients_of(judges))
        or any(cell.extraction is not None for cell in rewrites)
        or (suite.judging is not None and "projected" in suite.judging.representations)
    )


def _check_names(suite: Suite, corpora: Collection[str]) -> None:
    """Refuses names that are no corpus or model of the suite, and two models of one name.

    Raises:
        UnknownNameError: there is no corpus, or model, of a name that the suite says more of.
        InputError: a corpus has no number of topics; or two models would stand on the board under
            one name.
    """
    named: dict[str, str] = {}
    for model in suite.all_models:
        other = named.setdefault(shown_name(model), model)
        if other != model:
            raise InputError(
                f"models {other!r} and {model!r} would both stand on the board as "
                f"{shown_name(model)!r}; rename one of the cards"
            )
    steering = suite.steering
    of_corpora: dict[str, Iterable[str]] = {
        "k": suite.k_per_corpus,
        "models_per_corpus": suite.models_per_corpus,
        "params_per_corpus": suite.params_per_corpus,
        "features.settings_per_corpus": suite.features.settings_per_corpus,
        "steering.corpora": () if steering is None else steering.corpora,
    }
    of_models: dict[str, Iterable[str]] = {
        "seeds_per_model": suite.seeds_per_model,
        "params": suite.params,
        **{f"params_per_corpus.{name}": told for name, told in suite.params_per_corpus.items()},
        # With features of their own, models that steer need not be played.
        "steering.models": () if steering is None or steering.features else steering.models,
    }
    if steering is not None and steering.features:
        named |= {shown_name(model): model for model in steering.models}
    for what, valid, fields in (("corpus", corpora, of_corpora), ("model", named, of_models)):
        for place, names in fields.items():
            for name in names:
                if name not in valid:
                    raise UnknownNameError(f"{what} in {place}", name, valid)
    for name in corpora:
        if not suite.k_of(name):
            raise InputError(
                f"k says nothing of corpus {name!r}; name it there, or give a default: "
                "k = {…, default = 20}"
            )


def _told_apart(cells: Iterable[FitCell]) -> list[FitCell]:
    """Returns each fit once, and those that are the same but for a name under keys of their own.

    A record says one name, so that each name needs one; what is fitted is fitted once.
    """
    found: dict[str, FitCell] = {}
    for cell in cells:
        first = found.setdefault(cell.key, cell)
        if (first.corpus, first.model) != (cell.corpus, cell.model):
            key = content_hash("fit under another name", cell.key, cell.corpus, cell.model)
            found.setdefault(key, replace(cell, key=key, twin=cell.key))
    return list(found.values())


def _fit_cells(suite: Suite, corpus: Corpus, offline: bool) -> Iterator[FitCell]:
    for k, k_spec in numbers_of_topics(suite, corpus.name, len(corpus), corpus.n_labels):
        for name in suite.models_of(corpus.name):
            card = load_model_card(name)
            shown = shown_name(name)
            model = MODELS.get(card.model)
            own = suite.features.settings_of(corpus.name)
            settings = own if "features" in model.needs else (None,)
            params = {**card.params_for(corpus.name), **suite.params_of(shown, corpus.name)}
            if "n_topics" in _parameter_names(model):
                params["n_topics"] = k
            _check_params(name, model, params)
            # Defaults are hashed too: a later release may have others.
            resolved = model(**params).get_params(deep=False)
            version = model.version_of(resolved, len(corpus))
            hashed = model.params_in_key(resolved)
            view_inputs = {s: _view_inputs(suite, model.needs, s, offline) for s in settings}
            asked = []
            if model.asks:
                asked = [_writer_inputs(shown, resolved)]
                params = {**params, "judge": resolved["judge"]}
            for setting in settings:
                for seed in suite.seeds_of(shown):
                    key = content_hash(
                        "fit", corpus.revision, card.model, version, hashed,
                        view_inputs[setting], setting, k, k_spec, seed, *asked,
                    )  # fmt: skip
                    yield FitCell(
                        key, corpus.name, corpus.revision, shown, card.model, setting, k,
                        k_spec, seed, params, version,
                    )  # fmt: skip


def _metric_cells(
    suite: Suite,
    fits: Sequence[FitCell],
    reordered: Sequence[FitCell],
    labels: Sequence[LabelCell],
) -> Iterator[MetricCell]:
    from mtmbench.metrics.compute import metric_variants

    tuned_by = () if suite.tuning is None else (suite.tuning.metric,)
    for named in suite.metric_params:
        if named not in (known := (*suite.metrics, *tuned_by)):
            raise UnknownNameError("metric in metric_params", named, known)
    if not suite.metrics:
        return
    by_group: dict[tuple[str, int | str, Competitor], list[FitCell]] = {}
    for fit in fits:
        by_group.setdefault(_group_of(fit), []).append(fit)
    words = identity_of(suite.words)
    keys: set[str] = set()
    for name, view, defaults in metric_variants(suite.metrics):
        metric = METRICS.get(name)
        params = {**defaults, **suite.metric_params.get(name, {})}
        # What the parameters name counts with its content.
        inputs = metric.inputs(params)
        encoder = _encoder(suite) if "embeddings" in metric.needs else {}
        for place, group in by_group.items():
            over_seeds, over_orders = ("siblings" in metric.needs, "orders" in metric.needs)
            for fit in group[:1] if over_seeds or over_orders else group:
                siblings = tuple(group[1:]) if over_seeds else ()
                if over_orders:
                    siblings = tuple(o for o in reordered if _group_of(o) == place)
                others = _others(fit, fits) if "others" in metric.needs else ()
                reads_labels = metric.reads_labels and view == "own"
                called = labels_of(labels, fit) if reads_labels else None
                key = content_hash(
                    "metric", name, metric.version, view, params,
                    fit.key, [other.key for other in siblings], words,
                    *([inputs] if inputs else []), *([encoder] if encoder else []),
                    *([called.key] if called else []),
                    *([[other.key for other in others]] if others else []),
                )  # fmt: skip
                if key in keys:  # variants are alike where the suite sets what they differ in
                    continue
                keys.add(key)
                yield MetricCell(
                    key, name, metric.version, metric.higher_is_better, view, params, fit,
                    siblings, called, others,
                )  # fmt: skip


def _group_of(fit: FitCell) -> tuple[str, int | str, Competitor]:
    return fit.corpus, fit.k_spec, fit.competitor


def _others(fit: FitCell, fits: Sequence[FitCell]) -> tuple[FitCell, ...]:
    """Returns the fits of other competitors on the same corpus with the same K and seed."""
    place = fit.corpus, fit.k_spec, fit.seed
    return tuple(
        other
        for other in fits
        if (other.corpus, other.k_spec, other.seed) == place and other.competitor != fit.competitor
    )


def _match_cells(
    suite: Suite,
    corpora: Mapping[str, Corpus],
    fits: Sequence[FitCell],
    rewrites: Sequence[RewriteCell],
    labels: Sequence[LabelCell],
) -> Iterator[MatchCell]:
    from mtmbench.matches.adaptive import adaptive_cells
    from mtmbench.matches.controls import control_cells
    from mtmbench.matches.league import LeaguePlan

    spec = suite.judging
    if spec is None:
        return
    cards = {name: load_judge_card(name) for name in spec.judges}
    for name, k_spec in _leagues(fits):
        corpus, rounds = corpora[name], _by_seed(suite, fits, name, k_spec)
        shown = [(name, each) for name in cards for each in representations_of(spec, cards[name])]
        for judge, representation in shown:
            card = cards[judge]
            league = LeaguePlan(
                spec, suite.words, corpus, rounds[0], judge, card, representation, rewrites,
                labels,
            )  # fmt: skip
            if spec.schedule == "adaptive":
                yield from adaptive_cells(league)
            else:
                for nth, players in enumerate(rounds):
                    of_seed = replace(league, players=players, nth_seed=nth)
                    for a, b in combinations(players, 2):
                        yield of_seed.match(league.sample, a, b, "match")
            if spec.nulls:
                yield from control_cells(league, fits)


def _leagues(fits: Iterable[FitCell]) -> list[tuple[str, int | str]]:
    """Returns corpus and K of what is played, in the order of the fits."""
    return list(dict.fromkeys((fit.corpus, fit.k_spec) for fit in fits))


def _by_seed(
    suite: Suite, fits: Sequence[FitCell], corpus: str, k_spec: int | str
) -> list[list[FitCell]]:
    """Returns the fits that meet: those of first seeds, and of second ones and so on if asked."""
    found: dict[Competitor, list[FitCell]] = {}
    for fit in fits:
        if fit.corpus == corpus and fit.k_spec == k_spec:
            found.setdefault(fit.competitor, []).append(fit)
    asked = "first" if suite.judging is None else suite.judging.seeds
    most = max(map(len, found.values()), default=1)
    n = 1 if asked == "first" else most if asked == "all" else min(asked, most)
    return [[own[nth] for own in found.values() if nth < len(own)] for nth in range(n)]


def _view_inputs(
    suite: Suite, needs: Sequence[str], setting: str | None, offline: bool
) -> dict[str, object]:
    inputs: dict[str, object] = {}
    words = suite.words
    # Every fit's record shows words of its topics, or says why there are none. Settings that only
    # change which are shown are left out of other models' keys, what words are is not.
    cut = words.tokeniser != DEFAULT_WORDS.tokeniser or words.language != DEFAULT_WORDS.language
    if "words" in needs or cut:
        inputs["words"] = identity_of(words)
    for view in {"embeddings", "word_embeddings"} & set(needs):
        inputs[view] = _encoder(suite) or {
            "encoder": DEFAULT_ENCODER,
            "version": EMBEDDINGS_VERSION,
        }
    if "features" in needs and setting is not None:
        features = suite.features
        source = source_of(features, offline=offline)
        inputs["features"] = {
            "source": features.source,
            "max_tokens": features.max_tokens,
            "setting": source.describe(setting),
        }
    return inputs


def _writer_inputs(name: str, params: Mapping[str, object]) -> dict[str, object]:
    judge = params.get("judge")
    if not isinstance(judge, str):
        raise InputError(
            f"model {name!r} asks a judge, and judge is {judge!r}; name a card: "
            f'params.{name} = {{ judge = "CARD" }}'
        )
    return writer_inputs(judge)


def _encoder(suite: Suite) -> dict[str, object]:
    """Returns the encoder of the suite by its content; nothing of the one that is the default."""
    named = suite.embeddings.encoder
    return {} if is_default(named) else encoder_identity(named)


def numbers_of_topics(
    suite: Suite, corpus: str, documents: int, labels: int
) -> list[tuple[int, int | str]]:
    """Returns each K that is played on a corpus, once, with what was asked for.

    Args:
        suite: the suite.
        corpus: name of the corpus.
        documents: how many documents it has.
        labels: how many gold labels it has.

    Raises:
        InputError: there are no labels whose number K could be, or θ of so many topics does not
            fit into memory.
    """
    found: list[tuple[int, int | str]] = []
    plain = set(suite.k_of(corpus))
    for asked in suite.k_of(corpus):
        if asked == "labels" and labels == 0:
            raise InputError(
                f"k = 'labels', but corpus {corpus!r} has no gold labels; give a number of topics"
            )
        k = max(_MIN_TOPICS_FOR_LABELS, labels) if asked == "labels" else asked
        k_spec: int | str = asked
        if suite.documents_per_topic is not None:
            most = max(_LEAST_TOPICS, documents // suite.documents_per_topic)
            if k > most:
                k, k_spec = most, capped(asked, suite.documents_per_topic)
                if k in plain or any(k == other for other, _ in found):
                    continue
        if asked != "labels" and k * documents * _THETA_BYTES > memory():
            raise InputError(
                f"k = {k}: the weights of so many topics in the {documents} documents of "
                f"corpus {corpus!r} do not fit into memory ({memory() / 1e9:,.0f} GB); give a "
                "smaller number of topics"
            )
        found.append((k, k_spec))
    return found


def _parameter_names(model: type[TopicModel]) -> list[str]:
    names = getattr(model, "_get_param_names", None)
    return list(names()) if names else []


def _check_params(name: str, model: type[TopicModel], params: Mapping[str, object]) -> None:
    valid = _parameter_names(model)
    for parameter in params:
        if valid and parameter not in valid:
            raise UnknownNameError(f"parameter of model {name!r}", parameter, valid)
