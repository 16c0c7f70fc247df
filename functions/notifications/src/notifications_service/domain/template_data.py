"""The data that a template gets: plain values for its declared fields, and nothing else."""

import unicodedata
from collections.abc import Mapping
from typing import Any

from notifications_service.domain.templates import MAX_ITEMS, Field, FieldType

MAX_LINE = 500
MAX_PROSE = 2000
"""So that every message fits into a mail: an escaped character takes up to six bytes."""
_BREAKS = frozenset("\n\r\t\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029")
_OVERRIDES = frozenset("\u202a\u202b\u202c\u202d\u202e")
"""Embeddings and overrides of the writing direction. They affect all text after them."""
_ISOLATES, _END_OF_ISOLATE = frozenset("\u2066\u2067\u2068"), "\u2069"


def one_line(text: str, most: int | None = None) -> str:
    """Without line breaks, control characters and direction overrides: for headers, headings and list items.

    most: characters.
    """
    line = " ".join("".join(" " if c in _BREAKS else c for c in text if c in _BREAKS or _printable(c)).split())
    return _closed(line[:most])


def several_lines(text: str, most: int | None = None) -> str:
    """Without direction overrides, and without control characters except line breaks."""
    joined = text.replace("\r\n", "\n").replace("\r", "\n")
    # Isolates end with their line.
    kept = "".join(c for c in joined if c == "\n" or _printable(c))[:most]
    return "".join(_closed(line) for line in kept.splitlines(keepends=True))


def plain(fields: tuple[Field, ...], data: Mapping[str, Any], phrases: Mapping[str, Any]) -> dict[str, Any]:
    """Every declared field and no other; a missing one is empty, or the phrase for it.

    phrases: `missing` and `words` of the reader's language.
    """
    missing: Mapping[str, str] = phrases.get("missing", {})
    words: Mapping[str, str] = phrases.get("words", {})
    return {field.name: _plain(field, data.get(field.name), words) or missing.get(field.name, "") for field in fields}


def _plain(field: Field, value: Any, words: Mapping[str, str]) -> Any:
    match field.type:
        case FieldType.PROSE:
            return several_lines(_text(value), MAX_PROSE)
        case FieldType.WORD:
            text = one_line(_text(value))
            return words.get(text, text)[:MAX_LINE]
        case FieldType.MONEY:
            return _money(value) if isinstance(value, Mapping) and "amount" in value else ""
        case FieldType.NUMBER:
            return value if isinstance(value, int) else 0
        case FieldType.GROUPS:
            return [_group(group) for group in list(value or ())[:MAX_ITEMS]]
        case _:
            return one_line(_text(value), MAX_LINE)


def _money(money: Mapping[str, Any]) -> dict[str, str]:
    return {name: one_line(_text(money.get(name)), MAX_LINE) for name in ("amount", "currency")}


def _group(group: Mapping[str, Any]) -> dict[str, Any]:
    return {"heading": one_line(_text(group["heading"])), "lines": [one_line(_text(x)) for x in group["lines"]]}


def _text(value: object) -> str:
    # Of a subclass that says to be safe markup only its characters.
    return str.__str__(value) if isinstance(value, str) else "" if value is None else str(value)


def _printable(char: str) -> bool:
    return char not in _OVERRIDES and unicodedata.category(char) not in {"Cc", "Cs"}


def _closed(line: str) -> str:
    """Keeps only isolates that are closed in the line: they affect nothing outside themselves."""
    if not (_END_OF_ISOLATE in line or any(c in _ISOLATES for c in line)):
        return line
    open_ones: list[int] = []
    kept: set[int] = set()
    for place, char in enumerate(line):
        if char in _ISOLATES:
            open_ones.append(place)
        elif char == _END_OF_ISOLATE and open_ones:
            kept |= {open_ones.pop(), place}
    return "".join(
        char for place, char in enumerate(line) if place in kept or not (char in _ISOLATES or char == _END_OF_ISOLATE)
    )
