from __future__ import annotations

import pytest
from support.odd_text import ODD_TEXT

from mtmbench.core.errors import InputError
from mtmbench.steering.prompts import load_prompts


def test_the_built_in_set():
    prompts = load_prompts()
    assert len(prompts) == len(set(prompts)) == 100
    assert max(len(prompt.split()) for prompt in prompts) <= 12
    assert prompts[0] == "I have always thought that"


def test_a_file(tmp_path):
    path = tmp_path / "p.txt"
    path.write_text("# mine\n\n  One day,  \nThe\n", encoding="utf-8")
    assert load_prompts(path) == ("One day,", "The")


@pytest.mark.parametrize(
    ("text", "message"),
    [("# nothing\n\n", "holds no prompt"), ("a\nb\na\n", "holds the prompt 'a' twice")],
)
def test_what_is_wrong_with_a_file(tmp_path, text, message):
    path = tmp_path / "p.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=f"p.txt {message}"):
        load_prompts(path)
    with pytest.raises(InputError, match="cannot read prompts from"):
        load_prompts(tmp_path / "none.txt")


def test_a_prompt_may_hold_odd_characters(tmp_path):
    path = tmp_path / "p.txt"
    path.write_text(f"{ODD_TEXT}\r\nThe\n", encoding="utf-8", newline="")
    assert load_prompts(path) == (ODD_TEXT, "The")
