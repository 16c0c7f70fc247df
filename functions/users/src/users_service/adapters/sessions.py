"""Sessions in the users table. A session begins and continues only if its account is as it was read.

| item | pk | sk | what else | size |
|---|---|---|---|---|
| session | `SESSION#<id>` | `SESSION` | attributes below | 0.5 KB |

Attributes: `user_id, secret_hash, generation, epoch, created_at, used_at, expires_at_epoch` and, once it has ended
early, `ended_at, ended_by`. The id is 128 random bits.

| access pattern | how | units |
|---|---|---|
| one session by id | GetItem, consistent | 1 read |
| begin | transaction: session (absent), account (of the version read) | 4 write |
| rotate | transaction: session (this token current, not ended), account (of the version read) | 4 write |
| end | UpdateItem: session (this member's, not ended) | 1 write |

A login takes three reads and four write units, a refresh two reads and four. No query lists the sessions of an account:
a new session epoch of the account ends all of them, in one write.

Hot keys: none; sessions spread over their ids, and each is used a few times an hour. Retention: TTL on
`expires_at_epoch` removes a session after its end, also if it ended early. TTL may be days late, so the time counts,
not whether the item is there.
"""

from datetime import UTC, datetime

from library_common.clock import from_rfc3339, to_rfc3339
from library_common.dynamodb import ABSENT, ConditionFailed, Expression, Item, Put, Table, Update
from library_common.versions import VersionConflict
from users_service.adapters.account_items import still_as_read
from users_service.domain.model import Member
from users_service.domain.sessions import EndedBy, Session


class DynamoSessions:
    """`Sessions` on the accounts' table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def get(self, session_id: str) -> Session | None:
        item = self._table.get(_key(session_id))
        return _session(session_id, item) if item is not None else None

    def begin(self, session: Session, *, member: Member) -> None:
        try:
            self._table.transact([Put(_item(session), ABSENT), still_as_read(member)])
        except ConditionFailed as exc:
            if exc.index == 1:
                raise VersionConflict from exc
            raise

    def rotate(self, session: Session, *, before: Session, member: Member) -> None:
        update = Expression(
            "SET #hash = :hash, #generation = :generation, #used_at = :used_at",
            names={"hash": "secret_hash", "generation": "generation", "used_at": "used_at"},
            values={
                "hash": session.secret_hash,
                "generation": session.generation,
                "used_at": to_rfc3339(session.used_at),
            },
        )
        current = Expression(
            "#hash = :presented AND attribute_not_exists(#ended_at)",
            names={"hash": "secret_hash", "ended_at": "ended_at"},
            values={"presented": before.secret_hash},
        )
        try:
            self._table.transact([Update(_key(session.id), update, current), still_as_read(member)])
        except ConditionFailed as exc:
            raise VersionConflict from exc

    def end(self, session_id: str, user_id: str, *, by: EndedBy, at: datetime) -> None:
        update = Expression(
            "SET #ended_at = :at, #ended_by = :by",
            names={"ended_at": "ended_at", "ended_by": "ended_by"},
            values={"at": to_rfc3339(at), "by": by},
        )
        lasting = Expression(
            "#user_id = :user_id AND attribute_not_exists(#ended_at)",
            names={"user_id": "user_id", "ended_at": "ended_at"},
            values={"user_id": user_id},
        )
        try:
            self._table.update(_key(session_id), update, lasting)
        except ConditionFailed:
            return  # ended before, somebody else's, or not there: in any case it is not in use


def _key(session_id: str) -> dict[str, str]:
    return {"pk": f"SESSION#{session_id}", "sk": "SESSION"}


def _item(session: Session) -> Item:
    return {
        **_key(session.id),
        "user_id": session.user_id,
        "secret_hash": session.secret_hash,
        "generation": session.generation,
        "epoch": session.epoch,
        "created_at": to_rfc3339(session.created_at),
        "used_at": to_rfc3339(session.used_at),
        "expires_at_epoch": int(session.expires_at.timestamp()),
        "ended_at": to_rfc3339(session.ended_at) if session.ended_at is not None else None,
        "ended_by": session.ended_by,
    }


def _session(session_id: str, item: Item) -> Session:
    return Session(
        id=session_id,
        user_id=item["user_id"],
        secret_hash=item["secret_hash"],
        generation=item["generation"],
        epoch=item["epoch"],
        created_at=from_rfc3339(item["created_at"]),
        used_at=from_rfc3339(item["used_at"]),
        expires_at=datetime.fromtimestamp(item["expires_at_epoch"], UTC),
        ended_at=from_rfc3339(item["ended_at"]) if "ended_at" in item else None,
        ended_by=item.get("ended_by"),
    )
