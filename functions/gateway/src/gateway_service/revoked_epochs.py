"""Whose tokens are not to be accepted any more: kept in the gateway's table, and looked up without a call.

Tokens carry the session epoch of the account at login. Ending all of somebody's sessions begins a new epoch;
what is kept here is the first epoch whose tokens are good, for as long as older tokens could live.

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
from datetime import timedelta

from library_common.clock import Clock
from library_common.dynamodb import ConditionFailed, Expression, Table
from library_common.telemetry import count, logger
from library_common.tokens import ACCESS_LIFETIME, VerifiedToken
from library_common.ttl_cache import TtlCache

VIEW_SECONDS = 15.0
KEPT = ACCESS_LIFETIME + timedelta(minutes=5)
"""No access token is older than its lifetime; the rest is for clocks, and for logins that were on their way."""

_PARTITION = "REVOKED"
_ATTEMPTS = 2
"""A failure that passes must not cost the minute; two that do not, of two seconds each, are what a request can bear."""


class RevokedEpochs:
    """The writing side. `table` is the gateway's."""

    def __init__(self, table: Table, clock: Clock) -> None:
        self._table = table
        self._clock = clock

    def revoke_before(self, user_id: str, epoch: int) -> bool:
        """From now on only tokens of this epoch or a later one are good. Answers whether that is news.

        The order and number of calls make no difference: the highest epoch stays.
        """
        item = {
            "pk": _PARTITION,
            "sk": user_id,
            "epoch": epoch,
            "expires_at_epoch": int((self._clock.now() + KEPT).timestamp()),
        }
        newer = Expression(
            "attribute_not_exists(#pk) OR #epoch < :epoch",
            names={"pk": "pk", "epoch": "epoch"},
            values={"epoch": epoch},
        )
        try:
            self._table.put(item, newer)
        except ConditionFailed:
            return False
        return True


class RevocationView:
    """The reading side: what is in the table, at most VIEW_SECONDS old while the table answers.

    While it does not, the last view serves on, without limit, and every failure is counted
    (`RevocationsUnread`, with an alarm): somebody who was suspended meanwhile may go on until their token
    ends by itself, at most a quarter of an hour. The other way round nobody could do anything because one
    table cannot be read; and what matters, lending, asks users for the membership anyway.

    The request that finds the view too old waits for the new one: a frozen Lambda process does nothing in
    the background, so a view fetched there would be as old as the process has been idle.
    """

    def __init__(self, table: Table, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._table = table
        self._last: Mapping[str, int] = {}
        self._view = TtlCache(self._read, seconds=VIEW_SECONDS, monotonic=monotonic)

    def revokes(self, token: VerifiedToken) -> bool:
        """Whether this good token is not to be accepted all the same."""
        return token.kind == "person" and token.epoch < self._view.get().get(token.subject, 0)

    def _read(self) -> Mapping[str, int]:
        whole = Expression("#pk = :pk", names={"pk": "pk"}, values={"pk": _PARTITION})
        for _ in range(_ATTEMPTS):
            try:
                self._last = {item["sk"]: item["epoch"] for item in self._table.query_all(whole)}
                break
            except Exception as failure:  # noqa: BLE001 - whatever it was, see above
                logger().warning("revocations unread", extra={"failure": type(failure).__name__})
        else:
            count("RevocationsUnread")
        return self._last
