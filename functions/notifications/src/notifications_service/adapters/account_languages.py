"""What language members' accounts say, in the notifications table.

`MEMBER#<user id>` / `LANGUAGE`
    `language`, as the account said when something was sent last; absent for accounts that say none, and for members who
    were never sent anything. About 80 bytes. Read with one GetItem; written by senders only when the account says
    another, on what was there before, in one transaction with a check of `ERASED`. It lives as long as the member.
"""

from library_common.dynamodb import ABSENT, Check, ConditionFailed, Expression, Put, Table, TransactionBusy
from notifications_service.adapters.items import erased_key, member

_SORT_KEY = "LANGUAGE"


class DynamoAccountLanguages:
    """Implements `application.ports.AccountLanguages`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def of(self, user_id: str) -> str | None:
        item = self._table.get(_key(user_id))
        return str(item["language"]) if item is not None else None

    def note(self, user_id: str, was: str | None, language: str | None) -> None:
        as_it_was = ABSENT if was is None else Expression("#was = :was", {"was": "language"}, {"was": was})
        try:
            if language is None:
                self._table.delete(_key(user_id), as_it_was)
            else:
                noted = Put({**_key(user_id), "language": language}, as_it_was)
                self._table.transact([Check(erased_key(user_id), ABSENT), noted])
        except (ConditionFailed, TransactionBusy):
            # Erased, or noted by another sender, who may know better; if not, the next message does. Not worth
            # keeping this one back.
            return


def _key(user_id: str) -> dict[str, str]:
    return {"pk": member(user_id), "sk": _SORT_KEY}
