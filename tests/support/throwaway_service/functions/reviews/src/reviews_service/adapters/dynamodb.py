"""Reviews in DynamoDB: one item for each member and title.

| item | pk | sk | what else |
|---|---|---|---|
| title that a member returned | `USER#<user id>` | `BOOK#<book id>` | `stars` and `events` once it is reviewed |
"""

from library_common.dynamodb import ABSENT, PRESENT, ConditionFailed, Expression, Key, Table
from library_common.events import Envelope, to_outbox
from reviews_service.domain.errors import TitleNotReturned


class DynamoReviews:
    """The store on a table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def stars(self, user_id: str, book_id: str) -> int | None:
        item = self._table.get(_key(user_id, book_id))
        return int(item["stars"]) if item and "stars" in item else None

    def write(self, user_id: str, book_id: str, stars: int, event: Envelope) -> None:
        update = Expression(
            "SET #stars = :stars, #events = :events",
            names={"stars": "stars", "events": "events"},
            values={"stars": stars, "events": to_outbox([event])},
        )
        try:
            self._table.update(_key(user_id, book_id), update, PRESENT)
        except ConditionFailed:
            raise TitleNotReturned from None

    def title_returned(self, user_id: str, book_id: str) -> bool:
        try:
            self._table.put(dict(_key(user_id, book_id)), ABSENT)
        except ConditionFailed:
            return False
        return True


def _key(user_id: str, book_id: str) -> Key:
    return {"pk": f"USER#{user_id}", "sk": f"BOOK#{book_id}"}
