"""Idempotency keys for requests that create something.

The answer is stored in the same transaction as the effect, so a repeated request finds both or neither. The
record belongs to one caller and route. It holds the answer and a keyed digest of the request, and expires
after a day. The client's key itself is not stored.
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
    """One request with an idempotency key: the key of its record and the digest of its body."""

    record_key: str
    request_digest: str

    @classmethod
    def of(cls, caller: Caller, route: str, key: str | None, body_json: str) -> "Ticket | None":
        """Returns None when the client sent no key."""
        if key is None:
            return None
        place = hashlib.sha256("\x1f".join((caller.actor, route, key)).encode()).hexdigest()
        # Keyed with the client's key, which is not stored: nobody can guess a password in the body from the digest.
        digest = hmac.new(key.encode(), body_json.encode(), hashlib.sha256).hexdigest()
        return cls(record_key=f"IDEMPOTENT#{place}", request_digest=digest)

    def require_same_request(self, stored_digest: str) -> None:
        """Raises IdempotencyKeyReused (422) when the key was used with another body before."""
        if not hmac.compare_digest(stored_digest, self.request_digest):
            raise IdempotencyKeyReused("This Idempotency-Key was used with a different request.")

    def record(self, answer_json: str, now: datetime) -> Put:
        """The write to add to the transaction of the effect."""
        return Put(
            {
                **self.key(),
                "digest": self.request_digest,
                "answer": answer_json,
                "expires_at_epoch": int((now + LIFETIME).timestamp()),
            },
            # TTL deletes late, up to two days on AWS: an expired record may be overwritten.
            Expression(
                "attribute_not_exists(#pk) OR #exp < :now",
                names={"pk": "pk", "exp": "expires_at_epoch"},
                values={"now": int(now.timestamp())},
            ),
        )

    def key(self) -> dict[str, str]:
        return {"pk": self.record_key, "sk": "IDEMPOTENT"}

    def stored_answer(self, item: Item | None, now: datetime) -> str | None:
        """The answer in a record; None when there is no record or it expired. Raises IdempotencyKeyReused."""
        if item is None or item["expires_at_epoch"] < int(now.timestamp()):
            return None
        self.require_same_request(item["digest"])
        answer: str = item["answer"]
        return answer
