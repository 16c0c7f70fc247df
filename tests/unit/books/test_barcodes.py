"""Generated barcodes are the 14 digits a library scanner expects."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from books_service.domain.barcodes import BarcodeGenerator, luhn_digit, new_barcode, spellings

pytestmark = pytest.mark.unit

digits = st.text("0123456789", min_size=1, max_size=20)


def _luhn_sum_is_right(number: str) -> bool:
    # The rule as the standard words it, from the check digit leftwards.
    total = 0
    for place, digit in enumerate(reversed(number)):
        value = int(digit)
        if place % 2 == 1:
            value = sum(int(d) for d in str(value * 2))
        total += value
    return total % 10 == 0


@pytest.mark.parametrize(("number", "check"), [("7992739871", "3"), ("3000100000000", "2"), ("0", "0")])
def test_luhn_digit(number: str, check: str) -> None:
    assert luhn_digit(number) == check


@given(digits)
def test_every_check_digit_satisfies_the_rule(number: str) -> None:
    assert _luhn_sum_is_right(number + luhn_digit(number))


@given(digits, st.integers(0, 20), st.integers(1, 9))
def test_one_wrong_digit_is_noticed(number: str, place: int, off_by: int) -> None:
    right = number + luhn_digit(number)
    place %= len(right)
    wrong = right[:place] + str((int(right[place]) + off_by) % 10) + right[place + 1 :]
    assert not _luhn_sum_is_right(wrong)


@given(st.integers(0, 10**8 - 1))
def test_a_generated_barcode(number: int) -> None:
    barcode = new_barcode("0042", lambda below: number if below == 10**8 else pytest.fail("another range"))
    assert len(barcode) == 14
    assert barcode.startswith("30042")
    assert int(barcode[5:13]) == number
    assert _luhn_sum_is_right(barcode)
    assert spellings(barcode) == (barcode,)


@pytest.mark.parametrize("text", ["", "ab", "a" * 31, "a b", "ä12", "12\n", "a/b", "٣٣٣"])
def test_what_is_no_barcode(text: str) -> None:
    assert spellings(text) == ()


def test_generated_barcodes_differ_from_each_other_and_from_those_there() -> None:
    numbers = iter([7, 7, 8, 9, 9, 10])
    taken = {new_barcode("0001", lambda _: 8)}

    made = BarcodeGenerator("0001", lambda _: next(numbers)).generate(3, taken=taken)

    assert [barcode[5:13] for barcode in made] == ["00000007", "00000009", "00000010"]
