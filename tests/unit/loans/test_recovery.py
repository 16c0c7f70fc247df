"""The recovery: waits for services that are down, skips what is finished, leaves running checkouts alone."""

from datetime import timedelta

import pytest

from loans_service.application.ports import BooksOutcomeUnknown, BooksUnavailable
from loans_service.domain import errors
from loans_service.domain.loan import GIVE_UP_AFTER, LEASE, Condition, Loan, LoanStatus
from tests.fakes.lending import Library

pytestmark = pytest.mark.unit

SECOND = timedelta(seconds=1)
DOWN = (BooksUnavailable("down"), False)
SILENT = (BooksOutcomeUnknown("timeout"), False)
LOST_ANSWER = (BooksOutcomeUnknown("timeout"), True)


def stuck(library: Library, *, copies: int = 1, taken: bool = False) -> Loan:
    """A checkout of which nobody knows whether books took a copy for it."""
    library.books.failures.append(LOST_ANSWER if taken else SILENT)
    with pytest.raises(errors.CheckoutUnresolved):
        library.lend(library.member(), library.title(copies))
    (pending,) = (loan for loan in library.loans.loans.values() if loan.is_unfinished)
    return pending


def now(library: Library, loan: Loan) -> Loan:
    return library.loans.loans[loan.id]


def test_a_finished_loan_is_left_alone(library: Library) -> None:
    loan = library.lend(library.member(), library.title())
    library.returns.return_copy(library.lend(library.member(), library.title()), condition=Condition.GOOD)
    before, calls = dict(library.loans.loans), list(library.books.calls)

    for loan_id in (*before, "0" * 26):
        assert library.recovery.recover(loan_id, attempt=7)

    assert (library.loans.loans, library.books.calls, library.recoveries.queued) == (before, calls, [])
    assert now(library, loan).is_open


def test_a_leased_checkout_is_looked_at_when_its_lease_ends_and_not_counted_as_a_failure(library: Library) -> None:
    loan = stuck(library)
    library.clock.advance(timedelta(seconds=10, milliseconds=500))

    assert not library.recovery.recover(loan.id, attempt=3)

    ((_, seconds, attempt),) = library.recoveries.queued
    assert attempt == 3
    library.clock.advance(seconds * SECOND)
    assert library.recovery.recover(loan.id, attempt=attempt)
    library.assert_nothing_left_behind()


def test_at_the_very_end_of_the_lease_the_recovery_may_work(library: Library) -> None:
    loan = stuck(library)

    library.clock.advance(LEASE - SECOND)
    assert not library.recovery.recover(loan.id, attempt=0)
    library.clock.advance(SECOND)
    assert library.recovery.recover(loan.id, attempt=0)


def test_the_pauses_grow_to_what_the_queue_can_delay(library: Library) -> None:
    loan = library.lend(library.member(), library.title())
    library.books.failures.append(DOWN)
    library.returns.return_copy(loan, condition=Condition.GOOD)

    attempt = 0
    for _ in range(15):
        library.books.failures.append(DOWN)
        assert not library.recovery.recover(loan.id, attempt)
        attempt = library.recoveries.queued[-1][2]

    assert [seconds for _, seconds, _ in library.recoveries.queued] == [30, 60, 120, 240, 480] + [900] * 10
    assert [attempt for _, _, attempt in library.recoveries.queued] == list(range(1, 16))


def test_a_huge_attempt_is_no_trouble(library: Library) -> None:
    loan = library.lend(library.member(), library.title())
    library.books.failures += [DOWN, DOWN]
    library.returns.return_copy(loan, condition=Condition.GOOD)

    library.recovery.recover(loan.id, attempt=10**9)

    assert library.recoveries.queued == [(loan.id, 900, 10**9 + 1)]


@pytest.mark.parametrize("outage", [BooksUnavailable("down"), BooksOutcomeUnknown("timeout")])
@pytest.mark.parametrize("taken", [True, False])
def test_books_down_for_days_keeps_a_checkout_queued_and_undoes_it_in_the_end(
    library: Library, outage: Exception, taken: bool
) -> None:
    loan = stuck(library, taken=taken)
    give_back_fails = BooksUnavailable("down")
    attempt, days = 0, timedelta()
    while days < timedelta(days=3):
        library.clock.advance(LEASE + SECOND)
        is_pending = now(library, loan).status is LoanStatus.PENDING
        given_up = is_pending and now(library, loan).is_given_up(library.clock.now())
        # An undone checkout asks books twice: at once, and in the same go once more as any release_pending loan.
        library.books.failures += [(give_back_fails, False)] * 2 if given_up else []
        library.books.failures += [] if given_up else [(outage if is_pending else give_back_fails, False)]
        assert not library.recovery.recover(loan.id, attempt)
        assert library.books.failures == []
        _, seconds, attempt = library.recoveries.queued[-1]
        pause = timedelta(seconds=seconds)
        library.clock.advance(pause)
        days += pause + LEASE
    assert now(library, loan).status is LoanStatus.CANCELLED
    assert now(library, loan).release_pending
    assert library.loans.account(loan.borrower).places_taken == 0

    assert library.recovery.recover(loan.id, attempt)

    library.assert_nothing_left_behind()
    assert library.books.available(loan.book_id) == 1


