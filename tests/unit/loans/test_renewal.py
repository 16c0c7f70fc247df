"""Renewals: counted to their limit, from the due date, refused with every reason at once."""

from dataclasses import replace
from datetime import timedelta

import pytest

from loans_service.domain import errors
from loans_service.domain.loan import Condition, Loan, LoanStatus, Member
from loans_service.domain.policy import LoanPolicy, LoanRule
from tests.fakes.lending import Library
from tests.support.clock import NOON

pytestmark = pytest.mark.unit

DAY = timedelta(days=1)


def codes(refused: errors.PolicyRefused) -> set[str]:
    return {code for code, _ in refused.reasons}


def change(library: Library, member: Member, **changes: object) -> Member:
    return library.members.add(replace(member, **changes))  # type: ignore[arg-type]  # any field of a member


def test_a_renewal_adds_the_period_to_the_due_date(library: Library, loan: Loan) -> None:
    library.clock.advance(5 * DAY)

    renewed = library.renewal.renew(loan)

    assert renewed.due_at == loan.due_at + 14 * DAY
    assert (renewed.extensions, renewed.version) == (1, loan.version + 1)
    assert renewed.first_due_at == loan.due_at
    assert library.history.one(loan.id) == renewed
    assert library.loans.account(loan.borrower).open == {loan.id: renewed.due_at}


def test_the_rest_of_the_library_is_told_both_dates(library: Library, loan: Loan) -> None:
    library.renewal.renew(loan)

    (event,) = (event for event in library.loans.published if event.type == "LoanRenewed")
    assert event.subject == f"loan:{loan.id}"
    assert event.data == {
        "loan_id": loan.id,
        "user_id": loan.user_id,
        "book_id": loan.book_id,
        "barcode": loan.barcode,
        "title": loan.title,
        "old_due_date": "2026-12-05T23:59:59Z",
        "due_date": "2026-12-19T23:59:59Z",
        "extensions_count": 1,
    }


def test_renewals_are_counted_to_their_limit(library: Library, loan: Loan) -> None:
    second = library.renewal.renew(library.renewal.renew(loan))
    assert second.extensions == 2
    assert second.first_due_at == loan.due_at

    with pytest.raises(errors.PolicyRefused) as refused:
        library.renewal.renew(second)

    assert codes(refused.value) == {"renewal_limit_reached"}
    assert library.history.one(loan.id) == second


def test_an_overdue_loan_is_renewed_from_today(library: Library, loan: Loan) -> None:
    library.clock.advance(loan.due_at - NOON + timedelta(seconds=1))
    assert library.history.one(loan.id).status_at(library.clock.now()) is LoanStatus.OVERDUE

    renewed = library.renewal.renew(loan)

    assert renewed.due_at.isoformat() == "2026-12-20T23:59:59+00:00"
    assert renewed.status_at(library.clock.now()) is LoanStatus.ACTIVE


def test_at_the_due_instant_a_loan_is_not_overdue_yet(library: Library, loan: Loan) -> None:
    library.clock.advance(loan.due_at - NOON)

    assert library.renewal.renew(loan).due_at == loan.due_at + 14 * DAY


def test_a_renewal_ends_with_the_membership(library: Library, member: Member, loan: Loan) -> None:
    ends = loan.due_at + 3 * DAY
    change(library, member, expires_at=ends)

    assert library.renewal.renew(loan).due_at == ends


@pytest.mark.parametrize("ends", [timedelta(), -DAY])
def test_a_renewal_that_would_gain_nothing_is_refused(
    library: Library, member: Member, loan: Loan, ends: timedelta
) -> None:
    change(library, member, expires_at=loan.due_at + ends)

    with pytest.raises(errors.PolicyRefused) as refused:
        library.renewal.renew(loan)

    assert codes(refused.value) == {"renewal_not_later"}
    assert refused.value.code == "renewal_not_later"


@pytest.mark.parametrize("status", ["suspended", "pending", "closed"])
def test_who_is_no_active_member_renews_nothing(library: Library, member: Member, loan: Loan, status: str) -> None:
    change(library, member, status=status)

    with pytest.raises(errors.PolicyRefused) as refused:
        library.renewal.renew(loan)

    assert codes(refused.value) == {"member_not_active"}


def test_who_has_a_loan_long_overdue_renews_nothing_not_even_another(
    library: Library, member: Member, loan: Loan
) -> None:
    library.clock.advance(10 * DAY)
    other = library.lend(member, library.title())
    library.clock.advance(loan.due_at - library.clock.now() + 14 * DAY)
    library.renewal.renew(other)

    library.clock.advance(timedelta(seconds=1))

    with pytest.raises(errors.PolicyRefused) as refused:
        library.renewal.renew(library.history.one(other.id))
    assert codes(refused.value) == {"overdue_too_long"}


def test_every_refusing_rule_is_named(library: Library, member: Member, loan: Loan) -> None:
    twice = library.renewal.renew(library.renewal.renew(loan))
    library.clock.advance(twice.due_at - NOON + 15 * DAY)
    change(library, member, status="suspended", expires_at=twice.due_at)

    with pytest.raises(errors.PolicyRefused) as refused:
        library.renewal.renew(twice)

    assert codes(refused.value) == {
        "member_not_active",
        "overdue_too_long",
        "renewal_limit_reached",
        "renewal_not_later",
    }
    assert refused.value.code == "policy_refused"


def test_the_present_policy_counts_and_the_present_role(library: Library, member: Member, loan: Loan) -> None:
    change(library, member, role="faculty")
    assert library.renewal.renew(loan).due_at == loan.due_at + 28 * DAY

    library.policies.policy = LoanPolicy(loan_rules=(LoanRule(limit=5, period_days=7, renewals=0),))
    with pytest.raises(errors.PolicyRefused):
        library.renewal.renew(library.history.one(loan.id))


def test_a_returned_loan_is_not_renewed(library: Library, loan: Loan) -> None:
    library.returns.return_copy(loan, condition=Condition.GOOD)

    for stale in (loan, library.history.one(loan.id)):
        with pytest.raises(errors.LoanNotOpen):
            library.renewal.renew(stale)

    library.assert_nothing_left_behind()


def test_of_two_renewals_at_the_same_moment_one_is_told_to_look_again(library: Library, loan: Loan) -> None:
    library.renewal.renew(loan)

    with pytest.raises(errors.LoanChanged):
        library.renewal.renew(loan)

    assert library.history.one(loan.id).extensions == 1
    assert [event.type for event in library.loans.published] == ["LoanCreated", "LoanRenewed"]


@pytest.mark.parametrize(("down", "error"), [(True, errors.DependencyUnavailable), (False, errors.MemberNotFound)])
def test_without_users_nothing_is_renewed(
    library: Library, member: Member, loan: Loan, down: bool, error: type[Exception]
) -> None:
    library.members.down = down
    del library.members.members[member.id]

    with pytest.raises(error):
        library.renewal.renew(loan)

    assert library.history.one(loan.id) == loan


def test_a_renewed_loan_repeats_the_answer_of_its_checkout_unchanged(library: Library, member: Member) -> None:
    book = library.title()
    first = library.check_out(member, book, key="k").loan
    renewed = library.renewal.renew(library.renewal.renew(first))
    assert library.check_out(member, book, key="k").loan == first

    library.returns.return_copy(renewed, condition=Condition.DAMAGED, returned_at=NOON)
    assert library.check_out(member, book, key="k").loan == first
