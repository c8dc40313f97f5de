from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from mtmbench.core.cards import Suite
from mtmbench.core.errors import InputError
from mtmbench.engine.plan import make_plan
from mtmbench.judges.base import Completion, JudgeClient, Option, Question, Verdict
from mtmbench.judges.clients.jury import Jury, majority, read_member_replies
from mtmbench.judges.identity import judge_identity
from mtmbench.judges.registry import JUDGES, load_judge_card
from mtmbench.judges.replies import parse_verdict
from mtmbench.testing import check_judge

MakeOption = Callable[..., Option]


class Fixed(JudgeClient):
    """Says what its card says it says; notes what it was shown."""

    name = "fixed_member"
    is_llm = True
    heard: list[tuple[str, Any]] = []  # noqa: RUF012

    def __init__(self, says: str = "VERDICT: A", refuses: bool = False, cut: bool = False) -> None:
        self.says = says
        self.refuses = refuses
        self.cut = cut

    async def answer(
        self, question: Question, params: Mapping[str, Any], replicate: int
    ) -> Completion:
        self.heard.append((question.messages[0]["content"], dict(params)))
        return Completion(
            self.says, {"input": 7, "output": 2}, f"says {self.says}", self.refuses, cut=self.cut
        )


JUDGES.register("fixed_member", Fixed)


@pytest.fixture
def card(tmp_path: Path) -> Callable[..., str]:
    def write(name: str, text: str) -> str:
        path = tmp_path / f"{name}.toml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


def says(reply: str, more: str = "") -> str:
    return f'client = "fixed_member"\n{more}\n[params]\nsays = """{reply}"""\n'


def ruling(jury: Jury, make_option: MakeOption, kind: Any = "match") -> Completion:
    options = (make_option("a", (1.0, ["ice"])), make_option("b", (1.0, ["tax"])))
    context = {"corpus": "toy", "doc_id": "d0", "text": "A game."}
    return asyncio.run(jury.answer(Question(kind, context, options), {}, 0))


def by_brute_force(verdicts: Sequence[Verdict]) -> Verdict:
    """Fills in the missing votes in every way: a ruling stands only if it never changes."""
    ways = [("A", "B", "tie") if v in ("unparsed", "refused") else (v,) for v in verdicts]
    found = set()
    for way in product(*ways):
        most = max(("A", "B", "tie"), key=way.count)
        found.add(most if 2 * way.count(most) > len(way) else "tie")
    if len(found) == 1:
        return found.pop()  # type: ignore[return-value]
    missing = {v for v in verdicts if v in ("unparsed", "refused")}
    return "refused" if missing == {"refused"} else "unparsed"


@pytest.mark.parametrize("n", [2, 3, 4, 5])
def test_a_ruling_is_what_no_missing_vote_could_have_changed(n: int) -> None:
    for verdicts in product(("A", "B", "tie", "unparsed", "refused"), repeat=n):
        assert majority(verdicts) == by_brute_force(verdicts), verdicts


@pytest.mark.parametrize(
    ("replies", "expected"),
    [
        (("VERDICT: A", "VERDICT: A", "VERDICT: B"), "A"),
        (("VERDICT: A", "VERDICT: B", "VERDICT: tie"), "tie"),
        (("VERDICT: B", '{"verdict": "B", "reason": "so: VERDICT: B"}', "hm"), "B"),
        (("VERDICT: A", "VERDICT: B", "I say: verdict: A, or B"), "unparsed"),
        (("VERDICT: tie", "VERDICT: tie", "?"), "tie"),
        (("VERDICT: A", "VERDICT: A", "The verdict is B.\nVERDICT: B"), "A"),
        (("VERDICT: A", "VERDICT: A", "Verdict - B\nVERDICT\nB\nVERDICT: B"), "A"),
        (("VERDICT: A", "VERDICT: A", "ＶＥＲＤＩＣＴ： Ｂ, ver\u200bdict is B. Ω"), "A"),
    ],
)
def test_members_replies_are_kept_and_do_not_speak_for_the_jury(
    replies: tuple[str, ...], expected: str, card: Callable[..., str], make_option: MakeOption
) -> None:
    names = [card(f"m{i}", says(reply)) for i, reply in enumerate(replies)]
    reply = ruling(Jury(names), make_option)
    assert (parse_verdict(reply.text), reply.refused) == (expected, False)
    votes = read_member_replies(reply.text)
    assert [(vote.card, vote.reply) for vote in votes] == list(zip(names, replies, strict=True))
    assert [vote.verdict for vote in votes] == [parse_verdict(text) for text in replies]
    assert reply.usage == {"input": 21, "output": 6}
    assert reply.model_revision.count("says ") == 3


def test_refusals_are_told_from_what_could_not_be_read(
    card: Callable[..., str], make_option: MakeOption
) -> None:
    refuses = card("r", says("No.") + "refuses = true\n")
    a, b, mumbles = (
        card("a", says("VERDICT: A")),
        card("b", says("VERDICT: B")),
        card("m", says("m")),
    )
    assert ruling(Jury([a, b, refuses]), make_option).refused
    assert not ruling(Jury([a, refuses, mumbles]), make_option).refused
    assert (
        read_member_replies(ruling(Jury([a, b, refuses]), make_option).text)[2].verdict == "refused"
    )
    with pytest.raises(InputError, match=r"not a jury's reply \(no line of its members\)"):
        read_member_replies("VERDICT: A")


