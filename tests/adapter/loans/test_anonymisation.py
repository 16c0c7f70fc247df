"""What taking members out of loans promises, checked against the fakes and against the table."""

from dataclasses import replace
from datetime import timedelta

import pytest

from library_common.ids import derived_id, new_id
from loans_service.application.ports import (
    ALWAYS_DUE,
    AccountErased,
    Accounts,
    IssuedLoan,
    ListedMember,
    LoanExists,
    Loans,
    WalkPlace,
)
from loans_service.domain.loan import Condition, Loan
from tests.adapter.loans.lives import (
    DAY,
    LIMIT,
    MEMBER,
    anonymised,
    cancelled,
    issued,
    opened,
    pending,
    released,
    returned,
)
from tests.adapter.loans.test_loans import places, stale
from tests.support.clock import NOON

pytestmark = pytest.mark.adapter

OTHER = derived_id("another member")


# -- the loan -------------------------------------------------------------------------------------


def test_an_anonymised_loan_is_what_it_was_without_its_member(loans: Loans) -> None:
    loan = released(loans)

    loans.anonymise(anonymous := loan.anonymised(NOON + 9 * DAY))

    assert loans.get(loan.id) == anonymous
    assert (anonymous.user_id, anonymous.request_digest) == (None, None)
    assert anonymous == replace(
        loan, user_id=None, request_digest=None, anonymised_at=NOON + 9 * DAY, version=loan.version + 1
    )
    assert loans.history(MEMBER, 10, None) == ([], None)
    assert loans.issued_to(MEMBER, 10, None) == ([], None)


def test_a_loan_is_anonymised_once(loans: Loans) -> None:
    loan = released(loans)
    loans.anonymise(anonymous := loan.anonymised(NOON + 9 * DAY))

    assert stale(lambda: loans.anonymise(loan.anonymised(NOON + 10 * DAY))) == anonymous
    assert loans.get(loan.id) == anonymous


def test_only_what_is_closed_and_released_is_anonymised(loans: Loans) -> None:
    for loan in (opened(loans), issued(loans), returned(loans), cancelled(loans, in_doubt=True)):
        closed = loan if loan.release_pending else loan.returned(NOON, Condition.GOOD)
        assert stale(lambda: loans.anonymise(closed.anonymised(NOON))) == loan  # noqa: B023 - called at once
        assert loans.get(loan.id) == loan
    gone = pending().returned(NOON, Condition.GOOD)
    assert stale(lambda: loans.anonymise(gone.anonymised(NOON))) is None
    assert loans.get(gone.id) is None


def test_a_refused_checkout_is_anonymised_too(loans: Loans) -> None:
    loan = cancelled(loans)

    loans.anonymise(anonymous := loan.anonymised(NOON))

    assert loans.get(loan.id) == anonymous
    assert anonymous.refusal == loan.refusal


def test_late_writes_of_others_change_nothing_of_it(loans: Loans) -> None:
    was = released(loans)
    loans.anonymise(anonymous := was.anonymised(NOON + 9 * DAY))

    loans.give_back_place(was)
    loans.mark_released(was)
    for late in (
        lambda: loans.close(was.returned(NOON, Condition.GOOD), []),
        lambda: loans.extend(was.extended(NOON + 30 * DAY), []),
        lambda: loans.take_over(was, was.leased(NOON)),
    ):
        assert stale(late) == anonymous
    with pytest.raises(LoanExists) as exists:
        loans.open_pending(replace(pending(), id=was.id), LIMIT)
    assert exists.value.loan == anonymous
    assert loans.get(was.id) == anonymous


def test_it_is_nobodys_in_lists(loans: Loans) -> None:
    older, gone, newer = released(loans), anonymised(loans, at=NOON + DAY), issued(loans, at=NOON + 2 * DAY)

    assert loans.get_all([gone.id]) == [gone]
    assert loans.history(MEMBER, 10, None) == ([newer, older], None)


def test_the_moment_a_return_was_written_down_is_kept(loans: Loans) -> None:
    loan = issued(loans)
    back_dated = loan.returned(NOON + DAY, Condition.GOOD, NOON + 9 * DAY)

    loans.close(back_dated, [])

    found = loans.get(loan.id)
    assert found == back_dated
    assert (found.returned_at, found.closed_at) == (NOON + DAY, NOON + 9 * DAY)


def every_page(loans: Loans, limit: int) -> list[IssuedLoan]:
    listed: list[IssuedLoan] = []
    after: IssuedLoan | None = None
    while True:
        page, after = loans.issued_to(MEMBER, limit, after)
        assert len(page) <= limit
        listed += page
        if after is None:
            return listed


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_all_loans_that_name_a_member_are_found_oldest_first(loans: Loans, limit: int) -> None:
    wanted: list[Loan] = []
    for hours, make in enumerate((released, issued, returned, released)):
        wanted.append(make(loans, at=NOON + timedelta(hours=hours)))
        loans.give_back_place(wanted[-1])
    anonymised(loans)
    opened(loans)
    cancelled(loans)
    released(loans, OTHER)

    assert every_page(loans, limit) == [IssuedLoan(NOON + timedelta(hours=n), loan.id) for n, loan in enumerate(wanted)]


def test_anonymisation_while_paging_skips_nobody(loans: Loans) -> None:
    made = [released(loans, at=NOON + n * DAY) for n in range(5)]
    seen: list[str] = []
    after: IssuedLoan | None = None
    while True:
        page, after = loans.issued_to(MEMBER, 2, after)
        for entry in page:
            seen.append(entry.loan_id)
            (loan,) = (loan for loan in made if loan.id == entry.loan_id)
            loans.anonymise(loan.anonymised(NOON + 30 * DAY))
        if after is None:
            break

    assert seen == [loan.id for loan in made]
    assert loans.issued_to(MEMBER, 10, None) == ([], None)


