"""Making barcodes for new copies."""

from books_service.domain.barcodes import RandomBelow, new_barcode
from books_service.domain.stock import Copy, Stock


class Barcoding:
    """Labels new copies. institution: four digits. random_below: see `domain.barcodes`."""

    def __init__(self, institution: str, random_below: RandomBelow) -> None:
        self._institution = institution
        self._random_below = random_below

    def new_copies(self, number: int, *, besides: Stock | None = None, shelf: str | None = None) -> list[Copy]:
        """`number` available copies with barcodes that differ from each other and from those of `besides`.

        That nobody else has them is for the store to say; then new ones are made.
        """
        taken = set(besides.copies) if besides else set()
        made: list[Copy] = []
        while len(made) < number:
            barcode = new_barcode(self._institution, self._random_below)
            if barcode not in taken:
                taken.add(barcode)
                made.append(Copy(barcode, shelf=shelf))
        return made
