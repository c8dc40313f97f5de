"""Small corpora in Chinese, German and Arabic: sentences of templates, each about one theme."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Language:
    """Sentences with two gaps, and the words that fill them by theme.

    Attributes:
        name: of the language.
        sentences: with two gaps each.
        themes: words by label.
        joint: what stands between two sentences.
        tokeniser: what cuts it.
    """

    name: str
    sentences: tuple[str, ...]
    themes: dict[str, tuple[str, ...]]
    joint: str = " "
    tokeniser: str = "unicode"

    def rows(self, per_theme: int = 16, seed: int = 0) -> list[dict[str, str]]:
        """Returns documents of four sentences with their labels, themes in turn."""
        rng = random.Random(seed)
        rows = []
        for number in range(per_theme):
            for label, words in self.themes.items():
                sentences = rng.sample(self.sentences, 4)
                text = self.joint.join(s.format(*rng.sample(words, 2)) for s in sentences)
                rows.append({"id": f"{label}-{number}", "text": text, "label": label})
        return rows


CHINESE = Language(
    "chinese",
    (
        "今天我们谈到{}和{}。", "很多人都知道{}，但是不知道{}。", "他昨天看见了{}，也看见了{}。",
        "报纸上说，{}比{}更重要。", "她一直在想{}和{}的问题。",
    ),
    {
        "farm": (
            "小麦", "农民", "拖拉机", "牛奶", "玉米", "果园",
            "牧场", "干草", "谷仓", "肥料",
        ),
        "sea": (
            "渔民", "灯塔", "港口", "海浪", "水手", "沙滩",
            "风暴", "帆船", "码头", "岛屿",
        ),
        "court": (
            "法官", "律师", "法院", "证据", "法律", "判决",
            "证人", "被告", "罚款", "监狱",
        ),
    },
    joint="",
    tokeniser="jieba",
)  # fmt: skip
GERMAN = Language(
    "german",
    (
        "Gestern ging's um {} und um {}.", "Viele kennen {}, aber nicht {}.",
        "Man sah hier {} und dort {}.", "Sie dachte noch immer an {} oder an {}.",
        "Für ihn war {} wie {}.",
    ),
    {
        "farm": (
            "Weizen", "Kühe", "Traktor", "Bäuerin", "Äcker", "Scheune",
            "Süßgras", "Dünger", "Ernte", "Gemüse",
        ),
        "sea": (
            "Leuchtturm", "Hafen", "Fischerboot", "Möwen", "Küste", "Segel",
            "Dünen", "Matrose", "Anker", "Brandung",
        ),
        "court": (
            "Richterin", "Anwälte", "Gesetz", "Urteil", "Zeugin", "Klage",
            "Beweise", "Strafe", "Gefängnis", "Berufung",
        ),
    },
)  # fmt: skip
ARABIC = Language(
    "arabic",
    (
        "تحدث الناس عن {} وعن {}.", "رأى الرجل {} ثم رأى {}.", "كتبت الصحيفة عن {} قبل {}.",
        "نحن نعرف {} ولكن لا نعرف {}.", "هذا هو {} وذلك هو {}.",
    ),
    {
        "farm": (
            "القمح", "المزرعة", "الحليب", "الأبقار", "الجرار", "الفلاح",
            "البستان", "السماد", "الحصاد", "الخضار",
        ),
        "sea": (
            "الميناء", "السفينة", "الأمواج", "الصياد", "المنارة", "البحار",
            "الشاطئ", "الشراع", "العاصفة", "الجزيرة",
        ),
        "court": (
            "القاضي", "المحكمة", "القانون", "المحامي", "الشاهد", "الحكم",
            "الدليل", "المتهم", "السجن", "الغرامة",
        ),
    },
)  # fmt: skip
