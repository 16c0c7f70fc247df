"""A busy day at the library, over its HTTP API: many members lend at once, some renew, most bring back; and what the
loans service says of it afterwards, which is what everybody else's numbers have to agree with."""

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import httpx

from tests.depth import at_depth
from tests.support.library_client import LibraryClient, at_once, ok

ROLES = ("student", "patron", "faculty")
GENRES = ("busy fantasy", "busy history", "busy science")
"""Nobody else's, so that what is told of them is told of the day."""
_AT_ONCE = at_depth(quick=4, full=8)
_KEPT = _RENEWED = at_depth(quick=0.25, full=0.1)


@dataclass(frozen=True)
class Day:
    """members: who came, with their roles. addresses: theirs. books: what there was to lend, with the genres.
    titles: theirs. copies: of each.

    issued, renewed, returned: as many as the answers said.
    """

    members: Mapping[str, str]
    addresses: Mapping[str, str]
    books: Mapping[str, str]
    titles: Mapping[str, str]
    copies: int
    issued: int
    renewed: int
    returned: int

    @property
    def events(self) -> int:
        """How many events of loans the bus must have carried."""
        return self.issued + self.renewed + self.returned


def spend(library: LibraryClient, *, loans: int, members: int, titles: int, seed: int) -> Day:
    """So many loans, spread over members and titles by the seed; some are renewed, some are kept.

    Fails on any answer but the expected ones: there is a copy for everybody and a place for every loan.
    """
    people = at_once([partial(library.add_member, role) for role in _in_turn(ROLES, members)], workers=_AT_ONCE)
    shelf = at_once(
        [partial(library.add_book, copies=members, genre=genre) for genre in _in_turn(GENRES, titles)], workers=_AT_ONCE
    )
    books = [each["id"] for each in shelf]
    done: Counter[str] = Counter()
    counting = threading.Lock()

    def visits(number: int) -> None:
        chance = random.Random(f"{seed}/{number}")
        member = people[number]
        mine = library.bearer(member["id"], member["role"])
        kept: set[str] = set()
        for _ in range(loans // members + (number < loans % members)):
            book = chance.choice([each for each in books if each not in kept])
            loan = _answered(
                library.http.post("/api/loans", json={"user_id": member["id"], "book_id": book}, headers=mine), 201
            )
            _count("issued")
            if chance.random() < _RENEWED:
                _answered(library.http.post(f"/api/loans/{loan['id']}/renew", headers=mine), 200)
                _count("renewed")
            # A student may have three at a time.
            if len(kept) < 2 and chance.random() < _KEPT:
                kept.add(book)
            else:
                _answered(library.http.post("/api/returns", json={"loan_id": loan["id"]}, headers=mine), 200)
                _count("returned")

    def _count(what: str) -> None:
        with counting:
            done[what] += 1

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for visited in [pool.submit(visits, number) for number in range(members)]:
            visited.result()
    return Day(
        members={each["id"]: each["role"] for each in people},
        addresses={each["id"]: each["email"] for each in people},
        books={each["id"]: each["genre"] for each in shelf},
        titles={each["id"]: each["title"] for each in shelf},
        copies=members,
        issued=done["issued"],
        renewed=done["renewed"],
        returned=done["returned"],
    )


def all_loans(library: LibraryClient, members: Iterable[str]) -> list[dict[str, Any]]:
    """Every loan of these members, as GET /api/loans tells it, page by page."""

    def of(member: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        params = {"user_id": member, "limit": "100"}
        while True:
            page = ok(library.http.get("/api/loans", params=params, headers=library.as_librarian()))
            found += page["items"]
            if page["next_cursor"] is None:
                return found
            params["cursor"] = page["next_cursor"]

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return [loan for loans in pool.map(of, members) for loan in loans]


class Acts(NamedTuple):
    """How many of each."""

    loans: int = 0
    returns: int = 0
    renewals: int = 0


@dataclass(frozen=True)
class Truth:
    """What follows from the loans themselves."""

    day: Day
    listed: Sequence[Mapping[str, Any]]

    @property
    def acts(self) -> Acts:
        """Of everybody."""
        return self.by(lambda _: None)[None]

    @property
    def open(self) -> int:
        """Loans that are not back."""
        return self.acts.loans - self.acts.returns

    def by[K](self, key: Callable[[Mapping[str, Any]], K]) -> dict[K, Acts]:
        """What was done with the loans of each key."""
        found: dict[K, Acts] = {}
        for loan in self.listed:
            was = found.get(key(loan), Acts())
            found[key(loan)] = Acts(
                was.loans + 1,
                was.returns + (loan["return_date"] is not None),
                was.renewals + int(loan["extensions_count"]),
            )
        return found

    def by_member(self) -> dict[str, Acts]:
        return self.by(lambda loan: loan["user_id"])

    def by_title(self) -> dict[str, Acts]:
        return self.by(lambda loan: loan["book_id"])

    def by_genre(self) -> dict[str, Acts]:
        return self.by(lambda loan: self.day.books[loan["book_id"]])

    def by_role(self) -> dict[str, Acts]:
        return self.by(lambda loan: self.day.members[loan["user_id"]])


def _in_turn[T](values: Sequence[T], number: int) -> list[T]:
    return [values[each % len(values)] for each in range(number)]


def _answered(response: httpx.Response, status: int) -> dict[str, Any]:
    assert response.status_code == status, f"{response.request.method} {response.request.url.path}: {response.text}"
    document: dict[str, Any] = response.json()
    return document
