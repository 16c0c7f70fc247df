"""Idempotency keys for requests that create: the answer is stored in the same transaction as its effect.

So a repeat finds either both or neither. The record names the caller and the route, holds a keyed
digest of the request (the key itself is not stored) and the answer, and lives for a day.
"""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta

from library_common.access import Caller
from library_common.dynamodb import Expression, Item, Put
from library_common.problems import IdempotencyKeyReused

LIFETIME = timedelta(hours=24)


@dataclass(frozen=True)
class Ticket:
    """One idempotent request: where its record lives, and what it asked for."""

    record_key: str
    request_digest: str

    @classmethod
    def of(cls, caller: Caller, route: str, key: str | None, body_json: str) -> "Ticket | None":
        """None when the client sent no key."""
        if key is None:
            return None
        place = hashlib.sha256("\x1f".join((caller.actor, route, key)).encode()).hexdigest()
        # Keyed with the client's key, which we do not keep: a body with a password in it cannot be
        # guessed from what is stored.
        digest = hmac.new(key.encode(), body_json.encode(), hashlib.sha256).hexdigest()
        return cls(record_key=f"IDEMPOTENT#{place}", request_digest=digest)

    def require_same_request(self, stored_digest: str) -> None:
        """Raises IdempotencyKeyReused (422) when the key came with another body before."""
        if not hmac.compare_digest(stored_digest, self.request_digest):
            raise IdempotencyKeyReused("This Idempotency-Key was used with a different request.")

    def record(self, answer_json: str, now: datetime) -> Put:
        """The write to add to the transaction that has the effect."""
        return Put(
            {
                "pk": self.record_key,
                "sk": "IDEMPOTENT",
                "digest": self.request_digest,
                "answer": answer_json,
                "expires_at_epoch": int((now + LIFETIME).timestamp()),
            },
            # TTL deletes late (up to two days on AWS), so age counts, not presence.
            Expression(
                "attribute_not_exists(#pk) OR #exp < :now",
                names={"pk": "pk", "exp": "expires_at_epoch"},
                values={"now": int(now.timestamp())},
            ),
        )

    def key(self) -> dict[str, str]:
        return {"pk": self.record_key, "sk": "IDEMPOTENT"}

    def stored_answer(self, item: Item | None, now: datetime) -> str | None:
        """The earlier answer in a record, None when there is none or it is too old."""
        if item is None or item["expires_at_epoch"] < int(now.timestamp()):
            return None
        self.require_same_request(item["digest"])
        answer: str = item["answer"]
        return answer
