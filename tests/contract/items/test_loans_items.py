"""Items of the loans table that a newer version wrote, beside the code of this one.

While a deployment runs, and after a roll-back, this version meets items with attributes and statuses it does not know.
Every write of every item must leave them as they are.
"""

import ast
import pkgutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from library_common.access import Role
from library_common.dynamodb import Table
from loans_service import adapters, http
from loans_service.adapters.dynamodb import DynamoLoans
from loans_service.adapters.items import account_key, loan_key
from loans_service.adapters.retention import DynamoAccounts, DynamoProgressStore
from loans_service.application.account_erasure import AccountErasure, ErasureResult
from loans_service.application.checkout import CheckoutRequest
from loans_service.application.history import StatusFilter
from loans_service.application.ports import BooksOutcomeUnknown, BooksUnavailable
from loans_service.application.retention_job import LAG, RetentionJob, RunOutcome
from loans_service.domain import errors
from loans_service.domain.loan import GIVE_UP_AFTER, LEASE, Condition, Loan, LoanStatus, Member
from tests.fakes.lending import Library
from tests.support.lambda_events import api_event, call, person
from tests.support.tables import create_table, dynamodb_in_moto

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

pytestmark = pytest.mark.contract

PERIOD = timedelta(days=180)
SECOND = timedelta(seconds=1)
NEWER = "CLAIMED_RETURNED"
"""A status that this version does not know."""

FROM_A_NEWER_VERSION: dict[str, Any] = {
    "branch": {"S": "Central"},
    "claim": {"M": {"by": {"S": "desk-2"}, "notes": {"L": [{"S": "called"}, {"N": "7"}]}}},
    "is_reference": {"BOOL": True},
}

type Item = dict[str, Any]
type WireKey = tuple[str, str]


class NewerVersion:
    """A client beside which a newer version writes: it adds attributes to every new item.

    lost: attributes that a write of this version removed or changed, by the kind of the item.
    """

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client, self._table = client, table
        self.kinds: set[str] = set()
        self.lost: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def put_item(self, **request: Any) -> Any:
        return self._watched([request["Item"]], self._client.put_item, request)

    def update_item(self, **request: Any) -> Any:
        return self._watched([request["Key"]], self._client.update_item, request)

    def delete_item(self, **request: Any) -> Any:
        return self._watched([request["Key"]], self._client.delete_item, request)

    def transact_write_items(self, **request: Any) -> Any:
        operations = [operation for item in request["TransactItems"] for operation in item.values()]
        keys = [operation.get("Key") or operation["Item"] for operation in operations]
        return self._watched(keys, self._client.transact_write_items, request)

    def read(self, key: WireKey) -> Item | None:
        answer = self._client.get_item(TableName=self._table, Key=_wire(key), ConsistentRead=True)
        return cast("Item | None", answer.get("Item"))

    def change(self, key: WireKey, **attributes: Any) -> None:
        """Sets stored attributes, or removes those that are None."""
        item = self.read(key)
        assert item is not None
        kept = {name: value for name, value in {**item, **attributes}.items() if value is not None}
        self._client.put_item(TableName=self._table, Item=kept)

    def _watched(self, keys: list[Item], write: Callable[..., Any], request: dict[str, Any]) -> Any:
        ids = [(key["pk"]["S"], key["sk"]["S"]) for key in keys]
        before = {key: self.read(key) for key in ids}
        answer = write(**request)
        for key, was in before.items():
            now = self.read(key)
            self.kinds.add(key[1])
            if now is not None and was is None:
                self.change(key, **FROM_A_NEWER_VERSION)
            elif now is not None and was is not None:
                changed = {name for name in FROM_A_NEWER_VERSION if now.get(name) != was.get(name)}
                self.lost += [f"{key[1]}: {name}" for name in sorted(changed)]
        return answer


def _wire(key: WireKey) -> dict[str, Any]:
    return {"pk": {"S": key[0]}, "sk": {"S": key[1]}}


class Called:
    """An adapter that notes which of its methods were called."""

    def __init__(self, adapter: object, calls: set[str]) -> None:
        self._adapter, self._calls = adapter, calls

    def __getattr__(self, name: str) -> Any:
        self._calls.add(f"{type(self._adapter).__name__}.{name}")
        return getattr(self._adapter, name)


