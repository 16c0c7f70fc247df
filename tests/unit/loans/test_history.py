"""Lists of loans: every loan exactly once over the pages, newest first, at once after it was issued."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from library_common.ids import derived_id
from loans_service.application.history import StatusFilter
from loans_service.application.ports import BooksOutcomeUnknown, IssuedLoan
from loans_service.domain import errors
from loans_service.domain.loan import LEASE, Account, Condition, Loan, LoanStatus
from tests.fakes.lending import Library
from tests.fakes.loans import FakeLoans
from tests.support.clock import NOON

pytestmark = pytest.mark.unit

MEMBER = "M" * 26
DAY = timedelta(days=1)


class LaggingLoans(FakeLoans):
    """As the real table: the index shows a loan a moment after it was issued. `hidden`: not shown yet."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden: set[str] = set()
        self.index_reads = 0

    def history(self, user_id: str, limit: int, after: IssuedLoan | None) -> tuple[list[Loan], IssuedLoan | None]:
        self.index_reads += 1
        everything, self.loans = self.loans, {k: v for k, v in self.loans.items() if k not in self.hidden}
        try:
            return super().history(user_id, limit, after)
        finally:
            self.loans = everything


@pytest.fixture
def lagging() -> LaggingLoans:
    return LaggingLoans()


@pytest.fixture
def library(lagging: LaggingLoans) -> Library:
    return Library(loans=lagging)


def an_issued_loan(number: int, issued_at: datetime, *, returned: bool = False, days: int = 14) -> Loan:
    return Loan(
        id=derived_id("test", str(number)),
        user_id=MEMBER,
        role="patron",
        book_id="B" * 26,
        status=LoanStatus.RETURNED if returned else LoanStatus.ACTIVE,
        requested_at=issued_at,
        due_at=issued_at + days * DAY,
        barcode=f"C-{number}",
        issued_at=issued_at,
        returned_at=issued_at if returned else None,
    )


def put(library: Library, loans: Sequence[Loan]) -> None:
    library.loans.loans = {loan.id: loan for loan in loans}
    library.loans.accounts = {MEMBER: Account(open={loan.id: loan.due_at for loan in loans if loan.is_open})}


def all_pages(library: Library, shown: StatusFilter | None, limit: int) -> list[Loan]:
    listed: list[Loan] = []
    position: IssuedLoan | None = None
    for _ in range(1000):
        page, position = library.history.of_member(MEMBER, shown, limit, position)
        assert len(page) <= limit
        listed += page
        if position is None:
            return listed
    raise AssertionError("the pages never end")


def in_order(loans: Sequence[Loan]) -> list[str]:
    return [loan.id for loan in sorted(loans, key=lambda loan: (str(loan.issued_at), loan.id), reverse=True)]


LIVES = st.lists(st.tuples(st.integers(0, 40), st.booleans()), max_size=25)
"""When each loan was issued (days ago; several on the same day) and whether it is back."""


@given(lives=LIVES, limit=st.integers(1, 8), shown=st.sampled_from([None, *StatusFilter]))
def test_every_loan_is_listed_exactly_once_newest_first(
    lives: list[tuple[int, bool]], limit: int, shown: StatusFilter | None
) -> None:
    library = Library()
    loans = [an_issued_loan(n, NOON - ago * DAY, returned=back) for n, (ago, back) in enumerate(lives)]
    put(library, loans)
    wanted = {
        None: loans,
        StatusFilter.ACTIVE: [loan for loan in loans if loan.is_open],
        StatusFilter.OVERDUE: [loan for loan in loans if loan.is_open and loan.due_at < NOON],
        StatusFilter.RETURNED: [loan for loan in loans if not loan.is_open],
    }[shown]

    assert [loan.id for loan in all_pages(library, shown, limit)] == in_order(wanted)


@given(
    lives=st.lists(st.booleans(), max_size=12),
    new=st.integers(0, 4),
    limit=st.integers(1, 5),
    catches_up_after=st.integers(1, 4),
)
def test_loans_the_index_does_not_show_yet_are_listed_once_too(
    lives: list[bool], new: int, limit: int, catches_up_after: int
) -> None:
    lagging = LaggingLoans()
    library = Library(loans=lagging)
    loans = [an_issued_loan(n, NOON - (50 - n) * DAY, returned=back) for n, back in enumerate(lives)]
    loans += [an_issued_loan(100 + n, NOON + timedelta(seconds=n)) for n in range(new)]
    put(library, loans)
    lagging.hidden = {loan.id for loan in loans[len(lives) :]}

    listed, position, pages = [], None, 0
    while pages == 0 or position is not None:
        page, position = library.history.of_member(MEMBER, None, limit, position)
        listed += page
        pages += 1
        if pages == catches_up_after:
            lagging.hidden = set()

    assert [loan.id for loan in listed] == in_order(loans)


