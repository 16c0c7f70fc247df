"""What the use cases need from outside, as Protocols: tables, queues, other services, mail, text and push senders."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from library_common.idempotency import Ticket
from notifications_service.domain.announcements import Announcement
from notifications_service.domain.deliveries import Delivery, Lease
from notifications_service.domain.devices import Device
from notifications_service.domain.kinds import Channel, Kind
from notifications_service.domain.preferences import Preferences
from notifications_service.domain.reminders import Reminder
from notifications_service.domain.templates import Part, PartText, TemplateText

type Position = dict[str, Any]
"""Where a page ended. It comes from a client, so whoever gets one checks it."""


class NoPosition(Exception):
    """No page of this list can have ended there."""


# -- templates ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rendered:
    """A message. subject and html: e-mail only; in-app and push use `subject` as the heading."""

    subject: str
    text: str
    html: str | None = None


class TemplateFailed(Exception):
    """Neither the stored template nor the built-in one can be filled in with this data."""


class Templates(Protocol):
    """Renders notices: with the built-in template, or with the version an administrator stored last."""

    def render(self, kind: Kind, channel: Channel, language: str | None, data: Mapping[str, Any]) -> Rendered:
        """One notice in the language nearest to the requested one (`fr-CA` -> `fr` -> the library's -> `en`).

        Days and times are the library's, wherever the reader is: a loan is due on one day only.
        data: plain values. They are shown as they are, never run and never taken for markup. Raises TemplateFailed.
        """

    def render_many(
        self, notices: list[tuple[Kind, Mapping[str, Any]]], channel: Channel, language: str | None
    ) -> Rendered:
        """Several notices of one visit, or of a digest, as one message; a single one like `render`."""


@dataclass(frozen=True)
class RenderedPart:
    """A part of a template as its reader gets it, by field, and in which language."""

    language: str
    fields: Mapping[str, str]


class TemplateEditor(Protocol):
    """Tries out templates before they are used."""

    def check(self, name: str, language: str, text: TemplateText) -> list[tuple[str, str]]:
        """What is wrong with it, tried on samples: (field like `email.subject`, why)."""

    def show(self, name: str, part: Part, language: str, data: Mapping[str, Any], text: PartText) -> RenderedPart:
        """A part filled in. Raises TemplateRefused."""


@dataclass(frozen=True)
class Change:
    """One version of a template. by: an actor. withdrawn: back to the built-in template."""

    version: int
    language: str
    at: datetime
    by: str
    withdrawn: bool = False


@dataclass(frozen=True)
class TemplateHead:
    """What is stored of a template. languages: the version in use in each; changes: the latest, newest first."""

    version: int = 0
    languages: Mapping[str, int] = field(default_factory=dict)
    changes: tuple[Change, ...] = ()


class TemplateStore(Protocol):
    """Templates that administrators wrote. Versions are never changed and never deleted."""

    def heads(self, names: Sequence[str]) -> dict[str, TemplateHead]:
        """For every name; an empty one where nothing was ever stored. Strongly consistent."""

    def text(self, name: str, language: str, version: int) -> TemplateText:
        """The parts of one version."""

    def add(self, name: str, before: TemplateHead, change: Change, text: TemplateText) -> None:
        """Adds a version and puts it into use. Raises VersionConflict when `before` is not what is stored."""


# -- members --------------------------------------------------------------------------------------


class PreferencesStore(Protocol):
    """Members' notification preferences."""

    def of(self, user_id: str) -> Preferences:
        """The defaults, version 0, for a member who never chose. Strongly consistent."""

    def replace(self, user_id: str, before: Preferences, preferences: Preferences) -> None:
        """Raises VersionConflict when `before` is not what is stored; UserNotFound for an erased member."""


class AccountLanguages(Protocol):
    """The language of each member's account, as of the last message: the list of notices need not ask users."""

    def of(self, user_id: str) -> str | None:
        """None for an account without one, or one that was never read."""

    def note(self, user_id: str, was: str | None, language: str | None) -> None:
        """Does nothing when the stored language is not `was` any more, nor for erased members."""


class DeviceStore(Protocol):
    """Members' devices. A device belongs to the member who registered it last, and to nobody else."""

    def devices(self, user_id: str) -> list[Device]: ...

    def require_place(self, user_id: str, device_id: str, digest: str) -> None:
        """digest: of its token. Raises TooManyDevices when there is no place; UserNotFound for an erased member."""

    def has_owner(self, digest: str) -> bool:
        """Whether any member has the device with this token digest now. Strongly consistent."""

    def add(self, user_id: str, device: Device) -> Device | None:
        """Adds the device, or replaces the one with this id; returns the replaced one if it had another token.

        Takes the device away from its former owner. Idempotent. Raises TooManyDevices; UserNotFound for an erased
        member.
        """

    def remove(self, user_id: str, device_id: str) -> Device | None:
        """Returns what was removed; None when there was none. Idempotent."""

    def forget(self, user_id: str, endpoint: str) -> bool:
        """Removes the device of an endpoint that does not work any more. True when it was the member's and nobody
        has it now."""


class PushService(Protocol):
    """The service that brings push messages to devices."""

    def register(self, token: str) -> str:
        """The endpoint of the device with this token; the same token gives the same one.

        Raises PushNotConfigured, DeviceRefused.
        """

    def forget(self, endpoint: str) -> None:
        """Idempotent."""


@dataclass(frozen=True)
class InboxEntry:
    """One notice in a member's list. kind: as stored, see `domain.kinds`."""

    id: str
    kind: str
    data: Mapping[str, Any]
    occurred_at: datetime
    read_at: datetime | None = None


class InboxStore(Protocol):
    """Members' lists of notices."""

    def page(
        self, user_id: str, limit: int, after: Position | None, *, unread_only: bool
    ) -> tuple[list[InboxEntry], Position | None]:
        """Newest first, and where to go on. Raises NoPosition."""

    def unread(self, user_id: str) -> int:
        """How many are unread, counted up to a thousand."""

    def mark_read(self, user_id: str, notice_id: str, now: datetime) -> bool:
        """Keeps the time of the first call; False when there is no such notice."""


# -- notices and deliveries -----------------------------------------------------------------------


class MemberErased(Exception):
    """The member was erased: nothing is kept about them any more."""


@dataclass(frozen=True)
class Plan:
    """A notice and everything that follows from it. It is stored as a whole, once.

    identity: of the notice; planning the same again changes nothing. entry: in the member's list, if they want it.
    reminder: the next one. fires: the reminder that this notice comes from.
    """

    user_id: str
    identity: str
    entry: InboxEntry | None = None
    deliveries: Sequence[Delivery] = ()
    reminder: Reminder | None = None
    fires: Reminder | None = None

    @property
    def send_times(self) -> dict[Channel, datetime]:
        """When each channel has something to send."""
        return {Channel(delivery.channel): delivery.send_at for delivery in self.deliveries}

    @property
    def notifies(self) -> bool:
        """Whether the member gets it by any channel, their list included."""
        return self.entry is not None or bool(self.deliveries)


class NoticePlans(Protocol):
    """Planned notices."""

    def plan(self, plan: Plan, now: datetime) -> tuple[Mapping[Channel, datetime], bool]:
        """Stores all of it at once, unless this identity was planned before. Raises MemberErased.

        Returns when each channel has something to send, as it was planned first, and whether this call planned it.
        """

    def close(self, user_id: str, now: datetime) -> None:
        """From now on nothing new about a member is stored: `plan` raises MemberErased. Idempotent."""

    def erase(self, user_id: str) -> None:
        """Removes everything about a member for good. After `close`."""


class ReminderStore(Protocol):
    """Reminders whose time has not come yet."""

    def waiting(self, user_id: str, reminder_id: str) -> Reminder | None:
        """None when it fired, was dropped, or never was."""

    def postpone(self, reminder: Reminder, until: datetime) -> None:
        """Does nothing when it does not wait any more."""

    def drop(self, reminder: Reminder, why: str, now: datetime, *, following: Reminder | None = None) -> None:
        """Plans the following one in the same write. Does nothing when the reminder does not wait any more."""


class DeliveryStore(Protocol):
    """Messages on their way out. After the lease was lost, the holder's writes change nothing."""

    def take(self, lease: Lease, now: datetime) -> bool:
        """Whether the lease is ours now; False while somebody else holds it."""

    def give_back(self, lease: Lease) -> None: ...

    def open(self, user_id: str, channel: Channel) -> list[Delivery]:
        """PENDING and SENDING ones."""

    def begin(self, lease: Lease, deliveries: Sequence[Delivery]) -> None:
        """PENDING or SENDING -> SENDING, all or none, as they are given. Raises VersionConflict when the lease or a
        delivery is not ours any more."""

    def put_back(self, deliveries: Sequence[Delivery]) -> None:
        """-> PENDING, with the times and counts they are given with."""

    def sent(self, deliveries: Sequence[Delivery], now: datetime) -> None: ...

    def drop(self, delivery: Delivery, why: str, now: datetime) -> None: ...

    def fail(self, delivery: Delivery, why: str, now: datetime) -> None: ...

    def fall_back(self, delivery: Delivery, to: Delivery, why: str, now: datetime) -> bool:
        """Drops the one and plans the other in its place; False, and nothing written, when the other exists already."""

    def add_to_inbox(self, user_id: str, entry: InboxEntry, now: datetime) -> None:
        """Adds the notice to the member's list, unless it is there. Does nothing for erased members."""

    def others(self, delivery: Delivery) -> list[Delivery]:
        """The deliveries of the same notice by other channels, in any state."""


class FailedDeliveries(Protocol):
    """Deliveries that were given up."""

    def page(
        self, limit: int, after: Position | None, *, since: datetime | None = None, until: datetime | None = None
    ) -> tuple[list[Delivery], Position | None]:
        """Newest first. since, until: of the time of failure, `since` included. Raises NoPosition."""

    def begin_anew(self, delivery: Delivery, now: datetime) -> bool:
        """PENDING and due again; False when it is not FAILED under this id any more."""

    def retry(self, failure_id: str, now: datetime) -> Delivery | None:
        """PENDING and due again; None when there is none that failed under this id."""


class AnnouncementStore(Protocol):
    """Announcements and their progress."""

    def create(self, announcement: Announcement, ticket: Ticket | None, now: datetime) -> tuple[str, bool]:
        """The id, and whether an earlier request with this ticket created it. Raises IdempotencyKeyReused."""

    def created_before(self, ticket: Ticket, now: datetime) -> str | None:
        """The id of the announcement that an earlier request created. Raises IdempotencyKeyReused."""

    def get(self, announcement_id: str) -> Announcement | None: ...

    def advance(self, before: Announcement, after: Announcement, look_again: datetime | None, now: datetime) -> None:
        """Stores the progress. look_again: when the sweep finds it; None at the end. Raises VersionConflict."""


# -- tasks ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DueDelivery:
    """A member and a channel with something to send."""

    user_id: str
    channel: Channel


@dataclass(frozen=True)
class DueReminder:
    user_id: str
    reminder_id: str


@dataclass(frozen=True)
class DueAnnouncement:
    announcement_id: str


type Due = DueDelivery | DueReminder | DueAnnouncement

BUCKETS = 8
"""Over how many partitions the due tasks are spread."""


class DueTasks(Protocol):
    """What has to be done when."""

    def due(self, bucket: int, now: datetime, after: Position | None) -> tuple[list[Due], Position | None]:
        """A page of what is due in a bucket, oldest first."""


class TaskQueue(Protocol):
    """The queue of the sender."""

    def put(self, tasks: Sequence[Due], *, delay_seconds: int = 0) -> None: ...

    def waiting(self) -> int:
        """About how many messages nobody has received yet."""


# -- other services -------------------------------------------------------------------------------


class ServiceUnavailable(Exception):
    """Another service could not be asked. Nothing was done; asking later may work."""


@dataclass(frozen=True)
class Account:
    """What notifications needs to know of a member.

    phone: only if the member set it with their password. has_proved_email: the address is known to be theirs.
    """

    id: str
    name: str
    email: str
    phone: str | None
    language: str | None
    takes_email: bool = True
    takes_sms: bool = False
    has_proved_email: bool = False


class Accounts(Protocol):
    """The users service."""

    def find(self, user_id: str) -> Account | None:
        """Raises ServiceUnavailable."""

    def ids(self, role: str | None, status: str | None, limit: int, cursor: str | None) -> tuple[list[str], str | None]:
        """A page of members, and the next cursor. Raises ServiceUnavailable."""


class Loans(Protocol):
    """The loans service."""

    def still_out(self, loan_id: str, due_date: str) -> bool:
        """Whether the member has the copy, has not claimed to have returned it, and it is due at exactly `due_date`.

        False for an invalid `due_date`. Raises ServiceUnavailable.
        """


class RateLimiter(Protocol):
    """How many messages somebody gets in a day (`library_common.limits`)."""

    def take(self, limit_name: str, key: str) -> None:
        """Counts one message. Raises TooManyRequests."""


class SendingFailed(Exception):
    """A message was not sent, as far as is known. `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Refused(SendingFailed):
    """This message will never go by this channel: the address or the content is not accepted."""


class NotSent(SendingFailed):
    """It was certainly not sent; later it may be."""


class Unknown(SendingFailed):
    """There was no answer in time: it may have been sent."""


class MessageSender(Protocol):
    """Sends messages by one channel."""

    def send(self, account: Account, message: Rendered) -> None:
        """Raises Refused, NotSent or Unknown; `Refused("no_address")` when the member has no address here."""
