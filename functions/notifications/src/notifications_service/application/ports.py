"""What the use cases need from outside, as Protocols."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from library_common.idempotency import Ticket
from notifications_service.application.api_ports import Entry, Position
from notifications_service.domain.broadcasts import Broadcast
from notifications_service.domain.deliveries import Delivery
from notifications_service.domain.kinds import Channel, Kind, Urgency
from notifications_service.domain.preferences import Preferences
from notifications_service.domain.reminders import Reminder


@dataclass(frozen=True)
class Rendered:
    """What goes out. subject and html: e-mail only; in-app and push use `subject` as the heading."""

    subject: str
    text: str
    html: str | None = None


class TemplateFailed(Exception):
    """A wording could not be filled in with this data, nor could the built-in one."""


class Templates(Protocol):
    """The wording of notices: the built-in one, or the version an administrator stored last."""

    def render(self, kind: Kind, channel: Channel, language: str | None, data: Mapping[str, Any]) -> Rendered:
        """One notice in the language nearest to the one asked for (`fr-CA` -> `fr` -> the library's -> `en`).

        Days and times are the library's, wherever the reader is: a loan is due on one day only.
        data: plain values only. What is in it is shown as it stands, never run and never taken for markup.
        Raises TemplateFailed when the stored template cannot be rendered with this data and the built-in one
        cannot either.
        """
        ...

    def render_many(
        self, notices: list[tuple[Kind, Mapping[str, Any]]], channel: Channel, language: str | None
    ) -> Rendered:
        """Several notices of one visit, or of a digest, as one message; a single one like `render`."""
        ...


class StoredPreferences(Protocol):
    """What members wished for."""

    def of(self, user_id: str) -> Preferences:
        """The defaults for a member who never said anything."""
        ...


class AccountLanguages(Protocol):
    """What language members' accounts said when users was asked last: whoever writes a list need not ask."""

    def of(self, user_id: str) -> str | None:
        """None for an account that said none, or was never asked for."""
        ...

    def note(self, user_id: str, was: str | None, language: str | None) -> None:
        """Nothing happens when it is not what it `was` any more, nor for erased members."""
        ...


class FirstAllowed(Protocol):
    """`notifications_service.domain.timing.first_allowed`."""

    def __call__(
        self, preferences: Preferences, urgency: Urgency, now: datetime, library_zone: ZoneInfo, /
    ) -> datetime:
        """The first moment from `now` on at which a notice of this urgency may go out."""
        ...


# -- what is kept ---------------------------------------------------------------------------------


class Forgotten(Exception):
    """The member was erased: nothing is kept about them any more."""


class Stale(Exception):
    """Somebody else was faster, or the lease is another's by now: nothing was written."""


@dataclass(frozen=True)
class Plan:
    """A notice and everything that follows from it, which comes into being as a whole and once.

    identity: of the notice; the same again changes nothing. entry: in the member's list, if they want it there.
    reminder: the one to come. fires: the reminder this notice comes from.
    """

    user_id: str
    identity: str
    entry: Entry | None = None
    deliveries: Sequence[Delivery] = ()
    reminder: Reminder | None = None
    fires: Reminder | None = None

    @property
    def nudges(self) -> dict[Channel, datetime]:
        """When each channel has something to send."""
        return {delivery.channel: delivery.send_at for delivery in self.deliveries}

    @property
    def tells(self) -> bool:
        """Whether the member gets it by any way, their list included."""
        return self.entry is not None or bool(self.deliveries)


@dataclass(frozen=True)
class Planned:
    """nudges: when each channel has something to send, as it was planned first. is_new: by this very call.

    tells: whether the member gets it by any way, as far as their wishes say.
    """

    nudges: Mapping[Channel, datetime]
    is_new: bool
    tells: bool = True


class Plans(Protocol):
    """Notices on their way in."""

    def plan(self, plan: Plan, now: datetime) -> Planned:
        """All of it at once, or what was planned under this identity before. Raises Forgotten."""
        ...

    def close(self, user_id: str, now: datetime) -> None:
        """From now on nothing new about a member is kept: what comes is refused with Forgotten. Idempotent."""
        ...

    def forget(self, user_id: str) -> None:
        """Removes everything about a member for good. After `close`."""
        ...


class Reminders(Protocol):
    """Reminders whose time has not come yet."""

    def waiting(self, user_id: str, reminder_id: str) -> Reminder | None:
        """None when it fired, was dropped, or never was."""
        ...

    def postpone(self, reminder: Reminder, until: datetime) -> None:
        """Nothing happens when it does not wait any more."""
        ...

    def drop(self, reminder: Reminder, why: str, now: datetime, *, following: Reminder | None = None) -> None:
        """Plans the following one in the same act. Nothing happens when the reminder does not wait any more."""
        ...


@dataclass(frozen=True)
class Lease:
    """Whose turn it is to send to a member by a channel."""

    user_id: str
    channel: Channel
    holder: str
    until: datetime


class Deliveries(Protocol):
    """Messages on their way out. Whatever a holder of the lease writes is refused with Stale once it is another's."""

    def take(self, lease: Lease, now: datetime) -> bool:
        """Whether the lease is ours; not while it is another's."""
        ...

    def give_back(self, lease: Lease) -> None: ...

    def open(self, user_id: str, channel: Channel) -> list[Delivery]:
        """PENDING and SENDING ones."""
        ...

    def begin(self, lease: Lease, deliveries: Sequence[Delivery]) -> None:
        """PENDING or left SENDING -> SENDING, all or none, as they are given. Raises Stale."""
        ...

    def put_back(self, deliveries: Sequence[Delivery]) -> None:
        """Whatever they are -> PENDING, with the moments and counts they are given with."""
        ...

    def sent(self, deliveries: Sequence[Delivery], now: datetime) -> None: ...

    def drop(self, delivery: Delivery, why: str, now: datetime) -> None: ...

    def fail(self, delivery: Delivery, why: str, now: datetime) -> None: ...

    def fall_back(self, delivery: Delivery, to: Delivery, why: str, now: datetime) -> bool:
        """Drops the one and plans the other in its place; False, and nothing done, when there is such a one already."""
        ...

    def enlist(self, user_id: str, entry: Entry, now: datetime) -> None:
        """Puts the notice into the member's list, unless it is there. Nothing happens for erased members."""
        ...

    def others(self, delivery: Delivery) -> dict[Channel, Delivery]:
        """The deliveries of the same notice by other ways, whatever became of them."""
        ...


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
class DueBroadcast:
    broadcast_id: str


type Due = DueDelivery | DueReminder | DueBroadcast


class Agenda(Protocol):
    """What is to be done when."""

    def due(self, bucket: int, now: datetime, after: Position | None) -> tuple[list[Due], Position | None]:
        """A page of what is due in a bucket, oldest first."""
        ...


BUCKETS = 8
"""Into how many partitions the agenda is spread."""


class Outgoing(Protocol):
    """The queue of the sender."""

    def put(self, tasks: Sequence[Due], *, delay_seconds: int = 0) -> None: ...

    def waiting(self) -> int:
        """About how many messages nobody has looked at yet."""
        ...


# -- lists ----------------------------------------------------------------------------------------


class Entries(Protocol):
    """Members' own lists."""

    def page(
        self, user_id: str, limit: int, after: Position | None, *, unread_only: bool
    ) -> tuple[list[Entry], Position | None]: ...

    def unread(self, user_id: str) -> int: ...

    def mark_read(self, user_id: str, notice_id: str, now: datetime) -> Entry | None:
        """The entry, read for the first time now or earlier; None when there is none."""
        ...


class Failed(Protocol):
    """Deliveries that were given up."""

    def page(
        self, limit: int, after: Position | None, *, since: datetime | None = None, until: datetime | None = None
    ) -> tuple[list[Delivery], Position | None]:
        """Newest first. since, until: of the moment it was given up, the first included. Raises NoPosition."""
        ...

    def begin_anew(self, delivery: Delivery, now: datetime) -> bool:
        """PENDING and due again; False when it is not FAILED under this id any more."""
        ...

    def retry(self, failure_id: str, now: datetime) -> Delivery | None:
        """PENDING and due again; None when there is none that failed under this id."""
        ...


# -- announcements --------------------------------------------------------------------------------


class Broadcasts(Protocol):
    """Announcements and how far they have come."""

    def create(self, broadcast: Broadcast, ticket: Ticket | None, now: datetime) -> tuple[str, bool]:
        """Its id, or that of the same request before, and whether it is the one from before."""
        ...

    def asked_before(self, ticket: Ticket, now: datetime) -> str | None:
        """The id of the announcement the same request made before. Raises IdempotencyKeyReused."""
        ...

    def get(self, broadcast_id: str) -> Broadcast | None: ...

    def advance(self, was: Broadcast, broadcast: Broadcast, look_again: datetime | None, now: datetime) -> None:
        """Notes how far it is. look_again: when, should nobody have gone on; None when it is over. Raises Stale."""
        ...


# -- neighbours -----------------------------------------------------------------------------------


class NeighbourUnavailable(Exception):
    """Another service could not be asked; nothing was done, and asking later may work."""


@dataclass(frozen=True)
class Account:
    """What notifications needs to know of a member.

    phone: one that the member set with their password; None for any other.
    has_proved_email: that the address is theirs.
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
        """None when there is none (any more). Raises NeighbourUnavailable."""
        ...

    def ids(self, role: str | None, status: str | None, limit: int, cursor: str | None) -> tuple[list[str], str | None]:
        """A page of the members there are. Raises NeighbourUnavailable."""
        ...


class Loans(Protocol):
    """The loans service."""

    def still_out(self, loan_id: str, due_date: str) -> bool:
        """Whether the member has the copy, has not said it was returned, and it is due at that very moment.

        Not at a `due_date` that is no moment. Raises NeighbourUnavailable.
        """
        ...


class Caps(Protocol):
    """How much goes out to somebody in a day (`library_common.limits`)."""

    def take(self, limit_name: str, key: str) -> None:
        """Counts one message. Raises TooManyRequests."""
        ...


# -- ways out -------------------------------------------------------------------------------------


class Refused(Exception):
    """This message will never go this way: the address or the content is not accepted. `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class NotSent(Exception):
    """It was definitely not sent; later it may be. `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Unknown(Exception):
    """Nobody answered in time: it may have been sent."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Way(Protocol):
    """One channel's way to people."""

    def send(self, account: Account, message: Rendered) -> None:
        """Raises Refused, NotSent or Unknown; `Refused("no_address")` when the member cannot be reached this way."""
        ...


class Devices(Protocol):
    """The devices that members registered for push messages."""

    def of(self, user_id: str) -> list[str]:
        """The ARNs of their platform endpoints."""
        ...

    def forget(self, user_id: str, endpoint: str) -> bool:
        """An endpoint that does not work any more. True when it was the member's and is nobody's now."""
        ...


class PushService(Protocol):
    """Where endpoints are kept besides."""

    def forget(self, endpoint: str) -> None:
        """Idempotent."""
        ...
