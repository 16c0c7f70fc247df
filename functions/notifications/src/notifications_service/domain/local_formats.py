"""Amounts of money, and how days, times and amounts are written in a language. Unknown languages get a plain form."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from decimal import Decimal

_AMOUNT = re.compile(r"-?[0-9]{1,9}(\.[0-9]{1,2})?")
_CURRENCY = re.compile(r"[A-Z]{3}")
_MONTHS = {
    "en": (
        "January February March April May June July August September October November December",
        "{day} {month} {year}",
    ),
    "fr": (
        "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
        "{day} {month} {year}",
    ),
    "es": (
        "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
        "{day} de {month} de {year}",
    ),
}
_TIMES = {"en": "%H:%M", "fr": "%H h %M", "es": "%H:%M"}
_COMMA_BEFORE_CENTS = frozenset({"fr", "es"})
_LONGEST_ODD = 20
"""How many characters are shown of an invalid amount or currency."""


def is_money(value: object) -> bool:
    """Whether it is `{"amount": "12.50", "currency": "USD"}`, as the library's services write it."""
    match value:
        case {"amount": str(amount), "currency": str(currency)}:
            return _AMOUNT.fullmatch(amount) is not None and _CURRENCY.fullmatch(currency) is not None
    return False


def with_cents(amount: object) -> str | None:
    """`12.50`; None unless it is an amount.

    The pattern bounds the size: `1e999999999` written out would fill the memory of any function.
    """
    text = str(amount) if isinstance(amount, str | Decimal) else ""
    return f"{Decimal(text):.2f}" if _AMOUNT.fullmatch(text) else None


def plain_money(value: Mapping[str, object]) -> dict[str, str]:
    """Only the two fields of what `is_money`."""
    return {name: str(value[name]) for name in ("amount", "currency")}


def written_date(text: str, language: str, zone: tzinfo) -> str:
    """The day of an RFC 3339 timestamp by the calendar of that zone. Other text is returned unchanged."""
    moment = _moment(text, zone)
    if moment is None:
        return text
    known = _MONTHS.get(_base(language))
    if known is None:
        return moment.date().isoformat()
    months, pattern = known
    day = "1er" if moment.day == 1 and _base(language) == "fr" else str(moment.day)
    return pattern.format(day=day, month=months.split()[moment.month - 1], year=moment.year)


def written_time(text: str, language: str, zone: tzinfo) -> str:
    """The time of day of an RFC 3339 timestamp by the clock of that zone. Other text is returned unchanged."""
    moment = _moment(text, zone)
    return moment.strftime(_TIMES.get(_base(language), "%H:%M")) if moment is not None else text


def written_money(money: object, language: str) -> str:
    """`USD 12.50`, `12,50 USD`. Currencies are written as codes, which are never ambiguous."""
    if not isinstance(money, Mapping):
        return str(money)
    given = money.get("amount", "")
    amount = with_cents(given) or str(given)[:_LONGEST_ODD]
    currency = str(money.get("currency", ""))[:_LONGEST_ODD]
    if _base(language) in _COMMA_BEFORE_CENTS:
        return f"{amount.replace('.', ',')} {currency}".strip()
    return f"{currency} {amount}".strip()


def _moment(text: str, zone: tzinfo) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(zone)
    except (ValueError, OverflowError):
        return None


def _base(language: str) -> str:
    return language.partition("-")[0]
