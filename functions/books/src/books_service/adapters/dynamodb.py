"""The books table: titles, copies and the plain search in one DynamoDB table.

Keys are two strings, `pk` and `sk`. There is no secondary index: those are read with delay, and the desk
looks for a title right after entering it.

Items
-----
`BOOK#<id>` / `META`
    The description, `archived`, `version`, the outbox `events` (BookAdded, BookUpdated, BookRemoved,
    BookRestored), and under `terms` and `sort` the index entries the title has: what to delete from the
    index then never depends on today's rules of folding. Lending does not touch it. Typically 1 KB, at
    most about 45 KB.
`BOOK#<id>` / `STOCK`
    All copies in one item, because lending must be one UpdateItem: no transaction (twice the price, and
    a TransactionConflict whenever members race), and counts that are readable with the title.
    `copies` {barcode: {status, shelf, and while a loan holds it: loan, since (epoch seconds)}}, `held`
    {loan id: barcode}, `gone` {loan id released or refused: epoch seconds at which it may be forgotten},
    `total`, `available`, `out` (for those who read the stream or the console; this service counts),
    `archived`, `title` (cut to 100 characters) and `genre` (at most 60, absent where the title has none or was
    described last before it was kept here), both to be answered by a reservation, `version`, `events`
    (CopyStatusChanged).
    A copy takes about 45 bytes, 85 more while it is lent. So with three copies, all of them lent, the item
    stays below 1 KB, one write unit. It grows linearly: 500 copies, the most a title may have (TooManyCopies),
    are 24 KB, 65 KB when all are lent. That is far from DynamoDB's 400 KB, but a reservation of such a title
    costs as many write units. What is in `gone` takes 35 bytes each for five minutes at most; every reservation
    and release forgets what is old.
`BARCODE#<barcode>` / `BARCODE`
    Says whose copy a barcode is (`book_id`), and keeps it unique. Made and deleted in the transaction that
    changes `copies`.
`TERM#<term>` / `<sort title>  <id>`
    The search index: keys only, about 80 bytes. Terms: `*` (every title), `w:<word>`, `i:<isbn13>`,
    `g:<genre>`, `l:<language>`. Written in the transaction that writes META, so a search is never behind.
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
set copies right, correct availability    one PutItem of STOCK, on its version
reserve, release                          one GetItem and one UpdateItem of STOCK: 1 write unit up to 1 KB; a
                                          refused reservation is remembered by such an UpdateItem, too
========================================  =================================================================

A transaction has at most 100 operations. A new name for a title rewrites all its entries, 44 to delete and 44 to
put; that is why a title has at most 40 indexed words. What does not fit is refused (ChangeTooLarge).

Writers of one STOCK
--------------------
Librarians' edits read the item, apply the rules and put the whole of it on the condition that its
`version` is the one read. Reservations and releases come more often and must not wait for one another:
they update single fields, on conditions about just these fields, and add 1 to `version` without
asking for a certain one, so that edits notice them. Counts move by ADD, so they stay exact.

One loan must never get two copies, however often and however simultaneously its reservation is tried. A condition
on the copy alone does not ensure that: two tries may choose different copies. Hence `held`, by loan:
`attribute_not_exists(held.<loan>)` lets one try of a loan through, while other loans pass freely. The
same write checks that the copy is still available (two loans never get one copy), that the loan is
not in `gone` (a release or a refusal that came first wins), and that the title is not archived. A failed
condition hands back the item as it is, which is decided upon afresh: mostly the answer then is
"this loan has its copy", "no copy left", or another copy to try.

DynamoDB may answer a write that was done with a failure on the way back, and the SDK then sends it
again: the second finds its own traces and fails its condition. Decided afresh, a reservation finds
itself held (same answer); a release finds nothing held (`released` false, the effect is the same);
an edit finds nothing left to change. Transactions carry a request token, which DynamoDB recognises.

Hot keys
--------
A title's partition bears 1000 write units a second: 1000 reservations of one title. `TERM#*` and common words
(`w:of`, `l:en`) take a write (2 units, transactional) per title added: 500 titles a second, more than a
bulk import does. Reading a common word's list leaps over what rarer words exclude.
"""

from collections.abc import Sequence
from datetime import datetime

