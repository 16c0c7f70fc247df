"""An item that a newer version of the books service wrote survives every write of this one.

Old and new code share the table while a deployment runs, and after a roll-back. A new key, a new use case
or a new kind of item fails a test here until it is covered.
"""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import pytest

from books_service.adapters import items
from books_service.adapters.dynamodb import DynamoCatalogue
from books_service.application.ports import IdempotentRequest
from books_service.application.titles import TitleChange
from books_service.bootstrap import UseCases, compose
from books_service.domain.errors import CopyNotAvailable
from books_service.http import build
from library_common.access import Caller
from library_common.dynamodb import Table
from library_common.idempotency import Ticket
from library_common.ids import new_id
from tests.fakes.books import a_description
from tests.support.clock import FixedClock
from tests.support.future_items import (
    ADDED,
    NEWER,
    Place,
    add_to_all,
    everything,
    lost,
    overwrite,
    public_methods,
)
from tests.support.lambda_events import api_event, call, person
from tests.support.tables import create_table, dynamodb_in_moto

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

pytestmark = pytest.mark.contract

TABLE = "books"
NEW_TERM = "s:of-a-newer-kind"
NEW_STATUS = "in_repair"


def any_version(_: int) -> None:
    """The client did not say which version it wants."""


def idempotent(name: str) -> IdempotentRequest[Any]:
    ticket = Ticket.of(Caller(kind="person", id="desk"), "POST /api/books", name, "{}")
    assert ticket is not None
    return IdempotentRequest(ticket, lambda _: "{}")


@dataclass
class World:
    """A title with copies in every situation, and one with a single free copy; all written by a newer version."""

    client: "DynamoDBClient"

    def __post_init__(self) -> None:
        catalogue = DynamoCatalogue(Table(TABLE, lambda: self.client, sleep=lambda _: None))
        self.use_cases = compose(catalogue, clock=FixedClock(), sleep=lambda _: None)
        titles, reservations = self.use_cases.titles, self.use_cases.reservations
        self.book_id = titles.add(a_description(genre="Fiction", language="en"), 5, idempotent("first")).id
        self.idle_id = titles.add(a_description(title="Idle"), 1).id
        self.lent = reservations.reserve(self.book_id, "lent").barcode
        self.strange = reservations.reserve(self.book_id, "strange").barcode
        reservations.release(self.book_id, "released")
        self.free = next(b for b, c in self._copies().items() if c["status"] == "available")

        for book_id in (self.book_id, self.idle_id):
            stock, meta = self._item(book_id, "STOCK"), self._item(book_id, "META")
            for copy in stock["copies"].values():
                copy[NEWER] = ADDED
            if book_id == self.book_id:
                stock["copies"][self.strange]["status"] = NEW_STATUS
            meta["terms"] = {*meta["terms"], NEW_TERM}
            for item in (stock, meta, {"pk": f"TERM#{NEW_TERM}", "sk": meta["sort"]}):
                overwrite(self.client, TABLE, item)
        self.before = add_to_all(self.client, TABLE)

    def _item(self, book_id: str, sk: str) -> dict[str, Any]:
        return everything(self.client, TABLE)[f"BOOK#{book_id}", sk]

    def _copies(self) -> dict[str, Any]:
        copies: dict[str, Any] = self._item(self.book_id, "STOCK")["copies"]
        return copies

    def _refused(self) -> None:
        with pytest.raises(CopyNotAvailable):
            self.use_cases.reservations.reserve(self.book_id, "refused", self.strange)

    def _change(self, copies: int | None = None, **fields: Any) -> object:
        return self.use_cases.titles.change(self.book_id, TitleChange(fields, copies), any_version)

    def operations(self) -> dict[str, Callable[[], object]]:
        """Every use case that writes, as `<field of UseCases>.<method>` and how it is called here."""
        cases = self.use_cases
        titles, copies, reservations = cases.titles, cases.copies, cases.reservations
        return {
            "titles.add": lambda: titles.add(a_description(), 1, idempotent("second")),
            "titles.change renames": lambda: self._change(title="Winter"),
            "titles.change describes": lambda: self._change(genre="Novel", isbn="9780306406157"),
            "titles.change adds copies": lambda: self._change(copies=7),
            "titles.change removes copies": lambda: self._change(copies=3),
            "titles.archive": lambda: titles.archive(self.idle_id),
            "titles.restore": lambda: (titles.archive(self.idle_id), titles.restore(self.idle_id)),
            "copies.add": lambda: copies.add(self.book_id, count=2, shelf="A 1", request=idempotent("third")),
            "copies.edit": lambda: copies.edit(self.book_id, self.free, {"status": "lost"}, any_version),
            "copies.edit a strange one": lambda: copies.edit(self.book_id, self.strange, {"shelf": "B"}, any_version),
            "copies.correct_availability": lambda: copies.correct_availability(self.book_id, 1, any_version),
            "reservations.reserve": lambda: reservations.reserve(self.book_id, "new", self.free),
            "reservations.reserve again": lambda: reservations.reserve(self.book_id, "lent"),
            "reservations.reserve refused": self._refused,
            "reservations.release": lambda: reservations.release(self.book_id, "lent"),
            "reservations.release a strange one": lambda: reservations.release(self.book_id, "strange"),
            "reservations.release of nothing": lambda: reservations.release(self.book_id, "nothing"),
        }


