"""Who is behind which alias, in items of their own.

Everything analytics knows of a member lies under an alias, a random id that is used nowhere else. Which alias is whose
stands in one item, and erasing a member is one write to it: the alias goes, and a mark stays that sends whatever comes
late to nobody. What was counted stays, under the name of nobody any more; nothing has to be moved.
"""

from collections.abc import Callable, Collection

from library_common.dynamodb import ABSENT, ConditionFailed, Expression, Item, Table
from library_common.ids import new_id

_NOT_ERASED = Expression("attribute_not_exists(#pk) OR attribute_exists(#alias)", {"pk": "pk", "alias": "alias"})


class DynamoPeople:
    """Implements `application.ports.People`."""

    def __init__(self, table: Table, *, ids: Callable[[], str] = new_id) -> None:
        self._table = table
        self._ids = ids

    def aliases(self, user_ids: Collection[str]) -> dict[str, str | None]:
        items = {item["pk"]: item for item in self._table.get_many([_key(user_id) for user_id in user_ids])}
        return {user_id: _alias(items.get(_key(user_id)["pk"]) or self._named(user_id)) for user_id in user_ids}

    def alias(self, user_id: str) -> str | None:
        item = self._table.get(_key(user_id))
        return _alias(item) if item else None

    def erase(self, user_id: str) -> bool:
        try:
            self._table.put({**_key(user_id), "erased": True}, _NOT_ERASED)
        except ConditionFailed:
            return False
        return True

    def _named(self, user_id: str) -> Item:
        item: Item = {**_key(user_id), "alias": self._ids()}
        try:
            self._table.put(item, ABSENT)
        except ConditionFailed as failed:
            # Named, or erased, meanwhile.
            return failed.item or {}
        return item


def _alias(item: Item) -> str | None:
    alias: str | None = item.get("alias")
    return alias


def _key(user_id: str) -> dict[str, str]:
    return {"pk": f"PERSON#{user_id}", "sk": "PERSON"}
