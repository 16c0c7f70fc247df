"""Notifications' use cases on its real table, with other services, providers, the queue, templates and preferences in
memory."""

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from library_common.dynamodb import Table
from library_common.ids import new_id
from notifications_service.adapters.account_languages import DynamoAccountLanguages
from notifications_service.adapters.announcements import DynamoAnnouncements
from notifications_service.adapters.deliveries import DynamoDeliveries, DynamoFailedDeliveries
from notifications_service.adapters.due_tasks import DynamoDueTasks
from notifications_service.adapters.inbox import DynamoInbox
from notifications_service.adapters.notice_plans import DynamoNoticePlans
from notifications_service.adapters.reminders import DynamoReminders
from notifications_service.application.announcements import Announcements, DeliverAnnouncement
from notifications_service.application.circuit_breaker import CircuitBreaker
from notifications_service.application.daily_limits import DailyLimits
from notifications_service.application.delivery_outcomes import DeliveryOutcomes
from notifications_service.application.eligibility import Eligibility
from notifications_service.application.event_handling import EventHandling
from notifications_service.application.failures import Failures
from notifications_service.application.inbox import Inbox
from notifications_service.application.message_sending import MessageSending
from notifications_service.application.planning import Planning
from notifications_service.application.ports import (
    Account,
    Due,
    DueAnnouncement,
    DueDelivery,
    DueReminder,
    InboxEntry,
    Rendered,
    ServiceUnavailable,
)
from notifications_service.application.reminders import FireReminder
from notifications_service.application.sending import SendDue
from notifications_service.application.sweep import Sweep
from notifications_service.domain.kinds import Channel, Kind, Urgency
from notifications_service.domain.notices import EVENT_RULES, MEMBER_ERASED, IncomingEvent
from notifications_service.domain.preferences import DigestRhythm, Preferences
from notifications_service.domain.reminders import ReminderSchedule
from tests.fakes.attempts import FakeAttempts
from tests.fakes.notifications import FakeDevices, FakePreferences, FakePush, FakeTaskQueue
from tests.support.clock import NOON, FixedClock
from tests.support.mortality import Mortal, Mortality

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

NAIROBI = ZoneInfo("Africa/Nairobi")
TABLE = "notifications"


def share_few_buckets(patch: pytest.MonkeyPatch) -> None:
    """What is due lies in two buckets. A sweep asks each of them, and moto is slow: the test of the sweep has all."""
    for module in ("adapters.dynamodb", "application.sweep"):
        patch.setattr(f"notifications_service.{module}.BUCKETS", 2)


class FakeTemplates:
    """`Templates` that shows which notices are in a message. broken: titles that cannot be rendered.

    rendered: the notices, in order.
    """

    def __init__(self) -> None:
        self.broken: set[str] = set()
        self.asked: list[tuple[Channel, str | None]] = []
        self.rendered: list[tuple[Kind, Mapping[str, Any]]] = []
        self.names: list[str] = []

    def render(self, kind: Kind, channel: Channel, language: str | None, data: Mapping[str, Any]) -> Rendered:
        return self.render_many([(kind, data)], channel, language)

    def render_many(
        self, notices: list[tuple[Kind, Mapping[str, Any]]], channel: Channel, language: str | None
    ) -> Rendered:
        self.asked.append((channel, language))
        self.names.append(notices[0][1]["member_name"])
        if any(data.get("title") in self.broken for _, data in notices):
            raise KeyError("a field that is not there")
        self.rendered += notices
        lines = [f"{kind.value} {data.get('title') or data.get('subject') or '-'}" for kind, data in notices]
        return Rendered(subject=lines[0], text="\n".join(lines), html="<p>")


