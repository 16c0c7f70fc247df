"""The checkout saga, step by step and where it can break."""

from datetime import timedelta

import pytest

from library_common.problems import IdempotencyKeyReused
from loans_service.application.checkout import CheckoutRequest
from loans_service.application.ports import BooksOutcomeUnknown, BooksUnavailable
from loans_service.domain import errors
from loans_service.domain.loan import GIVE_UP_AFTER, LEASE, Condition, LoanStatus, Member
from tests.fakes.lending import Library
from tests.support.clock import NOON

pytestmark = pytest.mark.unit


def test_lends_a_copy_until_the_end_of_the_fourteenth_day(library: Library) -> None:
    member, book = library.member(), library.title()

    loan = library.lend(member, book)

    assert loan.status is LoanStatus.ACTIVE
    assert loan.due_at.isoformat() == "2026-12-05T23:59:59+00:00"
    assert loan.barcode in library.books.copies[book]
    assert [e.type for e in library.loans.published] == ["LoanCreated"]
    library.assert_nothing_left_behind()


def test_the_last_copy_is_lent_once(library: Library) -> None:
    book = library.title(copies=1)
    library.lend(library.member(), book)

    with pytest.raises(errors.NoCopiesAvailable):
        library.lend(library.member(), book)

    library.assert_nothing_left_behind()


def test_a_refused_checkout_takes_no_place_and_tells_nobody(library: Library) -> None:
    member, book = library.member(), library.title(copies=0)

    with pytest.raises(errors.NoCopiesAvailable):
        library.lend(member, book)

    assert library.loans.account(member.id).places_taken == 0
    assert library.loans.published == []
    assert library.history.of_member(member.id, None, 20, None) == ([], None)


@pytest.mark.parametrize(("role", "limit"), [("student", 3), ("patron", 5), ("faculty", 10), ("librarian", 10)])
def test_nobody_borrows_beyond_the_limit_of_their_role(library: Library, role: str, limit: int) -> None:
    member, book = library.member(role), library.title(copies=limit + 1)
    for _ in range(limit):
        library.lend(member, book)

    with pytest.raises(errors.PolicyRefused) as refused:
        library.lend(member, book)

    assert refused.value.code == "loan_limit_reached"
    assert library.books.available(book) == 1


def test_every_refusing_rule_is_named(library: Library) -> None:
    member, book = library.member("student"), library.title(copies=4)
    for _ in range(3):
        library.lend(member, book)
    library.members.add(Member(id=member.id, role="student", status="suspended", expires_at=None))
    library.clock.advance(timedelta(days=14 + 15))

    with pytest.raises(errors.PolicyRefused) as refused:
        library.lend(member, book)

    assert {code for code, _ in refused.value.reasons} == {
        "member_not_active",
        "overdue_too_long",
        "loan_limit_reached",
    }
    assert refused.value.code == "policy_refused"


def test_a_membership_that_ends_earlier_caps_the_due_date(library: Library) -> None:
    ends = NOON + timedelta(days=3)
    member = library.members.add(Member(id="M" * 26, role="patron", status="active", expires_at=ends))

    assert library.lend(member, library.title()).due_at == ends


def test_users_down_means_nothing_was_done(library: Library) -> None:
    member, book = library.member(), library.title()
    library.members.down = True

    with pytest.raises(errors.DependencyUnavailable):
        library.lend(member, book)

    assert library.loans.loans == {}
    assert library.books.calls == []


def test_books_down_means_nothing_is_left(library: Library) -> None:
    member, book = library.member(), library.title()
    library.books.failures.append((BooksUnavailable("down"), False))

    with pytest.raises(errors.DependencyUnavailable):
        library.lend(member, book)

    assert library.loans.loans == {}
    library.assert_nothing_left_behind()


def test_the_same_key_works_again_after_books_was_down(library: Library) -> None:
    member, book = library.member(), library.title()
    library.books.failures.append((BooksUnavailable("down"), False))
    with pytest.raises(errors.DependencyUnavailable):
        library.lend(member, book, key="k")

    assert library.lend(member, book, key="k").status is LoanStatus.ACTIVE
    library.assert_nothing_left_behind()


@pytest.mark.parametrize("copy_was_taken", [True, False])
def test_an_unknown_outcome_is_finished_by_the_recovery(library: Library, copy_was_taken: bool) -> None:
    member, book = library.member(), library.title()
    library.books.failures.append((BooksOutcomeUnknown("timeout"), copy_was_taken))
    with pytest.raises(errors.CheckoutUnresolved):
        library.lend(member, book)
    (pending,) = library.loans.loans.values()
    assert pending.status is LoanStatus.PENDING

    library.clock.advance(LEASE)
    assert library.recovery.recover(pending.id, attempt=0)

    assert library.loans.loans[pending.id].status is LoanStatus.ACTIVE
    library.assert_nothing_left_behind()


