"""The retention job: who is anonymised when, who is asked, and what failures and crashes leave to the next run."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from library_common.versions import VersionConflict
from loans_service.application import account_erasure, retention_job
from loans_service.application.account_erasure import AccountErasure
from loans_service.application.closing import Anonymisation
from loans_service.application.ports import ALWAYS_DUE, BooksUnavailable, RetentionProgress
from loans_service.application.retention_job import RetentionJob, RunOutcome, RunResult, is_due
from loans_service.domain.errors import LendingError
from loans_service.domain.loan import Account, Condition, Loan, LoanStatus, Member
from tests.depth import at_depth
from tests.fakes.lending import Library
from tests.fakes.loans import FakeProgressStore
from tests.support.clock import NOON
from tests.support.flaky import Failures, Flaky, InjectedFailure
from tests.support.mortality import Mortal, Mortality, ProcessDied
from tests.support.operator_log import OperatorLog

pytestmark = pytest.mark.unit

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
PERIOD = 180 * DAY
LONG = 1e9
"""Seconds that are enough for any round."""


@dataclass
class Retained:
    """A library and its retention job."""

    library: Library = field(default_factory=Library)
    store: FakeProgressStore = field(default_factory=FakeProgressStore)

    def process(self, around: Callable[[Any], Any] = lambda port: port) -> RetentionJob:
        """Another process on the same stores, which something may stand around."""
        library = self.library
        loans, accounts, members, saved = (
            around(port) for port in (library.loans, library.accounts, library.members, self.store)
        )
        anonymisation = Anonymisation(loans, library.clock)
        return RetentionJob(
            loans=loans,
            accounts=accounts,
            members=members,
            store=saved,
            anonymisation=anonymisation,
            account_erasure=AccountErasure(loans, accounts, anonymisation, library.clock, library.clock.monotonic),
            period=PERIOD,
            clock=library.clock,
            monotonic=library.clock.monotonic,
        )

    def round(self, seconds: float = LONG, **more: bool) -> RunResult:
        return self.process().run(seconds=seconds, **more)

    def after(self, time: timedelta) -> RunResult:
        """A round of its own, so long after now."""
        self.library.clock.advance(time)
        return self.round(anew=True)

    def member(self, *, keeps: bool | None = False) -> Member:
        return self.library.members.add(replace(self.library.member("faculty"), keeps_history=keeps))

    def set_preference(self, member: Member, keeps: bool | None) -> None:
        self.library.members.add(replace(member, keeps_history=keeps))

    def lend(self, member: Member) -> Loan:
        return self.library.lend(member, self.library.title())

    def give_back(self, loan: Loan, returned_at: datetime | None = None) -> Loan:
        self.library.returns.return_copy(self.now(loan), condition=Condition.GOOD, returned_at=returned_at)
        return self.now(loan)

    def read(self, member: Member) -> Loan:
        """Lent and given back at once."""
        return self.give_back(self.lend(member))

    def now(self, loan: Loan) -> Loan:
        return self.library.loans.loans[loan.id]

    def names_somebody(self, loan: Loan) -> bool:
        return self.now(loan).user_id is not None


@pytest.fixture
def retained() -> Retained:
    return Retained()


def counts(progress: RunResult) -> tuple[int, int, int, int]:
    done = progress.progress
    return done.anonymised, done.keeping_history, done.postponed, done.failed


# -- when -----------------------------------------------------------------------------------------


def test_a_loan_is_anonymised_once_it_was_closed_longer_ago_than_the_period(retained: Retained) -> None:
    loan = retained.read(retained.member())

    assert counts(retained.after(PERIOD)) == (0, 0, 0, 0)
    assert retained.names_somebody(loan), "at the very moment it is not yet"
    assert counts(retained.after(SECOND)) == (1, 0, 0, 0)

    assert not retained.names_somebody(loan)
    assert retained.now(loan).anonymised_at == NOON + PERIOD + SECOND


def test_the_period_counts_from_the_return_not_from_the_checkout(retained: Retained) -> None:
    loan = retained.lend(retained.member())
    retained.library.clock.advance(20 * DAY)
    retained.give_back(loan)

    retained.after(PERIOD - DAY)
    assert retained.names_somebody(loan)
    retained.after(DAY + SECOND)
    assert not retained.names_somebody(loan)


def test_the_period_counts_from_when_a_return_was_written_down(retained: Retained) -> None:
    loan = retained.lend(retained.member())
    retained.library.clock.advance(20 * DAY)
    retained.give_back(loan, returned_at=NOON + DAY)

    retained.after(PERIOD - DAY)
    assert retained.names_somebody(loan)
    retained.after(DAY + SECOND)
    assert not retained.names_somebody(loan)


def test_an_open_loan_is_never_touched(retained: Retained) -> None:
    member = retained.member()
    closed, is_open = retained.read(member), retained.lend(member)

    retained.after(10 * PERIOD)

    assert not retained.names_somebody(closed)
    assert retained.now(is_open) == is_open
    retained.give_back(is_open)
    retained.after(PERIOD)
    assert retained.names_somebody(is_open)
    retained.after(SECOND)
    assert not retained.names_somebody(is_open)


def test_what_is_still_to_be_given_back_waits(retained: Retained) -> None:
    loan = retained.lend(retained.member())
    retained.library.books.failures.append((BooksUnavailable("down"), False))
    retained.give_back(loan)

    assert counts(retained.after(PERIOD + SECOND)) == (0, 0, 0, 0)
    assert retained.now(loan).release_pending
    retained.library.recovery.recover(loan.id, attempt=0)
    assert counts(retained.after(SECOND)) == (1, 0, 0, 0)


def test_a_member_with_many_loans_is_anonymised_loan_by_loan_as_each_is_due(
    retained: Retained, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account_erasure, "PAGE", 2)
    member = retained.member()
    loans = []
    for _ in range(7):
        loans.append(retained.read(member))
        retained.library.clock.advance(10 * DAY)

    retained.library.clock.advance(PERIOD - 70 * DAY)
    for number in range(7):
        assert [retained.names_somebody(loan) for loan in loans] == [False] * number + [True] * (7 - number)
        retained.after(SECOND)
        retained.library.clock.advance(10 * DAY - SECOND)


def test_another_period_takes_effect_with_the_next_round(retained: Retained) -> None:
    loan = retained.read(retained.member())
    retained.library.clock.advance(31 * DAY)

    shorter = replace(retained.process(), period=30 * DAY)
    shorter.run(seconds=LONG)

    assert not retained.names_somebody(loan)


@pytest.mark.parametrize(("status", "due"), [(LoanStatus.ACTIVE, False), (LoanStatus.RETURNED, True)])
def test_only_a_closed_loan_is_due(status: LoanStatus, due: bool) -> None:
    loan = Loan(
        id="L", user_id="M", role="patron", book_id="B", status=status, requested_at=NOON, due_at=NOON, closed_at=NOON
    )

    assert is_due(loan, NOON + SECOND) is due
    assert not is_due(loan, NOON)
    assert not is_due(replace(loan, closed_at=None), NOON + SECOND)


def test_a_loan_with_a_status_of_a_newer_version_stays_and_holds_up_no_other(retained: Retained) -> None:
    member = retained.member()
    unknown = retained.read(member)
    retained.library.clock.advance(DAY)
    known = retained.read(member)
    retained.library.loans.loans[unknown.id] = replace(unknown, status="CLAIMED_RETURNED")

    assert counts(retained.after(PERIOD + DAY)) == (1, 0, 0, 0)

    assert (retained.names_somebody(unknown), retained.names_somebody(known)) == (True, False)
    retained.library.loans.loans[unknown.id] = unknown
    assert counts(retained.after(DAY)) == (1, 0, 0, 0), "the account stayed in the list"


# -- who ------------------------------------------------------------------------------------------


def test_who_keeps_their_history_keeps_it(retained: Retained) -> None:
    keeper, other = retained.member(keeps=True), retained.member()
    kept, anonymised = retained.read(keeper), retained.read(other)

    assert counts(retained.after(3 * PERIOD)) == (1, 1, 0, 0)

    assert (retained.now(kept), retained.names_somebody(anonymised)) == (kept, False)
    assert [loan.id for loan in retained.library.history.of_member(keeper.id, None, 10, None)[0]] == [kept.id]
    assert retained.library.history.of_member(other.id, None, 10, None)[0] == []


def test_a_withdrawn_preference_takes_effect_with_the_next_round(retained: Retained) -> None:
    keeper = retained.member(keeps=True)
    loans = [retained.read(keeper) for _ in range(3)]
    assert counts(retained.after(2 * PERIOD)) == (0, 1, 0, 0)
    young = retained.read(keeper)
    retained.set_preference(keeper, False)

    assert counts(retained.after(DAY)) == (3, 0, 0, 0)

    assert not any(retained.names_somebody(loan) for loan in loans)
    assert retained.names_somebody(young)


def test_a_preference_that_comes_late_keeps_what_is_left(retained: Retained) -> None:
    member = retained.member()
    old = retained.read(member)
    retained.after(PERIOD + SECOND)
    young = retained.read(member)
    retained.set_preference(member, True)

    retained.after(2 * PERIOD)

    assert (retained.names_somebody(old), retained.names_somebody(young)) == (False, True)


def test_each_member_is_asked_once_in_a_round_and_only_if_a_loan_is_due(retained: Retained) -> None:
    due, young = retained.member(keeps=True), retained.member()
    for _ in range(5):
        retained.read(due)
    retained.library.clock.advance(PERIOD - DAY)
    retained.read(young)
    retained.read(due)
    retained.library.members.calls = 0

    retained.after(2 * DAY)

    assert retained.library.members.calls == 1


def test_who_is_gone_without_a_word_keeps_nothing(retained: Retained) -> None:
    member = retained.member(keeps=True)
    loan = retained.read(member)
    del retained.library.members.members[member.id]

    assert counts(retained.after(PERIOD + SECOND)) == (1, 0, 0, 0)
    assert not retained.names_somebody(loan)


def test_while_users_is_down_nothing_is_guessed(retained: Retained) -> None:
    member = retained.member()
    loan = retained.read(member)
    retained.library.members.down = True

    put_off = retained.after(PERIOD + SECOND)

    assert (put_off.outcome, counts(put_off)) == (RunOutcome.POSTPONED, (0, 0, 1, 0))
    assert retained.names_somebody(loan)
    retained.library.members.down = False
    # The next run does it, though the day is the same.
    again = retained.round()
    assert (again.outcome, counts(again), again.late) == (RunOutcome.FINISHED, (1, 0, 0, 0), False)
    assert not retained.names_somebody(loan)


def test_an_answer_without_a_preference_is_no_answer(retained: Retained) -> None:
    loan = retained.read(retained.member(keeps=None))

    assert counts(retained.after(PERIOD + SECOND)) == (0, 0, 1, 0)
    assert retained.names_somebody(loan)


def test_a_round_that_is_not_through_the_day_after_is_late(retained: Retained) -> None:
    retained.read(retained.member())
    retained.library.members.down = True
    retained.library.clock.advance(PERIOD + SECOND)

    assert not retained.round().late
    retained.library.clock.advance(DAY)
    assert retained.round().late
    retained.library.members.down = False
    through = retained.round()
    assert (through.outcome, through.late) == (RunOutcome.FINISHED, False)


# -- who was erased -------------------------------------------------------------------------------


def test_the_account_of_an_erased_member_goes_once_a_round_finds_nothing_left(retained: Retained) -> None:
    member = retained.member(keeps=True)
    loan = retained.read(member)
    del retained.library.members.members[member.id]
    retained.library.account_erasure.erase(member.id, until=LONG * 10)
    assert not retained.names_somebody(loan)

    retained.after(SECOND)
    assert member.id in retained.library.loans.accounts, "a checkout that asked users before may be under way"
    retained.after(timedelta(hours=1))

    assert member.id not in retained.library.loans.accounts
    assert retained.library.members.calls == 1, "of the checkout; nobody is asked about who is erased"


def test_what_the_erasure_left_is_done_by_the_round(retained: Retained) -> None:
    member = retained.member()
    closed, is_open = retained.read(member), retained.lend(member)
    retained.library.accounts.mark_erased(member.id, NOON)

    assert counts(retained.after(DAY)) == (1, 0, 0, 0)

    assert not retained.names_somebody(closed)
    assert retained.now(is_open) == is_open
    assert set(retained.library.loans.accounts[member.id].open) == {is_open.id}
    retained.give_back(is_open)
    assert counts(retained.after(DAY)) == (0, 0, 0, 0)
    assert member.id not in retained.library.loans.accounts
    retained.library.assert_nothing_left_behind()


# -- accounts of before there was the job ---------------------------------------------------------


def test_loans_that_were_closed_before_this_version_are_found_by_the_first_round(retained: Retained) -> None:
    members = [retained.member() for _ in range(3)]
    loans = [retained.read(member) for member in members]
    retained.library.clock.advance(2 * PERIOD)
    young = retained.read(members[0])
    for user_id, account in retained.library.loans.accounts.items():
        retained.library.loans.accounts[user_id] = Account(open=account.open)
    retained.library.loans.loans = {
        # As they were written then.
        loan.id: replace(loan, closed_at=loan.returned_at)
        for loan in retained.library.loans.loans.values()
    }

    assert counts(retained.round()) == (3, 0, 0, 0)

    assert [retained.names_somebody(loan) for loan in loans] == [False] * 3
    assert retained.names_somebody(young)
    (first, *_) = members
    since = retained.library.loans.accounts[first.id].closed_loans_since
    assert since is not None
    assert since > ALWAYS_DUE
    retained.after(PERIOD + SECOND)
    assert not retained.names_somebody(young)


def test_the_table_is_walked_through_once_and_on_command(retained: Retained) -> None:
    retained.read(retained.member())
    assert retained.round().progress.walked
    (user_id,) = retained.library.loans.accounts
    retained.library.loans.accounts[user_id] = Account(open={})

    retained.after(PERIOD + SECOND)
    assert retained.library.loans.accounts[user_id].closed_loans_since is None
    retained.round(walk=True)

    assert retained.library.loans.accounts[user_id].closed_loans_since is not None


def test_a_walk_that_does_not_fit_into_a_run_is_gone_on_with(retained: Retained) -> None:
    for _ in range(4):
        retained.read(retained.member())
    for user_id, account in retained.library.loans.accounts.items():
        retained.library.loans.accounts[user_id] = Account(open=account.open)

    ends = [retained.round(seconds=0).outcome for _ in range(4)]

    assert ends == [RunOutcome.CONTINUED] * 4
    assert retained.store.saved[-1].walked
    assert all(account.closed_loans_since for account in retained.library.loans.accounts.values())


# -- one round a day, in as many runs as it takes -------------------------------------------------


def test_a_round_a_day_and_more_on_command(retained: Retained) -> None:
    loan = retained.read(retained.member())
    retained.library.clock.moment = datetime(2027, 6, 1, 0, 20, tzinfo=NOON.tzinfo)

    assert retained.round().outcome is RunOutcome.FINISHED
    later = retained.read(retained.member())
    for _ in range(20):
        retained.library.clock.advance(timedelta(hours=1))
        before = list(retained.store.saved)
        assert retained.round().outcome is RunOutcome.ALREADY_FINISHED
        assert retained.store.saved == before, "nothing is written"
    assert retained.round(anew=True).outcome is RunOutcome.FINISHED
    retained.library.clock.advance(DAY)
    assert retained.round().outcome is RunOutcome.FINISHED
    assert (retained.names_somebody(loan), retained.names_somebody(later)) == (False, True)


def test_a_round_goes_on_where_the_run_before_stopped(retained: Retained, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention_job, "PAGE", 2)
    keepers = [retained.member(keeps=True) for _ in range(5)]
    loans = [retained.read(member) for member in keepers]
    others = [retained.read(retained.member()) for _ in range(5)]
    retained.library.clock.advance(PERIOD + SECOND)
    retained.round()
    retained.library.clock.advance(DAY)
    retained.library.members.calls = 0
    runs = 1
    while (progress := retained.round(seconds=0)).outcome is not RunOutcome.FINISHED:
        runs += 1
        assert progress.outcome is RunOutcome.CONTINUED

    assert runs >= 5, "one member a run"
    assert retained.library.members.calls == 5, "nobody is asked twice"
    assert counts(progress) == (0, 5, 0, 0)
    assert all(retained.names_somebody(loan) for loan in loans)
    assert not any(retained.names_somebody(loan) for loan in others)


def test_a_member_with_more_loans_than_fit_into_a_run_is_gone_on_with(retained: Retained) -> None:
    member, other = retained.member(), retained.member()
    loans = [retained.read(member) for _ in range(6)]
    last = retained.read(other)
    retained.library.clock.advance(PERIOD + SECOND)
    retained.round(seconds=0)

    anonymised = []
    while retained.round(seconds=0).outcome is not RunOutcome.FINISHED:
        anonymised.append(sum(not retained.names_somebody(loan) for loan in loans))

    assert anonymised == sorted(anonymised)
    assert anonymised[0] < 6
    assert not any(retained.names_somebody(loan) for loan in [*loans, last])
    assert retained.store.saved[-1].anonymised == 7


def test_of_two_runs_at_the_same_time_one_goes_on(retained: Retained) -> None:
    for _ in range(3):
        retained.read(retained.member())
    retained.library.clock.advance(PERIOD + SECOND)

    class Overtaken:
        """In front of whose second note another run does everything."""

        def __init__(self, inner: FakeProgressStore) -> None:
            self._inner, self._notes = inner, 0

        def current(self) -> RetentionProgress | None:
            return self._inner.current()

        def save(self, now: RetentionProgress) -> RetentionProgress:
            self._notes += 1
            if self._notes == 2:
                assert retained.round().outcome is RunOutcome.FINISHED
            return self._inner.save(now)

    overtaken: Any = Overtaken(retained.store)
    with pytest.raises(VersionConflict):
        replace(retained.process(), store=overtaken).run(seconds=LONG)

    assert retained.store.saved[-1].finished
    assert not any(retained.names_somebody(loan) for loan in retained.library.loans.loans.values())


# -- what fails and what dies ---------------------------------------------------------------------


class Broken:
    """A table in which one thing cannot be read."""

    def __init__(self, loans: Any, bad: str) -> None:
        self._loans, self._bad = loans, bad

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._loans, name)

        def asked(what: Any, *args: Any) -> Any:
            if what == self._bad:
                raise ValueError("some day")
            return method(what, *args)

        return asked


def test_one_bad_loan_does_not_stop_the_others(retained: Retained, log: OperatorLog) -> None:
    member, other = retained.member(), retained.member()
    bad, good, others = retained.read(member), retained.read(member), retained.read(other)
    retained.library.clock.advance(PERIOD + SECOND)

    progress = retained.process(lambda port: Broken(port, bad.id) if port is retained.library.loans else port).run(
        seconds=LONG
    )

    assert (progress.outcome, counts(progress)) == (RunOutcome.FINISHED, (2, 0, 0, 1))
    assert [retained.names_somebody(loan) for loan in (bad, good, others)] == [True, False, False]
    (line,) = log.lines
    assert (line["loan_id"], line["error"]) == (bad.id, "ValueError")
    assert counts(retained.after(DAY)) == (1, 0, 0, 0)
    assert not retained.names_somebody(bad)


def test_one_bad_account_does_not_stop_the_others(retained: Retained, log: OperatorLog) -> None:
    bad, good = retained.member(), retained.member()
    loans = [retained.read(bad), retained.read(good)]
    retained.library.clock.advance(PERIOD + SECOND)

    progress = retained.process(lambda port: Broken(port, bad.id) if port is retained.library.loans else port).run(
        seconds=LONG
    )

    assert counts(progress) == (1, 0, 0, 1)
    assert [retained.names_somebody(loan) for loan in loans] == [True, False]
    assert [line["user_id"] for line in log.lines] == [bad.id]


def a_life() -> Retained:
    """Somebody of every kind, with loans that are due."""
    retained = Retained()
    plain, keeper, erased, old = (retained.member(keeps=keeps) for keeps in (False, True, False, False))
    for member in (plain, plain, keeper, erased, old):
        retained.read(member)
    retained.library.accounts.mark_erased(erased.id, NOON)
    retained.library.loans.accounts[old.id] = Account(open={})
    retained.library.clock.advance(PERIOD + SECOND)
    retained.read(plain)
    return retained


def assert_done(retained: Retained) -> None:
    named = {
        loan.user_id: loan.anonymised_at for loan in retained.library.loans.loans.values() if loan.user_id is not None
    }
    plain, keeper, *_ = retained.library.members.members
    assert set(named) == {plain, keeper}
    versions = {loan.version for loan in retained.library.loans.loans.values() if loan.user_id is None}
    assert versions == {4}, "once each"
    assert retained.store.saved[-1].finished


def calls_of_a_round() -> int:
    retained, mortality = a_life(), Mortality()
    retained.process(lambda port: Mortal(port, mortality)).run(seconds=LONG)
    assert_done(retained)
    return len(mortality.calls)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("number", range(1, calls_of_a_round() + 1))
def test_a_run_that_dies_anywhere_is_gone_on_with(number: int, after: bool) -> None:
    retained, mortality = a_life(), Mortality(number, after)
    with pytest.raises(ProcessDied):
        retained.process(lambda port: Mortal(port, mortality)).run(seconds=LONG)

    retained.round()

    assert_done(retained)


@pytest.mark.parametrize("seed", range(at_depth(quick=6, full=20)))
def test_calls_that_fail_one_time_in_five_delay_it_only(seed: int) -> None:
    retained, failures = a_life(), Failures(0.2, seed)
    for _ in range(50):
        with suppress(InjectedFailure, ProcessDied):
            flaky = retained.process(lambda port: Flaky(port, failures))
            progress = flaky.run(seconds=LONG, anew=True)
            if progress.is_over and not progress.progress.failed:
                break
    assert failures.injected
    retained.round(anew=True)
    assert_done(retained)


# -- random lives ---------------------------------------------------------------------------------

ACTS = st.lists(
    st.one_of(
        *[st.tuples(st.just("read"), st.integers(0, 1))] * 3,
        st.tuples(st.just("lend"), st.integers(0, 1)),
        st.tuples(st.just("return"), st.integers(0, 9)),
        st.tuples(st.just("return, books down"), st.integers(0, 9)),
        st.tuples(st.just("return, dated back"), st.integers(0, 9)),
        st.tuples(st.sampled_from(["release", "users"]), st.just(0)),
        st.tuples(st.sampled_from(["preference", "preference", "erased"]), st.integers(0, 1)),
        *[st.tuples(st.just("days"), st.sampled_from([1, 30, 89, 90, 91, 180]))] * 3,
        *[st.tuples(st.just("round"), st.integers(0, 3))] * 3,
    ),
    min_size=20,
    max_size=60,
)
"""What happens, and to whom, to which loan, for how many days, or in how many seconds."""


@dataclass
class Life(Retained):
    """A library in which anything may happen."""

    def __post_init__(self) -> None:
        self.people = [self.member(keeps=number % 2 == 1) for number in range(2)]
        self.closed: dict[str, tuple[str, datetime]] = {}

    def act(self, what: str, number: int) -> None:
        members = self.library.members.members
        open_loans = sorted(loan.id for loan in self.library.loans.loans.values() if loan.is_open)
        match what:
            case "lend" | "read":
                # Overdue loans block, the limit does, and so does being erased.
                with suppress(LendingError):
                    loan = self.lend(self.people[number])
                    if what == "read":
                        self.give_back(loan)
                        self.closed[loan.id] = (loan.borrower, self.library.clock.now())
            case "return" | "return, books down" | "return, dated back" if open_loans:
                loan = self.library.loans.loans[open_loans[number % len(open_loans)]]
                if what == "return, books down":
                    self.library.books.failures.append((BooksUnavailable("down"), False))
                at = loan.issued_at if what == "return, dated back" else None
                self.give_back(loan, returned_at=at)
                self.closed[loan.id] = (loan.borrower, self.library.clock.now())
            case "release":
                self.release_all()
            case "preference" if (member := members.get(self.people[number].id)) is not None:
                self.set_preference(member, not member.keeps_history)
            case "users":
                self.library.members.down = not self.library.members.down
            case "erased":
                members.pop(self.people[number].id, None)
            case "days":
                self.library.clock.advance(number * DAY)
            case "round":
                before = self.anonymous()
                self.round(seconds=[0, 0, 5, LONG][number], anew=number > 1)
                for loan_id in self.anonymous() - before:
                    assert not self.library.members.down, "a preference was guessed"
                    member = members.get(self.closed[loan_id][0])
                    assert member is None or member.keeps_history is False, "a preference was not respected"

    def anonymous(self) -> set[str]:
        return {loan.id for loan in self.library.loans.loans.values() if loan.anonymised_at is not None}

    def release_all(self) -> None:
        for loan in list(self.library.loans.loans.values()):
            if loan.is_unfinished:
                self.library.recovery.recover(loan.id, attempt=0)

    def check(self) -> None:
        """What is true at every moment."""
        for loan in self.library.loans.loans.values():
            if loan.anonymised_at is not None:
                assert loan.is_done, "an open loan, or one with something left to do, was touched"
                _, closed_at = self.closed[loan.id]
                assert loan.anonymised_at - closed_at > PERIOD, "a younger one was touched"
            else:
                assert loan.user_id is not None


@settings(max_examples=at_depth(quick=20, full=300))
@given(acts=ACTS)
def test_exactly_what_is_due_and_not_kept_is_anonymised_whatever_happens(acts: list[tuple[str, int]]) -> None:
    life = Life()
    for what, number in acts:
        life.act(what, number)
        life.check()

    life.release_all()
    life.library.members.down = False
    now = life.library.clock.now()
    kept_before = {loan.id for loan in life.library.loans.loans.values() if loan.user_id is not None}
    assert life.round(anew=True).outcome is RunOutcome.FINISHED

    life.check()
    for loan_id in kept_before:
        whose, closed_at = life.closed.get(loan_id, ("", now))
        member = life.library.members.members.get(whose)
        is_kept = member is not None and member.keeps_history is True
        due = closed_at < now - PERIOD and not is_kept
        assert (life.library.loans.loans[loan_id].user_id is None) is due, (loan_id, closed_at)
    once = (dict(life.library.loans.loans), dict(life.library.loans.accounts))
    life.round(anew=True)
    assert (life.library.loans.loans, life.library.loans.accounts) == once, "twice is once"
