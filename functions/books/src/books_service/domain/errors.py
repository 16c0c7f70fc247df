"""The refusals of the books service. Each has a stable `code`; `extra` holds further facts for the client."""

from collections.abc import Mapping, Sequence
from typing import ClassVar


class BooksError(Exception):
    """Base of every refusal of this service."""

    code: ClassVar[str] = "refused"
    detail: ClassVar[str] = ""
    """The text of errors that always have the same one."""

    def __init__(self, detail: str | None = None, extra: Mapping[str, object] | None = None) -> None:
        super().__init__(self.detail if detail is None else detail)
        self.extra = dict(extra or {})


class BookNotFound(BooksError):
    code = "book_not_found"
    detail = "There is no such title."


class CopyNotFound(BooksError):
    code = "copy_not_found"
    detail = "There is no such copy."


class BookFieldsRefused(BooksError):
    """Fields that have the right form but not a valid value: a sequence of (field, message)."""

    code = "invalid_request"

    def __init__(self, errors: Sequence[tuple[str, str]]) -> None:
        super().__init__("Some fields are not valid.")
        self.errors = tuple(errors)


class BookArchived(BooksError):
    """The title is archived: none of its copies is lent, and none is added."""

    code = "book_archived"
    detail = "The title is archived."


class NoCopiesAvailable(BooksError):
    code = "no_copies_available"
    detail = "No copy of this title is available."


class CopyNotAvailable(BooksError):
    """The copy asked for exists but is not on the shelf."""

    code = "copy_not_available"

    def __init__(self, status: str) -> None:
        super().__init__(f"This copy is {status.replace('_', ' ')}.", {"copy_status": status})


class LoanAlreadyReleased(BooksError):
    """The loan was released or refused before, so it gets no copy."""

    code = "loan_already_released"
    detail = "This loan was released or refused before."


class ReservationExpired(BooksError):
    """The reservation arrived after its `valid_until`."""

    code = "reservation_expired"
    detail = "The reservation has expired: its valid_until is in the past."


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
    """The status of a lent or promised copy changes through its loan, never by hand.

    The same holds for a status that this version does not know: a newer version set it.
    """

    code = "copy_on_loan"

    def __init__(self, status: str) -> None:
        shown = status.replace("_", " ")
        super().__init__(f"The status of this copy ({shown}) cannot be changed by hand now.", {"copy_status": status})


class CopiesInUse(BooksError):
    """Fewer copies were asked for than are lent or promised."""

    code = "copies_in_use"

    def __init__(self, in_use: int) -> None:
        super().__init__(f"{in_use} copies are lent or promised and cannot be removed.", {"in_use": in_use})


class ExceedsStock(BooksError):
    """More available copies were asked for than there are copies that could be on the shelf."""

    code = "exceeds_stock"

    def __init__(self, at_most: int) -> None:
        super().__init__(f"At most {at_most} copies can be available.", {"at_most": at_most})


class CopiesOut(BooksError):
    """A title cannot be archived while copies of it are lent or promised."""

    code = "copies_out"

    def __init__(self, in_use: int) -> None:
        super().__init__(f"{in_use} copies are still lent or promised.", {"in_use": in_use})


class TooManyCopies(BooksError):
    """The number of copies of a title is limited, because all of them are in one stored item."""

    code = "too_many_copies"

    def __init__(self, at_most: int) -> None:
        super().__init__(f"A title has at most {at_most} copies.", {"at_most": at_most})


class ChangeTooLarge(BooksError):
    """The change does not fit into one transaction."""

    code = "change_too_large"
    detail = (
        "The change is too large for one request. Add or remove at most 50 copies at a time, and change the "
        "description separately."
    )
