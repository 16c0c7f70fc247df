"""How long a text message is, and how to keep it one."""

import unicodedata

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = frozenset("^{}\\[~]|€")
_TYPOGRAPHIC = "\u2018\u2019\u201c\u201d\u00ab\u00bb\u2013\u2014\u00a0\u202f"
_SIMPLER: dict[int, str | int | None] = {**str.maketrans(_TYPOGRAPHIC, '\'\'""""--  '), ord("\u2026"): "..."}

MAX_CHARACTERS = 160


def simpler(text: str) -> str:
    """In the alphabet of text messages, if leaving out accents is enough for that; else a message has less than half
    the room."""
    text = text.translate(_SIMPLER)
    if is_gsm(text):
        return text
    bare = "".join(char if is_gsm(char) else _without_accents(char) for char in text)
    return bare if is_gsm(bare) else text


def _without_accents(char: str) -> str:
    return "".join(part for part in unicodedata.normalize("NFD", char) if not unicodedata.combining(part))


def is_gsm(text: str) -> bool:
    """Whether the alphabet of text messages (GSM 03.38) has every character."""
    return all(char in _BASIC or char in _EXTENDED for char in text)


def length(text: str) -> int:
    """In the characters of which a message has 160; some count twice."""
    return sum(2 if char in _EXTENDED else 1 for char in text)


def shortened(text: str, by: int) -> str:
    """At least `by` characters shorter, but for a beginning that still says what is meant."""
    kept = max(12, len(text) - by - 3)
    return text if kept >= len(text) else f"{text[:kept].rstrip()}..."
