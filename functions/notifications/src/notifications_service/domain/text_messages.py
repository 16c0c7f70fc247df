"""The length of a text message, and how to keep it one."""

import unicodedata

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = frozenset("^{}\\[~]|€")
_TYPOGRAPHIC = "\u2018\u2019\u201c\u201d\u00ab\u00bb\u2013\u2014\u00a0\u202f"
_SIMPLER: dict[int, str | int | None] = {**str.maketrans(_TYPOGRAPHIC, '\'\'""""--  '), ord("\u2026"): "..."}

MAX_CHARACTERS = 160
MAX_CHARACTERS_OF_OTHER_ALPHABETS = 70
"""In UTF-16, in which the whole text is sent when GSM 03.38 lacks one of its characters."""

_DOTS = "..."


def simpler(text: str) -> str:
    """In GSM 03.38, if leaving out accents and invisible characters is enough; else unchanged."""
    text = text.translate(_SIMPLER)
    if is_gsm(text):
        return text
    bare = "".join(char if is_gsm(char) else _without_accents(char) for char in text)
    return bare if is_gsm(bare) else text


def _without_accents(char: str) -> str:
    return "".join(
        part
        for part in unicodedata.normalize("NFD", char)
        if not unicodedata.combining(part) and unicodedata.category(part) != "Cf"
    )


def is_gsm(text: str) -> bool:
    """Whether GSM 03.38 has every character."""
    return all(char in _BASIC or char in _EXTENDED for char in text)


def length(text: str) -> int:
    """In the characters that `room` counts; some count twice."""
    if is_gsm(text):
        return sum(2 if char in _EXTENDED else 1 for char in text)
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def room(text: str) -> int:
    """How many characters make one message, in the alphabet that this text needs."""
    return MAX_CHARACTERS if is_gsm(text) else MAX_CHARACTERS_OF_OTHER_ALPHABETS


def over(text: str) -> int:
    """How many characters are too many for one message; 0 or less when it fits."""
    return length(text) - room(text)


def shortened(text: str, by: int) -> str:
    """At least `by` characters shorter, but never shorter than a recognisable beginning."""
    kept = max(12, len(text) - by - len(_DOTS))
    return text if kept >= len(text) else f"{text[:kept].rstrip()}{_DOTS}"


def cut(text: str) -> str:
    """Cut to one message."""
    kept = text
    while over(text) > 0:
        kept = kept[: -max(1, over(text) // 2)]
        text = f"{kept.rstrip()}{_DOTS}"
    return text
