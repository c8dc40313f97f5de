"""Names of languages and their ISO 639-1 codes."""

from __future__ import annotations

from mtmbench.core.errors import InputError, did_you_mean

LANGUAGES = {
    "afrikaans": "af", "arabic": "ar", "armenian": "hy", "basque": "eu", "bengali": "bn",
    "breton": "br", "bulgarian": "bg", "catalan": "ca", "chinese": "zh", "croatian": "hr",
    "czech": "cs", "danish": "da", "dutch": "nl", "english": "en", "esperanto": "eo",
    "estonian": "et", "finnish": "fi", "french": "fr", "galician": "gl", "german": "de",
    "greek": "el", "gujarati": "gu", "hausa": "ha", "hebrew": "he", "hindi": "hi",
    "hungarian": "hu", "indonesian": "id", "irish": "ga", "italian": "it", "japanese": "ja",
    "korean": "ko", "kurdish": "ku", "latin": "la", "latvian": "lv", "lithuanian": "lt",
    "malay": "ms", "marathi": "mr", "norwegian": "no", "persian": "fa", "polish": "pl",
    "portuguese": "pt", "romanian": "ro", "russian": "ru", "slovak": "sk", "slovenian": "sl",
    "somali": "so", "sotho": "st", "spanish": "es", "swahili": "sw", "swedish": "sv",
    "tagalog": "tl", "thai": "th", "turkish": "tr", "ukrainian": "uk", "urdu": "ur",
    "vietnamese": "vi", "yoruba": "yo", "zulu": "zu",
}  # fmt: skip
"""The languages that stop words are known of (stopwords-iso)."""


def language_named(given: str) -> str:
    """Returns the name of a language that is given by its name or code, in any case.

    Raises:
        InputError: there is none; the nearest name is given.
    """
    wanted = given.strip().lower()
    for name, code in LANGUAGES.items():
        if wanted in (name, code):
            return name
    raise InputError(f"no language is called {given!r}{did_you_mean(wanted, LANGUAGES)}")
