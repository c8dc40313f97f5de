"""What a plan's judge calls would take, before anything is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from statistics import fmean

from mtmbench.core.cards import JudgeCard
from mtmbench.core.cells import FitCell, MatchCell
from mtmbench.engine.plan import Plan
from mtmbench.judges.budget import cost_of, members_of, output_limit, total_cost
from mtmbench.judges.prices import quote
from mtmbench.judges.prompt import Prompt, Template, cut_at_sentence, load_prompt
from mtmbench.judges.registry import load_judge_card, traits_of
from mtmbench.judges.topic_questions import topic_template
from mtmbench.judges.topic_writer import writing_template
from mtmbench.metrics.judged import JudgedMetric
from mtmbench.metrics.registry import METRICS
from mtmbench.models.registry import MODELS

CHARACTERS_PER_TOKEN = 4
ITEM_CHARACTERS = 12
"""Of one shown item with its comma; descriptions of SAE features are longer, words shorter."""
TOPIC_CHARACTERS = 100
"""Of a written topic's name and description, of which as many are shown as K says."""
_MATCHES = "matches"
"""What is asked, as an estimate calls it."""
ANSWER_TOKENS = 60
"""Two sentences and a verdict."""

ESTIMATED = (
    "Tokens are estimated: the prompt, every document as far as it is shown and the shown items at "
    f"{CHARACTERS_PER_TOKEN} characters a token, and answers of {ANSWER_TOKENS} tokens, or as "
    "many as the card's decoding allows. A model that reasons first writes more. Cost is by the "
    "prices named below, nothing cached; without prices it is not known. Identical sets "
    "are not asked about, and what the run's ledger holds is not paid for again. Calls, tokens and "
    "cost of a jury are those of its members together. A model in this process costs nothing. What "
    "a plugin's metric asks in a way of its own is not counted."
)


@dataclass(frozen=True)
class JudgeEstimate:
    """What one judge is asked of one kind.

    Attributes:
        judge: its name.
        asked: "matches", "refine" or "summary" of topics, or the name of a metric or model.
        is_llm: whether a language model answers; others use no tokens.
        n_cells: pairs of fits, or fits.
        n_subjects: documents over all pairs or fits, or what is asked about topics over all fits.
        n_calls: questions, at most.
        input_tokens: of all questions.
        output_tokens: of all answers.
        cost: in the currency of the prices; None is not known.
        prices: the cards that are paid, each with whose prices it is reckoned by.
    """

    judge: str
    asked: str
    is_llm: bool
    n_cells: int
    n_subjects: int
    n_calls: int
    input_tokens: int
    output_tokens: int
    cost: float | None
    prices: Mapping[str, str] = field(default_factory=dict)


def estimates(plan: Plan) -> Iterator[JudgeEstimate]:
    """Yields an estimate for every judge of a plan and whatever it is asked, in playing order."""
    yield from _of_fits(plan)
    yield from _of_topics(plan)
    for judge in dict.fromkeys(cell.judge for cell in plan.matches):
        cells = [cell for cell in plan.matches if cell.judge == judge]
        matches = sum(len(cell.rows) for cell in cells)
        orders = 1 if cells[0].identity_of_judge["order_free"] else 2
        yield estimate_of(
            judge, cells[0].card, _MATCHES, len(cells), matches, orders * matches,
            partial(_match_tokens, plan, cells, orders),
        )  # fmt: skip


def total(rows: Sequence[JudgeEstimate]) -> JudgeEstimate:
    """Returns the sum of estimates; its cost is not known if one of theirs is not."""
    return JudgeEstimate(
        "all", "all", any(row.is_llm for row in rows), sum(row.n_cells for row in rows),
        sum(row.n_subjects for row in rows), sum(row.n_calls for row in rows),
        sum(row.input_tokens for row in rows), sum(row.output_tokens for row in rows),
        total_cost([row.cost for row in rows]), prices_by(rows),
    )  # fmt: skip


def prices_by(rows: Sequence[JudgeEstimate]) -> dict[str, str]:
    """Returns the cards that are paid, each with whose prices it is reckoned by."""
    return {name: source for row in rows for name, source in row.prices.items()}


def batch_notice(plan: Plan) -> str:
    """Returns what a run with a batch hands over and what it asks at once, for people."""
    rows = [row for row in estimates(plan) if row.is_llm]
    told = [f"{row.asked} by {row.judge} (at most {row.n_calls:,} calls)" for row in rows]
    batched = [text for text, row in zip(told, rows, strict=True) if row.asked == _MATCHES]
    live = [text for text, row in zip(told, rows, strict=True) if row.asked != _MATCHES]
    return (
        f"In the batch: {', '.join(batched) or 'nothing'}. "
        f"Asked at once, at the full price: {', '.join(live) or 'nothing'}."
    )


