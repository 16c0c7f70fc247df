"""The way from events to messages, as far as the HTTP API asks it, in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from library_common.clock import Clock
from library_common.idempotency import Ticket
from library_common.ids import new_id
from notifications_service.application.api_ports import (
    Entry,
    FailedBy,
    FailedDelivery,
    NoPosition,
    Notices,
    Position,
    Wish,
)
from notifications_service.application.wishes import PreferencesChanged
from notifications_service.application.wording_ports import Change, Newest, TemplateChanged
from notifications_service.domain.broadcasts import Audience, Broadcast, BroadcastState
from notifications_service.domain.errors import (
    AnnouncementDone,
    AnnouncementNotFound,
    DeviceRefused,
    NoticeNotFound,
    UserNotFound,
)
from notifications_service.domain.kinds import Channel, Kind
from notifications_service.domain.preferences import Preferences
from notifications_service.domain.template_parts import Wording
from tests.support.clock import FixedClock


@dataclass
class FakeInbox:
    """Lists of notices, newest first."""

    clock: Clock = field(default_factory=FixedClock)
    entries: dict[str, list[Entry]] = field(default_factory=dict)

    def tell(self, user_id: str, kind: Kind, data: Mapping[str, Any], notice_id: str | None = None) -> Entry:
        entry = Entry(notice_id or new_id(), kind, data, self.clock.now())
        self.entries.setdefault(user_id, []).insert(0, entry)
        return entry

    def list(
        self, user_id: str, limit: int, position: Position | None, unread_only: bool
    ) -> tuple[Sequence[Entry], Position | None, int]:
        entries = self.entries.get(user_id, [])
        unread = [entry for entry in entries if entry.read_at is None]
        wanted = unread if unread_only else entries
        if position is not None:
            places = [place for place, entry in enumerate(wanted) if entry.id == position.get("id")]
            if not places:
                raise NoPosition
            wanted = wanted[places[0] + 1 :]
        page = wanted[:limit]
        return page, {"id": page[-1].id} if len(wanted) > limit else None, len(unread)

    def mark_read(self, user_id: str, notice_id: str) -> None:
        for place, entry in enumerate(self.entries.get(user_id, [])):
            if entry.id == notice_id:
                if entry.read_at is None:
                    self.entries[user_id][place] = replace(entry, read_at=self.clock.now())
                return
        raise NoticeNotFound


@dataclass
class FakeFailures:
    """Messages that were given up."""

    failed: list[FailedDelivery] = field(default_factory=list)
    retried: list[str] = field(default_factory=list)
    asked: list[FailedBy] = field(default_factory=list)

    def add(self, user_id: str, *, delivery_id: str | None = None) -> FailedDelivery:
        at = datetime(2026, 11, 21, 12, tzinfo=UTC)
        one = FailedDelivery(delivery_id or new_id(), user_id, Kind.HOLD_READY, Channel.EMAIL, 9, "MessageRejected", at)
        self.failed.append(one)
        return one

    def list(self, limit: int, position: Position | None) -> tuple[Sequence[FailedDelivery], Position | None]:
        start = 0
        if position is not None:
            start = position.get("start", -1)
            if not isinstance(start, int) or not 0 < start < len(self.failed):
                raise NoPosition
        following = {"start": start + limit} if len(self.failed) > start + limit else None
        return self.failed[start : start + limit], following

    def retry(self, delivery_id: str) -> None:
        if not any(one.id == delivery_id for one in self.failed):
            raise NoticeNotFound
        self.retried.append(delivery_id)

    def retry_all(self, by: FailedBy, limit: int, position: Position | None) -> tuple[int, Position | None]:
        page, following = self.list(limit, position)
        wanted = [
            one.id
            for one in page
            if (one.error_code, by.channel or one.channel) == (by.error_code, one.channel)
            and (by.since is None or by.since <= one.failed_at)
            and (by.until is None or one.failed_at < by.until)
        ]
        self.asked.append(by)
        self.retried += wanted
        return len(wanted), following


@dataclass
class FakeAnnounce:
    """What was asked to be told."""

    wishes: list[Wish] = field(default_factory=list)
    broadcasts: dict[str, Broadcast] = field(default_factory=dict)
    tickets: dict[str, tuple[Ticket, str]] = field(default_factory=dict)

    def announce(self, wish: Wish, ticket: Ticket | None) -> tuple[str, bool]:
        if ticket is not None and ticket.record_key in self.tickets:
            earlier, broadcast = self.tickets[ticket.record_key]
            ticket.require_same_request(earlier.request_digest)
            return broadcast, True
        self.wishes.append(wish)
        broadcast = new_id()
        now = FixedClock().now()
        self.broadcasts[broadcast] = Broadcast(
            id=broadcast,
            kind=wish.kind,
            to=wish.user_ids or Audience(wish.role, wish.status),
            channels=wish.channels,
            send_at=wish.send_at or now,
            created_at=now,
            correlation_id="c",
            data=wish.data,
            by=wish.by,
        )
        if ticket is not None:
            self.tickets[ticket.record_key] = (ticket, broadcast)
        return broadcast, False

    def asked_before(self, ticket: Ticket) -> str | None:
        if ticket.record_key not in self.tickets:
            return None
        earlier, broadcast = self.tickets[ticket.record_key]
        ticket.require_same_request(earlier.request_digest)
        return broadcast

    def find(self, broadcast_id: str) -> Broadcast:
        if broadcast_id not in self.broadcasts:
            raise AnnouncementNotFound
        return self.broadcasts[broadcast_id]

    def cancel(self, broadcast_id: str, by: str) -> None:
        found = self.find(broadcast_id)
        if found.state is BroadcastState.DONE:
            raise AnnouncementDone
        self.broadcasts[broadcast_id] = replace(found, done=True, cancelled_by=found.cancelled_by or by)


@dataclass
class FakeNotices:
    """The three together."""

    clock: Clock = field(default_factory=FixedClock)
    inbox: FakeInbox = field(init=False)
    failures: FakeFailures = field(default_factory=FakeFailures)
    announce: FakeAnnounce = field(default_factory=FakeAnnounce)

    def __post_init__(self) -> None:
        self.inbox = FakeInbox(self.clock)

    @property
    def ports(self) -> Notices:
        return Notices(self.inbox, self.failures, self.announce)


@dataclass
class FakeWording:
    """Stored wordings. broken: versions that were stored before a rule was as strict as it is."""

    heads: dict[str, Newest] = field(default_factory=dict)
    versions: dict[tuple[str, str, int], Wording] = field(default_factory=dict)
    asked: int = 0

    def newest(self, names: Sequence[str]) -> dict[str, Newest]:
        self.asked += 1
        return {name: self.heads.get(name, Newest()) for name in names}

    def wording(self, name: str, language: str, version: int) -> Wording:
        return self.versions[name, language, version]

    def add(self, name: str, before: Newest, change: Change, wording: Wording) -> None:
        if self.heads.get(name, Newest()) != before:
            raise TemplateChanged
        languages = {tag: version for tag, version in before.languages.items() if tag != change.language}
        if not change.withdrawn:
            languages[change.language] = change.version
        self.heads[name] = Newest(change.version, languages, (change, *before.changes)[:20])
        self.versions[name, change.language, change.version] = wording


@dataclass
class FakePreferences:
    """Members' preferences."""

    stored: dict[str, Preferences] = field(default_factory=dict)
    erased: set[str] = field(default_factory=set)

    def of(self, user_id: str) -> Preferences:
        return self.stored.get(user_id, Preferences())

    def erase(self, user_id: str) -> None:
        self.erased.add(user_id)
        self.stored.pop(user_id, None)

    def put(self, user_id: str, preferences: Preferences) -> None:
        if user_id in self.erased:
            raise UserNotFound
        if self.of(user_id).version != preferences.version - 1:
            raise PreferencesChanged
        self.stored[user_id] = preferences


@dataclass
class FakeAccountLanguages:
    """What accounts said."""

    noted: dict[str, str] = field(default_factory=dict)

    def of(self, user_id: str) -> str | None:
        return self.noted.get(user_id)

    def note(self, user_id: str, was: str | None, language: str | None) -> None:
        if self.of(user_id) == was:
            self.noted.pop(user_id, None)
            self.noted |= {user_id: language} if language is not None else {}


@dataclass
class FakePush:
    """A push service that refuses tokens which say so."""

    endpoints: set[str] = field(default_factory=set)

    def register(self, token: str) -> str:
        if token.startswith("refused"):
            raise DeviceRefused
        endpoint = f"arn:aws:sns:eu-west-1:000000000000:endpoint/GCM/library/{abs(hash(token))}"
        self.endpoints.add(endpoint)
        return endpoint

    def forget(self, endpoint: str) -> None:
        self.endpoints.discard(endpoint)
