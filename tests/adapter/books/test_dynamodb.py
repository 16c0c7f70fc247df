"""What only the table has: sizes and counts of items, the index's entries, bounded work, retries of the SDK."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from books_service.adapters import dynamodb as adapter
from books_service.adapters import title_index
from books_service.adapters.dynamodb import DynamoCatalogue
from books_service.adapters.items import entries_in, entries_of
from books_service.application.criteria import Criteria
from books_service.application.ports import BookEvents, Position
from books_service.application.titles import TitleChange
from books_service.bootstrap import UseCases, compose
from books_service.domain.errors import ChangeTooLarge, LoanAlreadyReleased
from books_service.domain.stock import MAX_COPIES, MAX_SHORT_TITLE, Copy, CopyStatus
from books_service.domain.title import Book
from library_common.context import invocation
from library_common.dynamodb import Item, Table, TransactionBusy, from_wire
from library_common.events import from_outbox
from library_common.ids import new_id
from library_common.versions import VersionConflict
from tests.adapter.books.conftest import TABLE
from tests.depth import at_depth
from tests.fakes.book_traffic import Traffic
from tests.fakes.books import a_book, a_description
from tests.support.clock import NOON, FixedClock

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

pytestmark = pytest.mark.adapter

NOTHING = BookEvents()
KB = 1024


class Wrapped:
    """A client that does something else for one operation."""

    def __init__(self, client: "DynamoDBClient", operation: str, instead: Callable[..., Any]) -> None:
        self._client = client
        self._operation = operation
        self._instead = instead

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._client, name)
        return (lambda **request: self._instead(real, **request)) if name == self._operation else real


def service_on(client: Any, clock: FixedClock | None = None) -> UseCases:
    table = Table(TABLE, lambda: client, sleep=lambda _: None)
    return compose(DynamoCatalogue(table), clock=clock or FixedClock(), sleep=lambda _: None)


@pytest.fixture
def service(dynamodb: "DynamoDBClient") -> UseCases:
    return service_on(dynamodb)


def add(service: UseCases, copies: int = 1, **described: Any) -> str:
    return service.titles.add(a_description(**described), copies).id


def raw(client: "DynamoDBClient", book_id: str, sk: str) -> dict[str, Any]:
    key = {"pk": {"S": f"BOOK#{book_id}"}, "sk": {"S": sk}}
    return client.get_item(TableName=TABLE, Key=key, ConsistentRead=True)["Item"]


def item(client: "DynamoDBClient", book_id: str, sk: str) -> Item:
    return from_wire(raw(client, book_id, sk))


def everything(client: "DynamoDBClient") -> list[Item]:
    pages = client.get_paginator("scan").paginate(TableName=TABLE)
    return [from_wire(found) for page in pages for found in page["Items"]]


def size_of(wire: dict[str, Any]) -> int:
    """An item's size in bytes as DynamoDB counts it ("Item sizes and formats" in its developer guide)."""
    return sum(len(name.encode()) + _value_size(value) for name, value in wire.items())


def _value_size(attribute: dict[str, Any]) -> int:
    ((kind, value),) = attribute.items()
    match kind:
        case "S":
            return len(value.encode())
        case "N":
            return math.ceil(len(value.strip("-0") or "0") / 2) + 1
        case "BOOL" | "NULL":
            return 1
        case "SS":
            return sum(len(text.encode()) for text in value)
        case "L":
            return 3 + sum(1 + _value_size(inner) for inner in value)
        case "M":
            return 3 + sum(1 + len(name.encode()) + _value_size(inner) for name, inner in value.items())
    raise AssertionError(kind)


