"""Names for titles that no event has named: those from before there were statistics, or whose event was lost.

The first report that lists such a title asks the catalogue and has the answer kept like an event's: the description as
of a version. So a title is asked for once, and whatever events still come, in whatever order, the newest version
stands. Reports need the catalogue for nothing else: while it is away, names are missing, and everything else is there.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from analytics_service.application.applying import Applying
from analytics_service.application.ports import Catalogue, CatalogueUnavailable
from analytics_service.domain.facts import TitleFact, fold
from analytics_service.domain.incoming import BookDescribed
from library_common.telemetry import logger

MOST_ASKED = 10
"""Titles that one report asks for at most. Those after them are for the next one."""

SECONDS = 1.5
"""What a report spends on names at most, all of them together."""

NOT_AGAIN_SECONDS = 600.0
"""How long a process does not ask anew for a title that the catalogue does not know."""


@dataclass(frozen=True)
class Naming:
    """The use case. catalogue: made when a name is first missing; hardly any report needs one."""

    catalogue: Callable[[], Catalogue]
    applying: Applying
    monotonic: Callable[[], float]
    unknown: dict[str, float] = field(default_factory=dict)

    def complete(self, known: Mapping[str, TitleFact], book_ids: Sequence[str]) -> dict[str, TitleFact]:
        """What is known of these titles, with the names that could be found out. Never raises for a name."""
        complete = dict(known)
        found = self._asked([book_id for book_id in book_ids if known.get(book_id, TitleFact()).title is None])
        for described in found:
            fact = fold(complete.get(described.book_id, TitleFact()), described, None)
            assert isinstance(fact, TitleFact)  # noqa: S101 - a description says something of a title
            complete[described.book_id] = fact
        if found:
            self._keep(found)
        return complete

    def _asked(self, book_ids: Sequence[str]) -> list[BookDescribed]:
        now = self.monotonic()
        for book_id in [book_id for book_id, until in self.unknown.items() if until <= now]:
            del self.unknown[book_id]
        deadline = now + SECONDS
        found = []
        for book_id in [book_id for book_id in book_ids if book_id not in self.unknown][:MOST_ASKED]:
            try:
                described = self.catalogue().describe(book_id, deadline)
            except CatalogueUnavailable:
                # It would not answer for the others, either.
                break
            if described is None:
                self.unknown[book_id] = now + NOT_AGAIN_SECONDS
            else:
                found.append(described)
        return found

    def _keep(self, found: Sequence[BookDescribed]) -> None:
        try:
            failed = [outcome for outcome in self.applying.describe(found) if isinstance(outcome, Exception)]
        except Exception as failure:  # noqa: BLE001 - the report has its names; the next one asks for them again
            failed = [failure]
        if failed:
            reasons = sorted({type(failure).__name__ for failure in failed})
            logger().warning("names not kept", extra={"titles": len(failed), "failures": reasons})
