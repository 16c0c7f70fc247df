"""Everything around notifications' table, in memory: neighbours, providers, the queue, wording, wishes; and the use
cases assembled on top of it."""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from library_common.dynamodb import Table
from library_common.ids import new_id
from notifications_service.adapters.account_languages import DynamoAccountLanguages
from notifications_service.adapters.broadcasts import DynamoBroadcasts
from notifications_service.adapters.dynamodb import DynamoAgenda, DynamoDeliveries, DynamoPlans, DynamoReminders
from notifications_service.adapters.lists import DynamoEntries, DynamoFailed
from notifications_service.application.announcing import Announce, TellEverybody
from notifications_service.application.brake import Brake
from notifications_service.application.delivering import Delivering
from notifications_service.application.failures import Failures
from notifications_service.application.hearing import Hear
from notifications_service.application.inbox import Inbox
from notifications_service.application.planning import Planning
from notifications_service.application.ports import (
    Account,
    Due,
    DueBroadcast,
    DueDelivery,
    DueReminder,
    NeighbourUnavailable,
    Rendered,
)
from notifications_service.application.reading import Reading
from notifications_service.application.reminding import Remind
from notifications_service.application.sweeping import Sweep
from notifications_service.domain.kinds import Channel, Kind, Urgency
from notifications_service.domain.notices import FORGOTTEN, TOLD, Happening
from notifications_service.domain.preferences import DigestRhythm, Preferences
from notifications_service.domain.reminders import Rhythm
from tests.fakes.attempts import FakeAttempts
from tests.support.clock import NOON, FixedClock
from tests.support.mortality import Mortal, Mortality

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

NAIROBI = ZoneInfo("Africa/Nairobi")
TABLE = "notifications"


@dataclass
class Wishes:
    """`StoredPreferences` in memory."""

    stored: dict[str, Preferences] = field(default_factory=dict)

    def of(self, user_id: str) -> Preferences:
        return self.stored.get(user_id, Preferences())


class Wording:
    """`Templates` that shows which notices are in a message. broken: titles that cannot be put into words.

    told: what was put into words.
    """

    def __init__(self) -> None:
        self.broken: set[str] = set()
        self.asked: list[tuple[Channel, str | None]] = []
        self.told: list[tuple[Kind, Mapping[str, Any]]] = []
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
        self.told += notices
        lines = [f"{kind.value} {data.get('title') or data.get('subject') or '-'}" for kind, data in notices]
        return Rendered(subject=lines[0], text="\n".join(lines), html="<p>")


@dataclass
class Neighbours:
    """`Accounts` and `Loans` in memory. odd: loans about which nothing can be said. slow: passes while they answer."""

    accounts: dict[str, Account] = field(default_factory=dict)
    due_dates: dict[str, str] = field(default_factory=dict)
    odd: set[str] = field(default_factory=set)
    users_down: bool = False
    loans_down: bool = False
    page: int = 2
    slow: Callable[[], object] = lambda: None

    def join(self, **details: Any) -> Account:
        user_id = details.pop("id", None) or new_id()
        told: dict[str, Any] = {"name": "Ann", "email": f"{user_id}@example.org", "phone": None, "language": None}
        told |= {"has_proved_email": True, **details}
        self.accounts[user_id] = Account(user_id, **told)
        return self.accounts[user_id]

    def find(self, user_id: str) -> Account | None:
        self.slow()
        if self.users_down:
            raise NeighbourUnavailable
        return self.accounts.get(user_id)

    def ids(self, role: str | None, status: str | None, limit: int, cursor: str | None) -> tuple[list[str], str | None]:
        if self.users_down:
            raise NeighbourUnavailable
        listed = sorted(self.accounts)
        start = int(cursor or 0)
        rest = start + min(limit, self.page)
        return listed[start:rest], str(rest) if rest < len(listed) else None

    def still_out(self, loan_id: str, due_date: str) -> bool:
        self.slow()
        if self.loans_down:
            raise NeighbourUnavailable
        if loan_id in self.odd:
            raise KeyError(loan_id)
        return self.due_dates.get(loan_id) == due_date


