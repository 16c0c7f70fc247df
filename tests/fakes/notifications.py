"""What notifications needs from outside, in memory: its table, its queue and the push service."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from library_common.clock import Clock
from library_common.idempotency import Ticket
from library_common.ids import new_id
from library_common.versions import VersionConflict
from notifications_service.application.announcements import Announcements
from notifications_service.application.failures import Failures
from notifications_service.application.inbox import Inbox
from notifications_service.application.ports import (
    AccountLanguages,
    Change,
    Due,
    InboxEntry,
    NoPosition,
    Position,
    PreferencesStore,
    TemplateHead,
    Templates,
)
from notifications_service.domain.announcements import Announcement
from notifications_service.domain.deliveries import Delivery, State
from notifications_service.domain.devices import Device, Platform
from notifications_service.domain.errors import DeviceRefused, UserNotFound
from notifications_service.domain.kinds import Channel, Kind
from notifications_service.domain.preferences import Preferences
from notifications_service.domain.templates import TemplateText
from tests.support.clock import NOON, FixedClock


@dataclass
class FakeInbox:
    """`InboxStore`: lists of notices, newest first."""

    clock: Clock = field(default_factory=FixedClock)
    entries: dict[str, list[InboxEntry]] = field(default_factory=dict)

    def add(self, user_id: str, kind: str, data: Mapping[str, Any], notice_id: str | None = None) -> InboxEntry:
        entry = InboxEntry(notice_id or new_id(), kind, data, self.clock.now())
        self.entries.setdefault(user_id, []).insert(0, entry)
        return entry

    def page(
        self, user_id: str, limit: int, after: Position | None, *, unread_only: bool
    ) -> tuple[list[InboxEntry], Position | None]:
        wanted = [entry for entry in self.entries.get(user_id, []) if not (unread_only and entry.read_at)]
        if after is not None:
            places = [place for place, entry in enumerate(wanted) if entry.id == after.get("id")]
            if not places:
                raise NoPosition
            wanted = wanted[places[0] + 1 :]
        page = wanted[:limit]
        return page, {"id": page[-1].id} if len(wanted) > limit else None

    def unread(self, user_id: str) -> int:
        return sum(entry.read_at is None for entry in self.entries.get(user_id, []))

    def mark_read(self, user_id: str, notice_id: str, now: datetime) -> bool:
        for place, entry in enumerate(self.entries.get(user_id, [])):
            if entry.id == notice_id:
                self.entries[user_id][place] = replace(entry, read_at=entry.read_at or now)
                return True
        return False


@dataclass
class FakeFailedDeliveries:
    """`FailedDeliveries` that keeps what is retried in its list. asked: which times of failure were asked for."""

    failed: list[Delivery] = field(default_factory=list)
    retried: list[str] = field(default_factory=list)
    asked: list[tuple[datetime | None, datetime | None]] = field(default_factory=list)

    def add(self, user_id: str, *, delivery_id: str | None = None) -> str:
        """Returns the failure's id."""
        at, failure_id = datetime(2026, 11, 21, 12, tzinfo=UTC), delivery_id or new_id()
        one = Delivery(
            notice_id=new_id(),
            user_id=user_id,
            channel=Channel.EMAIL,
            kind=Kind.HOLD_READY,
            not_before=at,
            send_at=at,
            correlation_id="c",
            state=State.FAILED,
            attempts=9,
            error="MessageRejected",
            failed_at=at,
            failure_id=failure_id,
        )
        self.failed.append(one)
        return failure_id

    def page(
        self, limit: int, after: Position | None, *, since: datetime | None = None, until: datetime | None = None
    ) -> tuple[list[Delivery], Position | None]:
        self.asked.append((since, until))
        start = 0
        if after is not None:
            start = after.get("start", -1)
            if not isinstance(start, int) or not 0 < start < len(self.failed):
                raise NoPosition
        following = {"start": start + limit} if len(self.failed) > start + limit else None
        page = self.failed[start : start + limit]
        return [one for one in page if _within(one.failed_at, since, until)], following

    def begin_anew(self, delivery: Delivery, now: datetime) -> bool:
        assert delivery.failure_id is not None
        self.retried.append(delivery.failure_id)
        return True

    def retry(self, failure_id: str, now: datetime) -> Delivery | None:
        found = next((one for one in self.failed if one.failure_id == failure_id), None)
        return found if found is not None and self.begin_anew(found, now) else None


def _within(at: datetime | None, since: datetime | None, until: datetime | None) -> bool:
    return at is not None and (since is None or since <= at) and (until is None or at < until)


@dataclass
class FakeAnnouncements:
    """`AnnouncementStore`."""

    stored: dict[str, Announcement] = field(default_factory=dict)
    tickets: dict[str, tuple[Ticket, str]] = field(default_factory=dict)

    def create(self, announcement: Announcement, ticket: Ticket | None, now: datetime) -> tuple[str, bool]:
        if ticket is not None and (earlier := self.created_before(ticket, now)) is not None:
            return earlier, True
        self.stored[announcement.id] = announcement
        if ticket is not None:
            self.tickets[ticket.record_key] = (ticket, announcement.id)
        return announcement.id, False

    def created_before(self, ticket: Ticket, now: datetime) -> str | None:
        if ticket.record_key not in self.tickets:
            return None
        earlier, announcement_id = self.tickets[ticket.record_key]
        ticket.require_same_request(earlier.request_digest)
        return announcement_id

    def get(self, announcement_id: str) -> Announcement | None:
        return self.stored.get(announcement_id)

    def advance(self, before: Announcement, after: Announcement, look_again: datetime | None, now: datetime) -> None:
        if self.stored[before.id].version != before.version:
            raise VersionConflict
        self.stored[before.id] = after