from books_service.adapters.field_update import FieldUpdate
from books_service.adapters.items import (
    META,
    STOCK,
    barcode_key,
    book_pk,
    entries_in,
    entries_of,
    entry_key,
    meta_key,
    stock_from_item,
    stock_key,
    stock_to_item,
    title_from_item,
    title_to_item,
)
from books_service.adapters.title_index import Intersection
from books_service.application.criteria import Criteria, id_in
from books_service.application.ports import Answer, AnsweredBefore, BarcodeExists, Happened, LostRace, Position
from books_service.domain.book import Book
from books_service.domain.errors import ChangeTooLarge
from books_service.domain.stock import OUT, CopyStatus, Release, Reservation, Stock
from library_common.dynamodb import (
    ABSENT,
    MAX_TRANSACTION_ITEMS,
    ConditionFailed,
    Delete,
    Expression,
    Item,
    Put,
    Table,
    Write,
)
from library_common.events import OUTBOX_ATTRIBUTE, Envelope, to_outbox
from library_common.idempotency import Ticket

MAX_CANDIDATES = 400
"""Titles looked at per list request: nine BatchGetItems."""

_CANDIDATES_AT_ONCE = 50
"""As many as one BatchGetItem reads, two items each."""

# An entry is nothing but its key, so it does not matter whether it was there. What guards it is the version
# of META in the same transaction.
_EITHER_WAY = Expression("attribute_exists(#pk) OR attribute_not_exists(#pk)", names={"pk": "pk"})


