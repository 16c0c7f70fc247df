"""Why the books service refuses. Each type has a stable `code`; `extra` are further facts for the client."""

from collections.abc import Mapping, Sequence
from typing import ClassVar


class BooksError(Exception):
    """Base of every refusal of this service."""

    code: ClassVar[str] = "refused"

    def __init__(self, detail: str, extra: Mapping[str, object] | None = None) -> None:
        super().__init__(detail)
        self.extra = dict(extra or {})


class BookNotFound(BooksError):
    code = "book_not_found"

    def __init__(self) -> None:
        super().__init__("There is no such title.")


class CopyNotFound(BooksError):
    code = "copy_not_found"

    def __init__(self) -> None:
        super().__init__("There is no such copy.")


class BookFieldsRefused(BooksError):
    """Fields that are well formed and still not acceptable: a sequence of (field, message)."""

    code = "invalid_request"

    def __init__(self, errors: Sequence[tuple[str, str]]) -> None:
        super().__init__("Some fields are not acceptable.")
        self.errors = tuple(errors)


class BookArchived(BooksError):
    """The title was taken out of the catalogue: nothing is lent from it or added to it."""

    code = "book_archived"

    def __init__(self) -> None:
        super().__init__("The title is archived.")


class NoCopiesAvailable(BooksError):
    code = "no_copies_available"

    def __init__(self) -> None:
        super().__init__("No copy of this title is available.")


class CopyNotAvailable(BooksError):
    """The copy asked for exists but is not on the shelf."""

    code = "copy_not_available"

    def __init__(self, status: str) -> None:
        super().__init__(f"This copy is {status.replace('_', ' ')}.", {"copy_status": status})


class LoanAlreadyReleased(BooksError):
    """The loan was released or refused before, so its reservation is void."""

    code = "loan_already_released"

    def __init__(self) -> None:
        super().__init__("This loan was released or refused before.")


class ReservationExpired(BooksError):
    """The reservation arrived after the moment until which it was valid."""

    code = "reservation_expired"

    def __init__(self) -> None:
        super().__init__("This reservation is not valid any more.")


class LoanHoldsAnotherCopy(BooksError):
    """A request names a loan and a barcode that do not belong together."""

    code = "loan_holds_another_copy"

    def __init__(self, barcode: str) -> None:
        super().__init__("This loan holds another copy of the title.", {"held_barcode": barcode})


class BarcodeTaken(BooksError):
    code = "barcode_taken"

    def __init__(self, barcode: str) -> None:
        super().__init__(f"The barcode {barcode} belongs to another copy.")


class CopyOnLoan(BooksError):
    """A lent or promised copy changes its state through its loan, never by hand."""

    code = "copy_on_loan"

    def __init__(self, status: str) -> None:
        super().__init__("The copy is lent or promised; its loan decides its state.", {"copy_status": status})


class CopiesInUse(BooksError):
    """Fewer copies were asked for than are lent or promised."""

    code = "copies_in_use"

    def __init__(self, in_use: int) -> None:
        super().__init__(f"Lent or promised copies cannot be taken away: {in_use}.", {"in_use": in_use})


class ExceedsStock(BooksError):
    """More available copies were asked for than there are copies that could be on the shelf."""

    code = "exceeds_stock"

    def __init__(self, at_most: int) -> None:
        super().__init__(f"That many copies cannot be on the shelf; at most {at_most}.", {"at_most": at_most})


class CopiesOut(BooksError):
    """A title cannot be archived while copies of it are lent or promised."""

    code = "copies_out"

    def __init__(self, in_use: int) -> None:
        super().__init__(f"Copies of it are still lent or promised: {in_use}.", {"in_use": in_use})


class TooManyCopies(BooksError):
    """A title has a bounded number of copies, because all of them live in one stored item."""

    code = "too_many_copies"

    def __init__(self, at_most: int) -> None:
        super().__init__(f"A title has at most {at_most} copies.", {"at_most": at_most})


class ChangeTooLarge(BooksError):
    """The change does not fit into one transaction, and half of it is not an option."""

    code = "change_too_large"

    def __init__(self) -> None:
        super().__init__(
            "This is too much for one request: at most 50 copies more or fewer, and a new description separately."
        )
