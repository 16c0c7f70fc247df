"""Whose tokens are no longer accepted: stored in the gateway's table, checked without a call per request.

A token carries the account's session epoch at login. Ending all sessions of an account begins a new epoch. This table
stores the first epoch whose tokens are good, for as long as older tokens could be valid.

Item: pk `REVOKED`, sk the user id, `epoch`, `expires_at_epoch` (the table's time to live). One partition,
written once per suspension, change of role or password, or erasure, and read whole by every warm authorizer
process four times a minute: half a read unit while it holds less than 4 KB, some forty members at a time.

From the revocation to the last request that an old token gets through, at the most:

    event         stream, publisher, bus, queue, consumer: a second or two, 10 s on a bad day
  + view          VIEW_SECONDS                              15 s
  + API Gateway   ReauthorizeEvery in the template          30 s
                                                         =  55 s
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from library_common.clock import Clock
from library_common.dynamodb import ConditionFailed, Expression, Table
from library_common.telemetry import emit_metric, logger
from library_common.tokens import ACCESS_LIFETIME, VerifiedToken
from library_common.ttl_cache import TtlCache

VIEW_SECONDS = 15.0
RETENTION = ACCESS_LIFETIME + timedelta(minutes=5)
"""A token's lifetime, and some minutes for clocks and for logins in progress."""

_PARTITION = "REVOKED"
_ATTEMPTS = 2
"""One retry, so that a brief failure does no harm. Two time-outs of two seconds are all a request can wait for."""


@dataclass(frozen=True)
class RevokedEpochs:
    """The writing side. `table` is the gateway's."""

    table: Table
    clock: Clock

    def revoke_before(self, user_id: str, epoch: int) -> bool:
        """From now on only tokens of this epoch or a later one are good. False when that was known already.

        Calls may be repeated and come in any order: the highest epoch stays.
        """
        expires = int((self.clock.now() + RETENTION).timestamp())
        newer = Expression(
            "attribute_not_exists(#pk) OR #epoch < :epoch", {"pk": "pk", "epoch": "epoch"}, {"epoch": epoch}
        )
        try:
            self.table.put({"pk": _PARTITION, "sk": user_id, "epoch": epoch, "expires_at_epoch": expires}, newer)
        except ConditionFailed:
            return False
        return True


class RevocationView:
    """The reading side: the table's content, at most VIEW_SECONDS old while the table answers.

    While it does not answer, the last view is used without limit, and every failure is counted (`RevocationsUnread`,
    with an alarm). Somebody suspended meanwhile may go on until their token expires, at most a quarter of an hour.
    Refusing everybody because of one table would be worse, and a checkout asks users for the membership anyway.

    The request that finds the view too old waits for a new one. A background refresh would not run while the Lambda
    process is frozen.
    """

    def __init__(
        self, table: Table, *, seconds: float = VIEW_SECONDS, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._table = table
        self._last: Mapping[str, int] = {}
        self._view = TtlCache(self._read, seconds=seconds, monotonic=monotonic)

    def revokes(self, token: VerifiedToken) -> bool:
        """Whether this token, good otherwise, was revoked."""
        return token.kind == "person" and token.epoch < self._view.get().get(token.subject, 0)

    def _read(self) -> Mapping[str, int]:
        whole = Expression("#pk = :pk", names={"pk": "pk"}, values={"pk": _PARTITION})
        for _ in range(_ATTEMPTS):
            try:
                self._last = {item["sk"]: item["epoch"] for item in self._table.query_all(whole)}
                break
            except Exception as failure:  # noqa: BLE001 - whatever it was, the last view is used
                logger().warning("revocations unread", extra={"failure": type(failure).__name__})
        else:
            emit_metric("RevocationsUnread", service="gateway")
        return self._last
