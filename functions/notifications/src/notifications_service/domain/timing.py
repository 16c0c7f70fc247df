"""When a notice may go out: quiet hours and digests, by the member's wall clock.

A wall clock jumps. A time that it skips means the first instant after the gap; a time that it shows twice means the
first. Quiet hours are what the clock shows: if it is put back into them they begin again, and if it is put back out of
them they are interrupted.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from notifications_service.domain.kinds import Urgency
from notifications_service.domain.locales import find_zone
from notifications_service.domain.preferences import Digest, DigestRhythm, Preferences, QuietHours

LONGEST_QUIET = timedelta(hours=20)
"""Longer ones could, with a change of the clock, put a weekly digest off for more than a week."""

_SECOND = timedelta(seconds=1)
_STEP = timedelta(hours=6)
"""Two changes of a clock are never closer than this."""

_DAYS_TO_LOOK = range(4)
"""The end of quiet hours is tomorrow at the latest, unless their end falls into a gap, or tomorrow was left out."""

_DIGEST_DAYS = range(-3, 11)
"""Digests that quiet hours put off from the days before may still be to come; a weekly one is within seven days."""


type FirstAllowed = Callable[[Preferences, Urgency, datetime, tzinfo], datetime]
"""`first_allowed`, or a stand-in for it."""


def first_allowed(preferences: Preferences, urgency: Urgency, now: datetime, library_zone: tzinfo) -> datetime:
    """The first time, `now` or later, at which a notice may go out; in UTC."""
    now = now.astimezone(UTC)
    if urgency is Urgency.INSTANT:
        return now
    zone = (find_zone(preferences.time_zone) if preferences.time_zone else None) or library_zone
    if urgency is Urgency.ROUTINE and preferences.digest.rhythm != DigestRhythm.OFF:
        return _next_digest(preferences.digest, preferences.quiet_hours, now, zone)
    return _after(preferences.quiet_hours, now, zone)


def is_quiet(hours: QuietHours | None, moment: datetime, zone: tzinfo) -> bool:
    """Whether the wall clock shows a time within the quiet hours."""
    if hours is None or hours.start == hours.end:
        return False
    shown = moment.astimezone(zone).time()
    if hours.start < hours.end:
        return hours.start <= shown < hours.end
    return shown >= hours.start or shown < hours.end


def duration(hours: QuietHours) -> timedelta:
    """On a day on which the clock is not changed."""
    minutes = (hours.end.hour - hours.start.hour) * 60 + hours.end.minute - hours.start.minute
    return timedelta(minutes=minutes % (24 * 60))


def _next_digest(digest: Digest, hours: QuietHours | None, now: datetime, zone: tzinfo) -> datetime:
    # Each digest is put off by itself: a notice that comes while one waits for the end of quiet hours still joins it.
    today = now.astimezone(zone).date()
    days = (today + timedelta(days=number) for number in _DIGEST_DAYS)
    times = (
        _after(hours, _first_instant(day, digest.at, zone), zone)
        for day in days
        if digest.rhythm == DigestRhythm.DAILY or day.weekday() == digest.weekday
    )
    return min(moment for moment in times if moment >= now)


def _after(hours: QuietHours | None, moment: datetime, zone: tzinfo) -> datetime:
    """`moment`, or the first one after it that is not quiet."""
    if hours is None or not is_quiet(hours, moment, zone):
        return moment
    today = moment.astimezone(zone).date()
    ends = [
        end
        for number in _DAYS_TO_LOOK
        for end in _instants(today + timedelta(days=number), hours.end, zone)
        if end > moment
    ]
    interruptions = _changes(moment, moment + timedelta(days=len(_DAYS_TO_LOOK)), zone)
    return min(found for found in (*ends, *interruptions) if not is_quiet(hours, found, zone))


def _first_instant(day: date, at: time, zone: tzinfo) -> datetime:
    return _instants(day, at, zone)[0]


def _instants(day: date, at: time, zone: tzinfo) -> list[datetime]:
    """When the clock shows this: once or twice; never in a gap, then the first instant after it."""
    wanted = datetime.combine(day, at)
    early, late = (wanted.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if early.astimezone(zone).replace(tzinfo=None) == wanted:
        return [early] if early == late else [early, late]
    # In a gap fold=1 counts with the offset after it, and so lies before it; fold=0 the other way round.
    return [_change_between(late, early, zone)]


def _changes(start: datetime, end: datetime, zone: tzinfo) -> Iterator[datetime]:
    """When the clock is put forward or back."""
    while start < end:
        following = start + _STEP
        if _offset(start, zone) != _offset(following, zone):
            yield _change_between(start, following, zone)
        start = following


def _change_between(before: datetime, after: datetime, zone: tzinfo) -> datetime:
    """The first whole second with the offset of `after`."""
    before, offset = before.replace(microsecond=0), _offset(after, zone)
    while after - before > _SECOND:
        middle = before + timedelta(seconds=(after - before) // _SECOND // 2)
        if _offset(middle, zone) == offset:
            after = middle
        else:
            before = middle
    return after.replace(microsecond=0)


def _offset(moment: datetime, zone: tzinfo) -> timedelta | None:
    return moment.astimezone(zone).utcoffset()
