"""A whole library in one process, in which everything that can go wrong between two steps does.

The real use cases of loans and books, on in-memory stores, with every step of every request interleaved
by a seeded scheduler. A process may die at each step. The network between loans and books loses requests,
loses answers, delivers twice, and keeps copies of requests that it delivers much later. The same seed gives
the same history.
"""

import random
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from books_service import http as books_http
from books_service.application.ports import Catalogue
from books_service.application.titles import TitleChange
from books_service.bootstrap import UseCases, compose
from books_service.domain.errors import BooksError
from books_service.domain.stock import OUT
from books_service.domain.title import Metadata
from books_service.schemas import ReleaseView, ReservationView
from library_common.clock import from_rfc3339
from library_common.ids import new_id
from library_common.problems import ProblemError
from library_common.service_client import Answered, NotFound, Refused, Result, Unavailable, UnknownOutcome
from library_common.versions import VersionConflict
from loans_service.adapters.services import HttpBooks
from loans_service.application.account_erasure import AccountErasure
from loans_service.application.checkout import Checkout, CheckoutRequest
from loans_service.application.closing import Anonymisation, CopyRelease
from loans_service.application.ports import Accounts, LoanExists, Loans
from loans_service.application.recovery import Recovery
from loans_service.application.renewal import Renewal
from loans_service.application.returns import Returns
from loans_service.domain.errors import LendingError
from loans_service.domain.loan import LEASE, Condition, Loan, LoanStatus, Member
from loans_service.domain.policy import LoanPolicy
from tests.fakes.book_traffic import SteppedCatalogue
from tests.fakes.books import MemoryCatalogue
from tests.fakes.loans import FakeAccounts, FakeLoans, FakeMembers, FakePolicies, FakeRecoveries
from tests.support.clock import FixedClock
from tests.support.interleaving import Interleaver

LIMITS = {rule.role: rule.limit for rule in LoanPolicy().loan_rules}
_KEYS = 3
NO_LIMIT = 1e18


class SteppedLoans:
    """The loans store, or its accounts, with a step before and after every call: there others come in, and processes
    die."""

    def __init__(self, inner: FakeLoans | FakeAccounts, step: Callable[[], None], check: Callable[[], None]) -> None:
        self._inner = inner
        self._step = step
        self._check = check

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)

        def stepped(*args: Any, **kwargs: Any) -> Any:
            self._step()
            answer = method(*args, **kwargs)
            self._check()
            self._step()
            return answer

        return stepped


class Network:
    """Carries loans' calls to books. Stands in for `ServiceClient`: same results, worse luck."""

    def __init__(self, books: UseCases, dice: random.Random, step: Callable[[], None], trouble: float) -> None:
        self._books = books
        self._dice = dice
        self._step = step
        self._trouble = trouble
        self.late: list[tuple[str, Mapping[str, Any]]] = []
        self.calm = False

    def get(self, path: str, *, deadline: float) -> Result:
        raise AssertionError("the simulation lends by title only")

    def post(self, path: str, body: Mapping[str, Any], *, idempotent: bool, deadline: float) -> Result:
        """Up to three attempts, with the same conclusions as the real client draws."""
        lost = False
        result: Result = Unavailable("books", "not asked")
        if not self.calm and self._dice.random() < self._trouble / 3:
            self._step()
            outage: list[Result] = [Unavailable("books", "down"), UnknownOutcome("books", "down")]
            return self._dice.choice(outage)
        for _ in range(3):
            result = self._attempt(path, body)
            lost = lost or isinstance(result, UnknownOutcome)
            if not isinstance(result, Unavailable | UnknownOutcome):
                break
        if lost and isinstance(result, Unavailable):
            return UnknownOutcome("books", result.why)
        return result

    def deliver_late(self) -> None:
        """One of the requests that were on their way all the time arrives now; its answer interests nobody."""
        if self.late:
            self._carry_out(*self.late.pop(self._dice.randrange(len(self.late))))

    def _attempt(self, path: str, body: Mapping[str, Any]) -> Result:
        self._step()
        if self.calm or self._dice.random() >= self._trouble:
            answer = self._carry_out(path, body)
            self._step()
            return answer
        match self._dice.choice(("refused connection", "lost request", "late request", "lost answer", "doubled")):
            case "refused connection":
                return Unavailable("books", "connection refused")
            case "lost request":
                return UnknownOutcome("books", "timeout")
            case "late request":
                self.late.append((path, dict(body)))
                return UnknownOutcome("books", "timeout")
            case "lost answer":
                self._carry_out(path, body)
                return UnknownOutcome("books", "timeout")
            case _:
                self.late.append((path, dict(body)))
                return self._carry_out(path, body)

    def _carry_out(self, path: str, body: Mapping[str, Any]) -> Result:
        _, _, _, book_id, act = path.split("/")
        try:
            if act == "reserve":
                until = from_rfc3339(body["valid_until"])
                reservation = self._books.reservations.reserve(book_id, body["loan_id"], body.get("barcode"), until)
                return Answered(200, ReservationView.of(reservation).model_dump(mode="json"))
            damaged = body.get("condition") == "damaged"
            release = self._books.reservations.release(book_id, body["loan_id"], damaged=damaged)
            return Answered(200, ReleaseView.of(release).model_dump(mode="json"))
        except BooksError as refused:
            status = books_http.PROBLEMS[type(refused)]
            return NotFound(refused.code) if status == 404 else Refused(status, refused.code, str(refused))
        except ProblemError as busy:
            return UnknownOutcome("books", str(busy))