def _of_fits(plan: Plan) -> Iterator[JudgeEstimate]:
    """Yields estimates of what models ask, a judge and model each."""
    asking: dict[tuple[str, str], list[FitCell]] = {}
    for fit in plan.all_fits:
        if MODELS.get(fit.registry).asks and fit.twin is None:
            asking.setdefault((str(fit.params["judge"]), fit.model), []).append(fit)
    for (judge, model), fits in asking.items():
        calls = characters = 0
        for fit in fits:
            params = MODELS.get(fit.registry)(**fit.params).get_params(deep=False)
            texts = plan.corpora[fit.corpus].texts
            for task, n in MODELS.get(fit.registry).questions(params, len(texts)).items():
                prompt = writing_template(task)
                fixed = len(prompt.system) + len(prompt.user) + fit.k * TOPIC_CHARACTERS
                shown = 0.0
                if (most := prompt.settings.get("document_characters")) is not None:
                    shown = fmean(len(cut_at_sentence(text, most)) for text in texts)
                calls += n
                characters += round(n * (fixed + shown))
        documents = sum(len(plan.corpora[fit.corpus]) for fit in fits)
        yield estimate_of(
            judge, load_judge_card(judge), model, len(fits), documents, calls,
            partial(_topic_tokens, characters),
        )  # fmt: skip


def _of_topics(plan: Plan) -> Iterator[JudgeEstimate]:
    """Yields estimates of questions about topics by themselves."""
    asked: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for cell in plan.rewrites:
        each = _characters(topic_template(cell.template), cell.items_asked)
        asked.setdefault((cell.judge, cell.task), []).append((cell.fit.k, each))
    for value in plan.metrics:
        metric = METRICS.get(value.metric)
        if issubclass(metric, JudgedMetric) and (judge := metric.judge_of(value.params)):
            shown = metric.items_shown(value.params)
            each = _characters(metric.template(value.params), shown)
            each += metric.text_shown(value.params)
            n = metric.n_questions(value.params, value.fit.k)
            asked.setdefault((judge, value.metric), []).append((n, each))
    for (judge, task), of_fits in asked.items():
        n = sum(n for n, _ in of_fits)
        yield estimate_of(
            judge, load_judge_card(judge), task, len(of_fits), n, n,
            partial(_topic_tokens, sum(n * each for n, each in of_fits)),
        )  # fmt: skip


def _characters(prompt: Template, items: int) -> int:
    return len(prompt.system) + len(prompt.user) + items * ITEM_CHARACTERS


def _topic_tokens(characters: int, card: JudgeCard) -> int:  # noqa: ARG001
    return characters // CHARACTERS_PER_TOKEN


def estimate_of(
    judge: str,
    card: JudgeCard,
    asked: str,
    n_cells: int,
    n_subjects: int,
    n_calls: int,
    input_tokens: Callable[[JudgeCard], int],
    answer_tokens: int = ANSWER_TOKENS,
) -> JudgeEstimate:
    """Returns the sum over the members of a judge; ``input_tokens`` are of a member's questions."""
    members = members_of(judge, card)
    llms = {name: one for name, one in members.items() if traits_of(one)["is_llm"]}
    quotes = {name: quote(one) for name, one in llms.items()}
    used = {
        name: {"input": input_tokens(one), "output": n_calls * _answer_tokens(one, answer_tokens)}
        for name, one in llms.items()
    }
    return JudgeEstimate(
        judge, asked, bool(llms), n_cells, n_subjects, n_calls * len(members),
        sum(tokens["input"] for tokens in used.values()),
        sum(tokens["output"] for tokens in used.values()),
        total_cost([cost_of(used[name], quotes[name].prices) for name in llms]) if llms else 0.0,
        {name: said.source for name, said in quotes.items()},
    )  # fmt: skip


def _answer_tokens(card: JudgeCard, usual: int) -> int:
    limit = output_limit(card.decoding)
    return usual if limit is None else min(usual, limit)


def _match_tokens(plan: Plan, cells: Sequence[MatchCell], orders: int, card: JudgeCard) -> int:
    prompt = load_prompt(card.prompt)
    spec = plan.suite.judging
    assert spec is not None
    topics = 2 * spec.max_topics * spec.top_items * ITEM_CHARACTERS
    fixed = len(prompt.system) + len(prompt.user) + topics
    shown: dict[tuple[str, int], int] = {}
    characters = 0
    for cell in cells:
        for row in cell.rows:
            key = cell.a.corpus, row
            if key not in shown:
                shown[key] = _shown(plan, prompt, *key)
            characters += fixed + shown[key]
    return orders * (characters // CHARACTERS_PER_TOKEN)


def _shown(plan: Plan, prompt: Prompt, corpus: str, row: int) -> int:
    return len(cut_at_sentence(plan.corpora[corpus].texts[row], prompt.document_characters))
