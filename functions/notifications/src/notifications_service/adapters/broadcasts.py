"""Announcements in the notifications table. Keys: adapters/dynamodb.py."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from library_common.dynamodb import ABSENT, ConditionFailed, Expression, Put, Table, Write
from library_common.idempotency import Ticket
from notifications_service.adapters.items import broadcast_item, broadcast_key, to_broadcast
from notifications_service.application.ports import Stale
from notifications_service.domain.broadcasts import Broadcast

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class DynamoBroadcasts:
    """Implements `application.ports.Broadcasts`."""

    def __init__(self, table_name: str, client: "Callable[[], DynamoDBClient]") -> None:
        self._table = Table(table_name, client)

    def create(self, broadcast: Broadcast, ticket: Ticket | None, now: datetime) -> tuple[str, bool]:
        writes: list[Write] = [Put(broadcast_item(broadcast, broadcast.send_at, now), ABSENT)]
        if ticket is not None:
            writes.append(ticket.record(json.dumps({"id": broadcast.id}), now))
        try:
            self._table.transact(writes)
        except ConditionFailed as failed:
            earlier = ticket.stored_answer(failed.item, now) if ticket is not None and failed.index == 1 else None
            if earlier is None:
                raise
            return str(json.loads(earlier)["id"]), True
        return broadcast.id, False

    def asked_before(self, ticket: Ticket, now: datetime) -> str | None:
        earlier = ticket.stored_answer(self._table.get(ticket.key()), now)
        return str(json.loads(earlier)["id"]) if earlier is not None else None

    def get(self, broadcast_id: str) -> Broadcast | None:
        item = self._table.get(broadcast_key(broadcast_id))
        return to_broadcast(item) if item is not None else None

    def advance(self, was: Broadcast, broadcast: Broadcast, look_again: datetime | None, now: datetime) -> None:
        as_it_was = Expression("#turn = :turn", {"turn": "turn"}, {"turn": was.turn})
        try:
            self._table.put(broadcast_item(broadcast, look_again, now), as_it_was)
        except ConditionFailed as failed:
            raise Stale from failed