@dataclass
class Simulation:
    """One history. `run` plays it, heals it and checks every invariant."""

    seed: int
    clock: FixedClock = field(default_factory=FixedClock)
    loans: FakeLoans = field(default_factory=FakeLoans)
    answers: dict[str, set[str]] = field(default_factory=dict)
    happened: dict[str, int] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)
        self.between = Interleaver(self.dice, crash=self.dice.choice([0.0, 0.02, 0.06]))
        self.catalogue: Catalogue = MemoryCatalogue()
        stepped_books = SteppedCatalogue(self.catalogue, self.between, self.check_always)
        self.books = compose(
            stepped_books,
            clock=self.clock,
            random_below=self.dice.randrange,
            sleep=lambda _: self.between.step(),
        )
        self.network = Network(self.books, self.dice, self.between.step, self.dice.choice([0.0, 0.2, 0.5]))
        store: Loans = SteppedLoans(self.loans, self.between.step, self.check_always)
        # Only `post` is called; the type is the real client's.
        gateway = HttpBooks(self.network)  # type: ignore[arg-type]
        self.people = FakeMembers()
        anonymisation = Anonymisation(store, self.clock)
        self.copy_release = CopyRelease(loans=store, books=gateway, anonymisation=anonymisation)
        accounts: Accounts = SteppedLoans(FakeAccounts(self.loans), self.between.step, self.check_always)
        self.account_erasure = AccountErasure(store, accounts, anonymisation, self.clock, self.clock.monotonic)
        policies = FakePolicies()
        self.checkout = Checkout(
            members=self.people,
            loans=store,
            books=gateway,
            policies=policies,
            copy_release=self.copy_release,
            clock=self.clock,
            monotonic=self.clock.monotonic,
            sleep=self._wait,
        )
        self.returns = Returns(store, gateway, policies, self.copy_release, self.clock, self.clock.monotonic)
        self.renewal = Renewal(self.people, store, policies, self.clock, self.clock.monotonic)
        self.recovery = Recovery(
            loans=store,
            checkout=self.checkout,
            copy_release=self.copy_release,
            recoveries=FakeRecoveries(),
            clock=self.clock,
            monotonic=self.clock.monotonic,
        )

    # -- playing ------------------------------------------------------------------------------

    def run(self) -> None:
        self._open_the_library()
        for _ in range(self.dice.randrange(2, 6)):
            actions = [self._something() for _ in range(self.dice.randrange(2, 8))]
            self.between.run(actions)
            self.clock.advance(timedelta(seconds=self.dice.choice([0, 1, 20, 40, 90, 300])))
        self._heal()
        self.check_at_rest()
        # What was still on its way arrives after everything has healed.
        while self.network.late:
            self.network.deliver_late()
        self.check_at_rest()

    def _open_the_library(self) -> None:
        self.titles = [
            self.books.titles.add(Metadata(title=f"T{n}", author="A"), self.dice.randrange(1, 4)).id for n in range(2)
        ]
        self.members = [
            self.people.add(Member(id=new_id(), role=role, status="active", expires_at=None))
            for role in ("student", "student", "patron")
        ]

    def _something(self) -> Callable[[], object]:
        doing = self.dice.choices(
            [
                *(self._lend, self._lend_with_key, self._return, self._extend, self._edit),
                *(self._recover, self._arrive_late, self._erase),
            ],
            weights=[8, 8, 8, 2, 4, 6, 4, 1],
        )[0]
        # What to act on is chosen when the action starts, so that it sees what the others did.
        return lambda: self._tolerant(doing)

    def _tolerant(self, action: Callable[[], object]) -> None:
        """Refusals are answers. A process that dies here is started anew by nobody."""
        name = action.__name__
        try:
            action()
        except (LendingError, BooksError, VersionConflict, LoanExists, ProblemError) as refusal:
            name += ":" + str(getattr(refusal, "code", "stale"))
        self.happened[name] = self.happened.get(name, 0) + 1

    def _lend(self) -> None:
        member, book_id = self.dice.choice(self.members), self.dice.choice(self.titles)
        self.checkout.lend(CheckoutRequest(user_id=member.id, book_id=book_id))

    def _lend_with_key(self) -> None:
        number = self.dice.randrange(_KEYS)
        member, book_id = self.members[number % len(self.members)], self.titles[number % len(self.titles)]
        key = f"key-{number}"
        done = self.checkout.lend(CheckoutRequest(user_id=member.id, book_id=book_id, key=key, digest=key))
        loan = done.loan
        self.answers.setdefault(key, set()).add(f"{loan.id} {loan.barcode} {loan.due_at} {loan.version}")

    def _return(self) -> None:
        candidates = [loan.id for loan in self.loans.loans.values() if loan.issued_at is not None]
        if candidates:
            loan = self.returns.find(self.dice.choice(candidates), None)
            self.returns.return_copy(loan, condition=self.dice.choice(list(Condition)))

    def _extend(self) -> None:
        candidates = [loan.id for loan in self.loans.loans.values() if loan.is_open]
        if candidates:
            self.renewal.renew(self.loans.loans[self.dice.choice(candidates)])

    def _edit(self) -> None:
        book_id = self.dice.choice(self.titles)
        if self.dice.random() < 0.5:
            self.books.copies.correct_availability(book_id, self.dice.randrange(4), _any_version)
        else:
            self.books.titles.change(book_id, TitleChange({}, self.dice.randrange(1, 5)), _any_version)

    def _recover(self) -> None:
        unfinished = [loan.id for loan in self.loans.loans.values() if loan.is_unfinished]
        if unfinished:
            self.recovery.recover(self.dice.choice(unfinished), attempt=0)

    def _arrive_late(self) -> None:
        self.network.deliver_late()

    def _erase(self) -> None:
        """Users has erased somebody, which loans learns a while later; the event may come twice."""
        member = self.dice.choice(self.members)
        # Also while something of theirs is open: a checkout may have asked users just before.
        self.people.members.pop(member.id, None)
        self.gone.add(member.id)
        self.between.step()
        self.account_erasure.erase(member.id, until=NO_LIMIT)

    def _wait(self, seconds: float) -> None:
        self.clock.sleep(seconds)
        self.between.step()

    def _heal(self) -> None:
        """Everything works again, and the recovery is given its time."""
        self.network.calm = True
        for _ in range(5):
            self.clock.advance(LEASE + timedelta(seconds=1))
            for loan_id in [loan.id for loan in self.loans.loans.values() if loan.is_unfinished]:
                with suppress(LendingError):
                    self.recovery.recover(loan_id, attempt=0)
        for user_id in sorted(self.gone):
            # The delivery that was cut short comes again.
            self.account_erasure.erase(user_id, until=NO_LIMIT)

    # -- checking -----------------------------------------------------------------------------

    def check_always(self) -> None:
        """What is true at every moment, whatever has just happened."""
        out = [loan.barcode for loan in self.loans.loans.values() if loan.is_open]
        assert len(out) == len(set(out)), "a copy has two open loans"
        for member in getattr(self, "members", []):
            account = self.loans.account(member.id)
            assert account.places_taken <= LIMITS[member.role], "the limit is exceeded"
            for loan in self._open_loans(member.id):
                assert loan.id in account.open, "an open loan without a place"
        for book_id in getattr(self, "titles", []):
            stock = self.catalogue.stock(book_id)
            assert stock is not None
            assert sum(stock.by_status().values()) == stock.total
            held = [claim.barcode for claim in stock.held.values()]
            assert len(held) == len(set(held)), "a copy is held for two loans"

    def check_at_rest(self) -> None:
        """What is true when nothing is under way any more."""
        self.check_always()
        loans = self.loans.loans.values()
        assert not [loan for loan in loans if loan.is_unfinished], "something was left unfinished"
        held: dict[str, str] = {}
        for book_id in self.titles:
            stock = self.catalogue.stock(book_id)
            assert stock is not None
            held |= {loan_id: claim.barcode for loan_id, claim in stock.held.items()}
            assert stock.out == len(stock.held)
            assert {c.barcode for c in stock.copies.values() if c.status in OUT} == {
                claim.barcode for claim in stock.held.values()
            }
        assert held == {loan.id: loan.barcode for loan in loans if loan.is_open}, "copies and loans disagree"
        for member in self.members:
            places = set(self.loans.account(member.id).open)
            assert places == {loan.id for loan in self._open_loans(member.id)}, "a place is lost or too many"
        self._check_events()
        naming = {loan.id for loan in loans if loan.user_id in self.gone and loan.is_done and loan.issued_at}
        assert not naming, "a closed loan names somebody who was erased"
        for loan in loans:
            assert loan.anonymised_at is None or loan.is_done, "an anonymised loan has something left to do"
        for key, given in self.answers.items():
            assert len(given) == 1, f"{key} was answered differently: {given}"

    def _check_events(self) -> None:
        by_type: dict[str, list[str]] = {}
        for envelope in self.loans.published:
            by_type.setdefault(envelope.type, []).append(envelope.data["loan_id"])
        issued = sorted(loan.id for loan in self.loans.loans.values() if loan.issued_at is not None)
        returned = sorted(loan.id for loan in self.loans.loans.values() if loan.status is LoanStatus.RETURNED)
        assert sorted(by_type.get("LoanCreated", [])) == issued, "one LoanCreated per loan, none for others"
        assert sorted(by_type.get("LoanReturned", [])) == returned, "one LoanReturned per return"

    def _open_loans(self, user_id: str) -> list[Loan]:
        return [loan for loan in self.loans.loans.values() if loan.is_open and loan.user_id == user_id]


def _any_version(_version: int) -> None:
    """An edit that does not mind what it overwrites."""