def test_a_checkout_is_completed_while_somebody_may_still_wait_for_it(library: Library) -> None:
    loan = stuck(library)
    library.clock.advance(GIVE_UP_AFTER)

    assert library.recovery.recover(loan.id, attempt=0)

    assert now(library, loan).status is LoanStatus.ACTIVE
    assert now(library, loan).due_at == loan.due_at
    library.assert_nothing_left_behind()


def test_a_refusal_ends_a_checkout(library: Library) -> None:
    loan = stuck(library, copies=0)
    library.clock.advance(LEASE)

    assert library.recovery.recover(loan.id, attempt=0)

    assert now(library, loan).refusal == ("no_copies_available", "No copy of this title is available.")
    library.assert_nothing_left_behind()


def test_an_outage_seen_by_the_recovery_does_not_withdraw_the_checkout(library: Library) -> None:
    # Only who knows that nothing was ever sent may take a checkout back; the recovery does not.
    loan = stuck(library, taken=True)
    library.clock.advance(LEASE)
    library.books.failures.append(DOWN)

    assert not library.recovery.recover(loan.id, attempt=0)
    assert now(library, loan).status is LoanStatus.PENDING

    library.clock.advance(LEASE)
    assert library.recovery.recover(loan.id, attempt=1)
    library.assert_nothing_left_behind()


def test_of_two_recoveries_one_works(library: Library) -> None:
    loan = stuck(library)
    library.clock.advance(LEASE)
    library.books.failures.append(SILENT)
    assert not library.recovery.recover(loan.id, attempt=0)
    calls = len(library.books.calls)

    assert not library.recovery.recover(loan.id, attempt=0)

    assert len(library.books.calls) == calls, "the second finds the first one's lease"


def test_who_lost_its_lease_writes_nothing_any_more(library: Library) -> None:
    """A process falls asleep with books' answer in its hand; the recovery goes on meanwhile."""
    member, book = library.member(), library.title()
    take = library.books.reserve

    def take_and_sleep(loan: Loan, deadline: float) -> object:
        copy = take(loan, deadline)
        library.books.reserve = take  # type: ignore[method-assign]  # the next process is awake
        library.clock.advance(LEASE)
        library.books.failures.append(LOST_ANSWER)
        assert not library.recovery.recover(loan.id, attempt=0)
        assert now(library, loan).is_leased(library.clock.now())
        return copy

    library.books.reserve = take_and_sleep  # type: ignore[method-assign, assignment]  # for one call

    # It finds the lease gone, waits for whoever has it, and gives up when its own time is over.
    with pytest.raises(errors.StillInProgress):
        library.lend(member, book)
    (loan,) = library.loans.loans.values()
    assert loan.status is LoanStatus.PENDING
    assert loan.id not in library.books.tombstones, "the copy is the other one's to keep"

    library.clock.advance(LEASE)
    assert library.recovery.recover(loan.id, attempt=1)
    assert now(library, loan).status is LoanStatus.ACTIVE
    library.assert_nothing_left_behind()


@pytest.mark.parametrize("finished_as", [LoanStatus.ACTIVE, LoanStatus.RETURNED])
def test_who_wakes_up_after_the_recovery_has_finished_answers_the_same_loan(
    library: Library, finished_as: LoanStatus
) -> None:
    member, book = library.member(), library.title()
    take = library.books.reserve

    def take_and_sleep(loan: Loan, deadline: float) -> object:
        copy = take(loan, deadline)
        library.books.reserve = take  # type: ignore[method-assign]  # the next process is awake
        library.clock.advance(LEASE)
        assert library.recovery.recover(loan.id, attempt=0)
        if finished_as is LoanStatus.RETURNED:
            library.returns.return_copy(now(library, loan), condition=Condition.DAMAGED)
        return copy

    library.books.reserve = take_and_sleep  # type: ignore[method-assign, assignment]  # for one call

    answered = library.lend(member, book)

    (loan,) = library.loans.loans.values()
    assert loan.status is finished_as
    assert (answered.id, answered.status, answered.returned_at) == (loan.id, LoanStatus.ACTIVE, None)
    assert [event.type for event in library.loans.published].count("LoanCreated") == 1
    library.assert_nothing_left_behind()


def test_who_wakes_up_after_the_recovery_has_undone_it_keeps_no_copy(library: Library) -> None:
    member, book = library.member(), library.title()
    take = library.books.reserve

    def sleep_and_take(loan: Loan, deadline: float) -> object:
        library.books.reserve = take  # type: ignore[method-assign]  # the next process is awake
        library.clock.advance(GIVE_UP_AFTER + SECOND)
        assert library.recovery.recover(loan.id, attempt=0)
        return take(loan, deadline)

    library.books.reserve = sleep_and_take  # type: ignore[method-assign, assignment]  # for one call

    with pytest.raises(errors.CheckoutCancelled):
        library.lend(member, book)

    library.assert_nothing_left_behind()
    assert library.books.available(book) == 1
