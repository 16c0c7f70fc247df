"""One-time codes in the users table.

| item | pk | sk | attributes |
|---|---|---|---|
| code | `USER#<id>` | `CODE#<purpose>` | `code_hash` (bcrypt; absent once used), `request_id`, `channel`, `sent_to`, `tries`, `sent`, `expires_at_epoch` |

One item per account and purpose: a new code replaces the one before. A used code stays without its hash, so that a
second delivery of its request is not answered again. TTL on `expires_at_epoch` deletes up to two days late, so the time
counts, not whether the item is there. `sent_to` is an address or a number and is deleted with the rest.

| access pattern | how | units |
|---|---|---|
| keep a code | TransactWriteItems: code (unless a newer request's or this one's sent code is there), account (of the version read) | 4 write |
| count a try | UpdateItem, as long as there is one left; the answer is the code | 1 write |
| use it up | TransactWriteItems: code, account (of the version read), credentials | 2 write each, index 1 |
| use it up without a change | the same transaction with the code alone | 2 write |

Guessing: one conditional write counts the try and checks that one is left, so simultaneous guesses are at most `TRIES`
together. Hot keys: none; the item of one account.
"""  # noqa: E501 - a table's row is one line

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from library_common.clock import to_rfc3339
from library_common.dynamodb import ConditionFailed, Expression, Table, Update, Write
from library_common.events import Envelope
from library_common.versions import VersionConflict
from users_service.adapters.account_items import account_change, credentials, credentials_key, setting, still_as_read
from users_service.application.ports import CodeSpent, Superseded
from users_service.domain.codes import TRIES, Code, Purpose
from users_service.domain.model import Member


class DynamoCodes:
    """`Codes` on the table of the members."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def keep(self, code: Code, member: Member) -> None:
        stored = {
            "code_hash": code.code_hash,
            "request_id": code.request_id,
            "channel": str(code.channel),
            "sent_to": code.sent_to,
            "tries": code.tries,
            "sent": False,
            "expires_at_epoch": int(code.expires_at.timestamp()),
        }
        write = setting(([name], value) for name, value in stored.items())
        # ULIDs compare as text in the order they were made.
        not_answered = Expression(
            "attribute_not_exists(#pk) OR #request_id < :mine OR (#request_id = :mine AND #sent = :no)",
            names={"pk": "pk", "request_id": "request_id", "sent": "sent"},
            values={"mine": code.request_id, "no": False},
        )
        try:
            self._table.transact([Update(_key(code.user_id, code.purpose), write, not_answered), still_as_read(member)])
        except ConditionFailed as exc:
            raise (Superseded if exc.index == 0 else VersionConflict) from exc

    def mark_sent(self, code: Code) -> None:
        answered = Expression("SET #sent = :yes", names={"sent": "sent"}, values={"yes": True})
        mine = Expression("#request_id = :mine", names={"request_id": "request_id"}, values={"mine": code.request_id})
        try:
            self._table.update(_key(code.user_id, code.purpose), answered, mine)
        except ConditionFailed:
            return

    def count_try(self, user_id: str, purpose: Purpose, now: datetime) -> Code | None:
        counted = Expression("SET #tries = #tries + :one", names={"tries": "tries"}, values={"one": 1})
        can_be_right = Expression(
            "attribute_exists(#code_hash) AND #tries < :all AND #expires > :now",
            names={"code_hash": "code_hash", "tries": "tries", "expires": "expires_at_epoch"},
            values={"all": TRIES, "now": int(now.timestamp())},
        )
        try:
            item = self._table.update(_key(user_id, purpose), counted, can_be_right)
        except ConditionFailed:
            return None
        return _code(user_id, purpose, item)

    def spend(
        self,
        code: Code,
        member: Member,
        *,
        before: Member,
        password_hash: str | None,
        happened: Sequence[Envelope],
        now: datetime,
    ) -> None:
        # Every hash has its own salt: equal hashes are the same code.
        used = Update(
            _key(code.user_id, code.purpose),
            Expression("REMOVE #code_hash", names={"code_hash": "code_hash"}),
            Expression("#code_hash = :mine", names={"code_hash": "code_hash"}, values={"mine": code.code_hash}),
        )
        writes: list[Write] = [used]
        if member != before:
            writes.append(account_change(member, before, happened))
        if password_hash is not None:
            # The account's version already keeps others out, because every new password changes the account. The
            # condition makes sure once more that no newer password is replaced.
            not_newer = Expression(
                "attribute_not_exists(#changed_at) OR #changed_at <= :now",
                names={"changed_at": "changed_at"},
                values={"now": to_rfc3339(now)},
            )
            new = setting(([name], value) for name, value in credentials(password_hash, now).items())
            writes.append(Update(credentials_key(member.id), new, not_newer))
        try:
            self._table.transact(writes)
        except ConditionFailed as exc:
            raise (CodeSpent if exc.index == 0 else VersionConflict) from exc


def _key(user_id: str, purpose: Purpose) -> dict[str, str]:
    return {"pk": f"USER#{user_id}", "sk": f"CODE#{purpose.value}"}


def _code(user_id: str, purpose: Purpose, item: Mapping[str, Any]) -> Code:
    return Code(
        user_id=user_id,
        purpose=purpose,
        code_hash=item["code_hash"],
        request_id=item["request_id"],
        channel=item["channel"],
        sent_to=item["sent_to"],
        expires_at=datetime.fromtimestamp(item["expires_at_epoch"], UTC),
        tries=item["tries"],
    )
