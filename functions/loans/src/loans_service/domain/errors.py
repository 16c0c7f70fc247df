"""What lending refuses, each with its stable code. Texts are for people; codes are for programs."""

from collections.abc import Sequence


class LendingError(Exception):
    """Base of all refusals. `reasons`: (code, sentence) of every rule that refused."""

    code = "lending_refused"

    def __init__(self, detail: str, *, extra: dict[str, object] | None = None) -> None:
        super().__init__(detail)
        self.extra = extra


class LoanNotFound(LendingError):
    code = "loan_not_found"

    def __init__(self, detail: str = "There is no such loan.") -> None:
        super().__init__(detail)


class MemberNotFound(LendingError):
    code = "user_not_found"


class RefusedByBooks(LendingError):
    """Base of what books answers to a reservation; final for the loan it was made for."""

    code = "refused_by_books"


class BookNotFound(RefusedByBooks):
    code = "book_not_found"


class CopyNotFound(RefusedByBooks):
    code = "copy_not_found"


class NoCopiesAvailable(RefusedByBooks):
    code = "no_copies_available"


class CopyNotAvailable(RefusedByBooks):
    code = "copy_not_available"


class BookArchived(RefusedByBooks):
    code = "book_archived"


class AlreadyBorrowed(LendingError):
    """The same member scans a copy they already hold."""

    code = "already_borrowed"


class CheckoutCancelled(RefusedByBooks):
    """An earlier attempt with this idempotency key could not be completed in time and was undone."""

    code = "checkout_cancelled"


class CopyNotOnLoan(LendingError):
    code = "copy_not_on_loan"


class LoanNotOpen(LendingError):
    code = "loan_not_open"


class LoanChanged(LendingError):
    """Somebody else changed the loan at the same moment."""

    code = "loan_changed"


class OnlyStaffMay(LendingError):
    code = "staff_only"


class PolicyRefused(LendingError):
    """One or more policy rules refuse; `reasons` names all of them."""

    code = "policy_refused"

    def __init__(self, detail: str, reasons: Sequence[tuple[str, str]]) -> None:
        # With a single reason its own code and sentence are the more useful ones.
        super().__init__(reasons[0][1] if len(reasons) == 1 else detail)
        self.reasons = tuple(reasons)
        if len(self.reasons) == 1:
            self.code = self.reasons[0][0]


class InvalidMoment(LendingError):
    code = "invalid_moment"


class PolicyMissing(LendingError):
    """The library's policy document has no usable rule: an error of configuration, not a free pass."""

    code = "policy_missing"


class DependencyUnavailable(LendingError):
    """A needed service is down; nothing was done."""

    code = "service_unavailable"
    retry_after = 5


class CheckoutUnresolved(LendingError):
    """It is not known whether the copy was taken; the recovery will finish or cancel the checkout."""

    code = "checkout_unresolved"
    retry_after = 10


class StillInProgress(LendingError):
    """Another request with the same idempotency key is being worked on."""

    code = "checkout_in_progress"
    retry_after = 2


REPEATABLE_REFUSALS: dict[str, type[LendingError]] = {
    error.code: error
    for error in (BookNotFound, CopyNotFound, NoCopiesAvailable, CopyNotAvailable, BookArchived, CheckoutCancelled)
}
"""Refusals a CANCELLED loan remembers, so that a repeated request gets the same answer."""
