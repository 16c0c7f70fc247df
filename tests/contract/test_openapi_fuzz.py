"""Every operation, fuzzed by its own document in this process: no 5xx, nothing undocumented, nothing wrong let in.

Users, books and loans run on their real storage adapters in moto; what loans asks of the other two comes from fakes.
For a deployed stack see `tests.contract.fuzzing.deployed`.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import pytest

import books_service.http
import loans_service.http
import users_service.http
from books_service.adapters.dynamodb import DynamoCatalogue
from books_service.bootstrap import compose
from books_service.domain.title import Metadata
from library_common import aws
from library_common.clock import SystemClock
from library_common.dynamodb import Table
from library_common.http import ServiceApi
from library_common.ids import new_id
from loans_service.adapters.dynamodb import DynamoLoans
from tests.contract import fuzzing
from tests.contract.in_process import InProcess
from tests.fakes.lending import Library
from tests.fakes.users import ADMIN, LIBRARIAN, FakePasswords
from tests.support.clock import FixedClock
from tests.support.lambda_events import person, service
from tools import services
from users_service.adapters.contacts import email_key
from users_service.adapters.dynamodb import DynamoMembers
from users_service.application.registration import Registration
from users_service.application.use_cases import UseCases
from users_service.domain.membership import Status, Terms
from users_service.domain.roles import Role

pytestmark = pytest.mark.contract

EXAMPLES = 12
"""Random requests of each kind per operation, beside the boundaries: seconds, not minutes."""


@pytest.fixture(scope="module")
def stack() -> Iterator[InProcess]:
    with InProcess().running() as running:
        yield running


def users(stack: InProcess) -> tuple[ServiceApi, dict[str, str]]:
    """The users service with one member."""
    use_cases = UseCases.of(
        members=DynamoMembers(Table(stack.refs["UsersTable"], aws.dynamodb)),
        passwords=FakePasswords(),  # bcrypt takes a quarter of a second on purpose
        email_key=email_key,
        terms=Terms(starts_as=Status.ACTIVE, days=365),
        clock=SystemClock(),
    )
    member = use_cases.register(
        Registration(name="Ann Lee", email=f"{new_id()}@example.org", role=Role.PATRON), caller=LIBRARIAN, ticket=None
    )
    return users_service.http.build(lambda: use_cases), {"user_id": member.user.id}


def books(stack: InProcess) -> tuple[ServiceApi, dict[str, str]]:
    """The books service with one title, some copies of which are lent."""
    catalogue = DynamoCatalogue(Table(stack.refs["BooksTable"], aws.dynamodb))
    use_cases = compose(catalogue, clock=SystemClock())
    title, _ = use_cases.cataloguing.add(Metadata(title="The Dispossessed", author="Ursula K. Le Guin"), 3, None)
    loan_id = new_id()
    held = use_cases.lending.reserve(title.id, loan_id)[0]
    known = {"book_id": title.id, "barcode": held.barcode, "loan_id": loan_id}
    return books_service.http.build(lambda: use_cases), known


def loans(stack: InProcess) -> tuple[ServiceApi, dict[str, str]]:
    """The loans service with one member, one title and one open loan."""
    library = Library(
        clock=FixedClock(), loans=cast("Any", DynamoLoans(stack.refs["LoansTable"], aws.dynamodb))
    )  # the fake's place is taken by the real thing, which implements the same port
    member, book = library.member(), library.title(copies=50)
    loan = library.lend(member, book)
    known = {"user_id": member.id, "book_id": book, "loan_id": loan.id, "barcode": loan.barcode or ""}
    return loans_service.http.build(lambda: library.lending), known


SERVICES = {"users": users, "books": books, "loans": loans}


def caller_for(access: Mapping[str, Any]) -> dict[str, str]:
    """A librarian wherever librarians may; else who may."""
    if access.get("librarian") or access.get("public"):
        return person(LIBRARIAN.id, "librarian")
    if access.get("admin"):
        return person(ADMIN.id, "admin")
    if "scope" in access:
        return service("loans", access["scope"])
    return person(new_id(), "patron")


@contextmanager
def no_waiting() -> Iterator[None]:
    """Emptied caches of clients before and after, so that no other test's stack is used."""
    aws._client.cache_clear()
    yield
    aws._client.cache_clear()


def test_every_service_is_fuzzed() -> None:
    assert SERVICES.keys() == set(services.with_module("http"))


@pytest.mark.parametrize(("name", "label"), [(name, label) for name in SERVICES for label in fuzzing.labels(name)])
def test_an_operation_withstands(stack: InProcess, name: str, label: str) -> None:
    with no_waiting():
        api, known = SERVICES[name](stack)
        fuzzed = fuzzing.operation(name, label)
        caller = caller_for(fuzzing.access_of(fuzzed))
        if caller["kind"] == "person" and caller["role"] == "patron" and "user_id" in known:
            caller["subject"] = known["user_id"]

        sent = fuzzing.fuzz(fuzzed, fuzzing.in_process(api, caller, known), examples=EXAMPLES)

    assert sent > 1
