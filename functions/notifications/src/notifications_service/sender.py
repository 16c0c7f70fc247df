"""The sender: messages that are due, reminders whose time has come, announcements to work through."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from library_common.consumers import Consumer, Queue
from notifications_service import bootstrap
from notifications_service.adapters.outgoing_queue import read_task
from notifications_service.application.announcing import TellEverybody
from notifications_service.application.delivering import Delivering
from notifications_service.application.ports import Due, DueBroadcast, DueDelivery, DueReminder
from notifications_service.application.reminding import Remind


@dataclass(frozen=True)
class Work:
    """What the sender can do."""

    send: Delivering
    remind: Remind
    tell_everybody: TellEverybody

    def __call__(self, task: Due) -> str:
        match task:
            case DueDelivery(user_id=user_id, channel=channel):
                return self.send(user_id, channel)
            case DueReminder(user_id=user_id, reminder_id=reminder_id):
                return self.remind(user_id, reminder_id)
            case DueBroadcast(broadcast_id=broadcast_id):
                return self.tell_everybody(broadcast_id)


def sender(work: Callable[[], Work], queue: Queue) -> Consumer[Due]:
    """Hands every task to `work`."""

    def handle(task: Due) -> str:
        # Built with the first task, so that what fails in building fails a message and not the whole batch.
        return work()(task)

    return Consumer("sender", service="notifications", queue=queue, read=read_task, handle=handle)


@cache
def _work() -> Work:
    return Work(bootstrap.sending(), bootstrap.remind(), bootstrap.tell_everybody())


@cache
def _sender() -> Consumer[Due]:
    return sender(_work, bootstrap.own_queue())


def handler(event: Mapping[str, Any], context: object) -> Any:
    """Lambda entry for SQS batches; answers which messages failed and are to come again."""
    return _sender()(event, context)