# -- the account of a member who was erased -------------------------------------------------------


def test_an_erased_member_keeps_the_places_of_open_loans_and_gets_no_new_one(loans: Loans, accounts: Accounts) -> None:
    loan = issued(loans)

    accounts.mark_erased(MEMBER, NOON + DAY)

    account = loans.account(MEMBER)
    assert (set(account.open), account.closed_loans_since, account.erased_at) == ({loan.id}, ALWAYS_DUE, NOON + DAY)
    refused = pending()
    with pytest.raises(AccountErased):
        loans.open_pending(refused, LIMIT)
    assert loans.get(refused.id) is None
    assert places(loans) == {loan.id}


def test_who_never_borrowed_does_not_begin_to_after_being_erased(loans: Loans, accounts: Accounts) -> None:
    accounts.mark_erased(MEMBER, NOON)

    with pytest.raises(AccountErased):
        loans.open_pending(pending(), LIMIT)
    assert places(loans) == set()


def test_being_erased_again_does_not_make_it_later(loans: Loans, accounts: Accounts) -> None:
    accounts.mark_erased(MEMBER, NOON)
    accounts.mark_erased(MEMBER, NOON + DAY)

    assert loans.account(MEMBER).erased_at == NOON


def test_whoever_gives_a_place_back_learns_that_the_member_was_erased(loans: Loans, accounts: Accounts) -> None:
    loan, other = returned(loans), returned(loans, OTHER)
    accounts.mark_erased(MEMBER, NOON)

    # The second time the place is back already.
    assert [loans.give_back_place(loan), loans.give_back_place(loan)] == [True, True]
    assert [loans.give_back_place(other), loans.give_back_place(other)] == [False, False]
    assert loans.give_back_place(pending(derived_id("stranger"))) is False
    assert places(loans) == set()


def test_an_erased_account_goes_once_no_loan_is_open(loans: Loans, accounts: Accounts) -> None:
    loan = returned(loans)
    accounts.mark_erased(MEMBER, NOON)

    accounts.remove(MEMBER, erased_at=NOON)
    assert places(loans) == {loan.id}
    loans.give_back_place(loan)
    accounts.remove(MEMBER, erased_at=NOON + DAY)
    assert loans.account(MEMBER).erased_at == NOON, "not the one that was looked at"
    for _ in range(2):
        accounts.remove(MEMBER, erased_at=NOON)
        assert loans.account(MEMBER).erased_at is None
    assert accounts.due(NOON, 10, None) == ([], None)


def test_only_an_erased_account_is_removed(loans: Loans, accounts: Accounts) -> None:
    released(loans)

    accounts.remove(MEMBER, erased_at=NOON)

    assert loans.account(MEMBER).closed_loans_since == NOON


# -- the list of accounts -------------------------------------------------------------------------


def members_due(accounts: Accounts, until: timedelta, limit: int = 100) -> list[tuple[str, timedelta]]:
    found: list[ListedMember] = []
    after: ListedMember | None = None
    while True:
        page, after = accounts.due(NOON + until, limit, after)
        assert len(page) <= limit
        found += page
        if after is None:
            return [(listed.user_id, listed.closed_loans_since - NOON) for listed in found]


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_accounts_are_listed_from_their_first_loan_on_longest_ago_first(
    loans: Loans, accounts: Accounts, limit: int
) -> None:
    ids = [derived_id(str(n)) for n in range(4)]
    for days, user_id in zip((2, 0, 1, 3), ids, strict=True):
        opened(loans, user_id, NOON + days * DAY)
    opened(loans, ids[0], NOON + 9 * DAY)

    assert members_due(accounts, 2 * DAY, limit) == [(ids[1], 0 * DAY), (ids[2], DAY), (ids[0], 2 * DAY)]
    assert members_due(accounts, -DAY, limit) == []


def test_an_account_moves_on_in_the_list_from_where_it_was_read(loans: Loans, accounts: Accounts) -> None:
    released(loans)

    accounts.advance(MEMBER, was=NOON, to=NOON + 5 * DAY)
    accounts.advance(MEMBER, was=NOON, to=NOON + 7 * DAY)
    accounts.advance(OTHER, was=NOON, to=NOON + 5 * DAY)

    assert members_due(accounts, 9 * DAY) == [(MEMBER, 5 * DAY)]
    assert loans.account(MEMBER).closed_loans_since == NOON + 5 * DAY


def test_an_erased_account_stays_at_the_beginning(loans: Loans, accounts: Accounts) -> None:
    released(loans)
    accounts.mark_erased(MEMBER, NOON)

    accounts.advance(MEMBER, was=ALWAYS_DUE, to=NOON)

    assert accounts.due(NOON, 10, None)[0] == [ListedMember(MEMBER, ALWAYS_DUE)]


def unlisted(accounts: Accounts) -> list[str]:
    found: list[str] = []
    place: WalkPlace | None = None
    while True:
        page, place = accounts.unlisted(place)
        found += page
        if place is None:
            return sorted(found)


def test_listed_accounts_are_found_by_no_walk(loans: Loans, accounts: Accounts) -> None:
    released(loans)
    issued(loans, OTHER)

    assert unlisted(accounts) == []
    accounts.add_to_list(MEMBER)
    accounts.add_to_list(new_id())
    assert members_due(accounts, DAY) == sorted([(MEMBER, 0 * DAY), (OTHER, 0 * DAY)])
