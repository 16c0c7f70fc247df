"""The sender: due messages, reminders and announcements."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from library_common.consumers import Consumer, Queue
from library_common.lambda_handler import lambda_handler
from notifications_service import bootstrap
from notifications_service.adapters.task_queue import read_task
from notifications_service.application.announcements import DeliverAnnouncement
from notifications_service.application.ports import Due, DueAnnouncement, DueDelivery, DueReminder
from notifications_service.application.reminders import FireReminder
from notifications_service.application.sending import SendDue


@dataclass(frozen=True)
class Work:
    """What the sender can do."""

    send: SendDue
    fire_reminder: FireReminder
    deliver_announcement: DeliverAnnouncement

    def __call__(self, task: Due) -> str:
        match task:
            case DueDelivery(user_id=user_id, channel=channel):
                return self.send(user_id, channel)
            case DueReminder(user_id=user_id, reminder_id=reminder_id):
                return self.fire_reminder(user_id, reminder_id)
            case DueAnnouncement(announcement_id=announcement_id):
                return self.deliver_announcement(announcement_id)


def sender(work: Callable[[], Work], queue: Queue) -> Consumer[Due]:
    """Hands every task to `work`."""

    def handle(task: Due) -> str:
        # Built with the first task, so that a failure in building fails a message and not the whole batch.
        return work()(task)

    return Consumer("sender", service="notifications", queue=queue, read=read_task, handle=handle)


@cache
def _work() -> Work:
    return Work(bootstrap.send_due(), bootstrap.fire_reminder(), bootstrap.deliver_announcement())


@lambda_handler
def handler() -> Consumer[Due]:
    """Lambda entry for SQS batches; answers which messages failed and are to come again."""
    return sender(_work, bootstrap.own_queue())
