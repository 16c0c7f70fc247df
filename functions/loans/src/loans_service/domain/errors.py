"""The refusals of lending, each with its stable code. Sentences are for people, codes are for programs."""

from collections.abc import Sequence


class LendingError(Exception):
    """Base of all refusals. `detail`: the sentence. `extra`: further members of the problem document."""

    code = "lending_refused"
    detail = ""

    def __init__(self, detail: str | None = None, *, extra: dict[str, object] | None = None) -> None:
        super().__init__(detail or self.detail)
        self.extra = extra


class LoanNotFound(LendingError):
    code = "loan_not_found"
    detail = "There is no such loan."


class MemberNotFound(LendingError):
    code = "user_not_found"
    detail = "There is no such member."


class RefusedByBooks(LendingError):
    """Base of the refusals that books answers to a reservation. Each is final for its loan."""

    code = "refused_by_books"


class BookNotFound(RefusedByBooks):
    code = "book_not_found"
    detail = "There is no such title."


class CopyNotFound(RefusedByBooks):
    code = "copy_not_found"


class NoCopiesAvailable(RefusedByBooks):
    code = "no_copies_available"


class CopyNotAvailable(RefusedByBooks):
    code = "copy_not_available"


class BookArchived(RefusedByBooks):
    code = "book_archived"


class AlreadyBorrowed(LendingError):
    """The member already has this copy."""

    code = "already_borrowed"


class CheckoutCancelled(RefusedByBooks):
    """The checkout could not be completed in time and was undone."""

    code = "checkout_cancelled"


class CopyNotOnLoan(LendingError):
    """Nothing to return. The copy's status says what the desk should do with it."""

    code = "copy_not_on_loan"
    detail = "There is no open loan of this copy."

    def __init__(self, status: str) -> None:
        recorded = f" It is recorded as {status.replace('_', ' ')}." if status else ""
        super().__init__(self.detail + recorded, extra={"copy_status": status or None})


class LoanNotOpen(LendingError):
    code = "loan_not_open"


class LoanChanged(LendingError):
    """Somebody else changed the loan at the same time."""

    code = "loan_changed"


class LoanStatusUnknown(LendingError):
    """The loan has a status that this version of the code does not know, so it is not changed.

    It happens while a new version is being deployed, and after a roll-back.
    """

    code = "loan_status_unknown"
    retry_after = 30

    def __init__(self, status: str) -> None:
        super().__init__(f"This version cannot change a loan with the status {status}. Try again later.")


class StaffOnly(LendingError):
    code = "only_staff_may"


class ReturnAtDesk(LendingError):
    """The policy `self_return` is `desk`."""

    code = "return_at_desk"
    detail = "Copies are returned at the desk of this library."


class PolicyRefused(LendingError):
    """One or more policy rules refuse. `reasons`: code and sentence of each."""

    code = "policy_refused"

    def __init__(self, detail: str, reasons: Sequence[tuple[str, str]]) -> None:
        # With a single reason its own code and sentence are the more useful ones.
        super().__init__(reasons[0][1] if len(reasons) == 1 else detail)
        self.reasons = tuple(reasons)
        if len(self.reasons) == 1:
            self.code = self.reasons[0][0]


class InvalidReturnDate(LendingError):
    code = "invalid_moment"


class PolicyMissing(LendingError):
    """The library's policy document has no usable rule. Nothing is lent until it has one."""

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
    """Another request with the same idempotency key is still running."""

    code = "checkout_in_progress"
    retry_after = 2


REPEATABLE_REFUSALS: dict[str, type[LendingError]] = {
    error.code: error
    for error in (BookNotFound, CopyNotFound, NoCopiesAvailable, CopyNotAvailable, BookArchived, CheckoutCancelled)
}
"""Refusals that a CANCELLED loan stores, so that a repeated request gets the same answer."""
