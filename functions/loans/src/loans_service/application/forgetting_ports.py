"""What finding the loans that are to be forgotten needs from outside, as Protocols."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Protocol

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
"""`since` of accounts that every round is to look at."""

type WalkPlace = Mapping[str, str]
"""Where a walk through the whole table is to go on; only the table knows what it means."""


@dataclass(frozen=True)
class Listed:
    """A member in the list of those who may have closed loans that name them, and their place in it."""

    user_id: str
    since: datetime


class Accounts(Protocol):
    """Members' accounts, as far as forgetting goes by them."""

    def mark_erased(self, user_id: str, at: datetime) -> None:
        """Nothing is lent to the member from now on, and every round looks at them. Idempotent; also for whom there
        is no account yet.
        """
        ...

    def due(self, until: datetime, limit: int, after: Listed | None) -> tuple[list[Listed], Listed | None]:
        """A page of those who may have loans that were closed by then, longest ago first, and where it ended."""
        ...

    def move_on(self, user_id: str, *, was: datetime, since: datetime) -> None:
        """No loan that names the member was closed before `since`. Nothing happens if the account is not as it was."""
        ...

    def remove(self, user_id: str, *, erased_at: datetime) -> None:
        """The account of an erased member goes, unless a loan still holds a place in it. Idempotent."""
        ...

    def unlisted(self, after: WalkPlace | None) -> tuple[list[str], WalkPlace | None]:
        """Members whose accounts are not in the list; a page of a walk through the whole table."""
        ...

    def enlist(self, user_id: str) -> None:
        """Puts such an account at the list's beginning. Idempotent."""
        ...


@dataclass(frozen=True)
class Round:
    """How far a round over the list has come.

    day: on which it began, UTC. through: everybody in the list was looked at. after: where to go on; None at the
    beginning. walked: accounts of before there was a list are in it; walk_after: where that goes on.
    forgotten: loans that were anonymised. keeping: members who keep their history. put_off: members of whom users could
    not be asked. failed: loans and members that something went wrong with.
    """

    day: date
    version: int = 0
    through: bool = False
    after: Listed | None = None
    walked: bool = False
    walk_after: WalkPlace | None = None
    forgotten: int = 0
    keeping: int = 0
    put_off: int = 0
    failed: int = 0

    @property
    def finished(self) -> bool:
        """Everybody was looked at, and nobody put off."""
        return self.through and not self.put_off


class AnotherRun(Exception):
    """Another run is at the same round, and was faster."""


class Rounds(Protocol):
    """Where rounds are noted, so that a run goes on where the one before stopped."""

    def current(self) -> Round | None: ...

    def note(self, now: Round) -> Round:
        """Stores it on the version before, and answers it with its own. Raises AnotherRun."""
        ...
