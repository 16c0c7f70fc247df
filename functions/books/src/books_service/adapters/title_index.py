"""Reads the search index: titles that have all of some terms, in order, with limited work.

Every term has its own sorted list of entries. The intersection is found with a leapfrog join (Veldhuizen,
"Leapfrog Triejoin", ICDT 2014, for one attribute): the list that is furthest ahead says where the others
jump to. A jump within the entries in memory is free; one beyond them is a query.
"""

from collections import deque
from collections.abc import Sequence

from books_service.application.ports import Position
from library_common.dynamodb import Expression, Table

MAX_QUERIES = 25
"""Per request. With a first page of 100 entries each that is at most about 75 read units."""

_ENTRIES_PER_QUERY = 100


class _QueryLimitReached(Exception):
    """The request has made all the queries it may."""


class Intersection:
    """The sort keys that all terms have in common, from a position on.

    Each call of `next` returns one. Afterwards `position` is where to go on, whether the last call found a key, came
    to the end (`ended`) or reached the query limit (`stopped`).
    """

    def __init__(
        self, table: Table, terms: Sequence[str], *, start: Position | None, descending: bool, first: int
    ) -> None:
        self.position = start
        self.stopped = False
        self.ended = False
        self._descending = descending
        # A single list is read only as far as needed at first; of several, most entries are skipped.
        size = first if len(terms) == 1 else _ENTRIES_PER_QUERY
        self._queries_left = MAX_QUERIES
        self._lists = [_Entries(self, table, term, size) for term in terms]

    def next(self) -> str | None:
        """The next key, or None at the end or when `stopped`."""
        try:
            key = self._agree()
        except _QueryLimitReached:
            self.stopped = True
            return None
        if key is None:
            self.ended = True
        else:
            self.position = Position(key, past=True)
        return key

    def _agree(self) -> str | None:
        agreeing, turn = 0, 0
        candidate: str | None = None
        while agreeing < len(self._lists):
            key = self._lists[turn % len(self._lists)].seek(self.position)
            if key is None:
                return None
            if key == candidate:
                agreeing += 1
            else:
                candidate, agreeing = key, 1
                self.position = Position(key, past=False)
            turn += 1
        return candidate

    def is_before(self, key: str, position: Position | None) -> bool:
        """Whether an entry lies before a position, in the direction of reading."""
        if position is None:
            return False
        if key == position.key:
            return position.past
        return key > position.key if self._descending else key < position.key

    def query(self, table: Table, term: str, position: Position | None, size: int) -> tuple[list[str], bool]:
        """Up to `size` entries from a position on, and whether there are more. Raises _QueryLimitReached."""
        if self._queries_left == 0:
            raise _QueryLimitReached
        self._queries_left -= 1
        condition = Expression("#pk = :pk", names={"pk": "pk"}, values={"pk": f"TERM#{term}"})
        if position is not None:
            comparison = ("<" if self._descending else ">") + ("" if position.past else "=")
            condition = Expression(
                f"#pk = :pk AND #sk {comparison} :sk",
                names={"pk": "pk", "sk": "sk"},
                values={"pk": f"TERM#{term}", "sk": position.key},
            )
        items, more = table.query(condition, limit=size, forward=not self._descending, consistent=True)
        return [item["sk"] for item in items], more is not None


class _Entries:
    """One term's list, part of which is in memory."""

    def __init__(self, intersection: Intersection, table: Table, term: str, size: int) -> None:
        self._intersection = intersection
        self._table = table
        self._term = term
        self._size = size
        self._keys: deque[str] = deque()
        self._more = True

    def seek(self, position: Position | None) -> str | None:
        """The first key at or after a position, None when there is none. Positions only ever advance."""
        while True:
            while self._keys and self._intersection.is_before(self._keys[0], position):
                self._keys.popleft()
            if self._keys:
                return self._keys[0]
            if not self._more:
                return None
            keys, self._more = self._intersection.query(self._table, self._term, position, self._size)
            self._keys.extend(keys)
            self._size = _ENTRIES_PER_QUERY
