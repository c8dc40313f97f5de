"""``mtmbench list``."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.commands import AS_TYPED, Call, cells


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        (
            "models",
            [
                "lda",
                "etm",
                "bertopic",
                "mlda",
                "metm",
                "mbertopic",
                "k_means",
                "mk_means",
                "dvae",
                "fastopic",
                "nmf",
                "prodlda",
                "combinedtm",
                "hdp",
                "top2vec",
                "external",
                "keynmf",
                "s3",
                "topica:stm",
            ],
        ),
        ("judges", ["embedding", "lexical"]),
        ("metrics", ["npmi", "c_v", "nmi", "stability"]),
        ("corpora", ["lee", "gensim-wiki", "20ng", "bills"]),
        ("suites", ["quick", "paper-embedded"]),
        ("features", ["minilm"]),
    ],
)
def test_list(call: Call, what: str, expected: list[str]) -> None:
    code, out, _ = call("list", what)
    assert code == 0
    assert set(expected) <= {row[0] for row in cells(out)}


def test_a_familys_models_are_listed_where_its_library_is(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mtmbench.models.topica_models.is_installed", lambda: False)
    _, out, _ = call("list", "models")
    names = {row[0] for row in cells(out)}
    assert "lda" in names
    assert not any("topica" in name for name in names)


def test_cards_here_are_listed_as_their_authors_wrote_them(call: Call, tmp_path: Path) -> None:
    told = " ".join(AS_TYPED).replace("\\", "\\\\")
    for kind, content in (
        ("baselines", f'model = "lda"\ndescription = "{told}"\n'),
        ("judges", f'client = "lexical"\ndescription = "{told}"\n'),
    ):
        (tmp_path / kind).mkdir()
        (tmp_path / kind / "[bold]mine.toml").write_text(content)
    suite = tmp_path / "leaderboards" / "[bold]mine" / "suite.toml"
    suite.parent.mkdir(parents=True)
    suite.write_text(
        f'name = "mine"\ntitle = "{told}"\ncorpora = ["lee"]\nmodels = ["lda"]\nk = [5]\n'
    )
    for what, origin in (
        ("models", "mtmbench.models.lda:LDA"), ("judges", "lexical"), ("suites", str(suite)),
    ):  # fmt: skip
        code, out, err = call("list", what)
        assert code == 0, err
        assert ["[bold]mine", origin, " ".join(AS_TYPED)] in cells(out)
