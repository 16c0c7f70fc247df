"""Money has two places, a currency, and never was a float."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from library_common.money import Money

pytestmark = pytest.mark.unit


@given(st.integers(0, 99_999_999))
def test_minor_units_come_back_as_they_went(units: int) -> None:
    money = Money.from_minor_units(units, "KES")

    assert money.minor_units == units
    assert Money.model_validate_json(money.model_dump_json()) == money
    assert Money.model_validate(money.model_dump()).minor_units == units


@pytest.mark.parametrize(
    ("written", "shown"), [("12.5", "12.50"), ("0", "0.00"), ("-0", "0.00"), ("-0.00", "0.00"), ("1e2", "100.00")]
)
def test_an_amount_is_shown_with_two_places_and_never_as_minus_nothing(written: str, shown: str) -> None:
    money = Money.model_validate({"amount": written, "currency": "USD"})

    assert money.model_dump(mode="json") == {"amount": shown, "currency": "USD"}


@pytest.mark.parametrize(
    "amount",
    [12.5, 0.1, True, "12.505", "0.001", "-0.01", -1, "1000000.00", "NaN", "Infinity", "sNaN", "", "twelve", None, []],
)
def test_what_is_no_amount_is_refused(amount: object) -> None:
    with pytest.raises(ValidationError):
        Money.model_validate({"amount": amount, "currency": "USD"})


@pytest.mark.parametrize("currency", ["", "usd", "US", "USDX", "US1", "USD\n", "ÜSD", None])
def test_what_is_no_currency_is_refused(currency: object) -> None:
    with pytest.raises(ValidationError):
        Money.model_validate({"amount": "1.00", "currency": currency})


def test_whole_numbers_are_amounts() -> None:
    assert Money.model_validate({"amount": 3, "currency": "USD"}).amount == Decimal("3.00")


def test_further_members_are_refused() -> None:
    with pytest.raises(ValidationError):
        Money.model_validate({"amount": "1.00", "currency": "USD", "cents": 1})
