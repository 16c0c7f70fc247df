"""Preferences are read as they were stored; of two who replace them at once one is refused."""

from collections.abc import Callable
from datetime import time

import pytest

from library_common.dynamodb import Expression, Table
from library_common.versions import VersionConflict
from notifications_service.adapters.preferences import DynamoPreferences
from notifications_service.application.ports import PreferencesStore
from notifications_service.domain.errors import UserNotFound
from notifications_service.domain.kinds import Channel, Kind
from notifications_service.domain.preferences import Digest, DigestRhythm, Preferences, QuietHours

pytestmark = pytest.mark.adapter

ALL = Preferences(
    channels={Kind.LOAN_ISSUED: (), Kind.HOLD_READY: (Channel.SMS, Channel.PUSH)},
    quiet_hours=QuietHours(time(22, 30), time(7)),
    digest=Digest(DigestRhythm.WEEKLY, time(18, 5), 6),
    language="fr-CA",
    time_zone="Africa/Nairobi",
    version=1,
)


def test_who_never_said_anything_has_the_defaults(preferences: PreferencesStore) -> None:
    assert preferences.of("A") == Preferences()


@pytest.mark.parametrize("chosen", [ALL, Preferences(version=1)])
def test_everything_is_read_again(preferences: PreferencesStore, chosen: Preferences) -> None:
    preferences.replace("A", Preferences(), chosen)

    assert preferences.of("A") == chosen
    assert preferences.of("B") == Preferences()


def test_only_the_next_version_replaces(preferences: PreferencesStore) -> None:
    preferences.replace("A", Preferences(), ALL)
    preferences.replace("A", ALL, Preferences(language="es", version=2))
    with pytest.raises(VersionConflict):
        preferences.replace("A", ALL, Preferences(language="en", version=2))

    assert preferences.of("A") == Preferences(language="es", version=2)


def test_nothing_is_kept_of_an_erased_member_any_more(
    preferences: PreferencesStore, erase: Callable[[str], None]
) -> None:
    preferences.replace("A", Preferences(), ALL)
    erase("A")

    for before in (Preferences(), ALL):
        with pytest.raises(UserNotFound):
            preferences.replace("A", before, Preferences(language="es", version=before.version + 1))
    assert preferences.of("A") == Preferences()
    preferences.replace("B", Preferences(), ALL)


def test_the_sdk_may_send_a_write_twice(table: Table) -> None:
    stored = DynamoPreferences(table)
    stored.replace("A", Preferences(), ALL)
    stored.replace("A", Preferences(), ALL)
    assert stored.of("A") == ALL


def test_kinds_and_channels_of_a_newer_version_are_read_and_nothing_goes_by_them(table: Table) -> None:
    stored = DynamoPreferences(table)
    stored.replace("A", Preferences(), ALL)
    table.update(
        {"pk": "MEMBER#A", "sk": "PREFERENCES"},
        Expression(
            "SET #c = :c",
            names={"c": "channels"},
            values={"c": {"loan_issued": ["carrier_pigeon", "sms"], "moon_landing": ["email"]}},
        ),
        Expression("attribute_exists(#pk)", names={"pk": "pk"}),
    )
    read = stored.of("A")
    assert read.channels == {Kind.LOAN_ISSUED: ("carrier_pigeon", Channel.SMS), "moon_landing": (Channel.EMAIL,)}
    assert read.chosen(Kind.LOAN_ISSUED) == (Channel.SMS,)