@pytest.mark.parametrize("copy_was_taken", [True, False])
def test_an_unknown_outcome_is_undone_when_the_member_has_long_left(library: Library, copy_was_taken: bool) -> None:
    member, book = library.member(), library.title()
    library.books.failures.append((BooksOutcomeUnknown("timeout"), copy_was_taken))
    with pytest.raises(errors.CheckoutUnresolved):
        library.lend(member, book)
    (pending,) = library.loans.loans.values()

    library.clock.advance(GIVE_UP_AFTER + timedelta(seconds=1))
    assert library.recovery.recover(pending.id, attempt=0)

    assert library.loans.loans[pending.id].status is LoanStatus.CANCELLED
    assert pending.id in library.books.tombstones, "a late reserve must find the tombstone"
    assert library.books.available(book) == 1
    library.assert_nothing_left_behind()


def test_the_recovery_leaves_a_running_checkout_alone(library: Library) -> None:
    member, book = library.member(), library.title()
    library.books.failures.append((BooksOutcomeUnknown("timeout"), False))
    with pytest.raises(errors.CheckoutUnresolved):
        library.lend(member, book)
    (pending,) = library.loans.loans.values()
    calls = len(library.books.calls)

    assert not library.recovery.recover(pending.id, attempt=0)

    assert len(library.books.calls) == calls
    assert library.recoveries.queued == [(pending.id, LEASE.seconds + 1, 0)]


def test_a_repeat_with_the_same_key_is_the_same_loan_and_the_same_answer(library: Library) -> None:
    member, book = library.member(), library.title(copies=2)
    first = library.check_out(member, book, key="k")

    library.renewal.renew(first.loan)
    library.returns.return_copy(library.history.one(first.loan.id), condition=Condition.GOOD)
    again = library.check_out(member, book, key="k")

    assert again.replayed
    assert not first.replayed
    assert again.loan == first.loan
    assert len(library.loans.loans) == 1


def test_a_key_with_another_request_is_refused(library: Library) -> None:
    member, book = library.member(), library.title(copies=2)
    library.lend(member, book, key="k")

    with pytest.raises(IdempotencyKeyReused):
        library.checkout.lend(CheckoutRequest(user_id=member.id, book_id=book, key="k", digest="other"))


def test_a_refusal_is_repeated_for_the_same_key(library: Library) -> None:
    member, book = library.member(), library.title(copies=0)
    for _ in range(2):
        with pytest.raises(errors.NoCopiesAvailable, match="No copy of this title is available"):
            library.lend(member, book, key="k")
    assert len(library.loans.loans) == 1


def test_a_repeat_waits_for_the_first_and_then_says_it_is_still_running(library: Library) -> None:
    member, book = library.member(), library.title()
    library.books.failures.append((BooksOutcomeUnknown("timeout"), True))
    with pytest.raises(errors.CheckoutUnresolved):
        library.lend(member, book, key="k")

    with pytest.raises(errors.StillInProgress):
        library.lend(member, book, key="k")


def test_a_repeat_takes_over_once_the_first_is_gone(library: Library) -> None:
    member, book = library.member(), library.title()
    library.books.failures.append((BooksOutcomeUnknown("timeout"), True))
    with pytest.raises(errors.CheckoutUnresolved):
        library.lend(member, book, key="k")
    library.clock.advance(LEASE)

    again = library.check_out(member, book, key="k")

    assert again.loan.status is LoanStatus.ACTIVE
    library.assert_nothing_left_behind()


def test_a_copy_the_member_already_holds_is_told_as_such(library: Library) -> None:
    member, book = library.member(), library.title()
    loan = library.lend(member, book)

    with pytest.raises(errors.AlreadyBorrowed) as told:
        library.checkout.lend(CheckoutRequest(user_id=member.id, barcode=loan.barcode))

    assert told.value.extra == {"loan_id": loan.id}


def test_a_member_may_have_two_copies_of_one_title(library: Library) -> None:
    member, book = library.member(), library.title(2)

    first, second = library.lend(member, book), library.lend(member, book)

    assert {first.barcode, second.barcode} == set(library.books.copies[book])


def test_one_very_copy_is_lent_by_its_barcode(library: Library) -> None:
    member, book = library.member(), library.title(copies=3)
    wanted = list(library.books.copies[book])[1]

    loan = library.checkout.lend(CheckoutRequest(user_id=member.id, barcode=wanted)).loan

    assert loan.barcode == wanted
    assert loan.book_id == book


def test_a_key_of_yesterday_does_not_pass_an_old_loan_for_a_new_one(library: Library) -> None:
    member, book = library.member(), library.title(copies=2)
    library.lend(member, book, key="k")
    library.clock.advance(timedelta(hours=24, seconds=1))

    with pytest.raises(IdempotencyKeyReused):
        library.lend(member, book, key="k")
