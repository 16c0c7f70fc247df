"""What an amount of money is, whoever says so and wherever it is stored."""

import re
from collections.abc import Mapping
from decimal import Decimal

_AMOUNT = re.compile(r"-?[0-9]{1,9}(\.[0-9]{1,2})?")
_CURRENCY = re.compile(r"[A-Z]{3}")


def is_money(value: object) -> bool:
    """Whether it is `{"amount": "12.50", "currency": "USD"}`, as the library's services write it."""
    match value:
        case {"amount": str(amount), "currency": str(currency)}:
            return _AMOUNT.fullmatch(amount) is not None and _CURRENCY.fullmatch(currency) is not None
    return False


def with_cents(amount: object) -> str | None:
    """`12.50`; None for what is no amount.

    Python's own numbers know no bounds: written out, `1e999999999` fills the memory of any function.
    """
    text = str(amount) if isinstance(amount, str | Decimal) else ""
    return f"{Decimal(text):.2f}" if _AMOUNT.fullmatch(text) else None


def plain_money(value: Mapping[str, object]) -> dict[str, str]:
    """Of what `is_money`, only that."""
    return {name: str(value[name]) for name in ("amount", "currency")}