READING = {"titles.read", "copies.page", "copies.find", "copies.availability", "titles.find"}
MAY_DELETE = {
    "titles.change renames": "TERM#",
    "titles.change describes": "TERM#g:",
    "titles.change removes copies": "BARCODE#",
}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with dynamodb_in_moto(monkeypatch) as client:
        create_table(client, "BooksTable", TABLE)
        yield World(client)


OPERATIONS = [
    "titles.add",
    "titles.change renames",
    "titles.change describes",
    "titles.change adds copies",
    "titles.change removes copies",
    "titles.archive",
    "titles.restore",
    "copies.add",
    "copies.edit",
    "copies.edit a strange one",
    "copies.correct_availability",
    "reservations.reserve",
    "reservations.reserve again",
    "reservations.reserve refused",
    "reservations.release",
    "reservations.release a strange one",
    "reservations.release of nothing",
]


def shape(place: Place) -> tuple[str, str]:
    """The kind of an item: what its key begins with, and a sort key that is a word."""
    pk, sk = place
    return pk.partition("#")[0], sk if sk.isupper() else "…"


def test_every_kind_of_item_is_there(world: World) -> None:
    made = [make("x", "y") if len(inspect.signature(make).parameters) == 2 else make("x") for make in _key_functions()]
    known = {shape((key["pk"], key["sk"])) for key in [*made, idempotent("x").ticket.key()]}
    assert {shape(place) for place in world.before} == known


def _key_functions() -> list[Callable[..., dict[str, str]]]:
    return [make for name, make in vars(items).items() if name.endswith("_key") and make.__module__ == items.__name__]


def test_every_use_case_is_called(world: World) -> None:
    there = {
        f"{field.name}.{method}"
        for field in fields(UseCases)
        for method in public_methods(type(getattr(world.use_cases, field.name)))
    }
    assert {name.split()[0] for name in world.operations()} | READING == there
    assert set(world.operations()) == set(OPERATIONS)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_what_a_newer_version_added_survives(world: World, operation: str) -> None:
    world.operations()[operation]()

    after = everything(world.client, TABLE)
    assert list(lost(world.before, after)) == []
    deleted = [pk for pk, sk in world.before if (pk, sk) not in after]
    assert all(pk.startswith(MAY_DELETE.get(operation, "nothing")) for pk in deleted), deleted
    assert {shape(place) for place in after} == {shape(place) for place in world.before}
    for book_id in (world.book_id, world.idle_id):
        meta, stock = after[f"BOOK#{book_id}", "META"], after[f"BOOK#{book_id}", "STOCK"]
        old = world.before[f"BOOK#{book_id}", "STOCK"]["copies"]
        assert all(copy[NEWER] == ADDED for barcode, copy in stock["copies"].items() if barcode in old)
        assert NEW_TERM in meta["terms"]
        assert {(f"TERM#{term}", meta["sort"]) for term in meta["terms"]} <= set(after)
    assert after[f"BOOK#{world.book_id}", "STOCK"]["copies"][world.strange]["status"] == NEW_STATUS


def test_a_status_of_a_newer_version_is_shown_and_is_not_available(world: World) -> None:
    api = build(lambda: world.use_cases)
    desk = person(new_id(), "librarian")

    def get(path: str) -> Any:
        answer = call(api, api_event("GET", path, caller=desk))
        assert answer.status == 200, answer
        return answer.json

    copies = {copy["barcode"]: copy for copy in get(f"/api/books/{world.book_id}/copies")["items"]}
    assert (copies[world.strange]["status"], copies[world.strange]["loan_id"]) == (NEW_STATUS, "strange")
    assert get(f"/api/books/copies/{world.strange}")["status"] == NEW_STATUS
    availability = get(f"/api/books/{world.book_id}/availability")
    assert availability["by_status"][NEW_STATUS] == 1
    assert (availability["total_copies"], availability["available_copies"]) == (5, 3)
    assert get(f"/api/books/{world.book_id}")["available_copies"] == 3
    assert get("/api/books?genre=Fiction")["items"][0]["id"] == world.book_id
