"""By which ways a member is told, and by which not."""

from collections.abc import Sequence

from notifications_service.domain.kinds import Channel, Kind, Urgency, urgency
from notifications_service.domain.preferences import DEFAULT_CHANNELS, Preferences


def channels_for(
    kind: Kind, preferences: Preferences, *, asked_for: Sequence[Channel] | None = None
) -> tuple[Channel, ...]:
    """What the member wished for this kind, or the usual ways.

    asked_for: the ways somebody chose for an announcement. A member who has wishes for this kind is told by what is
    in both, or in their list when nothing is, but for one who wants nothing of this kind; a member who has none, by all
    that were chosen.
    """
    wished = preferences.channels.get(kind)
    if asked_for is None:
        return tuple(dict.fromkeys(wished if wished is not None else DEFAULT_CHANNELS))
    if wished is None:
        return tuple(dict.fromkeys(asked_for))
    both = tuple(channel for channel in dict.fromkeys(asked_for) if channel in wished)
    return both or ((Channel.IN_APP,) if wished else ())


def is_allowed(channel: Channel, kind: Kind, preferences: Preferences, *, takes_email: bool, takes_sms: bool) -> bool:
    """Whether a message may go this way now. takes_*: what the member's account says.

    What has to be told at once is told by e-mail and push, whatever the account says. Nobody is texted who did not ask
    for it, and the wishes for a kind always count.
    """
    wished = preferences.channels.get(kind)
    if wished is not None and channel not in wished:
        return False
    if urgency(kind) is Urgency.INSTANT and channel is not Channel.SMS:
        return True
    return {Channel.EMAIL: takes_email, Channel.SMS: takes_sms}.get(channel, True)