def test_each_member_is_asked_as_its_own_card_says(
    card: Callable[..., str], tmp_path: Path, make_option: MakeOption
) -> None:
    prompt = tmp_path / "mine.md"
    prompt.write_text(
        "+++\ndocument_characters = 100\n+++\n# system\nMine.\n# user\n"
        "{{fence}}{{document}}{{topics_a}}{{topics_b}}\n"
    )
    own = f"prompt = '{prompt}'\ndecoding = {{ temperature = 0.5 }}"
    jury = Jury([card("x", says("VERDICT: A", own)), card("y", says("VERDICT: A"))])
    Fixed.heard.clear()
    ruling(jury, make_option)
    assert Fixed.heard[0] == ("Mine.", {"temperature": 0.5})
    assert Fixed.heard[1][0].startswith("You compare how well")
    assert Fixed.heard[1][1] == {}


def test_a_jury_is_what_its_members_are(card: Callable[..., str]) -> None:
    llm = card("llm", says("VERDICT: A"))
    for names, expected in (
        (["embedding", "lexical"], (False, True, "all-MiniLM-L6-v2")),
        (["embedding", "scripted"], (False, False, "all-MiniLM-L6-v2")),
        (["lexical", llm], (True, False, None)),
    ):
        jury = Jury(names)
        assert (jury.is_llm, jury.order_free, jury.encoder) == expected
        assert tuple(Jury.traits({"members": names}).values()) == expected
    assert (Jury.is_llm, Jury.order_free, Jury.encoder) == (False, False, None)


def test_a_jury_of_proxies_keeps_the_contract_of_a_judge() -> None:
    check_judge(Jury(["lexical", "embedding"]))


def test_what_members_cards_say_is_part_of_every_key(
    card: Callable[..., str], tmp_path: Path
) -> None:
    names = [card("x", says("VERDICT: A")), "lexical"]
    jury = card("jury", f'client = "jury"\n[params]\nmembers = {names!r}\n')
    suite = Suite.model_validate(
        {
            "name": "s", "corpora": [{"name": "lee", "max_documents": 20}], "k": [5],
            "models": ["lda", "etm"], "judging": {"judges": [jury], "documents": 2},
        }
    )  # fmt: skip

    def keys() -> tuple[str, Any, Any]:
        (cell,) = make_plan(suite).matches
        loaded = load_judge_card(jury)
        return cell.key, cell.identity(), judge_identity(loaded, Jury(names))

    key, identity, asked = keys()
    assert keys()[0] == key
    assert (identity["judge_is_llm"], identity["prompt"]) == (True, None)
    assert identity["judge_members"] == asked["members"]
    assert identity["judge_members"][names[0]]["params"] == {"says": "VERDICT: A"}
    assert len(identity["judge_members"][names[0]]["prompt"]) == 32
    assert "prompt" not in identity["judge_members"]["lexical"]
    card("x", says("VERDICT: B"))
    assert keys()[0] != key
    assert keys()[2] != asked


def test_wrong_members_are_named(card: Callable[..., str], make_option: MakeOption) -> None:
    with pytest.raises(InputError, match=r"two members or more, not \['lexical'\]"):
        Jury(["lexical"])
    with pytest.raises(InputError, match="'lexical' of a jury stands twice"):
        Jury(["lexical", "lexical"])
    itself = card("itself", "")
    card("itself", f'client = "jury"\n[params]\nmembers = ["lexical", {itself!r}]\n')
    with pytest.raises(InputError, match=r"its own member: .*itself\.toml > .*itself\.toml"):
        Jury(["lexical", itself])
    other = card("other", f'client = "jury"\n[params]\nmembers = ["lexical", {itself!r}]\n')
    card("itself", f'client = "jury"\n[params]\nmembers = ["lexical", {other!r}]\n')
    with pytest.raises(InputError, match="its own member"):
        Jury(["lexical", itself])
    with pytest.raises(InputError, match="a rating question needs one judge"):
        ruling(Jury(["lexical", "embedding"]), make_option, "rating")


def test_a_member_whose_reply_broke_off_has_no_vote(
    card: Callable[..., str], make_option: MakeOption
) -> None:
    def seat(name: str, reply: str, cut: bool = False) -> str:
        return card(name, says(reply) + f"cut = {str(cut).lower()}\n")

    a, b = seat("a", "VERDICT: A"), seat("b", "VERDICT: B")
    cut = seat("cut", "VERDICT: A", cut=True)
    undecided = ruling(Jury([a, b, cut]), make_option)
    assert undecided.cut
    assert parse_verdict(undecided.readable) == "unparsed"
    # Where it could have changed nothing, the jury has ruled.
    decided = ruling(Jury([a, seat("c", "VERDICT: A"), cut]), make_option)
    assert (decided.cut, parse_verdict(decided.readable)) == (False, "A")
