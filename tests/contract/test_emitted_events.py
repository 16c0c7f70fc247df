"""What really goes out to the bus, against the committed schemas and the consumers: every type, all the way.

The use cases write through the real storage adapters; the table's stream is what moto makes of it; the publisher of the
template reads that, and its requests to the bus are what is looked at.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from books_service.adapters.dynamodb import DynamoCatalogue
from books_service.application.titles import TitleChange
from books_service.bootstrap import compose
from books_service.domain.stock import CopyStatus
from books_service.domain.title import Metadata
from library_common import aws, context
from library_common.dynamodb import Table
from library_common.ids import new_id
from loans_service.adapters.dynamodb import DynamoLoans
from loans_service.domain.loan import Condition
from tests.contract.consumers import misunderstandings
from tests.contract.event_schemas import complaints, newest_only, schema_files
from tests.contract.filled_services import users_cases
from tests.contract.in_process import InProcess
from tests.fakes.lending import Library
from tests.fakes.users import ADMIN, LIBRARIAN, any_version
from tests.support.clock import FixedClock
from users_service.application.registration import Registration
from users_service.domain.account_changes import StatusUpdate
from users_service.domain.membership import Status
from users_service.domain.roles import Role

pytestmark = pytest.mark.contract


@dataclass
class Bus:
    """In place of the EventBridge client: the entries it was given."""

    entries: list[dict[str, Any]] = field(default_factory=list)

    def put_events(self, *, Entries: list[dict[str, Any]]) -> dict[str, Any]:
        self.entries += Entries
        return {"FailedEntryCount": 0, "Entries": [{"EventId": "e"} for _ in Entries]}


@pytest.fixture(autouse=True)
def running_invocation() -> Iterator[None]:
    """Who acts and under which correlation id, as the HTTP edge sets it."""
    with context.invocation("desk-1:42", actor=LIBRARIAN.actor):
        yield


@pytest.fixture
def stack() -> Iterator[InProcess]:
    with InProcess().running() as stack:
        aws._client.cache_clear()
        yield stack


def published(stack: InProcess, monkeypatch: pytest.MonkeyPatch, publisher: str, table: str) -> list[dict[str, Any]]:
    """What the publisher makes of the table's whole stream."""
    bus = Bus()
    monkeypatch.setattr(aws, "events", lambda: bus)
    records = stack.stream(table)
    with stack.function(publisher) as handler:
        assert handler({"Records": records}, None)["set_aside"] == 0
    return bus.entries


def assert_as_promised(source: str, entries: list[dict[str, Any]]) -> None:
    """All types of the service went out, each as its schema says and as its consumers understand it."""
    emitted = [json.loads(entry["Detail"]) for entry in entries]
    assert {entry["Source"] for entry in entries} == {f"library.{source}"}
    assert [entry["DetailType"] for entry in entries] == [envelope["type"] for envelope in emitted]
    assert {e["type"]: found for e in emitted if (found := complaints(source, e))} == {}
    assert {e["type"]: unused for e in emitted if (unused := misunderstandings(source, e))} == {}
    today = {path.stem for path in newest_only(schema_files()) if path.parent.name == source}
    assert {f"{e['type']}.v{e['version']}" for e in emitted} == today
    assert len({e["id"] for e in emitted}) == len(emitted), "every event once"


def test_users_emits_what_its_schemas_say(stack: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    use_cases = users_cases(stack)
    registered = use_cases.register(
        Registration(name="Ann Lee", email="ann@example.org", role=Role.PATRON), caller=LIBRARIAN, ticket=None
    )
    user_id = registered.user.id
    for update in (
        StatusUpdate(Status.SUSPENDED, reason="lost card", until=datetime.now(UTC) + timedelta(days=14)),
        StatusUpdate(Status.ACTIVE),
        StatusUpdate(Status.SUSPENDED, reason="unpaid fines"),
    ):
        use_cases.change_status(user_id, update, caller=LIBRARIAN, accept=any_version)
    use_cases.promote(user_id, Role.FACULTY, caller=ADMIN, accept=any_version)
    use_cases.erase(user_id)

    assert_as_promised("users", published(stack, monkeypatch, "UsersPublisher", "UsersTable"))


def test_loans_emits_what_its_schemas_say(stack: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    # The fake's place is taken by the real thing, which implements the same port.
    library = Library(loans=cast("Any", DynamoLoans(stack.refs["LoansTable"], aws.dynamodb)))
    for number, condition in enumerate(Condition):
        library.books.genre = "g" * 100 if number else None
        loan = library.lend(library.member(), library.title())
        library.clock.advance(timedelta(days=7))
        library.renewal.renew(loan)
        library.returns.return_copy(library.history.one(loan.id), condition=condition)

    entries = published(stack, monkeypatch, "LoansPublisher", "LoansTable")
    assert_as_promised("loans", entries)
    created = [json.loads(entry["Detail"])["data"] for entry in entries if entry["DetailType"] == "LoanCreated"]
    assert [data.get("genre") for data in created] == [None, "g" * 60]


def test_anonymising_loans_tells_nobody_anything(stack: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """So analytics and notifications, who live on events, are after it what they were before."""
    library = Library(loans=cast("Any", DynamoLoans(stack.refs["LoansTable"], aws.dynamodb)))
    member = library.member()
    loans = [library.lend(member, library.title(), key) for key in (None, "k")]
    for loan in loans:
        library.returns.return_copy(loan, condition=Condition.GOOD)
    told = published(stack, monkeypatch, "LoansPublisher", "LoansTable")
    images = len(stack.stream("LoansTable"))

    for loan in loans:
        assert library.anonymisation.anonymise(library.history.one(loan.id))

    assert len(stack.stream("LoansTable")) == images + len(loans), "the stream does see it"
    assert published(stack, monkeypatch, "LoansPublisher", "LoansTable") == told
    last = stack.stream("LoansTable")[images:]
    assert member.id not in json.dumps([record["dynamodb"]["NewImage"] for record in last])


def test_books_emits_what_its_schemas_say(stack: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    books = compose(DynamoCatalogue(Table(stack.refs["BooksTable"], aws.dynamodb)), clock=FixedClock())
    book_id = books.titles.add(Metadata(title="T" * 300, author="A. Writer", isbn="9780441478125"), 2).id
    books.titles.change(book_id, TitleChange.some({"genre": "novel"}, 3), any_version)
    loan_id = new_id()
    books.reservations.reserve(book_id, loan_id)
    books.reservations.release(book_id, loan_id, damaged=True)
    added, _ = books.copies.add(book_id, count=1, shelf="A1")
    barcode = added[0].barcode
    books.copies.edit(book_id, barcode, {"status": CopyStatus.LOST}, any_version)
    books.copies.correct_availability(book_id, 1, any_version)
    books.titles.archive(book_id)
    books.titles.restore(book_id)
    books.titles.add(Metadata(title="Without", author="Copies", genre="novel"), 0)

    entries = published(stack, monkeypatch, "BooksPublisher", "BooksTable")
    assert_as_promised("books", entries)
    (updated,) = [json.loads(entry["Detail"])["data"] for entry in entries if entry["DetailType"] == "BookUpdated"]
    assert (updated["title"], updated["author"], updated["genre"]) == ("T" * 119 + "…", "A. Writer", "novel")
