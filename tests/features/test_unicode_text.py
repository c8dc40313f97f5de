"""Texts without spaces between words are known, and no others."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from mtmbench.features.unicode_text import unspaced

THAI = "ฉันชอบกินข้าวผัดกุ้งและดื่มน้ำเย็น"
MORE_THAI = "แต่ไม่ชอบกาแฟ"
KHMER = "ខ្ញុំចូលចិត្តញ៉ាំបាយ"


@pytest.mark.parametrize(
    ("text", "letters"),
    [
        ("今天天气很好，我们去公园。", "5.5"),
        ("猫が好きです。犬も好きです。", "6.0"),
        ("手机iPhone很好用因为屏幕很大", "5.5"),
        (f"{THAI} {MORE_THAI}", f"{(len(THAI) + len(MORE_THAI)) / 2:.1f}"),
        (KHMER, f"{len(KHMER):.1f}"),
        ("牛在牧场吃草，羊也吃草", "5.0"),
        # Spaces that separate clauses are none between words.
        ("今天天气很好 我们去公园看花 大家都很高兴", "6.3"),
    ],
)
def test_text_without_spaces(text: str, letters: str) -> None:
    told = unspaced([text] * 3)
    assert told is not None
    assert f"a mean word of {letters} letters in " in told


@pytest.mark.parametrize(
    "text",
    [
        "今天 天气 很 好 ， 我们 去 公园 。",
        "インターネット で 犬 の 写真 を 見る",
        "コンピュータ インターネット 開発 ソフトウェア",
        "人工智能 机器学习 神经网络 研究",
        "ฉัน ชอบ กิน ข้าวผัด กุ้ง",
        "ฉัน\u200bชอบ\u200bกิน\u200bข้าวผัด",
        "나는 물을 마신다",
        "The abacus (算盤, suanpan) is told of by 東京大学出版会, "
        "and in many another old book of sums and of tables.",
        "хлопець їсть сім'я",
        "",
    ],
)
def test_other_text(text: str) -> None:
    assert unspaced([text] * 3) is None


@pytest.mark.slow
def test_no_alarm_on_real_corpora(shared_data: Path) -> None:
    files = sorted(shared_data.rglob("*.jsonl.gz"))
    read = 0
    for file in files:
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            texts = [str(json.loads(line).get("text") or "") for line in lines]
        read += bool("".join(texts))
        assert unspaced(texts) is None, file.name
    assert read > 10