class World(Library):
    """The real use cases on the real adapters, beside a newer version."""

    def __init__(self, client: "DynamoDBClient", name: str = "loans") -> None:
        create_table(client, "LoansTable", name)
        self.client, self.calls = NewerVersion(client, name), set[str]()
        table = Table(name, lambda: cast("Any", self.client))
        super().__init__(loans=cast("Any", Called(DynamoLoans(table), self.calls)))
        accounts: Any = Called(DynamoAccounts(table), self.calls)
        self.account_erasure = AccountErasure(
            self.loans, accounts, self.anonymisation, self.clock, self.clock.monotonic
        )
        self.retention_job = RetentionJob(
            loans=self.loans,
            accounts=accounts,
            members=self.members,
            store=cast("Any", Called(DynamoProgressStore(table), self.calls)),
            anonymisation=self.anonymisation,
            account_erasure=self.account_erasure,
            period=PERIOD,
            clock=self.clock,
            monotonic=self.clock.monotonic,
        )

    def reader(self) -> Member:
        return self.members.add(replace(self.member(), keeps_history=False))

    def stored(self, loan_id: str) -> Loan:
        found = self.loans.get(loan_id)
        assert found is not None
        return found

    def item(self, loan: Loan) -> Item | None:
        return self.client.read(_key(loan_key(loan.id)))

    def unresolved(self) -> Loan:
        """A checkout to which books did not answer."""
        self.books.failures.append((BooksOutcomeUnknown("timeout"), True))
        member = self.reader()
        with pytest.raises(errors.CheckoutUnresolved):
            self.lend(member, self.title())
        (loan_id,) = self.loans.account(member.id).open
        return self.stored(loan_id)

    def back(self, loan: Loan) -> Loan:
        return self.returns.return_copy(self.stored(loan.id), condition=Condition.DAMAGED)


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> "Iterator[DynamoDBClient]":
    with dynamodb_in_moto(monkeypatch) as client:
        yield client


@pytest.fixture
def world(client: "DynamoDBClient") -> World:
    return World(client)


def _key(key: dict[str, str]) -> WireKey:
    return key["pk"], key["sk"]


# -- every write of every item --------------------------------------------------------------------


def lent_renewed_and_returned(world: World) -> None:
    loan = world.lend(world.reader(), world.title())
    world.clock.advance(timedelta(days=2))
    world.renewal.renew(world.stored(loan.id))
    assert world.back(loan).status is LoanStatus.RETURNED


def refused_by_books(world: World) -> None:
    with pytest.raises(errors.NoCopiesAvailable):
        world.lend(world.reader(), world.title(copies=0))


def withdrawn(world: World) -> None:
    world.books.failures.append((BooksUnavailable("down"), False))
    with pytest.raises(errors.DependencyUnavailable):
        world.lend(world.reader(), world.title())


def resumed_by_the_recovery(world: World) -> None:
    loan = world.unresolved()
    world.clock.advance(LEASE)
    assert world.recovery.recover(loan.id, attempt=0)
    assert world.stored(loan.id).is_open


def given_up_by_the_recovery(world: World) -> None:
    loan = world.unresolved()
    world.clock.advance(GIVE_UP_AFTER + SECOND)
    assert world.recovery.recover(loan.id, attempt=0)
    assert world.stored(loan.id).status is LoanStatus.CANCELLED


def anonymised_after_the_period(world: World) -> None:
    member = world.reader()
    old = world.back(world.lend(member, world.title()))
    world.clock.advance(PERIOD - timedelta(days=1))
    world.back(world.lend(member, world.title()))
    world.clock.advance(timedelta(days=2))
    assert world.retention_job.run(seconds=100).progress.anonymised == 1
    assert world.stored(old.id).user_id is None


def erased(world: World) -> None:
    member = world.reader()
    world.back(world.lend(member, world.title()))
    open_loan = world.lend(member, world.title())
    assert world.account_erasure.erase(member.id, until=1e18) == ErasureResult(anonymised=1, still_open=1)
    world.back(open_loan)
    assert world.stored(open_loan.id).user_id is None
    world.clock.advance(LAG + SECOND)
    assert world.retention_job.run(seconds=100).outcome is RunOutcome.FINISHED
    assert world.client.read(_key(account_key(member.id))) is None


def found_by_the_walk(world: World) -> None:
    member = world.reader()
    world.back(world.lend(member, world.title()))
    world.client.change(_key(account_key(member.id)), listed=None, since=None)
    for _ in range(2):
        world.retention_job.run(seconds=100, walk=True)
    assert world.loans.account(member.id).closed_loans_since is not None


