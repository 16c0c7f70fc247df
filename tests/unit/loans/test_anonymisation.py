"""Taking the member out of a closed loan: what goes, what stays, and what nobody can do with it any more."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from library_common.problems import IdempotencyKeyReused
from library_common.versions import VersionConflict
from loans_service.application.closing import Anonymisation
from loans_service.application.history import StatusFilter
from loans_service.application.ports import BooksUnavailable
from loans_service.domain import errors
from loans_service.domain.loan import LEASE, Condition, Loan, LoanStatus
from tests.fakes.lending import Library
from tests.support.clock import NOON

pytestmark = pytest.mark.unit

DAY = timedelta(days=1)


def closed(library: Library, key: str | None = None) -> Loan:
    """Lent, renewed and given back damaged, two days later."""
    loan = library.lend(library.member("faculty"), library.title(), key)
    library.clock.advance(2 * DAY)
    library.renewal.renew(loan)
    library.returns.return_copy(library.loans.loans[loan.id], condition=Condition.DAMAGED)
    return library.loans.loans[loan.id]


def pending(library: Library) -> Loan:
    loan = Loan(
        id="01JD8Z1A2B3C4D5E6F7G8H9J0K",
        user_id=library.member().id,
        role="patron",
        book_id=library.title(),
        status=LoanStatus.PENDING,
        requested_at=NOON,
        due_at=NOON + 14 * DAY,
        lease_until=NOON + LEASE,
    )
    library.loans.open_pending(loan, 5)
    return loan


def is_open(library: Library) -> Loan:
    return library.lend(library.member(), library.title())


def unreleased(library: Library) -> Loan:
    loan = is_open(library)
    library.books.failures.append((BooksUnavailable("down"), False))
    return library.returns.return_copy(loan, condition=Condition.GOOD)


def doubtful(library: Library) -> Loan:
    loan = pending(library).cancelled(("checkout_cancelled", "Undone."), copy_in_doubt=True)
    library.loans.cancel(loan)
    return loan


def refused(library: Library) -> Loan:
    loan = pending(library).cancelled(("no_copies_available", "None."), copy_in_doubt=False)
    library.loans.cancel(loan)
    return loan


def test_a_closed_loan_keeps_what_was_lent_and_when_and_loses_who_had_it(library: Library) -> None:
    loan = closed(library, key="k")
    assert loan.request_digest is not None
    library.clock.advance(DAY)

    assert library.anonymisation.anonymise(loan)

    assert library.loans.loans[loan.id] == replace(
        loan, user_id=None, request_digest=None, anonymised_at=NOON + 3 * DAY, version=loan.version + 1
    )
    assert (loan.role, loan.extensions, loan.damaged, loan.closed_at) == ("faculty", 1, True, NOON + 2 * DAY)
    library.assert_nothing_left_behind()


def test_a_refused_checkout_can_be_anonymised_too(library: Library) -> None:
    loan = refused(library)

    assert library.anonymisation.anonymise(loan)

    assert library.loans.loans[loan.id].user_id is None
    assert library.loans.loans[loan.id].refusal == loan.refusal


@pytest.mark.parametrize("make", [pending, is_open, unreleased, doubtful])
def test_of_what_is_still_to_be_done_nothing_is_anonymised(library: Library, make: Callable[[Library], Loan]) -> None:
    loan = make(library)

    assert not library.anonymisation.anonymise(loan)

    assert library.loans.loans[loan.id] == loan


def test_anonymisation_tells_nobody(library: Library) -> None:
    loan = closed(library)
    told = list(library.loans.published)

    library.anonymisation.anonymise(loan)

    assert library.loans.published == told


def test_anonymisation_twice_changes_nothing_more(library: Library) -> None:
    loan = closed(library)
    library.anonymisation.anonymise(loan)
    once = library.loans.loans[loan.id]
    library.clock.advance(DAY)

    # As read before, and as it is now.
    assert library.anonymisation.anonymise(loan)
    assert library.anonymisation.anonymise(once)

    assert library.loans.loans[loan.id] == once


def test_a_refused_checkout_that_is_gone_names_nobody(library: Library) -> None:
    loan = refused(library)
    del library.loans.loans[loan.id]

    assert library.anonymisation.anonymise(loan)
    assert loan.id not in library.loans.loans


def test_what_was_released_since_it_was_read_waits_for_nobody(library: Library) -> None:
    loan = unreleased(library)
    library.copy_release.release(loan, library.clock.monotonic() + 5)

    assert library.anonymisation.anonymise(replace(loan, release_pending=False, version=loan.version + 7))

    assert library.loans.loans[loan.id].user_id is None


def test_a_loan_that_is_refused_for_no_reason_is_not_tried_for_ever(library: Library) -> None:
    loan = closed(library)

    class Odd:
        def anonymise(self, wanted: Loan) -> None:
            raise VersionConflict(loan)

    odd: Any = Odd()
    with pytest.raises(VersionConflict):
        Anonymisation(odd, library.clock).anonymise(loan)


# -- what becomes of an anonymised loan -----------------------------------------------------------


@pytest.fixture
def anonymous(library: Library) -> Loan:
    loan = closed(library, key="k")
    library.anonymisation.anonymise(loan)
    return library.loans.loans[loan.id]


def test_it_is_in_no_history(library: Library, anonymous: Loan) -> None:
    (member,) = library.members.members
    for shown in (None, *StatusFilter):
        assert library.history.of_member(member, shown, 10, None) == ([], None)
    assert library.history.places_taken(member) == 0


def test_a_late_return_finds_it_closed(library: Library, anonymous: Loan) -> None:
    found = library.returns.find(anonymous.id, None)

    assert library.returns.return_copy(found, condition=Condition.GOOD) == anonymous
    assert library.loans.loans[anonymous.id] == anonymous


def test_a_late_recovery_finds_nothing_to_do(library: Library, anonymous: Loan) -> None:
    assert library.recovery.recover(anonymous.id, attempt=3)
    library.copy_release.loans.mark_released(anonymous)

    assert library.loans.loans[anonymous.id] == anonymous


def test_it_cannot_be_renewed(library: Library, anonymous: Loan) -> None:
    with pytest.raises(errors.LoanNotOpen):
        library.renewal.renew(anonymous)


@pytest.mark.parametrize("later", [timedelta(), 2 * DAY])
def test_its_idempotency_key_lends_nothing_and_tells_nothing(
    library: Library, anonymous: Loan, later: timedelta
) -> None:
    library.clock.advance(later)
    (member,) = library.members.members.values()

    with pytest.raises(IdempotencyKeyReused, match="earlier checkout"):
        library.check_out(member, anonymous.book_id, key="k")

    assert library.loans.loans == {anonymous.id: anonymous}


def test_a_checkout_that_learns_late_that_it_succeeded_answers_as_it_was_issued(library: Library) -> None:
    loan = is_open(library)
    library.clock.advance(DAY)
    library.returns.return_copy(loan, condition=Condition.GOOD)
    library.anonymisation.anonymise(library.loans.loans[loan.id])

    as_issued = library.loans.loans[loan.id].as_issued()

    assert as_issued == replace(loan, user_id=None)


def test_a_return_dated_back_was_closed_when_it_was_written_down(library: Library) -> None:
    loan = is_open(library)
    library.clock.advance(9 * DAY)

    library.returns.return_copy(loan, condition=Condition.GOOD, returned_at=NOON + DAY)

    stored = library.loans.loans[loan.id]
    assert (stored.returned_at, stored.closed_at) == (NOON + DAY, NOON + 9 * DAY)
