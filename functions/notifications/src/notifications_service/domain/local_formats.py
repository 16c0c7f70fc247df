"""Days, times and sums of money as people write them in a language; plainly where the language is not known here."""

from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo

from notifications_service.domain.amounts import with_cents

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
"""How much is shown of an amount or a currency that is none."""


def written_date(text: str, language: str, zone: tzinfo) -> str:
    """The day of an RFC 3339 moment by the calendar of that zone. What is no moment stays what it is."""
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
    """The time of day of an RFC 3339 moment by the clock of that zone. What is no moment stays what it is."""
    moment = _moment(text, zone)
    return moment.strftime(_TIMES.get(_base(language), "%H:%M")) if moment is not None else text


def written_money(money: object, language: str) -> str:
    """`USD 12.50`, `12,50 USD`. The currency by its code, which is not mistaken for another one."""
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
