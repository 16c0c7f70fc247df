"""A library in memory: the use cases of loans on fakes, with the invariants to check at the end."""

from dataclasses import dataclass, field

from library_common.ids import new_id
from loans_service.application.account_erasure import AccountErasure
from loans_service.application.checkout import CheckedOut, Checkout, CheckoutRequest
from loans_service.application.closing import Anonymisation, CopyRelease
from loans_service.application.history import History
from loans_service.application.recovery import Recovery
from loans_service.application.renewal import Renewal
from loans_service.application.returns import Returns
from loans_service.bootstrap import Lending
from loans_service.domain.loan import Loan, LoanStatus, Member
from tests.fakes.loans import FakeAccounts, FakeBooks, FakeLoans, FakeMembers, FakePolicies, FakeRecoveries
from tests.support.clock import FixedClock


@dataclass
class Library:
    """Fakes and the use cases on top of them."""

    clock: FixedClock = field(default_factory=FixedClock)
    members: FakeMembers = field(default_factory=FakeMembers)
    loans: FakeLoans = field(default_factory=FakeLoans)
    books: FakeBooks = field(default_factory=FakeBooks)
    policies: FakePolicies = field(default_factory=FakePolicies)
    recoveries: FakeRecoveries = field(default_factory=FakeRecoveries)

    def __post_init__(self) -> None:
        self.anonymisation = Anonymisation(self.loans, self.clock)
        self.copy_release = CopyRelease(loans=self.loans, books=self.books, anonymisation=self.anonymisation)
        self.checkout = Checkout(
            members=self.members,
            loans=self.loans,
            books=self.books,
            policies=self.policies,
            copy_release=self.copy_release,
            clock=self.clock,
            monotonic=self.clock.monotonic,
            sleep=self.clock.sleep,
        )
        self.returns = Returns(
            loans=self.loans,
            books=self.books,
            policies=self.policies,
            copy_release=self.copy_release,
            clock=self.clock,
            monotonic=self.clock.monotonic,
        )
        self.renewal = Renewal(
            members=self.members,
            loans=self.loans,
            policies=self.policies,
            clock=self.clock,
            monotonic=self.clock.monotonic,
        )
        self.history = History(loans=self.loans, clock=self.clock)
        self.recovery = Recovery(
            loans=self.loans,
            checkout=self.checkout,
            copy_release=self.copy_release,
            recoveries=self.recoveries,
            clock=self.clock,
            monotonic=self.clock.monotonic,
        )

        self.accounts = FakeAccounts(self.loans)
        self.account_erasure = AccountErasure(
            self.loans, self.accounts, self.anonymisation, self.clock, self.clock.monotonic
        )

    @property
    def lending(self) -> Lending:
        return Lending(self.checkout, self.returns, self.renewal, self.history)

    def member(self, role: str = "patron", status: str = "active") -> Member:
        return self.members.add(Member(id=new_id(), role=role, status=status, expires_at=None))

    def title(self, copies: int = 1) -> str:
        book_id = new_id()
        self.books.add(book_id, *(f"{book_id[-6:]}-{n}" for n in range(copies)))
        return book_id

    def lend(self, member: Member, book_id: str, key: str | None = None) -> Loan:
        return self.check_out(member, book_id, key).loan

    def check_out(self, member: Member, book_id: str, key: str | None = None) -> CheckedOut:
        digest = f"{member.id}/{book_id}" if key else None
        return self.checkout.lend(CheckoutRequest(user_id=member.id, book_id=book_id, key=key, digest=digest))

    def assert_nothing_left_behind(self) -> None:
        """The invariants, over everything there is."""
        held = {loan: code for copies in self.books.copies.values() for code, loan in copies.items() if loan}
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
