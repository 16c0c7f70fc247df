"""A library in memory: the use cases of loans on fakes, with the invariants to check at the end."""

from dataclasses import dataclass, field

from library_common.ids import new_id
from loans_service.application.checkout import CheckedOut, Checkout, CheckoutRequest
from loans_service.application.erasing import Erasing
from loans_service.application.forgetting import Forgetting
from loans_service.application.history import History
from loans_service.application.recovering import Recovering
from loans_service.application.renewing import Renewing
from loans_service.application.returning import Returning
from loans_service.application.settling import Settling
from loans_service.bootstrap import Lending
from loans_service.domain.loan import Loan, LoanStatus, Member
from tests.fakes.loans import FakeAccounts, FakeLoans, FakeMembers, FakePolicies, FakeRecoveries, FakeShelf
from tests.support.clock import FixedClock


@dataclass
class Library:
    """Fakes and the use cases on top of them."""

    clock: FixedClock = field(default_factory=FixedClock)
    members: FakeMembers = field(default_factory=FakeMembers)
    loans: FakeLoans = field(default_factory=FakeLoans)
    shelf: FakeShelf = field(default_factory=FakeShelf)
    policies: FakePolicies = field(default_factory=FakePolicies)
    recoveries: FakeRecoveries = field(default_factory=FakeRecoveries)

    def __post_init__(self) -> None:
        self.forgetting = Forgetting(self.loans, self.clock)
        self.settling = Settling(loans=self.loans, shelf=self.shelf, forgetting=self.forgetting)
        self.checkout = Checkout(
            members=self.members,
            loans=self.loans,
            shelf=self.shelf,
            policies=self.policies,
            settling=self.settling,
            clock=self.clock,
            monotonic=self.clock.monotonic,
            sleep=self.clock.sleep,
        )
        self.returning = Returning(
            loans=self.loans,
            shelf=self.shelf,
            settling=self.settling,
            clock=self.clock,
            monotonic=self.clock.monotonic,
        )
        self.renewing = Renewing(
            members=self.members,
            loans=self.loans,
            policies=self.policies,
            clock=self.clock,
            monotonic=self.clock.monotonic,
        )
        self.history = History(loans=self.loans, clock=self.clock)
        self.recovering = Recovering(
            loans=self.loans,
            checkout=self.checkout,
            settling=self.settling,
            recoveries=self.recoveries,
            clock=self.clock,
            monotonic=self.clock.monotonic,
        )

        self.accounts = FakeAccounts(self.loans)
        self.erasing = Erasing(self.loans, self.accounts, self.forgetting, self.clock, self.clock.monotonic)

    @property
    def lending(self) -> Lending:
        return Lending(self.checkout, self.returning, self.renewing, self.history)

    def member(self, role: str = "patron", status: str = "active") -> Member:
        return self.members.add(Member(id=new_id(), role=role, status=status, expires_at=None))

    def title(self, copies: int = 1) -> str:
        book_id = new_id()
        self.shelf.add(book_id, *(f"{book_id[-6:]}-{n}" for n in range(copies)))
        return book_id

    def lend(self, member: Member, book_id: str, key: str | None = None) -> Loan:
        return self.check_out(member, book_id, key).loan

    def check_out(self, member: Member, book_id: str, key: str | None = None) -> CheckedOut:
        digest = f"{member.id}/{book_id}" if key else None
        return self.checkout.lend(CheckoutRequest(user_id=member.id, book_id=book_id, key=key, digest=digest))

    def assert_nothing_left_behind(self) -> None:
        """The invariants, over everything there is."""
        held = {loan: code for shelf in self.shelf.copies.values() for code, loan in shelf.items() if loan}
        open_loans = {loan.id: loan.barcode for loan in self.loans.loans.values() if loan.is_open}
        assert held == open_loans, "copies out and open loans must be the same"
        places = {loan_id for account in self.loans.accounts.values() for loan_id in account.open}
        assert places == set(open_loans), "places taken and open loans must be the same"
        assert not [loan for loan in self.loans.loans.values() if loan.is_unfinished]
        created = [e.data["loan_id"] for e in self.loans.published if e.type == "LoanCreated"]
        issued = {loan.id for loan in self.loans.loans.values() if loan.issued_at is not None}
        assert len(created) == len(set(created))
        assert set(created) == issued
        assert all(loan.status is not LoanStatus.OVERDUE for loan in self.loans.loans.values())
