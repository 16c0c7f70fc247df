"""Lists the titles that match some criteria, page by page."""

from collections.abc import Mapping

from books_service.application.criteria import MAX_SORT_KEY, MIN_SORT_KEY, Criteria
from books_service.application.ports import Catalogue, Position
from books_service.domain.book import Book
from library_common.problems import FieldError, InvalidRequest


class TitleSearch:
    """Lists titles."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def find(
        self, criteria: Criteria, *, limit: int, position: Mapping[str, object] | None
    ) -> tuple[list[Book], dict[str, str | int] | None]:
        """One page, and where the next one starts (None at the end).

        The work per request is limited: a page may be short, even empty, and still have a next one.
        Raises InvalidRequest for a position that this service did not make.
        """
        start = _position(position)
        if criteria.impossible:
            return [], None
        books, following = self._catalogue.find(criteria, limit=limit, start=start)
        if following is None:
            return books, None
        return books, {"key": following.key, "past": int(following.past)}


def _position(raw: Mapping[str, object] | None) -> Position | None:
    if raw is None:
        return None
    key, past = raw.get("key"), raw.get("past")
    # Cursors are not signed, so a client may send anything.
    if not isinstance(key, str) or not MIN_SORT_KEY <= len(key) <= MAX_SORT_KEY or past not in {0, 1}:
        raise bad_cursor()
    if any("\ud800" <= char <= "\udfff" for char in key):
        raise bad_cursor()
    return Position(key, past=past == 1)


def bad_cursor() -> InvalidRequest:
    return InvalidRequest(
        "The cursor does not belong to this query.", errors=[FieldError("cursor", "not a cursor of this query")]
    )
