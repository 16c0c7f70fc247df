"""A member is erased: every closed loan of theirs names nobody, whatever dies or fails on the way."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from loans_service.application import account_erasure
from loans_service.application.account_erasure import AccountErasure, ErasureResult
from loans_service.application.closing import Anonymisation
from loans_service.application.ports import ALWAYS_DUE, BooksUnavailable
from loans_service.domain import errors
from loans_service.domain.loan import Condition, Loan, LoanStatus, Member
from tests.depth import at_depth
from tests.fakes.lending import Library
from tests.support.clock import NOON
from tests.support.flaky import Failures, Flaky, InjectedFailure
from tests.support.mortality import Mortal, Mortality, ProcessDied
from tests.support.operator_log import OperatorLog

pytestmark = pytest.mark.unit

DAY = timedelta(days=1)
NO_LIMIT = 1e18


@dataclass
class Scenario:
    """A library with an erased member and another one, each with loans that were given back."""

    library: Library = field(default_factory=Library)
    number: int = 3

    def __post_init__(self) -> None:
        self.member, self.other = self.library.member(), self.library.member()
        self.theirs = [self.closed(self.member) for _ in range(self.number)]
        self.others = [self.closed(self.other) for _ in range(2)]
        # That is what users has done by then.
        del self.library.members.members[self.member.id]

    def closed(self, member: Member) -> Loan:
        loan = self.library.lend(member, self.library.title())
        self.library.clock.advance(DAY)
        self.library.returns.return_copy(loan, condition=Condition.GOOD)
        return self.library.loans.loans[loan.id]

    def erase(self, until: float = NO_LIMIT) -> ErasureResult:
        return self.library.account_erasure.erase(self.member.id, until=until)

    @property
    def naming(self) -> list[Loan]:
        return [loan for loan in self.library.loans.loans.values() if loan.user_id == self.member.id]

    def assert_anonymised(self) -> None:
        assert self.naming == []
        assert [self.library.loans.loans[loan.id] for loan in self.others] == self.others
        anonymised = [self.library.loans.loans[loan.id] for loan in self.theirs]
        assert all(loan.anonymised_at is not None for loan in anonymised)
        assert [loan.version for loan in anonymised] == [loan.version + 1 for loan in self.theirs], "once each"
        account = self.library.loans.accounts[self.member.id]
        assert (account.open, account.closed_loans_since) == ({}, ALWAYS_DUE)
        assert account.erased_at is not None


@pytest.fixture
def scenario() -> Scenario:
    return Scenario()


def test_all_their_closed_loans_are_anonymised_and_nobody_elses(scenario: Scenario) -> None:
    assert scenario.erase() == ErasureResult(anonymised=3)

    scenario.assert_anonymised()
    scenario.library.assert_nothing_left_behind()


def test_the_event_a_second_time_changes_nothing(scenario: Scenario) -> None:
    scenario.erase()
    before = (dict(scenario.library.loans.loans), dict(scenario.library.loans.accounts))
    scenario.library.clock.advance(DAY)

    assert scenario.erase() == ErasureResult()

    assert (scenario.library.loans.loans, scenario.library.loans.accounts) == before


def test_a_member_with_thousands_of_loans_is_anonymised_page_by_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account_erasure, "PAGE", 4)
    scenario = Scenario(number=13)

    assert scenario.erase() == ErasureResult(anonymised=13)

    scenario.assert_anonymised()


def test_what_does_not_fit_into_a_run_is_done_by_the_next(scenario: Scenario) -> None:
    library = scenario.library
    runs = 0

    def monotonic() -> float:
        # Each look at the clock takes a second.
        library.clock.advance(timedelta(seconds=1))
        return library.clock.monotonic()

    slow = AccountErasure(library.loans, library.accounts, library.anonymisation, library.clock, monotonic)
    while True:
        runs += 1
        done = slow.erase(scenario.member.id, until=library.clock.monotonic())
        if not done.timed_out:
            break
        assert done.anonymised == 1, "each run does something"

    assert runs == 3
    scenario.assert_anonymised()


def test_somebody_who_never_borrowed_is_erased_too(library: Library) -> None:
    member = library.member()

    assert library.account_erasure.erase(member.id, until=NO_LIMIT) == ErasureResult()
    with pytest.raises(errors.MemberNotFound):
        library.lend(member, library.title())


# -- the race: a checkout that asked users a moment before the account was closed there -----------


def test_nothing_is_lent_to_an_erased_member(scenario: Scenario) -> None:
    scenario.erase()
    library = scenario.library
    library.members.add(scenario.member)
    book = library.title()

    with pytest.raises(errors.MemberNotFound):
        library.lend(scenario.member, book)

    assert library.books.available(book) == 1
    scenario.assert_anonymised()


def test_a_loan_that_is_open_nevertheless_comes_back_and_is_anonymised_then(scenario: Scenario) -> None:
    library, book = scenario.library, scenario.library.title()
    library.members.add(scenario.member)
    loan = library.lend(scenario.member, book)
    del library.members.members[scenario.member.id]

    assert scenario.erase() == ErasureResult(anonymised=3, still_open=1)
    assert scenario.naming == [loan]

    library.returns.return_copy(loan, condition=Condition.GOOD)

    assert library.loans.loans[loan.id].status is LoanStatus.RETURNED
    assert library.books.available(book) == 1
    scenario.assert_anonymised()
    library.assert_nothing_left_behind()


def test_while_books_is_down_it_is_not_anonymised_but_once_the_copy_is_back(scenario: Scenario) -> None:
    library, book = scenario.library, scenario.library.title()
    library.members.add(scenario.member)
    loan = library.lend(scenario.member, book)
    scenario.erase()
    library.books.failures.append((BooksUnavailable("down"), False))

    library.returns.return_copy(loan, condition=Condition.GOOD)

    assert [named.release_pending for named in scenario.naming] == [True]
    assert scenario.erase() == ErasureResult(still_open=1)
    assert library.recovery.recover(loan.id, attempt=0)
    assert library.books.available(book) == 1
    scenario.assert_anonymised()


def test_erased_while_a_return_waits_for_books(scenario: Scenario) -> None:
    library, book = scenario.library, scenario.library.title()
    library.members.add(scenario.member)
    loan = library.lend(scenario.member, book)
    library.books.failures.append((BooksUnavailable("down"), False))
    library.returns.return_copy(loan, condition=Condition.GOOD)
    assert library.history.places_taken(scenario.member.id) == 0, "so users erases them"

    assert scenario.erase() == ErasureResult(anonymised=3, still_open=1)
    assert library.recovery.recover(loan.id, attempt=0)

    assert library.books.available(book) == 1
    scenario.assert_anonymised()


# -- what fails and what dies ---------------------------------------------------------------------


def test_one_bad_loan_does_not_stop_the_others(scenario: Scenario, log: OperatorLog) -> None:
    bad = scenario.theirs[0].id
    loans: Any = Broken(scenario.library.loans, bad)
    library = scenario.library
    account_erasure = AccountErasure(loans, library.accounts, Anonymisation(loans, library.clock), library.clock)

    assert account_erasure.erase(scenario.member.id, until=NO_LIMIT) == ErasureResult(anonymised=2, failed=1)

    assert [loan.id for loan in scenario.naming] == [bad]
    (line,) = log.lines
    assert (line["loan_id"], line["error"], line["level"]) == (bad, "ValueError", "ERROR")
    assert scenario.member.id not in log.text
    assert scenario.erase() == ErasureResult(anonymised=1)
    scenario.assert_anonymised()


class Broken:
    """A table in which one loan cannot be read."""

    def __init__(self, loans: Any, bad: str) -> None:
        self._loans, self._bad = loans, bad

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loans, name)

    def get(self, loan_id: str) -> Any:
        if loan_id == self._bad:
            raise ValueError("some day")
        return self._loans.get(loan_id)


def another(scenario: Scenario, around: Callable[[Any], Any]) -> AccountErasure:
    """Another process: the same stores, which something stands around."""
    loans, accounts = around(scenario.library.loans), around(scenario.library.accounts)
    return AccountErasure(loans, accounts, Anonymisation(loans, scenario.library.clock), scenario.library.clock)


def calls_of_an_erasure() -> int:
    scenario, mortality = Scenario(), Mortality()
    another(scenario, lambda port: Mortal(port, mortality)).erase(scenario.member.id, until=NO_LIMIT)
    return len(mortality.calls)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("number", range(1, calls_of_an_erasure() + 1))
def test_a_process_that_dies_anywhere_leaves_the_rest_to_the_next_delivery(number: int, after: bool) -> None:
    scenario, mortality = Scenario(), Mortality(number, after)

    with pytest.raises(ProcessDied):
        another(scenario, lambda port: Mortal(port, mortality)).erase(scenario.member.id, until=NO_LIMIT)

    assert not scenario.erase().still_open
    scenario.assert_anonymised()


@pytest.mark.parametrize("seed", range(at_depth(quick=6, full=20)))
def test_calls_that_fail_one_time_in_three_delay_it_only(seed: int) -> None:
    scenario, failures = Scenario(number=8), Failures(1 / 3, seed)
    for _ in range(100):
        try:
            done = another(scenario, lambda port: Flaky(port, failures)).erase(scenario.member.id, until=NO_LIMIT)
        except (InjectedFailure, ProcessDied):
            continue
        if not done.failed:
            break
    assert failures.injected
    scenario.assert_anonymised()


def calls_of_the_last_return() -> int:
    return len(returning_dies(Mortality()).mortality.calls)


@dataclass
class LastReturn:
    """The return of a loan that was open when its member was erased."""

    scenario: Scenario
    loan: Loan
    book: str
    mortality: Mortality


def returning_dies(mortality: Mortality) -> LastReturn:
    scenario = Scenario()
    library = scenario.library
    book = library.title()
    library.members.add(scenario.member)
    loan = library.lend(scenario.member, book)
    scenario.erase()
    process = Library(
        clock=library.clock,
        loans=Mortal(library.loans, mortality, "loans"),  # type: ignore[arg-type]  # stands in for all ports
        books=Mortal(library.books, mortality, "books"),  # type: ignore[arg-type]
    )
    with suppress(ProcessDied):
        process.returns.return_copy(loan, condition=Condition.GOOD)
    return LastReturn(scenario, loan, book, mortality)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("number", range(1, calls_of_the_last_return() + 1))
def test_a_return_that_dies_anywhere_loses_neither_the_copy_nor_the_anonymisation(number: int, after: bool) -> None:
    last = returning_dies(Mortality(number, after))
    library = last.scenario.library

    # What comes next in life: the recovery, the desk that tries again, and the round over closed loans.
    library.recovery.recover(last.loan.id, attempt=0)
    library.returns.return_copy(library.loans.loans[last.loan.id], condition=Condition.GOOD)
    library.account_erasure.anonymise_all(last.scenario.member.id, until=NO_LIMIT)

    assert library.books.available(last.book) == 1
    last.scenario.assert_anonymised()
    assert library.loans.loans[last.loan.id].returned_at == NOON + 5 * DAY
    library.assert_nothing_left_behind()
