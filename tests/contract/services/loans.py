"""Loans for the contract tests: with an open loan, with the loan of the samples, with all its events."""

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import loans_service.http
from library_common import aws
from library_common.consumers import read_delivery
from library_common.dynamodb import Table
from loans_service.adapters.dynamodb import DynamoLoans
from loans_service.domain.loan import Condition, Copy, Loan, LoanStatus
from loans_service.erasure import erased_member
from tests.contract.filled_services import Running
from tests.contract.in_process import InProcess
from tests.fakes.lending import Library
from tests.support.clock import FixedClock
from tests.support.shared_api import api_on
from tools import sample_events as samples


def running(stack: InProcess) -> Running:
    """The loans service with one member, one title and one open loan."""
    library = Library(
        clock=FixedClock(), loans=cast("Any", DynamoLoans(Table(stack.refs["LoansTable"], aws.dynamodb)))
    )  # the fake's place is taken by the real thing, which implements the same port
    member, book = library.member(), library.title(copies=50)
    loan = library.lend(member, book)
    known = {"user_id": member.id, "book_id": book, "loan_id": loan.id, "barcode": loan.barcode or ""}
    return Running(
        api_on(loans_service.http.build, library.lending), known, (("book_id", "barcode"), ("loan_id", "barcode"))
    )


def fill_for_samples(stack: InProcess) -> None:
    """Adds the loan of the samples."""
    loans = DynamoLoans(Table(stack.refs["LoansTable"], aws.dynamodb))
    now = datetime.now(UTC).replace(microsecond=0)
    pending = Loan(
        id=samples.LOAN,
        user_id=samples.MEMBER,
        role="patron",
        book_id=samples.BOOK,
        status=LoanStatus.PENDING,
        requested_at=now,
        due_at=now + timedelta(days=14),
    )
    loans.open_pending(pending, limit=5)
    loans.activate(pending.activated(Copy(samples.BARCODE, "The Left Hand of Darkness"), now), ())


def emit_every_event(stack: InProcess) -> None:
    """Makes the service emit events of every type."""
    # The fake's place is taken by the real thing, which implements the same port.
    library = Library(loans=cast("Any", DynamoLoans(Table(stack.refs["LoansTable"], aws.dynamodb))))
    for number, condition in enumerate(Condition):
        library.books.genre = "g" * 100 if number else None
        loan = library.lend(library.member(), library.title())
        library.clock.advance(timedelta(days=7))
        library.renewal.renew(loan)
        library.returns.return_copy(library.history.one(loan.id), condition=condition)


UNDERSTANDS = {"LoanErasureRule": lambda body: erased_member(read_delivery(body).message)}
