"""Sends what is due for one member by one channel: instant notices alone, everything else in one message.

The steps, each of which may be the process's last:

1. Take the lease of member and channel. Nobody else sends there meanwhile.
2. Find what is due. Drop or put back what may not go out now (`eligibility`).
3. Write SENDING. If the process dies after this, the outcome is unknown.
4. Send (`message_sending`). If the provider does not answer in time, the outcome is unknown, too.
5. Write SENT, or another outcome (`delivery_outcomes`), and give the lease back.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from library_common.clock import Clock
from library_common.ids import new_id
from notifications_service.application.delivery_outcomes import SUPERSEDED, UNKNOWN_OUTCOME, DeliveryOutcomes, Turn
from notifications_service.application.eligibility import Eligibility
from notifications_service.application.message_sending import MessageSending
from notifications_service.application.ports import (
    AccountLanguages,
    Accounts,
    DeliveryStore,
    PreferencesStore,
    ServiceUnavailable,
)
from notifications_service.domain.deliveries import (
    LEASE,
    MAX_UNKNOWN,
    Delivery,
    Lease,
    State,
    due_together,
    split_into_messages,
    superseded,
)
from notifications_service.domain.kinds import Channel


@dataclass(frozen=True)
class SendDue:
    """The use case."""

    deliveries: DeliveryStore
    accounts: Accounts
    preferences: PreferencesStore
    languages: AccountLanguages
    eligibility: Eligibility
    messages: MessageSending
    outcomes: DeliveryOutcomes
    clock: Clock
    ids: Callable[[], str] = new_id

    def __call__(self, user_id: str, channel: Channel) -> str:
        """Returns the outcome."""
        now = self.clock.now()
        lease = Lease(user_id, channel, self.ids(), now + LEASE)
        if not self.deliveries.take(lease, now):
            # The holder sends what is due; the sweep finds what becomes due right now.
            return "busy"
        try:
            outcome = self._send_with(lease)
        except Exception:
            self.deliveries.give_back(lease)
            raise
        # Not in a `finally`: a process that dies does not give anything back either.
        self.deliveries.give_back(lease)
        return outcome

    def _send_with(self, lease: Lease) -> str:
        found = due_together(self.deliveries.open(lease.user_id, lease.channel), self.clock.now())
        if not found:
            return "nothing_due"
        due = self._without_repeated_unknown(found)
        if not due:
            return "given_up"
        # Before users is asked, so that a slow answer does not overwrite a newer one.
        noted = self.languages.of(lease.user_id)
        try:
            account = self.accounts.find(lease.user_id)
        except ServiceUnavailable:
            self.outcomes.put_back_for_a_pause(due)
            return "postponed"
        if account is None:
            for delivery in due:
                self.outcomes.drop(delivery, "no_member")
            return "no_member"
        if account.language != noted:
            self.languages.note(lease.user_id, noted, account.language)
        turn = Turn(lease, account, self.preferences.of(lease.user_id))
        ready = self.eligibility.ready(due, turn)
        if not ready:
            return "not_now"
        replaced = superseded(ready)
        for delivery in replaced:
            self.outcomes.drop(delivery, SUPERSEDED)
        parts = split_into_messages([delivery for delivery in ready if delivery not in replaced])
        outcomes = [self.messages.send(part, turn) for part in parts]
        return next((outcome for outcome in outcomes if outcome != "sent"), "sent")

    def _without_repeated_unknown(self, found: Sequence[Delivery]) -> list[Delivery]:
        """A delivery left SENDING counts as unknown, and is given up when that is once too often."""
        due = []
        for delivery in found:
            if delivery.state != State.SENDING:
                due.append(delivery)
            elif delivery.unknown >= MAX_UNKNOWN:
                self.outcomes.fail(delivery, UNKNOWN_OUTCOME)
            else:
                due.append(replace(delivery, unknown=delivery.unknown + 1))
        return due