class DynamoCatalogue:
    """Titles and copies in DynamoDB. Implements `application.ports.Catalogue`, where the contract stands."""

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

    def earlier_answer(self, ticket: Ticket, now: datetime) -> str | None:
        return ticket.stored_answer(self._table.get(ticket.key()), now)

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
            # At first what the page needs and one more, to know whether there is a next one. If the
            # filters leave too few of them, go on in large steps.
            wanted = limit + 1 if looked_at == 0 else _CANDIDATES_AT_ONCE
            keys = self._candidates(index, min(wanted, MAX_CANDIDATES - looked_at))
            looked_at += len(keys)
            books = self._books([id_in(key) for key in keys])
            for key in keys:
                book = books.get(id_in(key))
                # By id: a title renamed at this moment may be met at its old place and at its new one.
                if book is not None and book.title.id not in found and criteria.matches(book):
                    found[book.title.id] = (key, book)
            if len(found) > limit:
                page = list(found.values())[:limit]
                return [book for _, book in page], Position(page[-1][0], past=True)
            if index.stopped:
                break
            if index.ended:
                return [book for _, book in found.values()], None
        return [book for _, book in found.values()], index.position

    def _candidates(self, index: Intersection, wanted: int) -> list[str]:
        keys: list[str] = []
        while len(keys) < wanted:
            key = index.next()
            if key is None:
                break
            keys.append(key)
        return keys

    def _books(self, book_ids: Sequence[str]) -> dict[str, Book]:
        keys = [key for book_id in dict.fromkeys(book_ids) for key in (meta_key(book_id), stock_key(book_id))]
        parts: dict[str, dict[str, Item]] = {}
        items = self._table.get_many(keys)
        for item in items:
            parts.setdefault(item["pk"], {})[item["sk"]] = item
        books = [_book(found) for found in parts.values() if len(found) == 2]
        return {book.title.id: book for book in books}

    def _partition(self, book_id: str) -> dict[str, Item]:
        condition = Expression("#pk = :pk", names={"pk": "pk"}, values={"pk": book_pk(book_id)})
        return {item["sk"]: item for item in self._table.query_all(condition, consistent=True)}

    # -- librarians' writes -------------------------------------------------------------------

    def add(self, book: Book, happened: Happened, answer: Answer | None) -> None:
        writes: list[Write] = [
            Put(title_to_item(book.title, happened.title), ABSENT),
            Put(stock_to_item(book.stock, happened.stock), ABSENT),
        ]
        writes += [Put(entry_key(term, key), _EITHER_WAY) for term, key in sorted(entries_of(book.title))]
        self._transact(writes, book.title.id, set(book.stock.copies), set(), answer)

    def save(self, before: Book, after: Book, happened: Happened, answer: Answer | None = None) -> None:
        writes: list[Write] = []
        if after.title != before.title:
            writes += self._title_writes(before, after, happened)
        if after.stock != before.stock:
            writes.append(Put(stock_to_item(after.stock, happened.stock), _version(before.stock.version)))
        old, new = set(before.stock.copies), set(after.stock.copies)
        self._transact(writes, after.title.id, new - old, old - new, answer)

    def save_stock(self, before: Stock, after: Stock, events: Sequence[Envelope]) -> None:
        try:
            self._table.put(stock_to_item(after, events), _version(before.version))
        except ConditionFailed as failed:
            raise LostRace(_stock(failed.item)) from failed

    def _title_writes(self, before: Book, after: Book, happened: Happened) -> list[Write]:
        stored = self._table.get(meta_key(after.title.id))
        if stored is None or stored["version"] != before.title.version:
            raise LostRace
        old, new = entries_in(stored), entries_of(after.title)
        writes: list[Write] = [Put(title_to_item(after.title, happened.title), _version(before.title.version))]
        writes += [Delete(entry_key(term, key), _EITHER_WAY) for term, key in sorted(old - new)]
        writes += [Put(entry_key(term, key), _EITHER_WAY) for term, key in sorted(new - old)]
        return writes

    def _transact(
        self, writes: list[Write], book_id: str, barcodes: set[str], freed: set[str], answer: Answer | None
    ) -> None:
        """Adds the barcode guards and the answer. Raises as `ports.Catalogue.save` says."""
        if answer is not None:
            # First, so that of several failed conditions this one is reported: the request is done already.
            writes.insert(0, answer.ticket.record(answer.json, answer.now))
        writes += [Put(barcode_key(barcode) | {"book_id": book_id}, ABSENT) for barcode in sorted(barcodes)]
        writes += [Delete(barcode_key(barcode), _ours(book_id)) for barcode in sorted(freed)]
        if len(writes) > MAX_TRANSACTION_ITEMS:
            raise ChangeTooLarge
        try:
            self._table.transact(writes)
        except ConditionFailed as failed:
            lost = writes[failed.index]
            if answer is not None and failed.index == 0:
                earlier = answer.ticket.stored_answer(failed.item, answer.now)
                if earlier is not None:
                    raise AnsweredBefore(earlier) from failed
            elif isinstance(lost, Put) and lost.item["pk"].startswith("BARCODE#"):
                raise BarcodeExists(lost.item["pk"].removeprefix("BARCODE#")) from failed
            raise LostRace from failed

    # -- lending ------------------------------------------------------------------------------

    def reserve(self, book_id: str, reservation: Reservation, events: Sequence[Envelope]) -> None:
        loan_id, held = reservation.loan_id, reservation.held
        copy = ("copies", held.barcode)
        change = FieldUpdate()
        change.require((*copy, "status"), CopyStatus.AVAILABLE.value)
        change.require_absent(("held", loan_id))
        change.require_absent(("gone", loan_id))
        change.require(("archived",), value=False)
        change.set((*copy, "status"), CopyStatus.ON_LOAN.value)
        change.set((*copy, "loan"), loan_id)
        change.set((*copy, "since"), held.since)
        change.set(("held", loan_id), held.barcode)
        _count(change, CopyStatus.AVAILABLE, CopyStatus.ON_LOAN)
        self._lend(book_id, change, reservation.forget, events)

    def release(self, book_id: str, release: Release, events: Sequence[Envelope]) -> None:
        loan_id, held = release.loan_id, release.held
        change = FieldUpdate()
        if held is not None and release.before is not None and release.after is not None:
            copy = ("copies", held.barcode)
            change.require(("held", loan_id), held.barcode)
            change.require((*copy, "status"), release.before.value)
            change.remove(("held", loan_id))
            change.remove((*copy, "loan"))
            change.remove((*copy, "since"))
            if release.after is not release.before:
                change.set((*copy, "status"), release.after.value)
                _count(change, release.before, release.after)
        else:
            change.require_present(("pk",))
            change.require_absent(("held", loan_id))
        if release.remember_until is not None:
            change.set(("gone", loan_id), release.remember_until)
        self._lend(book_id, change, release.forget, events)

    def _lend(self, book_id: str, change: FieldUpdate, forget: Sequence[str], events: Sequence[Envelope]) -> None:
        for loan_id in forget:
            change.remove(("gone", loan_id))
        change.add("version", 1)
        outbox = to_outbox(events)
        if outbox is None:
            change.remove((OUTBOX_ATTRIBUTE,))
        else:
            change.set((OUTBOX_ATTRIBUTE,), outbox)
        try:
            self._table.update(stock_key(book_id), change.update(), change.condition())
        except ConditionFailed as failed:
            raise LostRace(_stock(failed.item)) from failed


def _count(change: FieldUpdate, before: CopyStatus, after: CopyStatus) -> None:
    """Keeps the stored counts in step with one copy's status."""
    change.add("available", (after is CopyStatus.AVAILABLE) - (before is CopyStatus.AVAILABLE))
    change.add("out", (after in OUT) - (before in OUT))


def _book(found: dict[str, Item]) -> Book:
    return Book(title_from_item(found[META]), stock_from_item(found[STOCK]))


def _stock(item: Item | None) -> Stock | None:
    return stock_from_item(item) if item else None


def _version(version: int) -> Expression:
    return Expression("#version = :version", names={"version": "version"}, values={"version": version})


def _ours(book_id: str) -> Expression:
    return Expression(
        "attribute_not_exists(#pk) OR #book = :book",
        names={"pk": "pk", "book": "book_id"},
        values={"book": book_id},
    )
