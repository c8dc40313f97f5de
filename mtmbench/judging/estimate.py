"""What a plan's judge calls would take, before anything is sent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mtmbench.cards import JudgeCard
from mtmbench.judging.money import cost_of, output_limit
from mtmbench.judging.prompt import Prompt, cut_at_sentence, load_prompt
from mtmbench.plan import MatchCell, Plan

CHARACTERS_PER_TOKEN = 4
ITEM_CHARACTERS = 12
"""Of one shown item with its comma; descriptions of SAE features are longer, words shorter."""
ANSWER_TOKENS = 60
"""Two sentences and a verdict."""

ESTIMATED = (
    "Tokens are estimated: the prompt, every document as far as it is shown and the shown items at "
    f"{CHARACTERS_PER_TOKEN} characters a token, and answers of {ANSWER_TOKENS} tokens, or as many "
    "as the card's decoding allows. A model that reasons first writes more. Cost is by the prices "
    "on the judge's card, nothing cached; without prices it is not known. Identical sets are not "
    "asked about, and what the run's ledger holds is not paid for again. Tokens of a jury are "
    "those of one member; what metrics, a refiner and a summariser ask is not counted."
)


@dataclass(frozen=True)
class Estimate:
    """One judge's part of a plan.

    Attributes:
        judge: its name.
        is_llm: whether a language model rules; others use no tokens.
        n_pairs: pairs of fits.
        n_matches: documents over all pairs.
        n_calls: questions, at most.
        input_tokens: of all questions.
        output_tokens: of all answers.
        cost: in the currency of the card's prices; None is not known.
    """

    judge: str
    is_llm: bool
    n_pairs: int
    n_matches: int
    n_calls: int
    input_tokens: int
    output_tokens: int
    cost: float | None


def estimates(plan: Plan) -> Iterator[Estimate]:
    """Yields the estimate of every judge of a plan."""
    for judge in dict.fromkeys(cell.judge for cell in plan.matches):
        cells = [cell for cell in plan.matches if cell.judge == judge]
        matches = sum(len(cell.rows) for cell in cells)
        orders = 1 if cells[0].identity_of_judge["order_free"] else 2
        card, is_llm = cells[0].card, bool(cells[0].identity_of_judge["judge_is_llm"])
        calls = orders * matches
        tokens = {
            "input": orders * _input_tokens(plan, card, cells) if is_llm else 0,
            "output": calls * _answer_tokens(card) if is_llm else 0,
        }
        cost = cost_of(tokens, card.prices) if is_llm else 0.0
        yield Estimate(
            judge, is_llm, len(cells), matches, calls, tokens["input"], tokens["output"], cost
        )


def _answer_tokens(card: JudgeCard) -> int:
    limit = output_limit(card.decoding)
    return ANSWER_TOKENS if limit is None else min(ANSWER_TOKENS, limit)


def _input_tokens(plan: Plan, card: JudgeCard, cells: Sequence[MatchCell]) -> int:
    """Returns the tokens of all questions in one order."""
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
    return characters // CHARACTERS_PER_TOKEN


def _shown(plan: Plan, prompt: Prompt, corpus: str, row: int) -> int:
    return len(cut_at_sentence(plan.corpora[corpus].texts[row], prompt.document_characters))