STORIES = [
    lent_renewed_and_returned,
    refused_by_books,
    withdrawn,
    resumed_by_the_recovery,
    given_up_by_the_recovery,
    anonymised_after_the_period,
    erased,
    found_by_the_walk,
]


@pytest.mark.parametrize("story", STORIES)
def test_every_write_leaves_what_a_newer_version_stored(world: World, story: Callable[[World], None]) -> None:
    story(world)

    assert world.client.lost == []
    assert world.client.kinds


def test_the_stories_cover_every_writer_and_every_kind_of_item(client: "DynamoDBClient") -> None:
    worlds = [World(client, story.__name__) for story in STORIES]
    for world, story in zip(worlds, STORIES, strict=True):
        story(world)

    assert writers() <= set().union(*(world.calls for world in worlds))
    assert kinds_of_items() == set().union(*(world.client.kinds for world in worlds))


def test_a_writer_that_is_added_is_found() -> None:
    assert {"DynamoLoans.activate", "DynamoAccounts.add_to_list", "DynamoProgressStore.save"} <= writers()
    assert kinds_of_items() == {"LOAN", "ACCOUNT", "ROUND"}


def adapter_sources() -> list[ast.Module]:
    (folder,) = adapters.__path__
    names = [module.name for module in pkgutil.iter_modules([folder])]
    return [ast.parse((Path(folder) / f"{name}.py").read_text(encoding="utf-8")) for name in names]


def writers() -> set[str]:
    """The public methods of all adapters that write to the table, themselves or through another method."""
    found = set()
    for source in adapter_sources():
        for declared in (node for node in source.body if isinstance(node, ast.ClassDef)):
            uses = {
                method.name: {ast.unparse(call.func) for call in ast.walk(method) if isinstance(call, ast.Call)}
                for method in declared.body
                if isinstance(method, ast.FunctionDef)
            }
            writing = {f"self._table.{operation}" for operation in ("put", "update", "delete", "transact")}
            while more := {f"self.{name}" for name, calls in uses.items() if calls & writing} - writing:
                writing |= more
            found |= {f"{declared.name}.{name}" for name in uses if f"self.{name}" in writing and name[0] != "_"}
    return found


def kinds_of_items() -> set[str]:
    """The sort keys that the adapters write out."""
    entries = [
        entry
        for source in adapter_sources()
        for node in ast.walk(source)
        if isinstance(node, ast.Dict)
        for entry in zip(node.keys, node.values, strict=True)
    ]
    return {
        str(value.value)
        for key, value in entries
        if isinstance(key, ast.Constant) and key.value == "sk"
        if isinstance(value, ast.Constant) and value.value != "sk"
    }


# -- a status of a newer version ------------------------------------------------------------------


def is_open(world: World, member: Member) -> Loan:
    return world.lend(member, world.title(), "k")


def to_be_released(world: World, member: Member) -> Loan:
    loan = is_open(world, member)
    world.books.failures.append((BooksUnavailable("down"), False))
    return world.back(loan)


def released(world: World, member: Member) -> Loan:
    return world.back(is_open(world, member))


def repeated(world: World, loan: Loan) -> None:
    with pytest.raises(errors.LoanStatusUnknown):
        world.checkout.lend(
            CheckoutRequest(loan.borrower, loan.book_id, key="k", digest=f"{loan.borrower}/{loan.book_id}")
        )


def returned(world: World, loan: Loan) -> None:
    with pytest.raises(errors.LoanStatusUnknown):
        world.back(loan)


def renewed(world: World, loan: Loan) -> None:
    with pytest.raises(errors.LoanStatusUnknown):
        world.renewal.renew(world.stored(loan.id))


def recovered(world: World, loan: Loan) -> None:
    assert not world.recovery.recover(loan.id, attempt=1)
    assert world.recoveries.queued == [(loan.id, 60, 2)], "for a version that knows the status"


def member_erased(world: World, loan: Loan) -> None:
    assert world.account_erasure.erase(loan.borrower, until=1e18) == ErasureResult(still_open=1)


def retained(world: World, loan: Loan) -> None:
    since = world.loans.account(loan.borrower).closed_loans_since
    world.clock.advance(PERIOD + SECOND)
    progress = world.retention_job.run(seconds=100).progress
    assert (progress.anonymised, progress.failed, progress.complete) == (0, 0, True)
    assert world.loans.account(loan.borrower).closed_loans_since == since, "it is looked at again"