@dataclass
class FakeTaskQueue:
    """`TaskQueue`: (from when, what)."""

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
class FakeNotices:
    """The lists of notices, failed messages and announcements, and the use cases on them."""

    clock: Clock = field(default_factory=FixedClock)
    inbox: FakeInbox = field(init=False)
    failed: FakeFailedDeliveries = field(default_factory=FakeFailedDeliveries)
    announcements: FakeAnnouncements = field(default_factory=FakeAnnouncements)
    queue: FakeTaskQueue = field(default_factory=lambda: FakeTaskQueue(FixedClock()))

    def __post_init__(self) -> None:
        self.inbox = FakeInbox(self.clock)

    def use_cases(
        self, templates: Templates, preferences: PreferencesStore, languages: AccountLanguages
    ) -> dict[str, Any]:
        """By their names in `UseCases`."""
        return {
            "inbox": Inbox(self.inbox, templates, preferences, languages, self.clock),
            "failures": Failures(self.failed, self.queue, self.clock),
            "announcements": Announcements(self.announcements, self.queue, self.clock),
        }


@dataclass
class FakeTemplateStore:
    """`TemplateStore`. It takes texts that were stored before a rule was as strict as it is."""

    stored: dict[str, TemplateHead] = field(default_factory=dict)
    versions: dict[tuple[str, str, int], TemplateText] = field(default_factory=dict)
    asked: int = 0

    def heads(self, names: Sequence[str]) -> dict[str, TemplateHead]:
        self.asked += 1
        return {name: self.stored.get(name, TemplateHead()) for name in names}

    def text(self, name: str, language: str, version: int) -> TemplateText:
        return self.versions[name, language, version]

    def add(self, name: str, before: TemplateHead, change: Change, text: TemplateText) -> None:
        if self.stored.get(name, TemplateHead()) != before:
            raise VersionConflict
        languages = {tag: version for tag, version in before.languages.items() if tag != change.language}
        if not change.withdrawn:
            languages[change.language] = change.version
        self.stored[name] = TemplateHead(change.version, languages, (change, *before.changes)[:20])
        self.versions[name, change.language, change.version] = text


@dataclass
class FakePreferences:
    """`PreferencesStore`."""

    stored: dict[str, Preferences] = field(default_factory=dict)
    erased: set[str] = field(default_factory=set)

    def of(self, user_id: str) -> Preferences:
        return self.stored.get(user_id, Preferences())

    def erase(self, user_id: str) -> None:
        self.erased.add(user_id)
        self.stored.pop(user_id, None)

    def replace(self, user_id: str, before: Preferences, preferences: Preferences) -> None:
        if user_id in self.erased:
            raise UserNotFound
        if self.of(user_id).version != before.version:
            raise VersionConflict(self.of(user_id))
        self.stored[user_id] = preferences


@dataclass
class FakeAccountLanguages:
    """`AccountLanguages`."""

    noted: dict[str, str] = field(default_factory=dict)

    def of(self, user_id: str) -> str | None:
        return self.noted.get(user_id)

    def note(self, user_id: str, was: str | None, language: str | None) -> None:
        if self.of(user_id) == was:
            self.noted.pop(user_id, None)
            self.noted |= {user_id: language} if language is not None else {}


@dataclass
class FakeDevices:
    """`DeviceStore`. The digest of a token is its endpoint."""

    known: dict[tuple[str, str], Device] = field(default_factory=dict)
    erased: set[str] = field(default_factory=set)

    def put(self, user_id: str, *endpoints: str) -> None:
        """Devices with these endpoints, besides those there are."""
        for endpoint in endpoints:
            self.add(user_id, Device(endpoint, Platform.IOS, endpoint, endpoint, NOON))

    def endpoints(self, user_id: str) -> list[str]:
        return [device.endpoint for device in self.devices(user_id)]

    def devices(self, user_id: str) -> list[Device]:
        return [device for (owner, _), device in self.known.items() if owner == user_id]

    def require_place(self, user_id: str, device_id: str, digest: str) -> None:
        if user_id in self.erased:
            raise UserNotFound

    def has_owner(self, digest: str) -> bool:
        return any(device.token_key == digest for device in self.known.values())

    def add(self, user_id: str, device: Device) -> Device | None:
        before = self.known.get((user_id, device.id))
        self.known[user_id, device.id] = device
        return before

    def remove(self, user_id: str, device_id: str) -> Device | None:
        return self.known.pop((user_id, device_id), None)

    def forget(self, user_id: str, endpoint: str) -> bool:
        removed = [self.remove(user_id, device.id) for device in self.devices(user_id) if device.endpoint == endpoint]
        return any(device is not None and not self.has_owner(device.token_key) for device in removed)


@dataclass
class FakePush:
    """`PushService` that refuses tokens which say so. forgotten: endpoints, in order."""

    endpoints: set[str] = field(default_factory=set)
    forgotten: list[str] = field(default_factory=list)

    def register(self, token: str) -> str:
        if token.startswith("refused"):
            raise DeviceRefused
        endpoint = f"arn:aws:sns:eu-west-1:000000000000:endpoint/GCM/library/{abs(hash(token))}"
        self.endpoints.add(endpoint)
        return endpoint

    def forget(self, endpoint: str) -> None:
        self.forgotten.append(endpoint)
        self.endpoints.discard(endpoint)