@dataclass
class Services:
    """`Accounts` and `Loans` in memory. odd: loans whose answer is broken. slow: called while they answer."""

    accounts: dict[str, Account] = field(default_factory=dict)
    due_dates: dict[str, str] = field(default_factory=dict)
    odd: set[str] = field(default_factory=set)
    users_down: bool = False
    loans_down: bool = False
    page: int = 2
    slow: Callable[[], object] = lambda: None

    def join(self, **details: Any) -> Account:
        user_id = details.pop("id", None) or new_id()
        fields: dict[str, Any] = {"name": "Ann", "email": f"{user_id}@example.org", "phone": None, "language": None}
        fields |= {"has_proved_email": True, **details}
        self.accounts[user_id] = Account(user_id, **fields)
        return self.accounts[user_id]

    def find(self, user_id: str) -> Account | None:
        self.slow()
        if self.users_down:
            raise ServiceUnavailable
        return self.accounts.get(user_id)

    def ids(self, role: str | None, status: str | None, limit: int, cursor: str | None) -> tuple[list[str], str | None]:
        if self.users_down:
            raise ServiceUnavailable
        listed = sorted(self.accounts)
        start = int(cursor or 0)
        rest = start + min(limit, self.page)
        return listed[start:rest], str(rest) if rest < len(listed) else None

    def still_out(self, loan_id: str, due_date: str) -> bool:
        self.slow()
        if self.loans_down:
            raise ServiceUnavailable
        if loan_id in self.odd:
            raise KeyError(loan_id)
        return self.due_dates.get(loan_id) == due_date


@dataclass(frozen=True)
class Sent:
    """A message that a provider took."""

    to: str
    text: str

    @property
    def lines(self) -> list[str]:
        return self.text.split("\n")


@dataclass
class Provider:
    """A `MessageSender`. trouble: what the next tries raise; with `True` beside it, the message goes out all the same.

    slow: called while it answers.
    """

    channel: Channel
    sent: list[Sent] = field(default_factory=list)
    trouble: list[tuple[Exception, bool]] = field(default_factory=list)
    down: Exception | None = None
    tries: int = 0
    slow: Callable[[], object] = lambda: None

    def send(self, account: Account, message: Rendered) -> None:
        self.tries += 1
        self.slow()
        if self.down is not None:
            raise self.down
        failure, out = self.trouble.pop(0) if self.trouble else (None, True)
        if out:
            self.sent.append(Sent(account.id, message.text))
        if failure is not None:
            raise failure


@dataclass
class Hours:
    """`FirstAllowed`, set by the test. Quiet hours last from quiet_from (None: always) until quiet_until.

    digest_at: when digests go out.
    """

    quiet_until: datetime | None = None
    quiet_from: datetime | None = None
    digest_at: datetime | None = None

    def __call__(self, preferences: Preferences, urgency: Urgency, now: datetime, library_zone: tzinfo, /) -> datetime:
        if urgency is Urgency.INSTANT:
            return now
        if urgency is Urgency.ROUTINE and preferences.digest.rhythm is not DigestRhythm.OFF and self.digest_at:
            return max(now, self.digest_at)
        if self.quiet_until is None or (self.quiet_from is not None and now < self.quiet_from):
            return now
        return max(now, self.quiet_until)