class TestSizes:
    def test_lending_a_title_with_three_copies_costs_one_write_unit(
        self, dynamodb: "DynamoDBClient", service: UseCases
    ) -> None:
        book_id = add(service, 0, title="t" * 500)
        service.copies.add(book_id, count=3, shelf="813.54 LEG")
        sizes = []
        with invocation(actor="service:loans"):
            for _ in range(3):
                service.reservations.reserve(book_id, new_id())
                sizes.append(size_of(raw(dynamodb, book_id, "STOCK")))
        assert len(item(dynamodb, book_id, "STOCK")["title"]) == MAX_SHORT_TITLE
        assert max(sizes) <= KB, sizes

    def test_reading_an_ordinary_title_costs_one_read_unit(self, dynamodb: "DynamoDBClient", service: UseCases) -> None:
        book_id = add(service, 5, description="d" * 1000, subjects=("Gender identity", "Winter", "Politics"))
        for _ in range(5):
            service.reservations.reserve(book_id, new_id())
        assert size_of(raw(dynamodb, book_id, "META")) + size_of(raw(dynamodb, book_id, "STOCK")) <= 4 * KB

    def test_the_largest_stock_is_far_from_the_limit(self, dynamodb: "DynamoDBClient", service: UseCases) -> None:
        book_id = add(service, 50)
        for count in range(100, MAX_COPIES + 1, 50):
            service.titles.change(book_id, TitleChange({}, count), lambda _: None)
        empty = size_of(raw(dynamodb, book_id, "STOCK"))
        service.copies.correct_availability(book_id, 0, lambda _: None)
        assert empty < 30 * KB
        assert size_of(raw(dynamodb, book_id, "STOCK")) < 100 * KB, "with an event about all of them"

    def test_the_largest_description_is_too(self, dynamodb: "DynamoDBClient", service: UseCases) -> None:
        book_id = add(
            service,
            title=" ".join("😀" * 11 + str(n) for n in range(40)),
            author="😀" * 300,
            subjects=tuple("😀" * 200 for _ in range(20)),
            description="😀" * 4000,
        )
        assert size_of(raw(dynamodb, book_id, "META")) < 60 * KB


class TestStoredCounts:
    @pytest.mark.parametrize("seed", range(at_depth(quick=6, full=25)))
    def test_stay_exact_in_any_traffic(self, dynamodb: "DynamoDBClient", table: Table, seed: int) -> None:
        class Counted(Traffic):
            def check(self) -> None:
                super().check()
                stored, stock = item(dynamodb, self.book_id, "STOCK"), self._stock()
                counted = (stock.total, stock.available, stock.out)
                assert (stored["total"], stored["available"], stored["out"]) == counted
                assert all(("loan" in copy) == ("since" in copy) for copy in stored["copies"].values())
                lent = {b: copy["loan"] for b, copy in stored["copies"].items() if "loan" in copy}
                assert lent == {barcode: loan for loan, barcode in stored["held"].items()}

        Counted(DynamoCatalogue(table), seed).run()


class TestTheOutbox:
    def test_is_in_the_item_it_is_about(self, dynamodb: "DynamoDBClient", service: UseCases) -> None:
        book_id = add(service, 2)
        assert [e.type for e in from_outbox(item(dynamodb, book_id, "META"))] == ["BookAdded"]
        assert from_outbox(item(dynamodb, book_id, "STOCK")) == []
        service.reservations.reserve(book_id, "L1")
        assert [e.data["loan_id"] for e in from_outbox(item(dynamodb, book_id, "STOCK"))] == ["L1"]
        service.titles.change(book_id, TitleChange({"genre": "Fiction"}, None), lambda _: None)
        assert [e.type for e in from_outbox(item(dynamodb, book_id, "META"))] == ["BookUpdated"]
        service.reservations.release(book_id, "L1")
        service.titles.archive(book_id)
        assert [e.type for e in from_outbox(item(dynamodb, book_id, "META"))] == ["BookRemoved"]

    def test_is_cleared_by_a_write_in_which_nothing_happened(
        self, dynamodb: "DynamoDBClient", service: UseCases
    ) -> None:
        book_id = add(service, 1)
        service.reservations.reserve(book_id, "L1")
        service.reservations.release(book_id, "of nothing")
        assert from_outbox(item(dynamodb, book_id, "STOCK")) == []
        (barcode,) = item(dynamodb, book_id, "STOCK")["copies"]
        service.reservations.release(book_id, "L1")
        service.copies.edit(book_id, barcode, {"shelf": "B 2"}, lambda _: None)
        assert "events" not in item(dynamodb, book_id, "STOCK")


