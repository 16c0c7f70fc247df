"""Death at every step: before and after every single call a checkout or return makes to the outside.

The positions are not listed anywhere: a first run that nothing happens to counts the calls, and then every
one of them kills its process twice, once before it had its effect and once after. What comes next is what comes
in life: the lease passes, then the recovery, or two of them, or the client with its key.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from loans_service.application.ports import BooksOutcomeUnknown, BooksUnavailable
from loans_service.domain import errors
from loans_service.domain.loan import GIVE_UP_AFTER, LEASE, Condition, Loan, LoanStatus, Member
from tests.fakes.lending import Library
from tests.support.mortality import Mortal, Mortality, ProcessDied

pytestmark = pytest.mark.unit

SECOND = timedelta(seconds=1)


def mortal_process(library: Library, mortality: Mortality) -> Library:
    """Another process of the same library: same stores, its own death."""
    return Library(
        clock=library.clock,
        members=Mortal(library.members, mortality, "members"),  # type: ignore[arg-type]  # stands in for all ports
        loans=Mortal(library.loans, mortality, "loans"),  # type: ignore[arg-type]
        books=Mortal(library.books, mortality, "books"),  # type: ignore[arg-type]
        policies=Mortal(library.policies, mortality, "policies"),  # type: ignore[arg-type]
        recoveries=Mortal(library.recoveries, mortality, "recoveries"),  # type: ignore[arg-type]
    )


# -- what is done while death may come ------------------------------------------------------------


@dataclass
class World:
    """A library with one member, one title, and something going on."""

    library: Library = field(default_factory=Library)
    member: Member = field(init=False)
    book: str = field(init=False)
    copies: int = 1

    def __post_init__(self) -> None:
        self.member = self.library.member()
        self.book = self.library.title(self.copies)

    def check_out(self, process: Library) -> Loan:
        return process.check_out(self.member, self.book, key="k").loan

    @property
    def loan(self) -> Loan | None:
        return next(iter(self.library.loans.loans.values()), None)


def fine() -> World:
    return World()


def no_copy() -> World:
    return World(copies=0)


def books_down() -> World:
    world = World()
    world.library.books.failures.append((BooksUnavailable("down"), False))
    return world


def answer_lost() -> World:
    world = World()
    world.library.books.failures.append((BooksOutcomeUnknown("timeout"), True))
    return world


def request_lost() -> World:
    world = World()
    world.library.books.failures.append((BooksOutcomeUnknown("timeout"), False))
    return world


CIRCUMSTANCES = [fine, no_copy, books_down, answer_lost, request_lost]


def checking_out(world: World, process: Library) -> None:
    try:
        world.check_out(process)
    except errors.LendingError:
        return


def checking_out_after_a_crash(world: World, process: Library) -> None:
    """The second attempt at the same checkout is a process too, and dies as well as the first."""
    leave_half_done(world)
    world.library.clock.advance(LEASE)
    checking_out(world, process)


def recovering(world: World, process: Library) -> None:
    """So is the recovery."""
    loan = leave_half_done(world)
    world.library.clock.advance(LEASE)
    process.recovery.recover(loan.id, attempt=0)


def recovering_while_books_is_down(world: World, process: Library) -> None:
    loan = leave_half_done(world)
    world.library.clock.advance(LEASE)
    world.library.books.failures.append((BooksUnavailable("down"), False))
    process.recovery.recover(loan.id, attempt=0)


def undoing(world: World, process: Library) -> None:
    """And the recovery of what nobody waits for any more."""
    loan = leave_half_done(world)
    world.library.clock.advance(GIVE_UP_AFTER + SECOND)
    process.recovery.recover(loan.id, attempt=0)


def undoing_while_books_is_down(world: World, process: Library) -> None:
    loan = leave_half_done(world)
    world.library.clock.advance(GIVE_UP_AFTER + SECOND)
    world.library.books.failures += [(BooksUnavailable("down"), False)] * 2
    process.recovery.recover(loan.id, attempt=0)


def returning(world: World, process: Library) -> None:
    loan = world.check_out(world.library)
    process.returns.return_copy(loan, condition=Condition.DAMAGED)


def returning_while_books_is_down(world: World, process: Library) -> None:
    loan = world.check_out(world.library)
    world.library.books.failures.append((BooksUnavailable("down"), False))
    process.returns.return_copy(loan, condition=Condition.DAMAGED)


def leave_half_done(world: World) -> Loan:
    """A checkout whose process died with the copy in its hand."""
    counted = Mortality()
    unharmed = World()
    unharmed.check_out(mortal_process(unharmed.library, counted))
    fate = Mortality(number=counted.calls.index("loans.activate") + 1)
    with pytest.raises(ProcessDied):
        world.check_out(mortal_process(world.library, fate))
    assert world.loan is not None
    return world.loan


type Act = Callable[[World, Library], None]
type Circumstance = Callable[[], World]

CHECKOUTS: list[tuple[Circumstance, Act]] = [
    *((circumstance, checking_out) for circumstance in CIRCUMSTANCES),
    (fine, checking_out_after_a_crash),
    (fine, recovering),
    (fine, recovering_while_books_is_down),
    (fine, undoing),
    (fine, undoing_while_books_is_down),
]
RETURNS: list[tuple[Circumstance, Act]] = [(fine, returning), (fine, returning_while_books_is_down)]


def deaths(scenes: list[tuple[Circumstance, Act]]) -> list[Any]:
    """Every call position of every scene, before and after."""
    return list(_deaths(scenes))


def _deaths(scenes: list[tuple[Circumstance, Act]]) -> Iterator[Any]:
    for circumstance, act in scenes:
        counted = Mortality()
        world = circumstance()
        act(world, mortal_process(world.library, counted))
        for number, name in enumerate(counted.calls, start=1):
            for after in (False, True):
                when = "after" if after else "before"
                yield pytest.param(
                    circumstance,
                    act,
                    Mortality(number, after),
                    id=f"{circumstance.__name__}-{act.__name__}-{when}-{number}-{name}",
                )


def die(world: World, act: Act, mortality: Mortality) -> None:
    # A death counts calls while it comes nearer; every test needs its own.
    fate = Mortality(mortality.number, mortality.after)
    with pytest.raises(ProcessDied):
        act(world, mortal_process(world.library, fate))


def heal(world: World, *, recoveries: int = 1, after: timedelta = LEASE) -> None:
    """The lease passes and the messages arrive, each as often as queues may deliver it."""
    library = world.library
    library.books.failures.clear()
    library.clock.advance(after)
    for loan_id in list(library.loans.loans):
        for _ in range(recoveries):
            assert library.recovery.recover(loan_id, attempt=0)


# -- what must hold afterwards --------------------------------------------------------------------


@pytest.mark.parametrize(("circumstance", "act", "mortality"), deaths([*CHECKOUTS, *RETURNS]))
@pytest.mark.parametrize("recoveries", [1, 2])
@pytest.mark.parametrize("later", [LEASE, GIVE_UP_AFTER + SECOND], ids=["at once", "long after"])
def test_the_recovery_leaves_nothing_behind(
    circumstance: Circumstance, act: Act, mortality: Mortality, recoveries: int, later: timedelta
) -> None:
    world = circumstance()
    die(world, act, mortality)

    heal(world, recoveries=recoveries, after=later)

    world.library.assert_nothing_left_behind()


@pytest.mark.parametrize(("circumstance", "act", "mortality"), deaths(CHECKOUTS))
@pytest.mark.parametrize("later", [LEASE, GIVE_UP_AFTER + SECOND], ids=["at once", "long after"])
def test_the_client_repeating_its_key_leaves_nothing_behind_either(
    circumstance: Circumstance, act: Act, mortality: Mortality, later: timedelta
) -> None:
    world = circumstance()
    die(world, act, mortality)
    world.library.books.failures.clear()
    world.library.clock.advance(later)

    outcomes = set()
    for _ in range(2):
        try:
            outcomes.add(world.check_out(world.library).id)
        except errors.LendingError as refusal:
            outcomes.add(refusal.code)

    assert len(outcomes) == 1, "the same key has one answer"
    if world.loan is not None and world.loan.release_pending:
        # What died was undoing it, so it is undone; only its end was not written down.
        assert world.loan.status is LoanStatus.CANCELLED
        heal(world)
    world.library.assert_nothing_left_behind()


@pytest.mark.parametrize(("circumstance", "act", "mortality"), deaths(CHECKOUTS))
def test_client_and_recovery_together_leave_nothing_behind(
    circumstance: Circumstance, act: Act, mortality: Mortality
) -> None:
    world = circumstance()
    die(world, act, mortality)

    heal(world)
    checking_out(world, world.library)
    heal(world)

    world.library.assert_nothing_left_behind()
    assert len([loan for loan in world.library.loans.loans.values() if loan.is_open]) <= 1


@pytest.mark.parametrize(("circumstance", "act", "mortality"), deaths(RETURNS))
def test_a_repeated_return_leaves_nothing_behind(circumstance: Circumstance, act: Act, mortality: Mortality) -> None:
    world = circumstance()
    die(world, act, mortality)
    world.library.books.failures.clear()
    assert world.loan is not None

    done = world.library.returns.return_copy(world.loan, condition=Condition.DAMAGED)

    assert (done.status, done.release_pending) == (LoanStatus.RETURNED, False)
    world.library.assert_nothing_left_behind()
    assert world.library.books.damaged == {done.barcode}
    assert [event.type for event in world.library.loans.published] == ["LoanCreated", "LoanReturned"]


def test_the_matrix_covers_every_step_of_the_saga() -> None:
    """Were a port called without passing through here, its deaths would be missing unnoticed."""
    names = {str(param.id).rsplit("-", 1)[1] for param in deaths([*CHECKOUTS, *RETURNS])}

    assert names >= {
        "members.find",
        "policies.current",
        "loans.get",
        "loans.account",
        "loans.open_pending",
        "loans.take_over",
        "loans.activate",
        "loans.cancel",
        "loans.withdraw",
        "loans.close",
        "loans.give_back_place",
        "loans.mark_released",
        "books.reserve",
        "books.release",
        "recoveries.look_again",
    }