@dataclass
class Endpoints:
    """`Devices` in memory."""

    registered: dict[str, list[str]] = field(default_factory=dict)

    def of(self, user_id: str) -> list[str]:
        return list(self.registered.get(user_id, ()))

    def forget(self, user_id: str, endpoint: str) -> bool:
        self.registered[user_id].remove(endpoint)
        return not any(endpoint in endpoints for endpoints in self.registered.values())


@dataclass
class PushCentre:
    """`PushService` in memory."""

    forgotten: list[str] = field(default_factory=list)

    def forget(self, endpoint: str) -> None:
        self.forgotten.append(endpoint)


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
    """A `Way`. trouble: what the next tries raise; `True` beside it: the message goes out all the same.

    slow: passes while it answers.
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
class Queue:
    """`Outgoing` in memory: (from when, what)."""

    clock: FixedClock
    messages: list[tuple[datetime, Due]] = field(default_factory=list)
    backlog: int = 0

    def put(self, tasks: Sequence[Due], *, delay_seconds: int = 0) -> None:
        assert 0 <= delay_seconds <= 900, "SQS takes no more"
        at = self.clock.now() + timedelta(seconds=delay_seconds)
        self.messages.extend((at, task) for task in tasks)

    def waiting(self) -> int:
        return self.backlog

    def receive(self) -> Due | None:
        for entry in self.messages:
            if entry[0] <= self.clock.now():
                self.messages.remove(entry)
                return entry[1]
        return None


@dataclass
class Hours:
    """`FirstAllowed`, told by hand. quiet_until: nobody is disturbed before, from quiet_from on, if that is said.
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
    """The post office of the library: what notifications does, on a table that `client` answers."""

    client: "Callable[[], DynamoDBClient]"
    table: str = TABLE
    clock: FixedClock = field(default_factory=FixedClock)
    wishes: Wishes = field(default_factory=Wishes)
    wording: Wording = field(default_factory=Wording)
    neighbours: Neighbours = field(default_factory=Neighbours)
    devices: Endpoints = field(default_factory=Endpoints)
    push: PushCentre = field(default_factory=PushCentre)
    hours: Hours = field(default_factory=Hours)
    caps: FakeAttempts = field(default_factory=FakeAttempts)
    brake: Brake = field(default_factory=lambda: Brake(timedelta(minutes=1)))
    queue: Queue = field(init=False)
    providers: dict[Channel, Provider] = field(init=False)
    visit: timedelta = timedelta(seconds=60)
    first_pause: timedelta = timedelta(seconds=30)
    rhythm: Rhythm = field(default_factory=lambda: Rhythm(2, (1, 7, 14), NAIROBI))
    mortality: Mortality = field(default_factory=Mortality)
    step: Callable[[], object] = lambda: None

    def __post_init__(self) -> None:
        self.queue = Queue(self.clock)
        self.providers = {channel: Provider(channel) for channel in Channel if channel is not Channel.IN_APP}

    def dying(self, mortality: Mortality) -> "Post":
        """Another process on the same things."""
        other = replace(self, mortality=mortality, brake=Brake(self.brake.pause))
        other.queue, other.providers = self.queue, self.providers
        return other

    def _port(self, port: Any, name: str) -> Any:
        return Mortal(_Stepping(port, self.step), self.mortality, name)

    # -- use cases ----------------------------------------------------------------------------

    @property
    def plans(self) -> Any:
        return self._port(DynamoPlans(self.table, self.client), "plans")

    @property
    def planning(self) -> Planning:
        return Planning(
            plans=self.plans,
            preferences=self.wishes,
            outgoing=self._port(self.queue, "queue"),
            first_allowed=self.hours,
            zone=NAIROBI,
            visit=self.visit,
            clock=self.clock,
        )

    @property
    def hear(self) -> Hear:
        loans = self._port(self.neighbours, "loans")
        return Hear(self.planning, self.plans, self.devices, self.push, loans, self.rhythm, self.clock)

    @property
    def send(self) -> Delivering:
        return Delivering(
            deliveries=self._port(DynamoDeliveries(self.table, self.client), "deliveries"),
            preferences=self.wishes,
            languages=self._port(self.languages, "languages"),
            accounts=self._port(self.neighbours, "users"),
            loans=self._port(self.neighbours, "loans"),
            templates=self.wording,
            ways={channel: self._port(way, channel.value) for channel, way in self.providers.items()},
            devices=self.devices,
            outgoing=self._port(self.queue, "queue"),
            caps=self._port(self.caps, "caps"),
            first_allowed=self.hours,
            zone=NAIROBI,
            library_name="Test Library",
            first_pause=self.first_pause,
            brake=self.brake,
            clock=self.clock,
            jitter=lambda: 0.5,
        )

    @property
    def languages(self) -> DynamoAccountLanguages:
        return DynamoAccountLanguages(Table(self.table, self.client))

    @property
    def remind(self) -> Remind:
        reminders = self._port(DynamoReminders(self.table, self.client), "reminders")
        loans = self._port(self.neighbours, "loans")
        return Remind(reminders, loans, self.planning, self.rhythm, self.clock, jitter=lambda: 0.5)

    @property
    def broadcasts(self) -> Any:
        return self._port(DynamoBroadcasts(self.table, self.client), "broadcasts")

    @property
    def announce(self) -> Announce:
        return Announce(self.broadcasts, self._port(self.queue, "queue"), self.clock)

    @property
    def tell_everybody(self) -> TellEverybody:
        return TellEverybody(
            broadcasts=self.broadcasts,
            accounts=self._port(self.neighbours, "users"),
            planning=self.planning,
            outgoing=self._port(self.queue, "queue"),
            clock=self.clock,
            first_pause=self.first_pause,
            jitter=lambda: 0.5,
        )

    @property
    def sweep(self) -> Sweep:
        return Sweep(DynamoAgenda(self.table, self.client), self._port(self.queue, "queue"), self.clock)

    @property
    def inbox(self) -> Inbox:
        return Inbox(DynamoEntries(self.table, self.client), self.clock)

    @property
    def reading(self) -> Reading:
        return Reading(self.inbox, self.wording, self.wishes, self.languages)

    @property
    def failures(self) -> Failures:
        failed = self._port(DynamoFailed(self.table, self.client), "failed")
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
                return self.remind(user_id, reminder_id)
            case DueBroadcast(broadcast_id=broadcast_id):
                return self.tell_everybody(broadcast_id)

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
        return [entry.kind.value for entry in reversed(self.inbox.list(user_id, 100, None)[0])]

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


def event(type_: str, user_id: str, *, at: datetime = NOON, **data: Any) -> Happening:
    """An event of the bus as notifications reads it."""
    return Happening(
        id=new_id(),
        type=type_,
        occurred_at=at.isoformat().replace("+00:00", "Z"),
        user_id=user_id,
        data={"user_id": user_id, **data},
        source=FORGOTTEN[0] if type_ == FORGOTTEN[1] else TOLD[type_].source,
    )


def lent(user_id: str, title: str = "Dune", *, loan_id: str = "L1", days: int = 14, at: datetime = NOON) -> Happening:
    """A loan that ends on an evening."""
    due = (at + timedelta(days=days)).replace(hour=20, minute=59, second=59)
    return event("LoanCreated", user_id, at=at, loan_id=loan_id, book_id="B", title=title, due_date=_text(due))


def renewed(user_id: str, loan: Happening, *, days: int = 14, at: datetime = NOON) -> Happening:
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
