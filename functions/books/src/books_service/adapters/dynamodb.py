"""The books table: titles, copies and the plain search in one DynamoDB table.

Keys are two strings, `pk` and `sk`. There is no secondary index: those are read with a delay, and the desk
searches for a title right after adding it.

Items
-----
`BOOK#<id>` / `META`
    The description, `archived`, `version`, the outbox `events` (BookAdded, BookUpdated, BookRemoved,
    BookRestored). `terms` and `sort` are the title's entries in the search index, so that they can be
    deleted even if the rules that made them have changed. Lending does not write it. Typically 1 KB, at
    most about 45 KB.
`BOOK#<id>` / `STOCK`
    All copies in one item, so that lending is one UpdateItem (a transaction costs twice as much and
    conflicts whenever members race) and the counts are read together with the title.
    `copies` {barcode: {status, shelf, and while a loan holds it: loan, since (epoch seconds)}}, `held`
    {loan id: barcode}, `released` {loan id that was released or refused: epoch seconds until which that is
    remembered}, `total`, `available`, `out` (for readers of the stream and the console; this service
    counts), `archived`, `title` (cut to 100 characters) and `genre` (at most 60; absent where the title has
    none, or was described last before it was stored here), which a reservation answers, `version`,
    `events` (CopyStatusChanged). `released` was called `gone`: the next write of such an item renames it.
    A copy takes about 45 bytes, 85 more while it is lent. So with three copies, all of them lent, the item
    stays below 1 KB, one write unit. It grows linearly: 500 copies, the most a title may have (TooManyCopies),
    are 24 KB, 65 KB when all are lent. That is far from DynamoDB's 400 KB, but a reservation of such a title
    costs as many write units. An entry of `released` takes 35 bytes for five minutes; every reservation and
    release removes expired ones.
`BARCODE#<barcode>` / `BARCODE`
    Says which title's copy has a barcode (`book_id`), and keeps it unique. Added and deleted in the
    transaction that changes `copies`.
`TERM#<term>` / `<sort title>  <id>`
    The search index: keys only, about 80 bytes. Terms: `*` (every title), `w:<word>`, `i:<isbn13>`,
    `g:<genre>`, `l:<language>`. Written in the transaction that writes META, so a search is never behind.
    An entry is added or deleted, never changed.
`IDEMPOTENT#<digest>` / `IDEMPOTENT`
    Answers of idempotent requests for a day (see library_common.idempotency).

Access patterns
---------------
========================================  =================================================================
a title with its counts                   one Query of BOOK#<id>, strong: 1 read unit up to 4 KB
counts, copies of a title                 one GetItem of STOCK, strong
a barcode's title                         GetItem of BARCODE, then the Query above
list, search                              strong Queries of TERM partitions (<= 25), BatchGetItem of META and
                                          STOCK of up to 400 candidates; then the page ends, found or not
add a title                               one transaction: META, STOCK, <= 44 TERM, <= 50 BARCODE, answer
change, archive, restore a title          one transaction: META, differing TERM, STOCK and BARCODE if need be
correct copies or the available number    one UpdateItem of STOCK, on its version
reserve, release                          one GetItem and one UpdateItem of STOCK: 1 write unit up to 1 KB; a
                                          refused reservation is remembered by such an UpdateItem, too
========================================  =================================================================

A transaction has at most 100 operations. A new name for a title replaces all its entries, 44 deleted and 44
added; that is why a title has at most 40 indexed words. What does not fit is refused (ChangeTooLarge).

Writers of one STOCK
--------------------
Every writer names the attributes it sets, and keeps what a newer version of the service added: attributes
of the item and of each copy, statuses it does not know, index terms of an unknown kind.

Librarians' edits read the item, apply the rules and set all attributes that this version knows, on the
condition that `version` is the one they read. Reservations and releases come more often and must not wait
for one another: they set single fields, on conditions about just these fields, and add 1 to `version`
without asking for a certain one, so that edits notice them. Counts change by ADD, so they stay exact.

One loan must never get two copies, however often and however simultaneously its reservation is tried. A condition
on the copy alone does not ensure that: two tries may choose different copies. Hence `held`, by loan:
`attribute_not_exists(held.<loan>)` lets one try of a loan through, while other loans pass freely. The
same write checks that the copy is still available (two loans never get one copy), that the loan is
not in `released` (a release or a refusal that came first wins), and that the title is not archived. A failed
condition returns the item as it is now, and the rules are applied again: mostly the answer then is
"this loan has its copy", "no copy left", or another copy to try.

DynamoDB may answer a write that was done with a failure, and the SDK then sends it again: the second
request meets the effect of the first and fails its condition. The rules, applied again, find a
reservation held (same answer), a release of nothing (`released` false, the effect is the same), an edit
with nothing left to change. Transactions carry a request token, which DynamoDB recognises.

Hot keys
--------
A title's partition takes 1000 write units a second: 1000 reservations of one title. `TERM#*` and common words
(`w:of`, `l:en`) take a write (2 units, transactional) per title added: 500 titles a second, more than a
bulk import does. Reading a common word's list skips what rarer words exclude.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice

from books_service.adapters.field_update import FieldUpdate
from books_service.adapters.items import (
    META,
    STOCK,
    barcode_key,
    book_pk,
    entries_after,
    entries_in,
    entries_of,
    entry_key,
    meta_key,
    stock_attributes,
    stock_from_item,
    stock_key,
    title_attributes,
    title_from_item,
)
from books_service.adapters.title_index import Intersection
from books_service.application.criteria import Criteria, id_in
from books_service.application.ports import AlreadyAnswered, BarcodeExists, BookEvents, Position, StoredAnswer
from books_service.domain.errors import ChangeTooLarge
from books_service.domain.stock import OUT, CopyStatus, Release, Reservation, Stock
from books_service.domain.title import Book, Title
from library_common.dynamodb import (
    ABSENT,
    MAX_TRANSACTION_ITEMS,
    ConditionFailed,
    Delete,
    Expression,
    Item,
    Put,
    Table,
    Update,
    Write,
)
from library_common.events import OUTBOX_ATTRIBUTE, Envelope, to_outbox
from library_common.idempotency import Ticket
from library_common.versions import VersionConflict

MAX_CANDIDATES = 400
"""Titles looked at per list request: nine BatchGetItems."""

_CANDIDATES_AT_ONCE = 50
"""As many as one BatchGetItem reads, two items each."""

# An entry is only a key, so it does not matter whether it exists. The condition on META's version in the same
# transaction guards it.
_PRESENT_OR_ABSENT = Expression("attribute_exists(#pk) OR attribute_not_exists(#pk)", names={"pk": "pk"})


class DynamoCatalogue:
    """Titles and copies in DynamoDB. Implements `application.ports.Catalogue`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    # -- reading ------------------------------------------------------------------------------

    def book(self, book_id: str) -> Book | None:
        found = self._partition(book_id)
        return _book(found) if found else None

    def stock(self, book_id: str) -> Stock | None:
        item = self._table.get(stock_key(book_id))
        return stock_from_item(item) if item else None

    def book_id_of(self, barcode: str) -> str | None:
        item = self._table.get(barcode_key(barcode))
        return item["book_id"] if item else None

    def require_unanswered(self, ticket: Ticket, now: datetime) -> None:
        answer = ticket.stored_answer(self._table.get(ticket.key()), now)
        if answer is not None:
            raise AlreadyAnswered(answer)

    def find(self, criteria: Criteria, *, limit: int, start: Position | None) -> tuple[list[Book], Position | None]:
        index = Intersection(
            self._table,
            criteria.leading_terms(),
            start=start,
            descending=criteria.descending,
            first=limit + 1,
        )
        found: dict[str, tuple[str, Book]] = {}
        looked_at = 0
        while looked_at < MAX_CANDIDATES:
            # First what the page needs, and one more to know whether there is a next page. If the
            # filters leave too few, go on in large steps.
            wanted = limit + 1 if looked_at == 0 else _CANDIDATES_AT_ONCE
            keys = list(islice(iter(index.next, None), min(wanted, MAX_CANDIDATES - looked_at)))
            looked_at += len(keys)
            books = self._books([id_in(key) for key in keys])
            for key in keys:
                book = books.get(id_in(key))
                # By id: a title that is being renamed may be found at its old and at its new place.
                if book is not None and book.id not in found and criteria.matches(book):
                    found[book.id] = (key, book)
            if len(found) > limit:
                page = list(found.values())[:limit]
                return [book for _, book in page], Position(page[-1][0], past=True)
            if index.stopped:
                break
            if index.ended:
                return [book for _, book in found.values()], None
        return [book for _, book in found.values()], index.position

    def _books(self, book_ids: Sequence[str]) -> dict[str, Book]:
        keys = [key for book_id in dict.fromkeys(book_ids) for key in (meta_key(book_id), stock_key(book_id))]
        parts: dict[str, dict[str, Item]] = {}
        for item in self._table.get_many(keys):
            parts.setdefault(item["pk"], {})[item["sk"]] = item
        books = [_book(found) for found in parts.values() if len(found) == 2]
        return {book.id: book for book in books}

    def _partition(self, book_id: str) -> dict[str, Item]:
        condition = Expression("#pk = :pk", names={"pk": "pk"}, values={"pk": book_pk(book_id)})
        return {item["sk"]: item for item in self._table.query_all(condition, consistent=True)}

    # -- librarians' writes -------------------------------------------------------------------

    def add(self, book: Book, events: BookEvents, answer: StoredAnswer | None) -> None:
        entries = entries_of(book.title)
        writes: list[Write] = [
            Put(meta_key(book.id) | title_attributes(book.title, entries, events.title), ABSENT),
            Put(stock_key(book.id) | stock_attributes(book.stock, events.stock), ABSENT),
        ]
        writes += [Put(entry_key(term, key), _PRESENT_OR_ABSENT) for term, key in sorted(entries)]
        self._transact(writes, book.id, set(book.stock.copies), set(), answer)

    def save(self, before: Book, after: Book, events: BookEvents, answer: StoredAnswer | None = None) -> None:
        writes: list[Write] = []
        if after.title != before.title:
            writes += self._title_writes(before.title, after.title, events.title)
        if after.stock != before.stock:
            writes.append(_stock_update(before.stock, after.stock, events.stock))
        old, new = set(before.stock.copies), set(after.stock.copies)
        self._transact(writes, after.id, new - old, old - new, answer)

    def save_stock(self, before: Stock, after: Stock, events: Sequence[Envelope]) -> None:
        write = _stock_update(before, after, events)
        try:
            self._table.update(write.key, write.update, write.condition)
        except ConditionFailed as failed:
            raise VersionConflict(_stock(failed.item)) from failed

    def _title_writes(self, before: Title, after: Title, events: Sequence[Envelope]) -> list[Write]:
        stored = self._table.get(meta_key(after.id))
        if stored is None or stored["version"] != before.version:
            raise VersionConflict
        old, new = entries_in(stored), entries_after(after, stored)
        change = FieldUpdate()
        change.set_all(title_attributes(after, new, events))
        change.require(("version",), before.version)
        writes: list[Write] = [Update(meta_key(after.id), change.update(), change.condition())]
        writes += [Delete(entry_key(term, key), _PRESENT_OR_ABSENT) for term, key in sorted(old - new)]
        writes += [Put(entry_key(term, key), _PRESENT_OR_ABSENT) for term, key in sorted(new - old)]
        return writes

    def _transact(
        self, writes: list[Write], book_id: str, added: set[str], removed: set[str], answer: StoredAnswer | None
    ) -> None:
        """Writes barcodes and the answer too. Raises as `ports.Catalogue.save` says."""
        if answer is not None:
            # First, so that its failed condition is reported before others: the request was carried out already.
            writes.insert(0, answer.ticket.record(answer.json, answer.now))
        writes += [Put(barcode_key(barcode) | {"book_id": book_id}, ABSENT) for barcode in sorted(added)]
        writes += [Delete(barcode_key(barcode), _belongs_to(book_id)) for barcode in sorted(removed)]
        if len(writes) > MAX_TRANSACTION_ITEMS:
            raise ChangeTooLarge
        try:
            self._table.transact(writes)
        except ConditionFailed as failed:
            write = writes[failed.index]
            if answer is not None and failed.index == 0:
                earlier = answer.ticket.stored_answer(failed.item, answer.now)
                if earlier is not None:
                    raise AlreadyAnswered(earlier) from failed
            elif isinstance(write, Put) and write.item["pk"].startswith("BARCODE#"):
                raise BarcodeExists(write.item["pk"].removeprefix("BARCODE#")) from failed
            raise VersionConflict from failed

    # -- lending ------------------------------------------------------------------------------

    def reserve(self, reservation: Reservation, events: Sequence[Envelope]) -> None:
        loan_id, held = reservation.loan_id, reservation.held
        copy = ("copies", held.barcode)
        change = FieldUpdate()
        change.require((*copy, "status"), CopyStatus.AVAILABLE)
        change.require_absent(("held", loan_id))
        change.require_absent(("released", loan_id))
        change.require(("archived",), value=False)
        change.set((*copy, "status"), CopyStatus.ON_LOAN)
        change.set((*copy, "loan"), loan_id)
        change.set((*copy, "since"), held.since)
        change.set(("held", loan_id), held.barcode)
        _count(change, CopyStatus.AVAILABLE, CopyStatus.ON_LOAN)
        self._update_stock(reservation.stock, change, reservation.expired, events)

    def release(self, release: Release, events: Sequence[Envelope]) -> None:
        loan_id, held = release.loan_id, release.held
        change = FieldUpdate()
        if held is not None and release.before is not None and release.after is not None:
            copy = ("copies", held.barcode)
            change.require(("held", loan_id), held.barcode)
            change.require((*copy, "status"), release.before)
            change.remove(("held", loan_id))
            change.remove((*copy, "loan"))
            change.remove((*copy, "since"))
            if release.after != release.before:
                change.set((*copy, "status"), release.after)
                _count(change, release.before, release.after)
        else:
            change.require_absent(("held", loan_id))
        if release.remember_until is not None:
            change.set(("released", loan_id), release.remember_until)
        self._update_stock(release.stock, change, release.expired, events)

    def _update_stock(
        self, stock: Stock, change: FieldUpdate, expired: Sequence[str], events: Sequence[Envelope]
    ) -> None:
        for loan_id in expired:
            change.remove(("released", loan_id))
        # Not there in an item that still has the attribute under its old name.
        change.require_present(("released",))
        change.add("version", 1)
        change.set_all({OUTBOX_ATTRIBUTE: to_outbox(events)})
        try:
            self._table.update(stock_key(stock.book_id), change.update(), change.condition())
        except ConditionFailed as failed:
            current = _stock(failed.item)
            if failed.item and current and "released" not in failed.item:
                renamed = replace(current, version=current.version + 1)
                self.save_stock(current, renamed, ())
                current = renamed
            raise VersionConflict(current) from failed


def _stock_update(before: Stock, after: Stock, events: Sequence[Envelope]) -> Update:
    change = FieldUpdate()
    change.set_all(stock_attributes(after, events))
    change.require(("version",), before.version)
    return Update(stock_key(after.book_id), change.update(), change.condition())


def _count(change: FieldUpdate, before: str, after: str) -> None:
    """Keeps the stored counts in step with one copy's status."""
    change.add("available", (after == CopyStatus.AVAILABLE) - (before == CopyStatus.AVAILABLE))
    change.add("out", (after in OUT) - (before in OUT))


def _book(found: dict[str, Item]) -> Book:
    return Book(title_from_item(found[META]), stock_from_item(found[STOCK]))


def _stock(item: Item | None) -> Stock | None:
    return stock_from_item(item) if item else None


def _belongs_to(book_id: str) -> Expression:
    return Expression(
        "attribute_not_exists(#pk) OR #book = :book",
        names={"pk": "pk", "book": "book_id"},
        values={"book": book_id},
    )
