"""What the use cases really emit, against the committed schemas: every type, on the way a request takes."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from books_service.adapters.dynamodb import DynamoCatalogue
from books_service.application.cataloguing import Change
from books_service.bootstrap import compose
from books_service.domain.stock import CopyStatus
from books_service.domain.title import Metadata
from library_common import context
from library_common.dynamodb import Table, from_wire
from library_common.events import Envelope, from_outbox
from library_common.ids import new_id
from loans_service.domain.loan import Condition
from tests.contract.event_schemas import complaints, schema_files
from tests.contract.in_process import InProcess
from tests.fakes.lending import Library
from tests.fakes.users import ADMIN, LIBRARIAN, Community, any_version
from tests.support.clock import FixedClock
from users_service.application.registration import Registration
from users_service.domain.decisions import StatusWish
from users_service.domain.membership import Status
from users_service.domain.roles import Role

pytestmark = pytest.mark.contract


@pytest.fixture(autouse=True)
def running_invocation() -> Iterator[None]:
    """Who acts and under which correlation id, as the HTTP edge sets it."""
    with context.invocation("desk-1:42", actor=LIBRARIAN.actor):
        yield


def assert_as_promised(source: str, emitted: list[Envelope]) -> None:
    """All types of the service were emitted, each envelope as its schema says."""
    wrong = {e.type: found for e in emitted if (found := complaints(source, e.model_dump(mode="json")))}
    assert wrong == {}
    assert {f"{e.type}.v{e.version}" for e in emitted} == {p.stem for p in schema_files() if p.parent.name == source}
    assert len({e.id for e in emitted}) == len(emitted)


def test_users_emits_what_its_schemas_say() -> None:
    community = Community()
    use_cases = community.use_cases

    registered = use_cases.register(
        Registration(name="Ann Lee", email="ann@example.org", role=Role.PATRON), caller=LIBRARIAN, ticket=None
    )
    user_id = registered.user.id
    until = community.clock.now() + timedelta(days=14)
    for wish in (
        StatusWish(Status.SUSPENDED, reason="lost card", until=until),
        StatusWish(Status.ACTIVE),
        StatusWish(Status.SUSPENDED, reason="unpaid fines"),
    ):
        use_cases.change_status(user_id, wish, caller=LIBRARIAN, accept=any_version)
    use_cases.promote(user_id, Role.FACULTY, caller=ADMIN, accept=any_version)
    use_cases.erase(user_id)

    assert_as_promised("users", community.members.published)


def test_loans_emits_what_its_schemas_say() -> None:
    library = Library()
    for condition in Condition:
        loan = library.lend(library.member(), library.title())
        library.clock.advance(timedelta(days=7))
        library.renewing.extend(loan)
        library.returning.give_back(library.history.one(loan.id), condition=condition)

    assert_as_promised("loans", library.loans.published)


def outboxes(stack: InProcess) -> list[Envelope]:
    """What the stream's publisher would find in the items as they are now."""
    return [envelope for item in stack.items("BooksTable") for envelope in from_outbox(from_wire(item))]


def test_books_emits_what_its_schemas_say() -> None:
    emitted: dict[str, Envelope] = {}
    with InProcess().running() as stack:
        catalogue = DynamoCatalogue(Table(stack.refs["BooksTable"], lambda: stack.client("dynamodb")))
        books = compose(catalogue, clock=FixedClock())

        def note(_: Any = None) -> None:
            emitted.update({envelope.id: envelope for envelope in outboxes(stack)})

        metadata = Metadata(title="T" * 300, author="A. Writer", isbn="9780441478125")
        view, _ = books.cataloguing.add(metadata, 2, None)
        note()
        note(books.cataloguing.change(view.id, Change.some({"genre": "novel"}, 3), any_version))
        loan_id = new_id()
        note(books.lending.reserve(view.id, loan_id))
        note(books.lending.release(view.id, loan_id, damaged=True))
        added, _ = books.shelving.add(view.id, count=1, barcode=None, shelf="A1", ticket=None)
        note()
        barcode = added.items[0].barcode
        note(books.shelving.edit(view.id, barcode, {"status": CopyStatus.LOST}, any_version))
        note(books.shelving.correct_availability(view.id, 1, any_version))
        note(books.cataloguing.archive(view.id))
        note(books.cataloguing.restore(view.id))
        note(books.cataloguing.add(Metadata(title="Without", author="Copies"), 0, None))

    assert_as_promised("books", list(emitted.values()))
