"""Members' preferences: read, replaced as a whole."""

from dataclasses import dataclass, replace
from typing import Protocol

from library_common.problems import StaleVersion
from notifications_service.domain.errors import CannotBeTurnedOff, InvalidFields
from notifications_service.domain.kinds import Channel, Kind
from notifications_service.domain.preferences import (
    ALWAYS_BY_EMAIL,
    DEFAULT_CHANNELS,
    FOR_THE_MEMBER_TO_TURN_OFF,
    Preferences,
)
from notifications_service.domain.timing import LONGEST_QUIET, how_long

_TRIES = 4


class PreferencesChanged(Exception):
    """Somebody else replaced them at the same moment."""


class PreferencesStore(Protocol):
    """Where they are kept."""

    def of(self, user_id: str) -> Preferences:
        """The defaults, version 0, for a member who never said anything. Strongly consistent."""
        ...

    def put(self, user_id: str, preferences: Preferences) -> None:
        """Replaces the version before. Raises PreferencesChanged when that is not what is there.

        Raises UserNotFound for a member who was erased.
        """
        ...


@dataclass(frozen=True)
class Wishes:
    """The use cases."""

    store: PreferencesStore

    def of(self, user_id: str) -> Preferences:
        return self.store.of(user_id)

    def put(
        self, user_id: str, wished: Preferences, accepted: frozenset[int] | None, *, by_the_member: bool
    ) -> Preferences:
        """Replaces what there was. accepted: the versions the caller knows, None for any.

        Others than the member may leave off what is off, and turn off most things, but not all.
        The same wish again changes nothing. Raises InvalidFields, CannotBeTurnedOff, StaleVersion; UserNotFound
        for a member who was erased.
        """
        _check(wished)
        wished = replace(wished, channels=_differing(wished))
        for _ in range(_TRIES):
            current = self.store.of(user_id)
            if accepted is not None and current.version not in accepted:
                break
            if not by_the_member:
                _check_for_others(wished, current)
            if replace(wished, version=current.version) == current and current.version:
                return current
            following = replace(wished, version=current.version + 1)
            try:
                self.store.put(user_id, following)
            except PreferencesChanged:
                # Without If-Match the last one wins; with it, the next look tells.
                continue
            return following
        raise StaleVersion("It has been changed since you read it; read it again.")


def effective_channels(preferences: Preferences) -> dict[Kind, tuple[Channel, ...]]:
    """By which ways of each kind."""
    return {kind: preferences.channels.get(kind, DEFAULT_CHANNELS) for kind in Kind}


def _check(wished: Preferences) -> None:
    if off := sorted(kind for kind in ALWAYS_BY_EMAIL if not _by_email(wished, kind)):
        raise CannotBeTurnedOff(*off)
    if wished.quiet_hours is not None and how_long(wished.quiet_hours) > LONGEST_QUIET:
        raise InvalidFields(("quiet_hours", "last 20 hours at most"))


def _check_for_others(wished: Preferences, current: Preferences) -> None:
    turned_off = {
        kind for kind in FOR_THE_MEMBER_TO_TURN_OFF if _by_email(current, kind) and not _by_email(wished, kind)
    }
    if turned_off:
        raise CannotBeTurnedOff(*sorted(turned_off))


def _by_email(preferences: Preferences, kind: Kind) -> bool:
    return Channel.EMAIL in preferences.channels.get(kind, DEFAULT_CHANNELS)


def _differing(wished: Preferences) -> dict[Kind, tuple[Channel, ...]]:
    # In one order and each once, so that the same wish is the same value.
    sorted_out = {kind: tuple(c for c in Channel if c in chosen) for kind, chosen in wished.channels.items()}
    return {kind: chosen for kind, chosen in sorted_out.items() if chosen != DEFAULT_CHANNELS}
