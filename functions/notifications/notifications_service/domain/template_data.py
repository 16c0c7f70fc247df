"""What is handed to a template: plain values by the names it declares, and nothing that could be anything else."""

import unicodedata
from collections.abc import Mapping
from typing import Any

from notifications_service.domain.template_fields import Field, FieldType
from notifications_service.domain.template_parts import MAX_ITEMS

MAX_LINE = 500
MAX_PROSE = 2000
"""So that a message fits into a mail whatever it is made of: an escaped sign takes up to six bytes."""
_BREAKS = frozenset("\n\r\t\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029")


def one_line(text: str) -> str:
    """Without line breaks and control characters: for a header, a heading, an item of a list."""
    return " ".join("".join(" " if c in _BREAKS else c for c in text if c in _BREAKS or _printable(c)).split())


def several_lines(text: str) -> str:
    """Without control characters but line breaks."""
    joined = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(c for c in joined if c == "\n" or _printable(c))


def plain(fields: tuple[Field, ...], data: Mapping[str, Any], phrases: Mapping[str, Any]) -> dict[str, Any]:
    """Every declared field and no other. phrases: `missing` and `words` of the reader's language.

    What was not said is empty, or the phrase that stands in for it.
    """
    missing: Mapping[str, str] = phrases.get("missing", {})
    words: Mapping[str, str] = phrases.get("words", {})
    return {field.name: _plain(field, data.get(field.name), words) or missing.get(field.name, "") for field in fields}


def _plain(field: Field, value: Any, words: Mapping[str, str]) -> Any:
    match field.type:
        case FieldType.PROSE:
            return several_lines(_text(value))[:MAX_PROSE]
        case FieldType.WORD:
            text = one_line(_text(value))
            return words.get(text, text)[:MAX_LINE]
        case FieldType.MONEY:
            known = isinstance(value, Mapping) and "amount" in value
            return {name: one_line(_text(value.get(name))) for name in ("amount", "currency")} if known else ""
        case FieldType.NUMBER:
            return value if isinstance(value, int) else 0
        case FieldType.GROUPS:
            return [_group(group) for group in list(value or ())[:MAX_ITEMS]]
        case _:
            return one_line(_text(value))[:MAX_LINE]


def _group(group: Mapping[str, Any]) -> dict[str, Any]:
    return {"heading": one_line(_text(group["heading"])), "lines": [one_line(_text(x)) for x in group["lines"]]}


def _text(value: object) -> str:
    # Of a subclass that says to be safe markup only its characters.
    return str.__str__(value) if isinstance(value, str) else "" if value is None else str(value)


def _printable(char: str) -> bool:
    return unicodedata.category(char) not in {"Cc", "Cs"}