@dataclass
class Post:
    """What notifications does, on a table of `client`."""

    client: "Callable[[], DynamoDBClient]"
    table: str = TABLE
    clock: FixedClock = field(default_factory=FixedClock)
    preferences: FakePreferences = field(default_factory=FakePreferences)
    templates: FakeTemplates = field(default_factory=FakeTemplates)
    services: Services = field(default_factory=Services)
    devices: FakeDevices = field(default_factory=FakeDevices)
    push: FakePush = field(default_factory=FakePush)
    hours: Hours = field(default_factory=Hours)
    limiter: FakeAttempts = field(default_factory=FakeAttempts)
    breaker: CircuitBreaker = field(default_factory=lambda: CircuitBreaker(timedelta(minutes=1)))
    queue: FakeTaskQueue = field(init=False)
    providers: dict[Channel, Provider] = field(init=False)
    visit: timedelta = timedelta(seconds=60)
    first_pause: timedelta = timedelta(seconds=30)
    schedule: ReminderSchedule = field(default_factory=lambda: ReminderSchedule(2, (1, 7, 14), NAIROBI))
    mortality: Mortality = field(default_factory=Mortality)
    step: Callable[[], object] = lambda: None

    def __post_init__(self) -> None:
        self.queue = FakeTaskQueue(self.clock)
        self.providers = {channel: Provider(channel) for channel in Channel if channel is not Channel.IN_APP}

    def dying(self, mortality: Mortality) -> "Post":
        """Another process on the same things."""
        other = replace(self, mortality=mortality, breaker=CircuitBreaker(self.breaker.pause))
        other.queue, other.providers = self.queue, self.providers
        return other

    def _port(self, port: Any, name: str) -> Any:
        return Mortal(_Stepping(port, self.step), self.mortality, name)

    def _on_table[T](self, adapter: Callable[[Table], T], name: str) -> Any:
        return self._port(adapter(Table(self.table, self.client)), name)

    # -- use cases ----------------------------------------------------------------------------

    @property
    def plans(self) -> Any:
        return self._on_table(DynamoNoticePlans, "plans")

    @property
    def planning(self) -> Planning:
        return Planning(
            plans=self.plans,
            preferences=self.preferences,
            queue=self._port(self.queue, "queue"),
            first_allowed=self.hours,
            zone=NAIROBI,
            visit=self.visit,
            clock=self.clock,
        )

    @property
    def event_handling(self) -> EventHandling:
        loans = self._port(self.services, "loans")
        return EventHandling(self.planning, self.plans, self.devices, self.push, loans, self.schedule, self.clock)

    def handle_event(self, event: IncomingEvent, correlation_id: str) -> str:
        return self.event_handling.handle_event(event, correlation_id)

    @property
    def send(self) -> SendDue:
        deliveries = self._on_table(DynamoDeliveries, "deliveries")
        queue = self._port(self.queue, "queue")
        outcomes = DeliveryOutcomes(deliveries, self.devices, queue, self.first_pause, self.clock, jitter=lambda: 0.5)
        loans = self._port(self.services, "loans")
        return SendDue(
            deliveries=deliveries,
            accounts=self._port(self.services, "users"),
            preferences=self.preferences,
            languages=self._port(self.languages, "languages"),
            eligibility=Eligibility(deliveries, loans, outcomes, self.hours, NAIROBI, self.clock),
            messages=MessageSending(
                deliveries=deliveries,
                outcomes=outcomes,
                limits=DailyLimits(self._port(self.limiter, "limiter")),
                templates=self.templates,
                senders={channel: self._port(sender, channel.value) for channel, sender in self.providers.items()},
                breaker=self.breaker,
                library_name="Test Library",
                zone=NAIROBI,
                clock=self.clock,
            ),
            outcomes=outcomes,
            clock=self.clock,
        )

    @property
    def languages(self) -> DynamoAccountLanguages:
        return DynamoAccountLanguages(Table(self.table, self.client))

    @property
    def fire_reminder(self) -> FireReminder:
        reminders = self._on_table(DynamoReminders, "reminders")
        loans = self._port(self.services, "loans")
        return FireReminder(reminders, loans, self.planning, self.schedule, self.clock, jitter=lambda: 0.5)

    @property
    def announcement_store(self) -> Any:
        return self._on_table(DynamoAnnouncements, "announcements")

    @property
    def announcements(self) -> Announcements:
        return Announcements(self.announcement_store, self._port(self.queue, "queue"), self.clock)

    @property
    def deliver_announcement(self) -> DeliverAnnouncement:
        return DeliverAnnouncement(
            store=self.announcement_store,
            accounts=self._port(self.services, "users"),
            planning=self.planning,
            queue=self._port(self.queue, "queue"),
            clock=self.clock,
            first_pause=self.first_pause,
            jitter=lambda: 0.5,
        )

    @property
    def sweep(self) -> Sweep:
        due_tasks = DynamoDueTasks(Table(self.table, self.client))
        return Sweep(due_tasks, self._port(self.queue, "queue"), self.clock)

    @property
    def inbox_store(self) -> DynamoInbox:
        return DynamoInbox(Table(self.table, self.client))

    @property
    def inbox(self) -> Inbox:
        return Inbox(self.inbox_store, self.templates, self.preferences, self.languages, self.clock)

    @property
    def failures(self) -> Failures:
        failed = self._on_table(DynamoFailedDeliveries, "failed")
        return Failures(failed, self._port(self.queue, "queue"), self.clock)

    # -- time passes --------------------------------------------------------------------------

    def work(self) -> list[str]:
        """The sender empties the queue of what may be received."""
        outcomes = []
        while (task := self.queue.receive()) is not None:
            outcomes.append(self.do(task))
        return outcomes

    def do(self, task: Due) -> str:
        match task:
            case DueDelivery(user_id=user_id, channel=channel):
                return self.send(user_id, channel)
            case DueReminder(user_id=user_id, reminder_id=reminder_id):
                return self.fire_reminder(user_id, reminder_id)
            case DueAnnouncement(announcement_id=announcement_id):
                return self.deliver_announcement(announcement_id)

    def minute(self, number: int = 1) -> None:
        """So many minutes, each with its sweep."""
        for _ in range(number):
            self.clock.advance(timedelta(minutes=1))
            self.sweep()
            self.work()

    def until(self, moment: datetime) -> None:
        """Nothing happens until then but a sweep and what it finds."""
        self.clock.moment = max(moment, self.clock.moment)
        for _ in range(3):
            self.minute()

    # -- what there is ------------------------------------------------------------------------

    def sent(self, channel: Channel = Channel.EMAIL) -> list[Sent]:
        return self.providers[channel].sent

    def lines(self, user_id: str, channel: Channel = Channel.EMAIL) -> list[str]:
        """Everything a member was sent, in order."""
        return [line for message in self.sent(channel) if message.to == user_id for line in message.lines]

    def listed(self, user_id: str) -> list[str]:
        """The kinds in a member's list, oldest first."""
        return [str(entry.kind) for entry in reversed(self.entries(user_id))]

    def entries(self, user_id: str) -> list[InboxEntry]:
        """The member's list, newest first."""
        return self.inbox_store.page(user_id, 1_000, None, unread_only=False)[0]

    def items(self, user_id: str, prefix: str = "") -> list[dict[str, Any]]:
        """What the table holds about a member, as it goes over the wire."""
        answer = self.client().query(
            TableName=self.table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": f"MEMBER#{user_id}"}},
        )
        return [dict(item) for item in answer["Items"] if item["sk"]["S"].startswith(prefix)]


