"""The language of each member's account, in the notifications table.

`MEMBER#<user id>` / `LANGUAGE`
    `language`, as the account named it when a message was last sent; absent for accounts without one, and for members
    who were never sent anything. About 80 bytes. Read with one GetItem. Senders write it only when the account's
    language changed, on the condition of the former value, in one transaction with a check of `ERASED`.
"""

from library_common.dynamodb import ABSENT, Check, ConditionFailed, Expression, Table, TransactionBusy, Update
from notifications_service.adapters.dynamodb import changes, erased_key, language_key


class DynamoAccountLanguages:
    """Implements `application.ports.AccountLanguages`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def of(self, user_id: str) -> str | None:
        language: str | None = (self._table.get(language_key(user_id)) or {}).get("language")
        return language

    def note(self, user_id: str, was: str | None, language: str | None) -> None:
        name = {"language": "language"}
        unchanged = (
            Expression("attribute_not_exists(#language)", name)
            if was is None
            else Expression("#language = :was", name, {"was": was})
        )
        noted = Update(language_key(user_id), changes({"language": language}), unchanged)
        try:
            self._table.transact([Check(erased_key(user_id), ABSENT), noted])
        except (ConditionFailed, TransactionBusy):
            # Erased, or written by another sender, who may know better; if not, the next message corrects it. Not worth
            # holding this message back.
            return
