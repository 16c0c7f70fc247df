"""When notices may go out: across every change of the clock, never in quiet hours, digests of one member together."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from notifications_service.domain.kinds import Urgency
from notifications_service.domain.preferences import Digest, DigestRhythm, Preferences, QuietHours
from notifications_service.domain.timing import first_allowed, is_quiet

pytestmark = pytest.mark.unit

NAIROBI = ZoneInfo("Africa/Nairobi")
NIGHT = QuietHours(time(22), time(7))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def local(moment: datetime, zone: str) -> str:
    return moment.astimezone(ZoneInfo(zone)).isoformat()


# -- examples -------------------------------------------------------------------------------------


def test_what_is_instant_does_not_wait() -> None:
    preferences = Preferences(quiet_hours=NIGHT, digest=Digest(DigestRhythm.WEEKLY), time_zone="Africa/Nairobi")
    midnight = utc("2026-11-21T21:00")

    assert first_allowed(preferences, Urgency.INSTANT, midnight, NAIROBI) == midnight


def test_what_is_timely_waits_for_the_end_of_quiet_hours_and_not_for_a_digest() -> None:
    preferences = Preferences(quiet_hours=NIGHT, digest=Digest(DigestRhythm.WEEKLY))

    before_midnight = first_allowed(preferences, Urgency.TIMELY, utc("2026-11-21T20:00"), NAIROBI)
    after_midnight = first_allowed(preferences, Urgency.TIMELY, utc("2026-11-21T22:00"), NAIROBI)

    assert local(before_midnight, "Africa/Nairobi") == "2026-11-22T07:00:00+03:00"
    assert after_midnight == before_midnight
    assert first_allowed(preferences, Urgency.TIMELY, before_midnight, NAIROBI) == before_midnight


def test_the_first_minute_is_quiet_and_the_last_is_not() -> None:
    preferences = Preferences(quiet_hours=QuietHours(time(13), time(15)))

    for now, wanted in (("12:59", "12:59"), ("13:00", "15:00"), ("14:59", "15:00"), ("15:00", "15:00")):
        moment = first_allowed(preferences, Urgency.TIMELY, utc(f"2026-11-21T{now}"), UTC)
        assert moment == utc(f"2026-11-21T{wanted}")


def test_quiet_hours_from_a_time_to_the_same_time_are_none() -> None:
    preferences = Preferences(quiet_hours=QuietHours(time(8), time(8)))
    assert first_allowed(preferences, Urgency.ROUTINE, utc("2026-11-21T08:00"), UTC) == utc("2026-11-21T08:00")


def test_the_members_zone_counts_and_else_the_librarys() -> None:
    now = utc("2026-11-21T05:30")  # half past eight in Nairobi, half past midnight in New York
    at_home = Preferences(quiet_hours=NIGHT)
    away = Preferences(quiet_hours=NIGHT, time_zone="America/New_York")

    assert first_allowed(at_home, Urgency.TIMELY, now, NAIROBI) == now
    assert local(first_allowed(away, Urgency.TIMELY, now, NAIROBI), "America/New_York") == "2026-11-21T07:00:00-05:00"


def test_a_zone_that_is_no_longer_known_is_the_librarys() -> None:
    preferences = Preferences(quiet_hours=NIGHT, time_zone="Nowhere/Atlantis")
    assert first_allowed(preferences, Urgency.TIMELY, utc("2026-11-21T20:00"), NAIROBI) == utc("2026-11-22T04:00")


def test_a_daily_digest_gathers_what_is_routine() -> None:
    preferences = Preferences(digest=Digest(DigestRhythm.DAILY, at=time(18, 30)))

    for now, wanted in (
        ("2026-11-21T15:29", "2026-11-21T15:30"),
        ("2026-11-21T15:30", "2026-11-21T15:30"),
        ("2026-11-21T15:31", "2026-11-22T15:30"),
    ):
        assert first_allowed(preferences, Urgency.ROUTINE, utc(now), NAIROBI) == utc(wanted)


def test_a_weekly_digest_comes_on_its_day() -> None:
    preferences = Preferences(digest=Digest(DigestRhythm.WEEKLY, at=time(8), weekday=4))
    saturday = utc("2026-11-21T12:00")

    moment = first_allowed(preferences, Urgency.ROUTINE, saturday, NAIROBI)

    assert local(moment, "Africa/Nairobi") == "2026-11-27T08:00:00+03:00"  # a Friday


def test_a_digest_in_quiet_hours_waits_for_their_end_and_takes_along_what_comes_meanwhile() -> None:
    preferences = Preferences(quiet_hours=NIGHT, digest=Digest(DigestRhythm.DAILY, at=time(6)))

    for now in ("2026-11-22T02:00", "2026-11-22T03:30"):  # five o'clock, and half past six
        assert first_allowed(preferences, Urgency.ROUTINE, utc(now), NAIROBI) == utc("2026-11-22T04:00")


@pytest.mark.parametrize(
    ("zone", "at", "now", "wanted"),
    [
        # The clock leaves the time out: the first instant after the gap.
        ("Europe/Paris", time(2, 30), "2026-03-28T12:00", "2026-03-29T03:00:00+02:00"),
        ("America/New_York", time(2, 0), "2026-03-07T12:00", "2026-03-08T03:00:00-04:00"),
        ("Australia/Lord_Howe", time(2, 15), "2026-10-03T12:00", "2026-10-04T02:30:00+11:00"),
        # It shows it twice: the first.
        ("Europe/Paris", time(2, 30), "2026-10-24T12:00", "2026-10-25T02:30:00+02:00"),
        ("America/New_York", time(1, 30), "2026-10-31T12:00", "2026-11-01T01:30:00-04:00"),
        ("Australia/Lord_Howe", time(1, 45), "2026-04-04T12:00", "2026-04-05T01:45:00+11:00"),
        # The first is over: it is not sent twice, the next comes tomorrow.
        ("Europe/Paris", time(2, 30), "2026-10-25T01:00", "2026-10-26T02:30:00+01:00"),
        # An ordinary time stays what the clock shows, before and after the change.
        ("Europe/Paris", time(8), "2026-03-29T05:00", "2026-03-29T08:00:00+02:00"),
        ("Europe/Paris", time(8), "2026-03-28T05:00", "2026-03-28T08:00:00+01:00"),
        ("Africa/Nairobi", time(8), "2026-03-29T04:00", "2026-03-29T08:00:00+03:00"),
        # A whole day left out.
        ("Pacific/Apia", time(12), "2011-12-30T00:00", "2011-12-31T00:00:00+14:00"),
    ],
)
def test_digests_across_changes_of_the_clock(zone: str, at: time, now: str, wanted: str) -> None:
    preferences = Preferences(digest=Digest(DigestRhythm.DAILY, at=at), time_zone=zone)
    assert local(first_allowed(preferences, Urgency.ROUTINE, utc(now), UTC), zone) == wanted


@pytest.mark.parametrize(
    ("zone", "quiet", "now", "wanted"),
    [
        # An hour less of night, and one more: they end by the clock.
        ("Europe/Paris", NIGHT, "2026-03-28T22:00", "2026-03-29T07:00:00+02:00"),
        ("Europe/Paris", NIGHT, "2026-10-24T22:00", "2026-10-25T07:00:00+01:00"),
        # Their end is left out.
        ("Europe/Paris", QuietHours(time(1), time(2, 30)), "2026-03-29T00:30", "2026-03-29T03:00:00+02:00"),
        # Both of them are left out: that night has no quiet hours.
        ("Europe/Paris", QuietHours(time(2, 10), time(2, 50)), "2026-03-29T00:59", "2026-03-29T01:59:00+01:00"),
        # Their end is shown twice: over at the first, and there again when the clock was put back.
        ("Europe/Paris", QuietHours(time(22), time(2, 30)), "2026-10-24T23:30", "2026-10-25T02:30:00+02:00"),
        ("Europe/Paris", QuietHours(time(22), time(2, 30)), "2026-10-25T01:10", "2026-10-25T02:30:00+01:00"),
        # The clock is put back out of them.
        ("Europe/Paris", QuietHours(time(2, 30), time(3, 30)), "2026-10-25T00:40", "2026-10-25T02:00:00+01:00"),
        ("Australia/Lord_Howe", QuietHours(time(1, 45), time(3)), "2026-04-04T14:50", "2026-04-05T01:30:00+10:30"),
        ("America/New_York", NIGHT, "2026-11-01T05:30", "2026-11-01T07:00:00-05:00"),
    ],
)
def test_quiet_hours_across_changes_of_the_clock(zone: str, quiet: QuietHours, now: str, wanted: str) -> None:
    preferences = Preferences(quiet_hours=quiet, time_zone=zone)
    assert local(first_allowed(preferences, Urgency.TIMELY, utc(now), UTC), zone) == wanted


# -- whatever the zone and the day ----------------------------------------------------------------

ZONES = (
    "Europe/Paris",
    "America/New_York",
    "Australia/Lord_Howe",
    "Africa/Nairobi",
    "Africa/Casablanca",  # puts its clock back for Ramadan
    "America/St_Johns",
    "America/Santiago",  # changes at midnight
    "Antarctica/Troll",  # by two hours
    "Asia/Kathmandu",
    "Pacific/Apia",
    "Pacific/Kiritimati",
    "UTC",
)
CHANGES = ("2026-03-08", "2026-03-29", "2026-04-05", "2026-09-06", "2026-10-04", "2026-10-25", "2026-11-01")

moments = st.one_of(
    st.datetimes(datetime(2026, 1, 1), datetime(2028, 12, 31)),  # noqa: DTZ001 - hypothesis wants naive bounds
    st.builds(
        lambda day, minutes: datetime.fromisoformat(day) + timedelta(minutes=minutes),
        st.sampled_from(CHANGES),
        st.integers(-36 * 60, 36 * 60),
    ),
).map(lambda naive: naive.replace(tzinfo=UTC))
clock_times = st.builds(time, st.integers(0, 23), st.sampled_from((0, 1, 15, 30, 45, 59)))
quiet_hours = st.none() | st.builds(QuietHours, clock_times, clock_times).filter(
    # The API takes no longer ones.
    lambda hours: (hours.end.hour * 60 + hours.end.minute - hours.start.hour * 60 - hours.start.minute) % 1440 <= 1200
)


def preferences_with(*rhythms: DigestRhythm) -> st.SearchStrategy[Preferences]:
    digests = st.builds(Digest, st.sampled_from(rhythms), clock_times, st.integers(0, 6))
    return st.builds(Preferences, quiet_hours=quiet_hours, digest=digests, time_zone=st.none() | st.sampled_from(ZONES))


preferences = preferences_with(*DigestRhythm)
with_digest = preferences_with(DigestRhythm.DAILY, DigestRhythm.WEEKLY)
urgencies = st.sampled_from((Urgency.TIMELY, Urgency.ROUTINE))


@given(preferences, urgencies, moments, st.sampled_from(ZONES))
def test_never_early_never_quiet_never_more_than_a_week(
    preferences: Preferences, urgency: Urgency, now: datetime, library: str
) -> None:
    library_zone = ZoneInfo(library)
    zone = ZoneInfo(preferences.time_zone or library)

    moment = first_allowed(preferences, urgency, now, library_zone)

    assert moment.tzinfo is UTC
    assert now <= moment < now + timedelta(days=8)
    assert not is_quiet(preferences.quiet_hours, moment, zone)


@given(quiet_hours, moments, st.sampled_from(ZONES))
@example(QuietHours(time(2, 30), time(3, 30)), utc("2026-10-25T00:40"), "Europe/Paris")
def test_no_earlier_moment_would_have_done(hours: QuietHours | None, now: datetime, zone: str) -> None:
    now = now.replace(second=0, microsecond=0)
    moment = first_allowed(Preferences(quiet_hours=hours), Urgency.TIMELY, now, ZoneInfo(zone))

    waited = (moment - now) // timedelta(minutes=1)
    assert all(is_quiet(hours, now + timedelta(minutes=minute), ZoneInfo(zone)) for minute in range(waited))


@given(with_digest, moments, st.sampled_from(ZONES), st.floats(0, 1))
def test_everything_until_a_digest_is_in_it(preferences: Preferences, now: datetime, library: str, part: float) -> None:
    zone = ZoneInfo(library)

    digest = first_allowed(preferences, Urgency.ROUTINE, now, zone)
    later = now + (digest - now) * part

    assert first_allowed(preferences, Urgency.ROUTINE, later, zone) == digest


@given(preferences_with(DigestRhythm.DAILY), moments, st.sampled_from(ZONES))
def test_a_daily_digest_is_not_missed(preferences: Preferences, now: datetime, library: str) -> None:
    moment = first_allowed(preferences, Urgency.ROUTINE, now, ZoneInfo(library))
    assert moment - now < timedelta(days=2)
