"""What is due for one member by one channel is sent: what is instant alone, everything else in one message.

The steps, each of which may be the process's last:

1. Take the lease of member and channel. Nobody else sends there meanwhile.
2. Look what is due, and drop or put back what may not go out now: the member is gone, does not want it, has quiet
   hours, has returned the book; a later notice says the same anew.
3. Write SENDING. From here on a death leaves something of which nobody knows whether it was sent.
4. Send. What the provider does not answer in time is unknown, too.
5. Write SENT, or what else came of it, and give the lease back.

What is unknown is sent once more, after the lease: a member may get the same message twice then, which is better than
not at all. If that is unknown again, it is given up as `unknown_outcome`, for an administrator to decide. A failure
that is certain is tried again with growing pauses for a day. A refusal for good goes over to the next channel that the
member allows; where there is none, the notice is in the member's list at least.

Nobody gets more than so many messages a day, whatever happens in the library: what is beyond that waits for the next
morning and is one message then. What staff send by hand has a small part of them, so that it never uses up all. E-mails
about what must not be done unheard go past that, to an address that nobody has proved to be the member's so many more.
Such an address gets the library's words only: the member's name, which may be anything, is left out.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from library_common.clock import Clock
from library_common.ids import new_id, time_of_id
from library_common.problems import TooManyRequests
from library_common.telemetry import count, emit_metric, logger
from notifications_service.application.api_ports import Entry
from notifications_service.application.brake import Brake
from notifications_service.application.ports import (
    Account,
    AccountLanguages,
    Accounts,
    Caps,
    Deliveries,
    Devices,
    DueDelivery,
    FirstAllowed,
    Lease,
    Loans,
    NeighbourUnavailable,
    NotSent,
    Outgoing,
    Refused,
    Rendered,
    Stale,
    StoredPreferences,
    Templates,
    Unknown,
    Way,
)
from notifications_service.domain.choosing import is_allowed
from notifications_service.domain.deliveries import (
    BEGIN_WITHIN,
    FALL_BACK,
    JUDGE_WITHIN,
    LEASE,
    MOST_UNKNOWN,
    Delivery,
    State,
    pause_after,
    tomorrow,
)
from notifications_service.domain.kinds import Channel, Kind, Urgency
from notifications_service.domain.mailboxes import mailbox
from notifications_service.domain.messages import gathered, messages_of, overtaken
from notifications_service.domain.preferences import NEVER_UNHEARD, Preferences

OF_A_LOAN = frozenset({Kind.LOAN_DUE_SOON, Kind.LOAN_OVERDUE})
"""Kinds that are pointless once the book is back."""

NOT_JUDGED = "not_judged"
NOT_RENDERED = "not_rendered"
UNKNOWN_OUTCOME = "unknown_outcome"
OVERTAKEN = "overtaken"

TEXTS_A_DAY = "member_sms"
MAILS_A_DAY = "member_email"
MAILS_A_DAY_UNPROVED = "unproved_email"
WARNINGS_A_DAY_UNPROVED = "unproved_warning"
"""The limits on messages, by name. The last one: on what goes past the one before."""

BY_HAND = {
    TEXTS_A_DAY: "by_hand_sms",
    MAILS_A_DAY: "by_hand_email",
    MAILS_A_DAY_UNPROVED: "by_hand_unproved",
}
"""For each of them the part of it that messages with something sent by hand may use up."""


@dataclass(frozen=True)
class _Turn:
    """One member and channel while the lease is ours."""

    lease: Lease
    account: Account
    preferences: Preferences

    @property
    def begun_at(self) -> datetime:
        return self.lease.until - LEASE

    def allows(self, channel: Channel, kind: Kind) -> bool:
        return is_allowed(
            channel,
            kind,
            self.preferences,
            takes_email=self.account.takes_email,
            takes_sms=self.account.takes_sms,
        )

    @property
    def names_the_member(self) -> bool:
        """Whether the message is sure to reach the member, and nobody whom a stranger would have us write to."""
        match self.lease.channel:
            case Channel.EMAIL:
                return self.account.has_proved_email
            case Channel.SMS:
                return False
        return True


@dataclass(frozen=True)
class Delivering:
    """The use case. first_pause: before the second try."""

    deliveries: Deliveries
    preferences: StoredPreferences
    languages: AccountLanguages
    accounts: Accounts
    loans: Loans
    templates: Templates
    ways: Mapping[Channel, Way]
    devices: Devices
    outgoing: Outgoing
    caps: Caps
    first_allowed: FirstAllowed
    zone: ZoneInfo
    library_name: str
    first_pause: timedelta
    brake: Brake
    clock: Clock
    jitter: Callable[[], float] = random.random
    ids: Callable[[], str] = new_id

    def __call__(self, user_id: str, channel: Channel) -> str:
        """The outcome in a word or two."""
        now = self.clock.now()
        lease = Lease(user_id, channel, self.ids(), now + LEASE)
        if not self.deliveries.take(lease, now):
            # Whoever has it sends what is due; what comes due just now is found by the sweep.
            return "busy"
        try:
            outcome = self._with(lease)
        except Exception:
            self.deliveries.give_back(lease)
            raise
        # Not in a `finally`: a process that dies does not give anything back either.
        self.deliveries.give_back(lease)
        return outcome

    # -- what goes out ------------------------------------------------------------------------

    def _with(self, lease: Lease) -> str:
        now = self.clock.now()
        found = self.deliveries.open(lease.user_id, lease.channel)
        if not (turns := gathered(found, now)):
            return "nothing due"
        if not (due := [delivery for turn in turns if (delivery := self._settled(turn)) is not None]):
            return "given up"
        # Before users is asked, so that an answer that took long does not take the place of a newer one.
        noted = self.languages.of(lease.user_id)
        try:
            account = self.accounts.find(lease.user_id)
        except NeighbourUnavailable:
            self._later(due, now + self._pause(1))
            return "waits"
        if account is None:
            for delivery in due:
                self.deliveries.drop(delivery, "no_member", now)
            return "no member"
        if account.language != noted:
            self.languages.note(lease.user_id, noted, account.language)
        turn = _Turn(lease, account, self.preferences.of(lease.user_id))
        ready = self._ready(due, turn)
        if not ready:
            return "not now"
        old_news = overtaken(ready)
        for delivery in old_news:
            self.deliveries.drop(delivery, OVERTAKEN, self.clock.now())
        outcomes = [self._send(part, turn) for part in messages_of([d for d in ready if d not in old_news])]
        return next((outcome for outcome in outcomes if outcome != "sent"), "sent")

    def _settled(self, delivery: Delivery) -> Delivery | None:
        """One that was left SENDING counts as unknown; None when that is once too often."""
        if delivery.state is not State.SENDING:
            return delivery
        if delivery.unknown >= MOST_UNKNOWN:
            self._fail(delivery, UNKNOWN_OUTCOME)
            return None
        return replace(delivery, unknown=delivery.unknown + 1)

    def _ready(self, due: Sequence[Delivery], turn: _Turn) -> list[Delivery]:
        """Those that may go. Loans that answer slowly do not use up the time in which messages can be begun: what they
        would be asked about next is left as it is, due, for the next turn."""
        ready: list[Delivery] = []
        has_asked = False
        for delivery in sorted(due, key=lambda delivery: delivery.kind in OF_A_LOAN):
            asks = delivery.kind in OF_A_LOAN
            if asks and has_asked and self.clock.now() - turn.begun_at > JUDGE_WITHIN:
                break
            has_asked = has_asked or asks
            if self._judged(delivery, turn):
                ready.append(delivery)
        return ready

    def _judged(self, delivery: Delivery, turn: _Turn) -> bool:
        """`_may_go`; one that cannot be judged is tried again by itself, for a day, and holds up no other."""
        try:
            return self._may_go(delivery, turn)
        except Exception as failure:  # noqa: BLE001 - whatever is odd about this one, the others are not
            self._odd("notice not judged", delivery, failure)
            begun = _begun([delivery], self.clock.now())
            try:
                self.deliveries.begin(turn.lease, begun)
            except Stale:
                return False
            self._try_again(begun, NOT_JUDGED)
            return False

    def _may_go(self, delivery: Delivery, turn: _Turn) -> bool:
        """What may not is dropped, sent another way, or put back here."""
        now = self.clock.now()
        if not turn.allows(delivery.channel, delivery.kind):
            if not self._went_over(delivery, turn, "not_wanted"):
                self._let_go(delivery, turn, "not_wanted")
            return False
        # The wishes may have changed since it was planned, and a late one is not to ring at night.
        how_soon = Urgency.INSTANT if delivery.is_instant else Urgency.TIMELY
        allowed = self.first_allowed(turn.preferences, how_soon, now, self.zone)
        if allowed > now:
            self._later([delivery], allowed)
            return False
        return self._still_applies(delivery, now)

    def _still_applies(self, delivery: Delivery, now: datetime) -> bool:
        loan_id, due_date = delivery.data.get("loan_id"), delivery.data.get("due_date")
        if delivery.kind not in OF_A_LOAN or not loan_id or not due_date:
            return True
        try:
            applies = self.loans.still_out(loan_id, due_date)
        except NeighbourUnavailable:
            self._later([delivery], now + self._pause(1))
            return False
        if not applies:
            self.deliveries.drop(delivery, "does_not_apply", now)
        return applies

    # -- sending ------------------------------------------------------------------------------

    def _send(self, part: Sequence[Delivery], turn: _Turn) -> str:
        now = self.clock.now()
        channel = turn.lease.channel
        if self.brake.is_on(channel, now):
            self._later(part, now + self.brake.pause * (1 + 0.5 * self.jitter()))
            return "paused"
        if now - turn.begun_at > BEGIN_WITHIN:
            self._later(part, now)
            return "out of time"
        over = self._over_the_caps(part, turn)
        self._later(over, tomorrow(now, self.zone))
        part = [delivery for delivery in part if delivery not in over]
        if not part:
            return "enough for today"
        begun = _begun(part, now)
        try:
            self.deliveries.begin(turn.lease, begun)
        except Stale:
            return "overtaken"
        message, begun = self._rendered(begun, turn)
        if message is None:
            return "not rendered"
        return self._hand_over(message, begun, turn)

    def _over_the_caps(self, part: Sequence[Delivery], turn: _Turn) -> list[Delivery]:
        """What has to wait for tomorrow. A message counts when it is first tried, and not again."""
        new = [delivery for delivery in part if delivery.first_tried_at is None]
        limit, keys = _cap_of(turn)
        if limit is None or not new:
            return []
        by_hand = [delivery for delivery in new if delivery.by_hand]
        waiting = by_hand if by_hand and not self._takes(BY_HAND[limit], keys) else []
        new = [delivery for delivery in new if delivery not in waiting]
        if not new or self._takes(limit, keys):
            return waiting
        warnings = [d for d in new if d.kind in NEVER_UNHEARD and turn.lease.channel is Channel.EMAIL]
        if warnings and limit == MAILS_A_DAY_UNPROVED and not self._takes(WARNINGS_A_DAY_UNPROVED, keys):
            # It may be a stranger's address, whose owner has no part in what becomes of the account.
            warnings = []
        return waiting + [delivery for delivery in new if delivery not in warnings]

    def _takes(self, limit_name: str, keys: Sequence[str]) -> bool:
        try:
            for key in keys:
                self.caps.take(limit_name, key)
        except TooManyRequests:
            return False
        return True

    def _hand_over(self, message: Rendered, begun: Sequence[Delivery], turn: _Turn) -> str:
        channel = turn.lease.channel
        try:
            self.ways[channel].send(turn.account, message)
        except Refused as refused:
            # The provider answered: it is there.
            self.brake.worked(channel)
            for delivery in begun:
                self._refused(delivery, turn, refused.code)
            return "refused"
        except NotSent as failure:
            self.brake.failed(channel, self.clock.now())
            self._try_again(begun, failure.code)
            return "not sent"
        except Unknown as failure:
            self.brake.failed(channel, self.clock.now())
            self._after_the_lease(begun, turn.lease, failure.code)
            return "unknown"
        self.brake.worked(channel)
        self.deliveries.sent(begun, self.clock.now())
        count("NoticesSent", len(begun), channel=channel.value)
        return "sent"

    def _rendered(self, begun: list[Delivery], turn: _Turn) -> tuple[Rendered | None, list[Delivery]]:
        """The message, and of what it is made. What cannot be put into words now is tried again later, by itself."""
        try:
            return self._render(begun, turn), begun
        except Exception as failure:  # noqa: BLE001 - whatever wording trips over, nothing was sent
            if len(begun) == 1:
                self._not_rendered(begun[0], failure)
                return None, []
        good = []
        for delivery in begun:
            try:
                self._render([delivery], turn)
            except Exception as failure:  # noqa: BLE001 - as above
                self._not_rendered(delivery, failure)
            else:
                good.append(delivery)
        if not good:
            return None, []
        try:
            return self._render(good, turn), good
        except Exception as failure:  # noqa: BLE001 - as above
            for delivery in good:
                self._not_rendered(delivery, failure)
            return None, []

    def _render(self, deliveries: Sequence[Delivery], turn: _Turn) -> Rendered:
        name = turn.account.name if turn.names_the_member else ""
        always = {"library_name": self.library_name, "member_name": name}
        return self.templates.render_many(
            [(delivery.kind, {**delivery.data, **always}) for delivery in deliveries],
            turn.lease.channel,
            turn.preferences.language or turn.account.language,
        )

    # -- what comes of it ---------------------------------------------------------------------

    def _later(self, deliveries: Sequence[Delivery], at: datetime) -> None:
        self.deliveries.put_back([replace(delivery, not_before=at, send_at=at) for delivery in deliveries])

    def _try_again(self, deliveries: Sequence[Delivery], code: str) -> None:
        for delivery in deliveries:
            at = self.clock.now() + self._pause(delivery.attempts)
            if delivery.is_given_up(at):
                self._fail(delivery, code)
            else:
                self._later([replace(delivery, error=code)], at)

    def _after_the_lease(self, deliveries: Sequence[Delivery], lease: Lease, code: str) -> None:
        for delivery in deliveries:
            if delivery.unknown >= MOST_UNKNOWN:
                self._fail(delivery, UNKNOWN_OUTCOME)
            else:
                self._later([replace(delivery, unknown=delivery.unknown + 1, error=code)], lease.until)

    def _not_rendered(self, delivery: Delivery, failure: Exception) -> None:
        self._odd("notice not rendered", delivery, failure)
        self._try_again([delivery], NOT_RENDERED)

    def _odd(self, what: str, delivery: Delivery, failure: Exception) -> None:
        logger().error(
            what,
            extra={"kind": delivery.kind.value, "channel": delivery.channel.value, "failure": type(failure).__name__},
        )

    def _refused(self, delivery: Delivery, turn: _Turn, code: str) -> None:
        if self._went_over(delivery, turn, code):
            return
        if self._is_told_otherwise(delivery):
            self._let_go(delivery, turn, code)
        else:
            self._enlist(delivery, turn)
            self._fail(delivery, code)

    def _let_go(self, delivery: Delivery, turn: _Turn, why: str) -> None:
        """Dropped. Who is told by no other way finds it in their list."""
        otherwise = self._is_told_otherwise(delivery)
        if not otherwise:
            # First: who dies after the drop would leave the member without both.
            self._enlist(delivery, turn)
        self.deliveries.drop(delivery, why, self.clock.now())
        if otherwise and not self._is_told_otherwise(delivery):
            # The sender of the other way let go at the same moment, and relied on this one.
            self._enlist(delivery, turn)

    def _is_told_otherwise(self, delivery: Delivery) -> bool:
        others = self.deliveries.others(delivery).values()
        return any(other.state in (State.PENDING, State.SENDING, State.SENT) for other in others)

    def _enlist(self, delivery: Delivery, turn: _Turn) -> None:
        """In the member's list, unless they want none of this kind."""
        if turn.preferences.channels.get(delivery.kind) != ():
            entry = Entry(delivery.notice_id, delivery.kind, delivery.data, time_of_id(delivery.notice_id))
            self.deliveries.enlist(delivery.user_id, entry, self.clock.now())

    def _went_over(self, delivery: Delivery, turn: _Turn, why: str) -> bool:
        """Whether the next channel that the member allows takes over."""
        now = self.clock.now()
        for channel in FALL_BACK:
            if channel is delivery.channel or not turn.allows(channel, delivery.kind):
                continue
            if not self._reaches(turn.account, channel):
                continue
            instead = replace(
                delivery,
                channel=channel,
                state=State.PENDING,
                not_before=now,
                send_at=now,
                attempts=0,
                unknown=0,
                first_tried_at=None,
                error=None,
            )
            if self.deliveries.fall_back(delivery, instead, why, now):
                self.outgoing.put([DueDelivery(delivery.user_id, channel)])
                return True
        return False

    def _reaches(self, account: Account, channel: Channel) -> bool:
        match channel:
            case Channel.SMS:
                return account.phone is not None
            case Channel.PUSH:
                return bool(self.devices.of(account.id))
        return bool(account.email)

    def _fail(self, delivery: Delivery, code: str) -> None:
        self.deliveries.fail(delivery, code, self.clock.now())
        logger().error(
            "notice given up",
            extra={
                "notice_id": delivery.notice_id,
                "user_id": delivery.user_id,
                "kind": delivery.kind.value,
                "channel": delivery.channel.value,
                "reason": code,
            },
        )
        emit_metric("NoticeFailed", service="notifications")

    def _pause(self, attempts: int) -> timedelta:
        return pause_after(attempts, self.first_pause, self.jitter())


def _begun(deliveries: Sequence[Delivery], now: datetime) -> list[Delivery]:
    """As they are when they are tried once more."""
    return [replace(d, attempts=d.attempts + 1, first_tried_at=d.first_tried_at or now) for d in deliveries]


def _cap_of(turn: _Turn) -> tuple[str | None, list[str]]:
    """The limit that a message of this turn counts under, and whose. None for no limit."""
    account = turn.account
    match turn.lease.channel:
        case Channel.EMAIL:
            if account.has_proved_email:
                return MAILS_A_DAY, [account.id]
            # By address, too: one can be moved from account to account.
            return MAILS_A_DAY_UNPROVED, [account.id, mailbox(account.email)]
        case Channel.SMS if account.phone is not None:
            # By number, too: several accounts may have the same.
            return TEXTS_A_DAY, [account.id, account.phone]
    return None, []
