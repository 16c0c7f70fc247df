"""What the loans port promises, checked against the fake and against the table."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from library_common.ids import derived_id, new_id
from library_common.versions import VersionConflict
from loans_service.application.ports import IssuedLoan, LimitReached, LoanExists, Loans, current_loan
from loans_service.domain.loan import EMPTY_ACCOUNT, LEASE, Condition, Copy, Loan, LoanStatus
from tests.adapter.loans.lives import (
    BOOK,
    DAY,
    LIMIT,
    MEMBER,
    cancelled,
    event,
    issued,
    opened,
    pending,
    returned,
)
from tests.support.clock import NOON

pytestmark = pytest.mark.adapter

COPY = Copy("C-1", "A title")


def stale(call: Callable[[], None]) -> Loan | None:
    """What the refused write found."""
    with pytest.raises(VersionConflict) as refused:
        call()
    return current_loan(refused.value)


def places(loans: Loans, user_id: str = MEMBER) -> set[str]:
    return set(loans.account(user_id).open)


# -- opening --------------------------------------------------------------------------------------


def test_opening_writes_the_loan_and_takes_a_place(loans: Loans) -> None:
    loan = pending(wanted="C-7")

    loans.open_pending(loan, LIMIT)

    assert loans.get(loan.id) == loan
    assert loans.account(MEMBER).open == {loan.id: loan.due_at}


def test_nobody_has_no_loans_and_no_account(loans: Loans) -> None:
    assert loans.get(new_id()) is None
    assert loans.account(MEMBER) == EMPTY_ACCOUNT
    assert loans.open_loan_of_copy("C-1") is None
    assert loans.history(MEMBER, 10, None) == ([], None)
    assert loans.get_all([new_id()]) == []
    assert loans.get_all([]) == []


def test_an_id_is_opened_once(loans: Loans) -> None:
    first = opened(loans)
    again = replace(pending(), id=first.id, request_digest="other")

    with pytest.raises(LoanExists) as exists:
        loans.open_pending(again, LIMIT)

    assert exists.value.loan == first
    assert loans.get(first.id) == first
    assert places(loans) == {first.id}


def test_the_limit_is_part_of_the_write(loans: Loans) -> None:
    first, second = opened(loans), opened(loans)
    third = pending()

    with pytest.raises(LimitReached):
        loans.open_pending(third, 2)

    assert loans.get(third.id) is None
    assert places(loans) == {first.id, second.id}
    loans.open_pending(third, 3)
    assert places(loans) == {first.id, second.id, third.id}


@pytest.mark.parametrize("has_account", [False, True])
def test_a_limit_of_none_lends_none(loans: Loans, has_account: bool) -> None:
    if has_account:
        loans.withdraw(opened(loans))
    loan = pending()

    with pytest.raises(LimitReached):
        loans.open_pending(loan, 0)

    assert loans.get(loan.id) is None


def test_a_repeat_is_told_of_its_loan_even_when_the_limit_is_reached(loans: Loans) -> None:
    loan = opened(loans)

    with pytest.raises(LoanExists):
        loans.open_pending(loan, 1)


def test_members_have_places_of_their_own(loans: Loans) -> None:
    other = derived_id("another member")
    mine, theirs = opened(loans), opened(loans, other)

    assert (places(loans), places(loans, other)) == ({mine.id}, {theirs.id})


# -- the lease ------------------------------------------------------------------------------------


@pytest.mark.parametrize("was_leased", [True, False])
def test_a_lease_is_taken_over(loans: Loans, was_leased: bool) -> None:
    loan = pending() if was_leased else replace(pending(), lease_until=None)
    loans.open_pending(loan, LIMIT)
    taken = loan.leased(NOON + LEASE)

    loans.take_over(loan, taken)

    assert loans.get(loan.id) == taken
    assert taken.version == loan.version + 1
    assert places(loans) == {loan.id}


def test_a_lease_is_taken_over_once(loans: Loans) -> None:
    loan = opened(loans)
    first = loan.leased(NOON + LEASE)
    loans.take_over(loan, first)

    # Even by somebody whose clock shows the very same second.
    assert stale(lambda: loans.take_over(loan, loan.leased(NOON + LEASE))) == first
    assert loans.get(loan.id) == first


def test_a_loan_withdrawn_and_opened_anew_is_not_the_one_that_was_read(loans: Loans) -> None:
    old = opened(loans)
    loans.withdraw(old)
    new = replace(old, requested_at=NOON + DAY, lease_until=NOON + DAY + LEASE)
    loans.open_pending(new, LIMIT)

    assert stale(lambda: loans.take_over(old, old.leased(NOON + DAY))) == new
    assert loans.get(old.id) == new


def test_only_a_pending_loan_can_be_taken_over(loans: Loans) -> None:
    for loan in (issued(loans), returned(loans), cancelled(loans)):
        assert stale(lambda: loans.take_over(replace(loan, lease_until=NOON + LEASE), loan.leased(NOON))) == loan  # noqa: B023 - called at once
    gone = pending()
    assert stale(lambda: loans.take_over(gone, gone.leased(NOON))) is None


def test_who_lost_the_lease_can_write_nothing(loans: Loans) -> None:
    loan = opened(loans)
    taken = loan.leased(NOON + LEASE)
    loans.take_over(loan, taken)

    for write in (
        lambda: loans.activate(loan.activated(COPY, NOON), [event(loan)]),
        lambda: loans.cancel(loan.cancelled(("a", "b"), copy_in_doubt=False)),
        lambda: loans.withdraw(loan),
    ):
        assert stale(write) == taken
    assert loans.get(loan.id) == taken
    assert places(loans) == {loan.id}


# -- issuing --------------------------------------------------------------------------------------


def test_issuing_keeps_the_place_and_shows_the_loan(loans: Loans) -> None:
    loan = issued(loans)

    assert loans.get(loan.id) == loan
    assert loans.get_all([loan.id, new_id()]) == [loan]
    assert places(loans) == {loan.id}
    assert loans.open_loan_of_copy("C-1") == loan
    assert loans.open_loan_of_copy("C-2") is None
    assert loans.history(MEMBER, 10, None) == ([loan], None)


def test_a_loan_is_issued_once(loans: Loans) -> None:
    loan = issued(loans)
    again = replace(loan, barcode="C-2")

    assert stale(lambda: loans.activate(again, [event(again)])) == loan
    assert loans.get(loan.id) == loan


def test_only_a_pending_loan_can_be_issued(loans: Loans) -> None:
    undone = cancelled(loans)
    assert stale(lambda: loans.activate(undone.activated(COPY, NOON), [])) == undone
    gone = pending()
    assert stale(lambda: loans.activate(gone.activated(COPY, NOON), [])) is None
    assert loans.get(gone.id) is None


# -- undoing --------------------------------------------------------------------------------------


@pytest.mark.parametrize("in_doubt", [True, False])
def test_cancelling_keeps_the_refusal_and_gives_the_place_back(loans: Loans, in_doubt: bool) -> None:
    loan = cancelled(loans, in_doubt=in_doubt)

    assert loans.get(loan.id) == loan
    assert loan.release_pending is in_doubt
    assert places(loans) == set()
    assert loans.history(MEMBER, 10, None) == ([], None)


def test_only_a_pending_loan_can_be_cancelled(loans: Loans) -> None:
    for loan in (issued(loans), cancelled(loans)):
        before = places(loans)
        again = replace(loan, version=loan.version).cancelled(("a", "b"), copy_in_doubt=True)
        assert stale(lambda: loans.cancel(again)) == loan  # noqa: B023 - called at once
        assert loans.get(loan.id) == loan
        assert places(loans) == before


def test_withdrawing_leaves_nothing(loans: Loans) -> None:
    loan = opened(loans)

    loans.withdraw(loan)

    assert loans.get(loan.id) is None
    assert places(loans) == set()
    assert stale(lambda: loans.withdraw(loan)) is None
    loans.open_pending(loan, 1)
    assert loans.get(loan.id) == loan


def test_only_a_pending_loan_can_be_withdrawn(loans: Loans) -> None:
    for loan in (issued(loans), cancelled(loans), returned(loans)):
        before = places(loans)
        assert stale(lambda: loans.withdraw(loan)) == loan  # noqa: B023 - called at once
        assert loans.get(loan.id) == loan
        assert places(loans) == before


# -- returning ------------------------------------------------------------------------------------


def test_closing_keeps_the_place_until_it_is_given_back(loans: Loans) -> None:
    loan = returned(loans)

    assert loans.get(loan.id) == loan
    assert loan.release_pending
    assert places(loans) == {loan.id}
    assert loans.open_loan_of_copy("C-1") is None
    assert loans.history(MEMBER, 10, None) == ([loan], None)

    for _ in range(2):
        loans.give_back_place(loan)
        assert places(loans) == set()
    for _ in range(2):
        loans.mark_released(loan)
        assert loans.get(loan.id) == loan.released()


def test_a_loan_is_closed_once_and_on_the_version_that_was_read(loans: Loans) -> None:
    loan = issued(loans)
    renewed = loan.extended(loan.due_at + DAY)
    loans.extend(renewed, [])

    assert stale(lambda: loans.close(loan.returned(NOON, Condition.GOOD), [])) == renewed
    closed = renewed.returned(NOON, Condition.GOOD)
    loans.close(closed, [])
    assert stale(lambda: loans.close(closed, [])) == closed
    assert loans.get(loan.id) == closed


def test_only_an_open_loan_can_be_closed(loans: Loans) -> None:
    waiting, undone, gone = opened(loans), cancelled(loans), pending()

    assert stale(lambda: loans.close(waiting.returned(NOON, Condition.GOOD), [])) == waiting
    assert stale(lambda: loans.close(undone.returned(NOON, Condition.GOOD), [])) == undone
    assert stale(lambda: loans.close(gone.returned(NOON, Condition.GOOD), [])) is None


def test_giving_back_what_nobody_has_changes_nothing(loans: Loans) -> None:
    other = issued(loans)
    stranger = pending(derived_id("stranger"))

    loans.give_back_place(pending())
    loans.give_back_place(stranger)
    loans.mark_released(stranger)
    loans.mark_released(other)

    assert places(loans) == {other.id}
    assert loans.get(other.id) == other
    assert loans.get(stranger.id) is None
    assert loans.account(stranger.borrower) == EMPTY_ACCOUNT


@pytest.mark.parametrize("in_doubt", [True, False])
def test_a_cancelled_loan_is_released_like_a_returned_one(loans: Loans, in_doubt: bool) -> None:
    loan = cancelled(loans, in_doubt=in_doubt)

    loans.mark_released(loan)

    assert loans.get(loan.id) == loan.released()


# -- renewing -------------------------------------------------------------------------------------


def test_renewing_moves_the_due_date_in_the_loan_and_in_the_account(loans: Loans) -> None:
    loan, other = issued(loans), issued(loans, barcode="C-2")
    renewed = loan.extended(loan.due_at + 14 * DAY)

    loans.extend(renewed, [event(renewed)])

    assert loans.get(loan.id) == renewed
    assert loans.account(MEMBER).open == {loan.id: renewed.due_at, other.id: other.due_at}


def test_a_loan_is_renewed_on_the_version_that_was_read(loans: Loans) -> None:
    loan = issued(loans)
    renewed = loan.extended(loan.due_at + 14 * DAY)
    loans.extend(renewed, [])

    assert stale(lambda: loans.extend(loan.extended(loan.due_at + 28 * DAY), [])) == renewed
    assert loans.account(MEMBER).open == {loan.id: renewed.due_at}


def test_only_an_open_loan_can_be_renewed(loans: Loans) -> None:
    closed, waiting, gone = returned(loans), opened(loans), pending()

    assert stale(lambda: loans.extend(closed.extended(NOON + 30 * DAY), [])) == closed
    assert stale(lambda: loans.extend(waiting.extended(NOON + 30 * DAY), [])) == waiting
    assert stale(lambda: loans.extend(gone.extended(NOON + 30 * DAY), [])) is None
    assert loans.account(MEMBER).open == {closed.id: NOON + 14 * DAY, waiting.id: waiting.due_at}


# -- lists ----------------------------------------------------------------------------------------


def all_pages(loans: Loans, limit: int) -> list[str]:
    listed: list[str] = []
    position: IssuedLoan | None = None
    while True:
        page, position = loans.history(MEMBER, limit, position)
        assert len(page) <= limit
        listed += [loan.id for loan in page]
        if position is None:
            return listed


def test_a_members_history_is_paged_newest_first(loans: Loans) -> None:
    newest_first: list[str] = []
    for hours in range(5):
        make = returned if hours % 2 else issued
        newest_first.insert(0, make(loans, at=NOON + timedelta(hours=hours)).id)
        loans.give_back_place(loans.get_all([newest_first[0]])[0])
    opened(loans)
    cancelled(loans)
    issued(loans, derived_id("another member"))

    for limit in (1, 2, 5, 100):
        assert all_pages(loans, limit) == newest_first


def test_a_position_need_not_be_that_of_a_loan(loans: Loans) -> None:
    older, newer = issued(loans), issued(loans, at=NOON + 2 * DAY)
    between = IssuedLoan(NOON + DAY, new_id())
    long_ago = IssuedLoan(datetime(1999, 1, 1, tzinfo=UTC), new_id())
    far_off = IssuedLoan(datetime(2999, 1, 1, tzinfo=UTC), new_id())

    assert loans.history(MEMBER, 10, between) == ([older], None)
    assert loans.history(MEMBER, 10, long_ago) == ([], None)
    assert loans.history(MEMBER, 10, far_off) == ([newer, older], None)


def test_a_copy_lent_again_is_found_with_its_new_reader(loans: Loans) -> None:
    returned(loans)
    newer = issued(loans, derived_id("another member"))

    assert newer.book_id == BOOK
    assert loans.open_loan_of_copy("C-1") == newer
    assert newer.status is LoanStatus.ACTIVE
