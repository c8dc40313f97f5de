"""What people are asked: the questions of a suite's matches, and attention checks among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mtmbench.core.cards import JudgeCard, Suite
from mtmbench.core.errors import InputError
from mtmbench.core.serialise import content_hash, seed_from
from mtmbench.core.specs import JudgingSpec
from mtmbench.engine.exhibits import NothingToShowError
from mtmbench.engine.labels import labels_path
from mtmbench.engine.plan import Plan, make_plan
from mtmbench.engine.results import recorded_result, result_path
from mtmbench.engine.workspace import Workspace, WorkspaceSpec
from mtmbench.judges.base import Question
from mtmbench.judges.clients.human import HumanJudge
from mtmbench.judges.clients.human_votes import Vote, option_key, vote_key
from mtmbench.judges.prompt import cut_at_sentence, load_prompt
from mtmbench.judges.registry import JUDGES, load_judge_card
from mtmbench.judges.replies import Decision
from mtmbench.matches.match import questions
from mtmbench.matches.rewrites import rewrites_path

CHECK_EVERY = 12
"""One question in so many is an attention check."""
CHECK_TEXT = "This is a check that you are reading: please choose this set"


@dataclass(frozen=True)
class BallotQuestion:
    """One question as a person sees it.

    Attributes:
        key: what the person's browser calls it; says neither what is asked nor whether it is a
            check.
        document: the text, cut.
        sets: the topics of the two sets, A first.
        vote: what a vote on it is, but for the verdict.
    """

    key: str
    document: str
    sets: tuple[tuple[str, ...], tuple[str, ...]]
    vote: Mapping[str, str]

    def voted(self, verdict: Decision) -> Vote:
        """Returns the vote that a verdict makes."""
        return Vote(verdict=verdict, **self.vote)


class Ballot:
    """The questions, and the order in which each voter meets them.

    Args:
        questions: the questions of the matches.
        document_characters: length to which documents are cut, as for chat judges.
        seed: seed of the orders.
    """

    def __init__(
        self, questions: Sequence[Question], *, document_characters: int, seed: int = 0
    ) -> None:
        distinct = {vote_key(question): question for question in questions}
        if not distinct:
            raise InputError("there is nothing to vote on: rules decide every match of the suite")
        self._questions = [distinct[key] for key in sorted(distinct)]
        self._characters = document_characters
        self._seed = seed

    def __len__(self) -> int:
        """The number of questions, without attention checks."""
        return len(self._questions)

    def items(self, voter: str) -> list[BallotQuestion]:
        """Returns a voter's questions in the voter's order, always the same; checks among them."""
        generator = np.random.default_rng(seed_from("ballot", self._seed, voter))
        items: list[BallotQuestion] = []
        for place, row in enumerate(generator.permutation(len(self._questions))):
            question = self._questions[row]
            if place % (CHECK_EVERY - 1) == (CHECK_EVERY - 1) // 2:
                items.append(self._check(voter, question, place, bool(generator.integers(2))))
            items.append(self._item(voter, question, bool(generator.integers(2))))
        return items

    def _item(self, voter: str, question: Question, swapped: bool) -> BallotQuestion:
        options = question.options[::-1] if swapped else question.options
        key = vote_key(question)
        vote = {
            "voter": voter, "key": key, "corpus": str(question.context["corpus"]),
            "doc_id": str(question.context["doc_id"]), "first": option_key(options[0]),
        }  # fmt: skip
        first, second = (tuple(topic.description for topic in o.topics) for o in options)
        return BallotQuestion(self._opaque(voter, key), self._cut(question), (first, second), vote)

    def _check(self, voter: str, question: Question, place: int, swapped: bool) -> BallotQuestion:
        real = tuple(topic.description for topic in question.options[0].topics)
        wanted = (CHECK_TEXT,)
        key = content_hash("check", self._seed, voter, place)
        vote = {
            "voter": voter, "key": key, "corpus": str(question.context["corpus"]),
            "doc_id": str(question.context["doc_id"]), "first": "",
            "check": "B" if swapped else "A",
        }  # fmt: skip
        sets = (real, wanted) if swapped else (wanted, real)
        return BallotQuestion(self._opaque(voter, key), self._cut(question), sets, vote)

    def _opaque(self, voter: str, key: str) -> str:
        return content_hash("shown", self._seed, voter, key)

    def _cut(self, question: Question) -> str:
        return cut_at_sentence(str(question.context["text"]), self._characters)


def card_of_people(judge: str) -> tuple[JudgeCard, Path]:
    """Returns a judge card of people, and the file of their votes.

    Raises:
        UnknownNameError: there is no such card.
        InputError: the card is of no people.
    """
    card = load_judge_card(judge)
    client = JUDGES.get(card.client).from_card(card)
    if not isinstance(client, HumanJudge):
        raise InputError(f"judge {judge!r} is {card.client!r}, not people; name a card of `human`")
    return card, client.path


def suite_ballot(
    suite: Suite,
    folder: Path,
    judge: str,
    card: JudgeCard,
    *,
    data_dir: Path | None = None,
    plugins: Sequence[str] = (),
) -> Ballot:
    """Returns the ballot of a suite whose fits lie in a run's folder.

    People are asked what other judges are: about topics as they were refined and summarised, and
    about null controls where the suite plays them.

    Args:
        suite: the suite; ``judging`` says how many documents and in which representations.
        folder: the run's folder.
        judge: name of the judge's card.
        card: the card.
        data_dir: folder of local corpora; None reads ``MTMBENCH_DATA``.
        plugins: files or modules that register more models.

    Raises:
        InputError: the suite is yet to be tuned or has no matches, or a fit, labels, a refinement
            or a summary are not in the folder.
    """
    suite.check_tuned()
    spec = (suite.judging or JudgingSpec()).model_copy(update={"judges": (judge,)})
    plan = make_plan(suite.model_copy(update={"judging": spec}), data_dir=data_dir, plugins=plugins)
    if not plan.matches:
        raise InputError(f"suite {suite.name!r} has no matches: it needs two models")
    _check_fits(plan, folder)
    workspace = Workspace(
        WorkspaceSpec(plan.suite, plan.specs, folder, plan.data_dir, plan.plugins)
    )
    people = HumanJudge()
    asked: list[Question] = []
    for cell in plan.matches:
        try:
            asked += questions(people, workspace.exhibits.of(cell).pair)
        except NothingToShowError:
            continue  # as in a run, where its record says why
    return Ballot(
        asked,
        document_characters=load_prompt(card.prompt).document_characters,
        seed=spec.seed,
    )


def _check_fits(plan: Plan, folder: Path) -> None:
    fits = {fit.key for cell in plan.matches for fit in (cell.a, cell.b)}
    rewrites = {rewrite.key for cell in plan.matches for rewrite in cell.rewrites}
    labels = {named.made for cell in plan.matches for named in cell.labels}
    lost = {
        "fits": [key for key in fits if not result_path(folder, key).is_file()],
        "files of labels": [key for key in labels if not labels_path(folder, key).is_file()],
        "refinements and summaries": [
            key for key in rewrites if not rewrites_path(folder, key).is_file()
        ],
    }
    for what, missing in lost.items():
        if missing:
            raise InputError(
                f"{len(missing)} {what} of suite {plan.suite.name!r} are not in {folder}; play it "
                f"first: mtmbench run SUITE --out {folder}"
            )
    for key in fits:
        recorded_result(folder, key)