class TestTheIndex:
    def test_has_the_entries_of_the_titles_and_no_others(self, dynamodb: "DynamoDBClient", service: UseCases) -> None:
        first, second = add(service, title="The Old Name", genre="Fiction"), add(service, language="en")
        service.titles.change(first, TitleChange({"title": "New", "genre": None}, None), lambda _: None)
        service.titles.change(first, TitleChange({"isbn": "9780306406157"}, None), lambda _: None)
        service.titles.archive(second)
        titles = [service.titles.catalogue.book(book_id) for book_id in (first, second)]
        expected = {entry for book in titles if book for entry in entries_of(book.title)}
        stored = {
            (found["pk"].removeprefix("TERM#"), found["sk"])
            for found in everything(dynamodb)
            if found["pk"].startswith("TERM#")
        }
        assert stored == expected
        assert all(set(found) == {"pk", "sk"} for found in everything(dynamodb) if found["pk"].startswith("TERM#"))

    def test_entries_made_by_older_rules_go_with_the_next_change(
        self, dynamodb: "DynamoDBClient", service: UseCases
    ) -> None:
        book_id = add(service, title="Name")
        old = ("w:oldstyle", "oldstyle  " + book_id)
        dynamodb.put_item(TableName=TABLE, Item={"pk": {"S": f"TERM#{old[0]}"}, "sk": {"S": old[1]}})
        dynamodb.update_item(
            TableName=TABLE,
            Key={"pk": {"S": f"BOOK#{book_id}"}, "sk": {"S": "META"}},
            UpdateExpression="SET sort = :sort, terms = :terms",
            ExpressionAttributeValues={":sort": {"S": old[1]}, ":terms": {"SS": ["w:oldstyle"]}},
        )
        service.titles.change(book_id, TitleChange({"genre": "Fiction"}, None), lambda _: None)
        book = service.titles.catalogue.book(book_id)
        assert book is not None
        assert entries_in(item(dynamodb, book_id, "META")) == entries_of(book.title)
        assert not [found for found in everything(dynamodb) if found["pk"] == "TERM#w:oldstyle"]

    def test_a_change_too_large_for_one_transaction_is_refused_whole(self, dynamodb: "DynamoDBClient") -> None:
        catalogue = DynamoCatalogue(Table(TABLE, lambda: dynamodb))
        before = a_book([Copy(f"c{n}") for n in range(50)], title=" ".join(f"old{n}" for n in range(60)))
        catalogue.add(before, NOTHING, None)
        renamed = before.title.described_as(a_description(title=" ".join(f"new{n}" for n in range(60))), NOON)
        with pytest.raises(ChangeTooLarge):
            catalogue.save(before, Book(renamed, before.stock.remove(50)), NOTHING)
        assert catalogue.book(before.title.id) == before
        catalogue.save(before, Book(renamed, before.stock), NOTHING)
        catalogue.save(Book(renamed, before.stock), Book(renamed, before.stock.remove(50)), NOTHING)


