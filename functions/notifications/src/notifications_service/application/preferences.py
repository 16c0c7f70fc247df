"""Members' preferences: read, and replaced as a whole."""

from dataclasses import dataclass, replace

from library_common.problems import StaleVersion
from library_common.versions import VersionConflict
from notifications_service.application.ports import PreferencesStore
from notifications_service.domain.errors import CannotBeTurnedOff, InvalidFields
from notifications_service.domain.kinds import Channel, Kind
from notifications_service.domain.preferences import (
    ALWAYS_BY_EMAIL,
    DEFAULT_CHANNELS,
    ONLY_MEMBER_TURNS_OFF,
    Preferences,
)
from notifications_service.domain.timing import LONGEST_QUIET, duration

_TRIES = 4


@dataclass(frozen=True)
class MemberPreferences:
    """The use cases."""

    store: PreferencesStore

    def of(self, user_id: str) -> Preferences:
        return self.store.of(user_id)

    def replace(
        self, user_id: str, chosen: Preferences, accepted: frozenset[int] | None, *, by_the_member: bool
    ) -> Preferences:
        """Replaces the stored preferences. accepted: the versions the caller knows, None for any.

        What only a newer version of this service knows is kept. Replacing them with the same changes nothing. Others
        than the member may leave off what is off, and turn off most e-mails, but not all.
        Raises InvalidFields, CannotBeTurnedOff, StaleVersion; UserNotFound for an erased member.
        """
        _check(chosen)
        for _ in range(_TRIES):
            current = self.store.of(user_id)
            if accepted is not None and current.version not in accepted:
                break
            if not by_the_member:
                _check_for_others(chosen, current)
            following = replace(chosen, channels=_stored_channels(chosen, current), version=current.version)
            if following == current and current.version:
                return current
            following = replace(following, version=current.version + 1)
            try:
                self.store.replace(user_id, current, following)
            except VersionConflict:
                # Without If-Match the last one wins; with it, the next read tells.
                continue
            return following
        raise StaleVersion("It has been changed since you read it; read it again.")


def effective_channels(preferences: Preferences) -> dict[Kind, tuple[Channel, ...]]:
    """The channels of every kind."""
    return {kind: _channels(preferences, kind) for kind in Kind}


def _check(chosen: Preferences) -> None:
    if off := sorted(kind for kind in ALWAYS_BY_EMAIL if not _by_email(chosen, kind)):
        raise CannotBeTurnedOff(*off)
    if chosen.quiet_hours is not None and duration(chosen.quiet_hours) > LONGEST_QUIET:
        raise InvalidFields(("quiet_hours", "must last 20 hours at most"))


def _check_for_others(chosen: Preferences, current: Preferences) -> None:
    turned_off = {kind for kind in ONLY_MEMBER_TURNS_OFF if _by_email(current, kind) and not _by_email(chosen, kind)}
    if turned_off:
        raise CannotBeTurnedOff(*sorted(turned_off))


def _channels(preferences: Preferences, kind: Kind) -> tuple[Channel, ...]:
    chosen = preferences.chosen(kind)
    return DEFAULT_CHANNELS if chosen is None else chosen


def _by_email(preferences: Preferences, kind: Kind) -> bool:
    return Channel.EMAIL in _channels(preferences, kind)


def _stored_channels(chosen: Preferences, current: Preferences) -> dict[str, tuple[str, ...]]:
    """The chosen channels where they differ from the default, in one order and each once, so that the same choice is
    the same value; and the kinds and channels of the current ones that this version does not know."""
    stored: dict[str, tuple[str, ...]] = {kind: names for kind, names in current.channels.items() if kind not in Kind}
    for kind in Kind:
        channels = tuple(channel for channel in Channel if channel in _channels(chosen, kind))
        unknown = tuple(name for name in current.channels.get(kind, ()) if name not in Channel)
        if channels != DEFAULT_CHANNELS or unknown:
            stored[kind] = (*channels, *unknown)
    return stored
