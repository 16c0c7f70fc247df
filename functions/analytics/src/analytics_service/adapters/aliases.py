"""The aliases of members, one item each.

Everything analytics stores about a member is stored under an alias, a random id that is used nowhere else. Only this
item says whose alias it is. Erasing a member is one write: the item loses the alias and is marked as erased, so that
events which arrive later are counted for nobody. What was counted stays, and belongs to nobody.
"""

from collections.abc import Callable, Collection

from library_common.dynamodb import ABSENT, ConditionFailed, Expression, Item, Table
from library_common.ids import new_id

_NOT_ERASED = Expression("attribute_not_exists(#pk) OR attribute_exists(#alias)", {"pk": "pk", "alias": "alias"})


class DynamoAliases:
    """Implements `application.ports.MemberAliases`."""

    def __init__(self, table: Table, *, ids: Callable[[], str] = new_id) -> None:
        self._table = table
        self._ids = ids

    def of_members(self, user_ids: Collection[str]) -> dict[str, str | None]:
        items = {item["pk"]: item for item in self._table.get_many([_key(user_id) for user_id in user_ids])}
        return {user_id: _alias(items.get(_key(user_id)["pk"]) or self._new(user_id)) for user_id in user_ids}

    def of_member(self, user_id: str) -> str | None:
        item = self._table.get(_key(user_id))
        return _alias(item) if item else None

    def erase(self, user_id: str) -> bool:
        try:
            # The one write that replaces a whole item: what a newer version stored of the person is erased, too.
            self._table.put({**_key(user_id), "erased": True}, _NOT_ERASED)
        except ConditionFailed:
            return False
        return True

    def _new(self, user_id: str) -> Item:
        item: Item = {**_key(user_id), "alias": self._ids()}
        try:
            self._table.put(item, ABSENT)
        except ConditionFailed as failed:
            # Another process gave an alias, or erased the member, meanwhile.
            return failed.item or {}
        return item


def _alias(item: Item) -> str | None:
    alias: str | None = item.get("alias")
    return alias


def _key(user_id: str) -> dict[str, str]:
    return {"pk": f"PERSON#{user_id}", "sk": "PERSON"}