def test_who_lends_and_looks_sees_the_loan_at_once(library: Library, lagging: LaggingLoans) -> None:
    member = library.member()
    old = library.lend(member, library.title())
    library.clock.advance(DAY)
    new = library.lend(member, library.title())
    lagging.hidden = {new.id}

    for shown in (None, StatusFilter.ACTIVE):
        assert library.history.of_member(member.id, shown, 20, None) == ([new, old], None)


def test_a_page_of_returned_loans_may_be_short_but_the_next_ones_hold_the_rest(
    library: Library, lagging: LaggingLoans
) -> None:
    loans = [an_issued_loan(n, NOON - n * timedelta(minutes=1), returned=n == 49) for n in range(50)]
    put(library, loans)

    page, position = library.history.of_member(MEMBER, StatusFilter.RETURNED, 1, None)

    assert (page, position is None) == ([], False)
    assert lagging.index_reads <= 10, "one request reads no more than so much"
    assert [loan.id for loan in all_pages(library, StatusFilter.RETURNED, 1)] == [loans[49].id]


def test_nobodys_loans_are_an_empty_page(library: Library) -> None:
    for shown in (None, *StatusFilter):
        assert library.history.of_member(MEMBER, shown, 20, None) == ([], None)


def test_members_loans_are_not_mixed_up(library: Library) -> None:
    one, other = library.member(), library.member()
    loan = library.lend(one, library.title())

    assert library.history.of_member(one.id, None, 20, None) == ([loan], None)
    assert library.history.of_member(other.id, None, 20, None) == ([], None)


def test_a_loan_becomes_overdue_and_is_listed_as_active_all_the_while(library: Library) -> None:
    member = library.member()
    loan = library.lend(member, library.title())
    assert library.history.of_member(member.id, StatusFilter.OVERDUE, 20, None) == ([], None)

    library.clock.advance(loan.due_at - NOON + timedelta(seconds=1))

    assert library.history.of_member(member.id, StatusFilter.OVERDUE, 20, None) == ([loan], None)
    assert library.history.of_member(member.id, StatusFilter.ACTIVE, 20, None) == ([loan], None)


def test_a_returned_loan_whose_copy_is_not_back_yet_is_returned(library: Library) -> None:
    member = library.member()
    loan = library.lend(member, library.title())
    put_back = replace(loan.returned(NOON, Condition.GOOD), user_id=member.id)
    library.loans.loans[loan.id] = put_back

    assert library.history.of_member(member.id, StatusFilter.ACTIVE, 20, None) == ([], None)
    assert library.history.of_member(member.id, StatusFilter.RETURNED, 20, None) == ([put_back], None)


def test_a_checkout_that_never_became_a_loan_is_nobodys_history(library: Library) -> None:
    member = library.member()
    library.books.failures.append((BooksOutcomeUnknown("timeout"), False))
    with pytest.raises(errors.CheckoutUnresolved):
        library.lend(member, library.title())
    with pytest.raises(errors.NoCopiesAvailable):
        library.lend(member, library.title(copies=0))

    for loan in library.loans.loans.values():
        with pytest.raises(errors.LoanNotFound):
            library.history.one(loan.id)
    for shown in (None, *StatusFilter):
        assert library.history.of_member(member.id, shown, 20, None) == ([], None)


def test_a_checkout_finished_by_the_recovery_is_history_like_any_other(library: Library) -> None:
    member = library.member()
    library.books.failures.append((BooksOutcomeUnknown("timeout"), True))
    with pytest.raises(errors.CheckoutUnresolved):
        library.lend(member, library.title())
    (pending,) = library.loans.loans.values()
    library.clock.advance(LEASE)
    library.recovery.recover(pending.id, attempt=0)

    ((loan,), _) = library.history.of_member(member.id, None, 20, None)

    assert loan.status is LoanStatus.ACTIVE
    assert loan.issued_at == NOON + LEASE


def test_an_unknown_loan_is_told_as_such(library: Library) -> None:
    with pytest.raises(errors.LoanNotFound):
        library.history.one("0" * 26)


def test_checkouts_under_way_count_as_places_taken() -> None:
    library = Library()
    member = library.member()
    loan = library.lend(member, library.title())
    library.books.failures.append((BooksOutcomeUnknown("timeout"), True))
    with pytest.raises(errors.CheckoutUnresolved):
        library.lend(member, library.title())

    assert library.history.places_taken(member.id) == 2
    library.returns.return_copy(library.history.one(loan.id), condition=Condition.GOOD)
    assert library.history.places_taken(member.id) == 1
    assert library.history.places_taken(MEMBER) == 0