@pytest.mark.parametrize("make", [is_open, to_be_released, released])
@pytest.mark.parametrize("act", [repeated, returned, renewed, recovered, member_erased, retained])
def test_a_loan_with_an_unknown_status_is_never_changed(
    world: World, make: Callable[[World, Member], Loan], act: Callable[[World, Loan], None]
) -> None:
    loan = make(world, world.reader())
    world.client.change(_key(loan_key(loan.id)), status={"S": NEWER})
    before, places = world.item(loan), world.loans.account(loan.borrower).open

    act(world, loan)

    assert world.item(loan) == before
    assert world.loans.account(loan.borrower).open == places


@pytest.mark.parametrize(
    ("make", "write"),
    [
        (is_open, lambda world, loan: world.returns.return_copy(loan, condition=Condition.GOOD)),
        (is_open, lambda world, loan: world.renewal.renew(loan)),
        (to_be_released, lambda world, loan: world.loans.mark_released(loan)),
        (released, lambda world, loan: world.anonymisation.anonymise(loan)),
    ],
)
def test_a_write_that_began_before_the_status_changed_does_nothing(
    world: World, make: Callable[[World, Member], Loan], write: Callable[[World, Loan], object]
) -> None:
    loan = world.stored(make(world, world.reader()).id)
    world.client.change(_key(loan_key(loan.id)), status={"S": NEWER})
    before = world.item(loan)

    with suppress(errors.LoanStatusUnknown):
        write(world, loan)

    assert world.item(loan) == before


def test_a_pending_loan_whose_status_changed_keeps_its_copy_and_its_place(world: World) -> None:
    loan = world.unresolved()
    world.client.change(_key(loan_key(loan.id)), status={"S": NEWER})
    world.clock.advance(GIVE_UP_AFTER + SECOND)

    assert not world.recovery.recover(loan.id, attempt=0)

    assert world.stored(loan.id).status == NEWER
    assert set(world.loans.account(loan.borrower).open) == {loan.id}
    assert world.books.available(loan.book_id) == 0


def test_the_copy_of_a_loan_with_an_unknown_status_cannot_be_returned_by_its_barcode(world: World) -> None:
    loan = is_open(world, world.reader())
    world.client.change(_key(loan_key(loan.id)), status={"S": NEWER})

    with pytest.raises(errors.LoanStatusUnknown):
        world.returns.return_copy(world.returns.find(None, loan.barcode), condition=Condition.GOOD)


def test_a_loan_with_an_unknown_status_is_shown_as_it_is(world: World) -> None:
    member = world.reader()
    loan, other = is_open(world, member), world.lend(member, world.title())
    world.client.change(_key(loan_key(loan.id)), status={"S": NEWER})
    handler = http.build(lambda: world.lending)
    librarian = person("01JD7Y3MT5W8Q2R6XKZ4B9CFHN", Role.LIBRARIAN)

    one = call(handler, api_event("GET", f"/api/loans/{loan.id}", caller=librarian))
    assert (one.status, one.json["status"]) == (200, NEWER)
    listed = call(handler, api_event("GET", f"/api/loans/user/{member.id}", caller=librarian)).json["items"]
    assert {entry["id"]: entry["status"] for entry in listed} == {loan.id: NEWER, other.id: "ACTIVE"}
    for status, ids in ((StatusFilter.ACTIVE, [other.id]), (StatusFilter.OVERDUE, []), (StatusFilter.RETURNED, [])):
        assert [found.id for found in world.history.of_member(member.id, status, 10, None)[0]] == ids
    refused = call(handler, api_event("POST", f"/api/loans/{loan.id}/return", caller=librarian))
    assert (refused.status, refused.json["code"], refused.headers["retry-after"]) == (503, "loan_status_unknown", "30")


def test_a_loan_with_an_unknown_status_counts_towards_the_limit(world: World) -> None:
    student = world.member("student")
    loans = [world.lend(student, world.title()) for _ in range(3)]
    world.client.change(_key(loan_key(loans[0].id)), status={"S": NEWER})

    assert world.history.places_taken(student.id) == 3
    with pytest.raises(errors.PolicyRefused) as refused:
        world.lend(student, world.title())
    assert refused.value.code == "loan_limit_reached"
