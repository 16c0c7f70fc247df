"""How titles and stocks are stored as items, and read back. The layout is explained in `dynamodb`.

Writers name the attributes they set, and readers ignore the others. So an item that a newer version of
the service wrote keeps its further attributes.
"""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from books_service.application.criteria import is_known_term, sort_key, terms_of
from books_service.domain.stock import Copy, Held, Stock
from books_service.domain.title import Metadata, Price, Title
from library_common.clock import from_rfc3339, to_rfc3339
from library_common.dynamodb import Item
from library_common.events import OUTBOX_ATTRIBUTE, Envelope, to_outbox

META = "META"
STOCK = "STOCK"
BARCODE = "BARCODE"

_COPY_ATTRIBUTES = {"status", "shelf", "loan", "since"}


def book_pk(book_id: str) -> str:
    return f"BOOK#{book_id}"


def meta_key(book_id: str) -> dict[str, str]:
    return {"pk": book_pk(book_id), "sk": META}


def stock_key(book_id: str) -> dict[str, str]:
    return {"pk": book_pk(book_id), "sk": STOCK}


def barcode_key(barcode: str) -> dict[str, str]:
    return {"pk": f"{BARCODE}#{barcode}", "sk": BARCODE}


def entry_key(term: str, key: str) -> dict[str, str]:
    """One entry of the search index."""
    return {"pk": f"TERM#{term}", "sk": key}


def entries_of(title: Title) -> set[tuple[str, str]]:
    """The entries (term, sort key) that the index should have for a title."""
    return _entries(title, terms_of(title.metadata))


def entries_in(meta: Item) -> set[tuple[str, str]]:
    """The entries that the index has for a stored title. Older rules of folding may have made them."""
    return {(term, meta["sort"]) for term in meta["terms"]}


def entries_after(title: Title, meta: Item) -> set[tuple[str, str]]:
    """The entries that the index should have once `title` is written over `meta`.

    Terms of a kind that only a newer version of the service knows are kept.
    """
    return _entries(title, terms_of(title.metadata) | {term for term in meta["terms"] if not is_known_term(term)})


def _entries(title: Title, terms: frozenset[str]) -> set[tuple[str, str]]:
    key = sort_key(title.metadata.title, title.id)
    return {(term, key) for term in terms}


# -- META -----------------------------------------------------------------------------------------


_AS_THEY_ARE = tuple(field.name for field in fields(Metadata) if field.name not in {"subjects", "replacement_price"})
"""What META has of the description under its own names; what is None is left out."""


def title_attributes(title: Title, entries: set[tuple[str, str]], events: Sequence[Envelope]) -> Item:
    """The attributes of META that this version sets; None removes one."""
    described = title.metadata
    price = described.replacement_price
    return {
        **{name: getattr(described, name) for name in _AS_THEY_ARE},
        "subjects": list(described.subjects) or None,
        "price_units": price.minor_units if price else None,
        "price_currency": price.currency if price else None,
        "archived": title.archived,
        "version": title.version,
        "created_at": to_rfc3339(title.created_at),
        "updated_at": to_rfc3339(title.updated_at),
        "sort": sort_key(described.title, title.id),
        "terms": {term for term, _ in entries},
        OUTBOX_ATTRIBUTE: to_outbox(events),
    }


def title_from_item(item: Item) -> Title:
    return Title(
        id=item["pk"].removeprefix("BOOK#"),
        metadata=Metadata(
            **{name: item[name] for name in _AS_THEY_ARE if name in item},
            subjects=tuple(item.get("subjects", ())),
            replacement_price=Price(item["price_units"], item["price_currency"]) if "price_units" in item else None,
        ),
        archived=item["archived"],
        version=item["version"],
        created_at=from_rfc3339(item["created_at"]),
        updated_at=from_rfc3339(item["updated_at"]),
    )


# -- STOCK ----------------------------------------------------------------------------------------


def stock_attributes(stock: Stock, events: Sequence[Envelope]) -> Item:
    """The attributes of STOCK that this version sets; None removes one."""
    copies: dict[str, dict[str, Any]] = {
        copy.barcode: {**copy.extra, "status": copy.status, "shelf": copy.shelf} for copy in stock.copies.values()
    }
    for loan_id, held in stock.held.items():
        copies[held.barcode] |= {"loan": loan_id, "since": held.since}
    return {
        "title": stock.title,
        "genre": stock.genre,
        "copies": copies,
        "held": {loan_id: held.barcode for loan_id, held in stock.held.items()},
        "released": dict(stock.released),
        _RELEASED_BEFORE: None,
        "total": stock.total,
        "available": stock.available,
        "out": stock.out,
        "archived": stock.archived,
        "version": stock.version,
        OUTBOX_ATTRIBUTE: to_outbox(events),
    }


def stock_from_item(item: Item) -> Stock:
    copies: dict[str, dict[str, Any]] = item["copies"]
    return Stock(
        book_id=item["pk"].removeprefix("BOOK#"),
        title=item["title"],
        copies={
            barcode: Copy(
                barcode,
                stored["status"],
                stored.get("shelf"),
                extra={name: value for name, value in stored.items() if name not in _COPY_ATTRIBUTES},
            )
            for barcode, stored in copies.items()
        },
        held={loan_id: Held(barcode, copies[barcode]["since"]) for loan_id, barcode in item["held"].items()},
        released=item["released"] if "released" in item else item[_RELEASED_BEFORE],
        archived=item["archived"],
        version=item["version"],
        genre=item.get("genre"),
    )


_RELEASED_BEFORE = "gone"
"""What `released` was called. A stock that was not written since then still has it."""
