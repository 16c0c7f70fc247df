"""Returns: closed at once, whatever books does; the copy comes back when books does."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from loans_service.application.ports import BooksOutcomeUnknown, BooksUnavailable, CopyLocation
from loans_service.domain import errors
from loans_service.domain.loan import LEASE, Condition, Loan, LoanStatus
from tests.fakes.lending import Library
from tests.support.clock import NOON

pytestmark = pytest.mark.unit

DAY = timedelta(days=1)
MILLISECOND = timedelta(milliseconds=1)


def returned_events(library: Library) -> list[dict[str, object]]:
    return [event.data for event in library.loans.published if event.type == "LoanReturned"]


def hide_from_the_index(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    """The index of open copies shows nothing yet, as it may for a moment."""
    monkeypatch.setattr(library.loans, "open_loan_of_copy", lambda barcode: None)


def test_a_return_closes_the_loan_and_frees_copy_and_place(library: Library, loan: Loan) -> None:
    library.clock.advance(3 * DAY)

    closed = library.returns.return_copy(loan, condition=Condition.GOOD)

    assert closed.status is LoanStatus.RETURNED
    assert closed.returned_at == NOON + 3 * DAY
    assert not closed.release_pending
    assert library.books.available(loan.book_id) == 1
    assert library.loans.account(loan.borrower).places_taken == 0
    library.assert_nothing_left_behind()


def test_the_rest_of_the_library_is_told_what_came_back_and_when(library: Library, loan: Loan) -> None:
    library.clock.advance(3 * DAY)

    library.returns.return_copy(loan, condition=Condition.DAMAGED)

    assert returned_events(library) == [
        {
            "loan_id": loan.id,
            "user_id": loan.user_id,
            "book_id": loan.book_id,
            "barcode": loan.barcode,
            "title": loan.title,
            "issue_date": "2026-11-21T12:00:00Z",
            "due_date": "2026-12-05T23:59:59Z",
            "return_date": "2026-11-24T12:00:00Z",
            "condition": "damaged",
        }
    ]


def test_a_second_return_changes_nothing(library: Library, loan: Loan) -> None:
    first = library.returns.return_copy(loan, condition=Condition.GOOD)
    library.clock.advance(DAY)

    for stale in (loan, first):
        again = library.returns.return_copy(stale, condition=Condition.DAMAGED, returned_at=NOON + MILLISECOND)
        assert again == first

    assert len(returned_events(library)) == 1
    assert library.books.damaged == set()


def test_a_second_return_does_not_take_the_copy_from_the_next_reader(library: Library, loan: Loan) -> None:
    library.returns.return_copy(loan, condition=Condition.GOOD)
    newer = library.lend(library.member(), loan.book_id)

    library.returns.return_copy(library.history.one(loan.id), condition=Condition.GOOD)

    assert newer.barcode == loan.barcode
    assert library.history.one(newer.id).is_open
    library.assert_nothing_left_behind()


def test_a_return_is_accepted_while_books_is_down(library: Library, loan: Loan) -> None:
    library.books.failures.append((BooksUnavailable("down"), False))

    closed = library.returns.return_copy(loan, condition=Condition.DAMAGED)

    assert closed.status is LoanStatus.RETURNED
    assert closed.release_pending
    assert library.books.available(loan.book_id) == 0
    assert library.loans.account(loan.borrower).places_taken == 0, "the member need not wait for books"

    assert library.recovery.recover(loan.id, attempt=0)

    assert library.books.damaged == {loan.barcode}
    library.assert_nothing_left_behind()


def test_a_repeated_return_finishes_what_the_first_could_not(library: Library, loan: Loan) -> None:
    library.books.failures.append((BooksUnavailable("down"), False))
    library.returns.return_copy(loan, condition=Condition.GOOD)

    again = library.returns.return_copy(library.history.one(loan.id), condition=Condition.GOOD)

    assert not again.release_pending
    assert len(returned_events(library)) == 1
    library.assert_nothing_left_behind()


def test_a_lost_answer_of_books_does_no_harm(library: Library, loan: Loan) -> None:
    library.books.failures.append((BooksUnavailable("timeout"), True))
    assert library.returns.return_copy(loan, condition=Condition.GOOD).release_pending

    assert library.recovery.recover(loan.id, attempt=0)

    library.assert_nothing_left_behind()


def test_a_damaged_copy_is_told_to_books(library: Library, loan: Loan) -> None:
    library.returns.return_copy(loan, condition=Condition.DAMAGED)

    assert library.books.damaged == {loan.barcode}


# -- when ------------------------------------------------------------------------------------------


def test_a_return_may_be_dated_back(library: Library, loan: Loan) -> None:
    library.clock.advance(5 * DAY)

    closed = library.returns.return_copy(loan, condition=Condition.GOOD, returned_at=NOON + DAY)

    assert closed.returned_at == NOON + DAY
    assert returned_events(library)[0]["return_date"] == "2026-11-22T12:00:00Z"
    (event,) = (event for event in library.loans.published if event.type == "LoanReturned")
    assert event.occurred_at == "2026-11-26T12:00:00Z", "it was told today, whenever the copy came"


@pytest.mark.parametrize("at", [NOON, NOON + 5 * DAY])
def test_the_times_of_issue_and_of_the_return_itself_are_allowed(library: Library, loan: Loan, at: datetime) -> None:
    library.clock.advance(5 * DAY)

    closed = library.returns.return_copy(loan, condition=Condition.GOOD, returned_at=at)

    assert closed.returned_at == at


@pytest.mark.parametrize("offset", [-MILLISECOND, -DAY, 5 * DAY + MILLISECOND, 6 * DAY])
def test_nothing_comes_back_before_it_went_or_after_today(library: Library, loan: Loan, offset: timedelta) -> None:
    library.clock.advance(5 * DAY)

    with pytest.raises(errors.InvalidReturnDate):
        library.returns.return_copy(loan, condition=Condition.GOOD, returned_at=NOON + offset)

    assert library.history.one(loan.id).is_open
    assert returned_events(library) == []
    library.assert_nothing_left_behind()


def test_a_clock_behind_the_one_that_issued_refuses_no_return(library: Library, loan: Loan) -> None:
    # Two machines lent and took back within a second, and the second one's clock is slower.
    library.clock.advance(-timedelta(seconds=2))

    closed = library.returns.return_copy(loan, condition=Condition.GOOD)

    assert closed.returned_at == loan.issued_at
    library.assert_nothing_left_behind()


def test_a_return_within_the_second_of_issue_may_be_dated_to_that_second(library: Library) -> None:
    # The API knows whole seconds only; so does the table, which is why the issue is cut to its second too.
    library.clock.advance(timedelta(milliseconds=900))
    loan = library.lend(library.member(), library.title())
    stored = library.loans.loans[loan.id] = loan_as_stored(loan)

    closed = library.returns.return_copy(stored, condition=Condition.GOOD, returned_at=NOON)

    assert closed.returned_at == NOON


def loan_as_stored(loan: Loan) -> Loan:
    assert loan.issued_at is not None
    return replace(loan, issued_at=loan.issued_at.replace(microsecond=0))


# -- which -----------------------------------------------------------------------------------------


def test_a_loan_is_found_by_the_barcode_of_its_copy(library: Library, loan: Loan) -> None:
    assert library.returns.find(None, loan.barcode) == loan
    assert library.returns.find(loan.id, None) == loan


def test_a_loan_the_index_does_not_show_yet_is_found_through_books(
    library: Library, loan: Loan, monkeypatch: pytest.MonkeyPatch
) -> None:
    hide_from_the_index(library, monkeypatch)

    assert library.returns.find(None, loan.barcode) == loan


def test_a_copy_that_is_not_on_loan_is_told_as_such(library: Library, loan: Loan) -> None:
    library.returns.return_copy(loan, condition=Condition.GOOD)

    with pytest.raises(errors.CopyNotOnLoan):
        library.returns.find(None, loan.barcode)


@pytest.mark.parametrize("status", ["lost", "withdrawn", "damaged", "awaiting_pickup", "a_newer_status"])
def test_the_desk_learns_what_a_copy_without_a_loan_is_recorded_as(
    library: Library, loan: Loan, monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    library.returns.return_copy(loan, condition=Condition.GOOD)
    monkeypatch.setattr(library.books, "find_copy", lambda barcode, deadline: CopyLocation(loan.book_id, None, status))

    with pytest.raises(errors.CopyNotOnLoan, match=f"recorded as {status.replace('_', ' ')}") as refused:
        library.returns.find(None, loan.barcode)

    assert refused.value.extra == {"copy_status": status}


def test_a_copy_books_has_not_got_back_yet_is_not_on_loan(library: Library, loan: Loan) -> None:
    library.books.failures.append((BooksUnavailable("down"), False))
    library.returns.return_copy(loan, condition=Condition.GOOD)

    with pytest.raises(errors.CopyNotOnLoan):
        library.returns.find(None, loan.barcode)


def test_a_copy_taken_for_a_checkout_that_never_finished_is_not_on_loan(
    library: Library, loan: Loan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library.books, "find_copy", lambda barcode, deadline: CopyLocation(loan.book_id, "0" * 26))
    library.returns.return_copy(loan, condition=Condition.GOOD)

    with pytest.raises(errors.CopyNotOnLoan):
        library.returns.find(None, loan.barcode)


def test_an_unknown_barcode_is_told_as_such(library: Library) -> None:
    with pytest.raises(errors.CopyNotFound):
        library.returns.find(None, "nobody-knows")


def test_an_unknown_loan_is_told_as_such(library: Library) -> None:
    with pytest.raises(errors.LoanNotFound):
        library.returns.find("0" * 26, None)


@pytest.mark.parametrize("copies", [0, 1])
def test_a_checkout_that_never_became_a_loan_cannot_be_returned(library: Library, copies: int) -> None:
    if copies:
        library.books.failures.append((BooksOutcomeUnknown("timeout"), False))
    with pytest.raises((errors.NoCopiesAvailable, errors.CheckoutUnresolved)):
        library.lend(library.member(), library.title(copies=copies))
    (unfinished,) = library.loans.loans.values()

    with pytest.raises(errors.LoanNotFound):
        library.returns.find(unfinished.id, None)
    with pytest.raises(errors.LoanNotOpen):
        library.returns.return_copy(unfinished, condition=Condition.GOOD)


# -- at the same moment ----------------------------------------------------------------------------


def test_a_renewal_at_the_same_moment_does_not_stop_a_return(library: Library, loan: Loan) -> None:
    renewed = library.renewal.renew(loan)

    closed = library.returns.return_copy(loan, condition=Condition.GOOD)

    assert (closed.extensions, closed.due_at, closed.version) == (1, renewed.due_at, renewed.version + 1)
    assert returned_events(library)[0]["due_date"] == "2026-12-19T23:59:59Z"
    library.assert_nothing_left_behind()


def test_two_returns_at_the_same_moment_are_one(library: Library, loan: Loan) -> None:
    first = library.returns.return_copy(loan, condition=Condition.GOOD)

    assert library.returns.return_copy(loan, condition=Condition.DAMAGED) == first
    assert len(returned_events(library)) == 1


def test_a_return_and_a_late_recovery_of_the_checkout_do_not_meet(library: Library, loan: Loan) -> None:
    library.returns.return_copy(loan, condition=Condition.GOOD)
    library.clock.advance(LEASE)

    assert library.recovery.recover(loan.id, attempt=0)
    library.assert_nothing_left_behind()