class _Stepping:
    """A port before each of whose calls others may come in between."""

    def __init__(self, port: Any, step: Callable[[], object]) -> None:
        self._port, self._step = port, step

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)

        def stepped(*args: Any, **kwargs: Any) -> Any:
            self._step()
            return method(*args, **kwargs)

        return stepped


def event(type_: str, user_id: str, *, at: datetime = NOON, **data: Any) -> IncomingEvent:
    """An event of the bus as notifications reads it."""
    return IncomingEvent(
        id=new_id(),
        type=type_,
        occurred_at=at.isoformat().replace("+00:00", "Z"),
        user_id=user_id,
        data={"user_id": user_id, **data},
        source=MEMBER_ERASED[0] if type_ == MEMBER_ERASED[1] else EVENT_RULES[type_].source,
    )


def lent(
    user_id: str, title: str = "Dune", *, loan_id: str = "L1", days: int = 14, at: datetime = NOON
) -> IncomingEvent:
    """A loan that ends on an evening."""
    due = (at + timedelta(days=days)).replace(hour=20, minute=59, second=59)
    return event("LoanCreated", user_id, at=at, loan_id=loan_id, book_id="B", title=title, due_date=_text(due))


def renewed(user_id: str, loan: IncomingEvent, *, days: int = 14, at: datetime = NOON) -> IncomingEvent:
    due = datetime.fromisoformat(loan.data["due_date"]) + timedelta(days=days)
    kept = {name: loan.data[name] for name in ("loan_id", "book_id", "title")}
    return event("LoanRenewed", user_id, at=at, **kept, old_due_date=loan.data["due_date"], due_date=_text(due))


def _text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def shuffled[T](things: Iterable[T], seed: int) -> list[T]:
    """Another order of the same."""
    listed = list(things)
    random.Random(seed).shuffle(listed)
    return listed
