"""Barcodes of copies.

Generated ones follow the 14-digit Codabar scheme of library labels: `3` for an item (`2` is a
patron), four digits for the institution, eight for the item, and a Luhn mod-10 check digit
(ISO/IEC 7812-1, annex B). Libraries with labels of their own may use those instead.

Barcodes are compared regardless of case and stored in capitals. Versions before that stored them as they were sent, so
a stored one may have small letters.
"""

import re
from collections.abc import Callable, Container

type RandomBelow = Callable[[int], int]
"""A random whole number from 0 up to, not including, the argument."""

_BARCODE = re.compile(r"[A-Za-z0-9-]{3,30}")
_ITEM = "3"
_ITEM_DIGITS = 8


def spellings(barcode: str) -> tuple[str, ...]:
    """How a barcode may be stored. None for text that is no barcode."""
    if _BARCODE.fullmatch(barcode) is None:
        return ()
    return tuple(dict.fromkeys((barcode, barcode.lower())))


def luhn_digit(digits: str) -> str:
    """The check digit to append to `digits`."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        # The digit next to the check digit is doubled, then every second one.
        value = int(digit) * (2 if place % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return str(-total % 10)


def new_barcode(institution: str, random_below: RandomBelow) -> str:
    """A random item barcode of `institution` (four digits). Random, so that labels tell nothing about the size
    of the collection and two desks need not agree on a counter. The store refuses the rare duplicate."""
    digits = f"{_ITEM}{institution}{random_below(10**_ITEM_DIGITS):0{_ITEM_DIGITS}d}"
    return digits + luhn_digit(digits)


class BarcodeGenerator:
    """Generates barcodes of one institution (four digits)."""

    def __init__(self, institution: str, random_below: RandomBelow) -> None:
        self._institution = institution
        self._random_below = random_below

    def generate(self, number: int, *, taken: Container[str] = ()) -> list[str]:
        """`number` different barcodes that are not among `taken`.

        Other titles may have them: only the store can tell. Then generate again.
        """
        made: list[str] = []
        while len(made) < number:
            barcode = new_barcode(self._institution, self._random_below)
            if barcode not in taken and barcode not in made:
                made.append(barcode)
        return made