class TestBoundedWork:
    @pytest.fixture
    def counted(self, dynamodb: "DynamoDBClient") -> tuple[DynamoCatalogue, list[int]]:
        queries: list[int] = []

        def counting(real: Callable[..., Any], **request: Any) -> Any:
            queries.append(request["Limit"])
            return real(**request)

        wrapped: Any = Wrapped(dynamodb, "query", counting)
        return DynamoCatalogue(Table(TABLE, lambda: wrapped)), queries

    def test_words_that_hardly_meet(
        self, counted: tuple[DynamoCatalogue, list[int]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        catalogue, queries = counted
        monkeypatch.setattr(title_index, "_ENTRIES_PER_QUERY", 1)
        monkeypatch.setattr(title_index, "MAX_QUERIES", 5)
        for n in range(20):
            # Sorted by number, the two words take turns; only the last title has both.
            catalogue.add(a_book(title=f"{n:02} {('odd', 'even')[n % 2]}"), NOTHING, None)
        catalogue.add(a_book(title="99 odd even"), NOTHING, None)

        titles: list[str] = []
        position: Position | None = None
        requests = 0
        while True:
            queries.clear()
            books, position = catalogue.find(Criteria(search="odd even"), limit=10, start=position)
            requests += 1
            assert len(queries) <= 5
            titles += [book.title.metadata.title for book in books]
            if position is None:
                break
        assert titles == ["99 odd even"]
        assert requests > 3

    def test_filters_that_leave_nothing(
        self, counted: tuple[DynamoCatalogue, list[int]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        catalogue, _ = counted
        monkeypatch.setattr(adapter, "MAX_CANDIDATES", 8)
        for n in range(20):
            catalogue.add(a_book([Copy("c")] if n == 19 else [], title=f"Title {n:02}"), NOTHING, None)
        pages = []
        position: Position | None = None
        while True:
            books, position = catalogue.find(Criteria(available=True), limit=2, start=position)
            pages.append([book.title.metadata.title for book in books])
            if position is None:
                break
        assert pages == [[], [], ["Title 19"]]

    def test_a_rare_word_leaps_over_a_common_one(
        self, counted: tuple[DynamoCatalogue, list[int]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        catalogue, queries = counted
        monkeypatch.setattr(title_index, "_ENTRIES_PER_QUERY", 5)
        for n in range(40):
            catalogue.add(a_book(title=f"{n:03} of"), NOTHING, None)
        catalogue.add(a_book(title="777 needle of"), NOTHING, None)
        books, position = catalogue.find(Criteria(search="of needle"), limit=10, start=None)
        assert [book.title.metadata.title for book in books] == ["777 needle of"]
        assert position is None
        assert len(queries) <= 3, "reading all of the common word's entries takes nine"


class TestWhenTheAnswerIsLost:
    """The SDK sends a request again whose answer did not arrive: the second time meets the first one's traces."""

    @staticmethod
    def _twice(real: Callable[..., Any], **request: Any) -> Any:
        real(**request)
        return real(**request)

    def test_of_a_reservation(self, dynamodb: "DynamoDBClient") -> None:
        service = service_on(Wrapped(dynamodb, "update_item", self._twice))
        book_id = add(service, 3)
        reservation = service.reservations.reserve(book_id, "L1")
        stored = item(dynamodb, book_id, "STOCK")
        assert reservation.repeated
        assert stored["held"] == {"L1": reservation.barcode}
        assert (stored["available"], stored["out"]) == (2, 1)

    def test_of_a_release(self, dynamodb: "DynamoDBClient") -> None:
        book_id = add(service_on(dynamodb), 1)
        service_on(dynamodb).reservations.reserve(book_id, "L1")
        service_on(Wrapped(dynamodb, "update_item", self._twice)).reservations.release(book_id, "L1")
        stored = item(dynamodb, book_id, "STOCK")
        assert (stored["available"], stored["out"], stored["held"]) == (1, 0, {})

    def test_of_an_edit(self, dynamodb: "DynamoDBClient") -> None:
        service = service_on(Wrapped(dynamodb, "update_item", self._twice))
        book_id = add(service, 3)
        assert service.copies.correct_availability(book_id, 1, lambda _: None).stock.available == 1
        (barcode, *_) = item(dynamodb, book_id, "STOCK")["copies"]
        copy, _ = service.copies.edit(book_id, barcode, {"status": CopyStatus.DAMAGED}, lambda _: None)
        assert copy.status == "damaged"


class TestWhenTransactionsConflict:
    def _refusing(self, client: "DynamoDBClient", times: int) -> Callable[..., Any]:
        left = [times]

        def refuse(real: Callable[..., Any], **request: Any) -> Any:
            if left[0]:
                left[0] -= 1
                error: Any = {"Error": {"Code": "TransactionConflictException", "Message": "busy"}}
                raise client.exceptions.TransactionConflictException(error, "UpdateItem")
            return real(**request)

        return refuse

    def test_for_a_moment_it_is_tried_again(self, dynamodb: "DynamoDBClient") -> None:
        book_id = add(service_on(dynamodb), 1)
        service = service_on(Wrapped(dynamodb, "update_item", self._refusing(dynamodb, 3)))
        assert service.reservations.reserve(book_id, "L1").stock.book_id == book_id

    def test_for_long_it_is_unavailable(self, dynamodb: "DynamoDBClient") -> None:
        book_id = add(service_on(dynamodb), 1)
        service = service_on(Wrapped(dynamodb, "update_item", self._refusing(dynamodb, 1000)))
        with pytest.raises(TransactionBusy):  # 503 at the edge
            service.reservations.reserve(book_id, "L1")
        assert item(dynamodb, book_id, "STOCK")["available"] == 1


class TestStockFromBeforeGenresWereKept:
    def test_is_lent_without_one_and_gets_it_with_the_next_description(
        self, dynamodb: "DynamoDBClient", service: UseCases
    ) -> None:
        book_id = add(service, copies=2, genre="novel")
        dynamodb.update_item(
            TableName=TABLE,
            Key={"pk": {"S": f"BOOK#{book_id}"}, "sk": {"S": "STOCK"}},
            UpdateExpression="REMOVE genre",
        )

        assert service.reservations.reserve(book_id, "L1").stock.genre is None
        service.titles.change(book_id, TitleChange({"edition": "second"}, None), lambda _: None)
        assert service.reservations.reserve(book_id, "L2").stock.genre == "novel"


class TestStockWithTheOldNameOfReleased:
    """`released` was called `gone`. Such an item is read, and renamed by its next write."""

    @pytest.fixture
    def book_id(self, dynamodb: "DynamoDBClient", service: UseCases) -> str:
        book_id = add(service, copies=2)
        service.reservations.reserve(book_id, "held")
        service.reservations.release(book_id, "released")
        dynamodb.update_item(
            TableName=TABLE,
            Key={"pk": {"S": f"BOOK#{book_id}"}, "sk": {"S": "STOCK"}},
            UpdateExpression="SET gone = released REMOVE released",
        )
        return book_id

    def test_no_copy_is_lent_to_a_loan_that_was_released(self, service: UseCases, book_id: str) -> None:
        with pytest.raises(LoanAlreadyReleased):
            service.reservations.reserve(book_id, "released")

    @pytest.mark.parametrize(
        ("write", "released"),
        [
            (lambda service, book_id: service.reservations.reserve(book_id, "L1"), {"released"}),
            (lambda service, book_id: service.reservations.release(book_id, "held"), {"released", "held"}),
            (lambda service, book_id: service.reservations.release(book_id, "L1"), {"released", "L1"}),
            (lambda service, book_id: service.copies.add(book_id), {"released"}),
            (lambda service, book_id: service.copies.correct_availability(book_id, 0, lambda _: None), {"released"}),
        ],
    )
    def test_its_next_write_renames_it(
        self,
        dynamodb: "DynamoDBClient",
        service: UseCases,
        book_id: str,
        write: Callable[[UseCases, str], object],
        released: set[str],
    ) -> None:
        write(service, book_id)
        stored = item(dynamodb, book_id, "STOCK")
        assert "gone" not in stored
        assert set(stored["released"]) == released

    def test_a_writer_that_read_it_before_it_was_renamed_notices(
        self, dynamodb: "DynamoDBClient", service: UseCases, book_id: str
    ) -> None:
        catalogue = DynamoCatalogue(Table(TABLE, lambda: dynamodb))
        before = catalogue.stock(book_id)
        assert before is not None
        service.reservations.reserve(book_id, "L1")
        with pytest.raises(VersionConflict):
            catalogue.save_stock(before, before.with_available(0), [])
        assert set(item(dynamodb, book_id, "STOCK")["held"]) == {"held", "L1"}
