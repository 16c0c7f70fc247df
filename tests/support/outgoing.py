"""What is on its way to members of a deployed stack, as its own table and queues have it.

Facts for tests to wait for where nothing more is to come, instead of some seconds in which nothing came.
"""

from datetime import datetime, timedelta

from library_common.clock import SystemClock, to_rfc3339
from library_common.dynamodb import Expression, Table
from localstack.embedded.stack import LocalStack
from notifications_service.adapters.deliveries import to_delivery
from notifications_service.adapters.dynamodb import AT, delivery_key, delivery_prefix, member
from notifications_service.domain.deliveries import Delivery, State
from notifications_service.domain.kinds import Channel
from tests.support.consumer_queues import BY_NAME, SENDER, ConsumerQueue
from tests.support.invariants import everything

OPEN = {State.PENDING, State.SENDING}


class Outgoing:
    """The notifications of one stack."""

    def __init__(self, stack: LocalStack) -> None:
        self._stack = stack
        self._table = Table(stack.tables["notifications"], lambda: stack.client("dynamodb"))
        self._queues = [ConsumerQueue(stack, BY_NAME["notifications"]), ConsumerQueue(stack, SENDER)]

    def deliveries(self, user_id: str) -> list[Delivery]:
        """All e-mails to a member that were ever planned, whatever became of them."""
        found = self._table.query_all(
            Expression(
                "#pk = :pk AND begins_with(#sk, :prefix)",
                {"pk": "pk", "sk": "sk"},
                {"pk": member(user_id), "prefix": delivery_prefix(Channel.EMAIL)},
            ),
            consistent=True,
        )
        return [to_delivery(item) for item in found]

    def is_over(self, *user_ids: str) -> bool:
        """Whether no function has, or will have, anything to do with what these members are to be told.

        Of what lies on the bus still, nobody knows here: first wait until it is in their lists.
        """
        return not any(queue.waiting() for queue in self._queues) and not any(
            delivery.state in OPEN for user_id in user_ids for delivery in self.deliveries(user_id)
        )

    def is_anything_due(self) -> bool:
        """Whether any member is to be written to within a minute, or a function has anything to do about it."""
        soon = to_rfc3339(SystemClock().now() + timedelta(minutes=1))
        return any(queue.waiting() for queue in self._queues) or any(
            item["state"] in OPEN and item["send_at"] <= soon
            for item in everything(self._stack, "notifications")
            if item["sk"].startswith(delivery_prefix(Channel.EMAIL))
        )

    def bring_forward(self, delivery: Delivery, moment: datetime) -> None:
        """As if the time until this one is sent had passed."""
        self._table.update(
            delivery_key(delivery.user_id, delivery.channel, delivery.notice_id),
            Expression(
                "SET #not_before = :at, #send_at = :at, #at = :at",
                {"not_before": "not_before", "send_at": "send_at", "at": AT},
                {"at": to_rfc3339(moment)},
            ),
            Expression("#state = :pending", {"state": "state"}, {"pending": State.PENDING.value}),
        )
