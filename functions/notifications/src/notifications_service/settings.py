"""Environment of the notifications functions."""

from datetime import timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from library_common.settings import ConsumerSettings
from library_common.text import Line
from notifications_service.domain.locales import find_zone
from notifications_service.domain.reminders import ReminderSchedule


class NotificationsSettings(ConsumerSettings):
    """outgoing_queue_url: the sender's queue. mail_from: the sender of e-mails, verified with SES.

    due_soon_days, overdue_days: when members are reminded of a loan, before and after its due date.
    visit_seconds: how long a routine notice waits for others of the same visit.
    retry_base_seconds: the pause after a first failure to send. library_name: in messages.
    library_time_zone: whose days and hours count. default_language: of members who chose none.
    push_application: ARN of the SNS platform application, or empty.
    """

    outgoing_queue_url: str = ""
    mail_from: str = "library@example.org"
    # One line: it stands in subjects.
    library_name: Annotated[Line, Field(min_length=1, max_length=60)] = "Smart Library"
    library_time_zone: str = "UTC"
    default_language: str = "en"
    due_soon_days: Annotated[int, Field(ge=0, le=60)] = 2
    overdue_days: Annotated[tuple[int, ...], NoDecode] = (1, 7, 14)
    visit_seconds: Annotated[int, Field(ge=0, le=900)] = 60
    retry_base_seconds: Annotated[int, Field(ge=1, le=3600)] = 30
    push_application: str = ""

    @field_validator("overdue_days", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        # As CloudFormation joins a list.
        return [part for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @property
    def zone(self) -> ZoneInfo:
        """The library's time zone; UTC when the setting names none."""
        return find_zone(self.library_time_zone) or ZoneInfo("UTC")

    @property
    def reminder_schedule(self) -> ReminderSchedule:
        return ReminderSchedule(self.due_soon_days, self.overdue_days, self.zone)

    @property
    def visit(self) -> timedelta:
        return timedelta(seconds=self.visit_seconds)

    @property
    def first_pause(self) -> timedelta:
        return timedelta(seconds=self.retry_base_seconds)
