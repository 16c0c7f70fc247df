"""Items of a newer version of notifications: this version reads them, and no write of it loses what it does not know.

For every item type an attribute, and where there is one a kind, channel or state, that only a newer version knows is
added to an item. Then the use cases that write items of this type run on the real table.
"""

import ast
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from library_common.dynamodb import ABSENT, PRESENT, Item, Table
from notifications_service import bootstrap
from notifications_service.adapters import dynamodb
from notifications_service.adapters.dynamodb import changes
from notifications_service.application.announcements import AnnouncementRequest
from notifications_service.application.devices import MemberDevices
from notifications_service.application.ports import Account, NotSent, Refused
from notifications_service.application.use_cases import UseCases
from notifications_service.domain.deliveries import LEASE
from notifications_service.domain.devices import Platform
from notifications_service.domain.kinds import Channel, Kind
from notifications_service.domain.preferences import Digest, Preferences, QuietHours
from notifications_service.domain.templates import Part
from notifications_service.schemas.announcements import AnnouncementView
from notifications_service.schemas.devices import DeviceView
from notifications_service.schemas.failures import FailedView
from notifications_service.schemas.notices import NoticeView
from notifications_service.schemas.preferences import PreferencesView
from tests.fakes.notifications import FakePush, FakeTaskQueue
from tests.fakes.post_office import TABLE, Post, event, lent
from tests.support.clock import NOON, FixedClock
from tests.support.tables import create_table, dynamodb_in_moto

pytestmark = pytest.mark.contract

FUTURE = {"from_the_future": {"set_by": "a newer version"}}
UNKNOWN_KIND = "moon_landing"


class World:
    """The use cases of the API and of the queues, on one table."""

    def __init__(self, client: Any) -> None:
        self.post = Post(lambda: client)
        self.table = Table(TABLE, lambda: client)
        cases = bootstrap.compose(self.table)
        clock = FixedClock()
        queue = FakeTaskQueue(clock)
        self.api: UseCases = replace(
            cases,
            failures=replace(cases.failures, queue=queue),
            announcements=replace(cases.announcements, queue=queue, clock=self.post.clock),
            devices=MemberDevices(cases.devices.store, FakePush(), clock),
        )
        self.ann: Account = self.post.services.join()

    def item(self, key: dict[str, str]) -> Item:
        found = self.table.get(key)
        assert found is not None, key
        return found

    def mark(self, key: dict[str, str], **unknown: Any) -> None:
        """As a newer version would have written the item."""
        self.table.update(key, changes({**FUTURE, **unknown}), PRESENT)

    def kept(self, key: dict[str, str], **unknown: Any) -> bool:
        item = self.item(key)
        return all(item.get(name) == value for name, value in {**FUTURE, **unknown}.items())

    def keys(self, prefix: str) -> list[dict[str, str]]:
        """Of the member's items of one type."""
        return [{"pk": item["pk"]["S"], "sk": item["sk"]["S"]} for item in self.post.items(self.ann.id, prefix)]

    def key(self, prefix: str) -> dict[str, str]:
        (found,) = self.keys(prefix)
        return found


@pytest.fixture
def world() -> Iterator[World]:
    with pytest.MonkeyPatch.context() as patch, dynamodb_in_moto(patch) as client:
        create_table(client, "NotificationsTable", TABLE)
        yield World(client)


# -- what each type goes through ------------------------------------------------------------------


def tombstone(world: World) -> None:
    erased = event("MemberErased", world.ann.id)
    world.post.handle_event(erased, "c")
    world.mark(world.key("ERASED"))

    world.post.handle_event(erased, "c")
    world.post.handle_event(lent(world.ann.id), "c")

    assert world.kept(world.key("ERASED"))


def planned_mark(world: World) -> None:
    loan = lent(world.ann.id)
    world.post.handle_event(loan, "c")
    key = world.key("TOLD#")
    world.mark(key, send_times={"carrier_pigeon": "2026-11-21T12:00:00Z"})

    assert world.post.handle_event(loan, "c") == "already_planned"

    assert world.kept(key, send_times={"carrier_pigeon": "2026-11-21T12:00:00Z"})


def planned_mark_of_an_older_version(world: World) -> None:
    loan = lent(world.ann.id)
    world.post.handle_event(loan, "c")
    times = world.item(world.key("TOLD#"))["send_times"]
    world.table.update(world.key("TOLD#"), changes({"nudges": times}, remove=["send_times"]), PRESENT)
    queued = len(world.post.queue.messages)

    assert world.post.handle_event(loan, "c") == "already_planned"

    assert len(world.post.queue.messages) == queued + 1


def notice(world: World) -> None:
    world.post.handle_event(lent(world.ann.id), "c")
    world.post.handle_event(event("MemberRegistered", world.ann.id, role="patron", status="active"), "c")
    unknown, known = world.keys("NOTICE#")
    world.mark(unknown, kind=UNKNOWN_KIND)

    shown, _, unread = world.api.inbox.page(world.ann.id, 10, None, unread_only=True)
    views = [NoticeView.of(each) for each in shown]
    assert {view.kind for view in views} == {UNKNOWN_KIND, world.item(known)["kind"]}
    assert ("Moon landing", 2) in {(view.heading, unread) for view in views}
    world.api.inbox.mark_read(world.ann.id, unknown["sk"].removeprefix("NOTICE#"))

    assert world.kept(unknown, kind=UNKNOWN_KIND)
    assert world.item(unknown)["read_at"]


def password_changed(world: World) -> dict[str, str]:
    """The key of the delivery."""
    world.post.handle_event(event("SessionsRevoked", world.ann.id, reason="password_changed", epoch=1), "c")
    return world.key("OUT#email#")


def delivery(world: World) -> None:
    key = password_changed(world)
    world.mark(key)
    world.post.providers[Channel.EMAIL].trouble = [(NotSent("Throttling"), False)]
    world.post.work()
    assert (world.item(key)["state"], world.kept(key)) == ("pending", True)
    world.post.minute(3)

    assert (world.item(key)["state"], world.kept(key)) == ("sent", True)


def delivery_that_fails(world: World) -> None:
    key = password_changed(world)
    world.mark(key)
    world.post.providers[Channel.EMAIL].down = Refused("MessageRejected")
    world.post.work()
    assert (world.item(key)["state"], world.kept(key)) == ("failed", True)
    (failed,), _ = world.api.failures.list(10, None)
    world.api.failures.retry(failed.failure_id or "")

    assert (world.item(key)["state"], world.kept(key)) == ("pending", True)


def delivery_that_is_dropped(world: World) -> None:
    key = password_changed(world)
    world.mark(key)
    del world.post.services.accounts[world.ann.id]
    world.post.work()

    assert (world.item(key)["state"], world.kept(key)) == ("dropped", True)


def delivery_that_falls_back(world: World) -> None:
    world.post.services.join(id=world.ann.id, phone="+254711222333", takes_sms=True)
    key = password_changed(world)
    world.mark(key)
    world.post.providers[Channel.EMAIL].down = Refused("MessageRejected")
    world.post.work()

    assert (world.item(key)["state"], world.kept(key)) == ("dropped", True)
    assert world.post.lines(world.ann.id, Channel.SMS) == ["password_changed -"]


def delivery_of_an_unknown_kind(world: World) -> None:
    """It is kept and retried, given up after a day for an administrator to see, and never sent."""
    world.post.handle_event(lent(world.ann.id), "c")
    password = event("SessionsRevoked", world.ann.id, reason="password_changed", epoch=1)
    key = world.key("OUT#email#")
    world.mark(key, kind=UNKNOWN_KIND)
    world.post.handle_event(password, "c")
    world.post.minute(3)
    assert world.post.lines(world.ann.id) == ["password_changed -"], "it holds up no other"
    assert (world.item(key)["state"], world.item(key)["error"]) == ("pending", "unknown_kind")
    for _ in range(30):
        world.post.until(world.post.clock.now() + timedelta(hours=1))

    (failed,), _ = world.api.failures.list(10, None)
    view = FailedView.of(failed)
    assert (view.kind, view.error_code) == (UNKNOWN_KIND, "unknown_kind")
    world.api.failures.retry(view.id)
    assert (world.item(key)["state"], world.kept(key, kind=UNKNOWN_KIND)) == ("pending", True)
    assert len(world.post.sent()) == 1
    assert world.item(key)["data"]["title"] == "Dune"


def delivery_by_an_unknown_channel(world: World) -> None:
    """The sweep passes it over, an administrator sees it, and a newer version sends it."""
    known = password_changed(world)
    key = dynamodb.delivery_key(world.ann.id, "carrier_pigeon", known["sk"].rpartition("#")[2])
    attributes = {name: value for name, value in world.item(known).items() if name not in ("pk", "sk")}
    world.table.update(key, changes({**attributes, **FUTURE}), ABSENT)
    world.post.queue.messages.clear()
    assert world.post.sweep() == 1, "the known one"
    failed = {"state": "failed", "failure_id": known["sk"].rpartition("#")[2], "failed_at": "2026-11-21T12:00:00Z"}
    world.table.update(key, changes({**failed, "agenda": "FAILED", "at": failed["failure_id"]}), PRESENT)

    listed, _ = world.api.failures.list(10, None)
    assert [FailedView.of(each).channel for each in listed] == ["carrier_pigeon"]
    world.api.failures.retry(failed["failure_id"])

    assert (world.item(key)["state"], world.kept(key)) == ("pending", True)


def delivery_in_an_unknown_state(world: World) -> None:
    key = password_changed(world)
    world.mark(key, state="teleported")
    world.post.minute(3)

    assert world.kept(key, state="teleported")
    assert world.post.sent() == []


def reminder(world: World) -> None:
    loan = lent(world.ann.id)
    world.post.handle_event(loan, "c")
    key = world.key("REMINDER#")
    world.mark(key)
    world.post.services.loans_down = True
    world.post.until(NOON + timedelta(days=13))
    assert (world.item(key)["state"], world.kept(key)) == ("waiting", True)
    world.post.services.loans_down = False
    world.post.services.due_dates["L1"] = loan.data["due_date"]
    world.post.minute(10)

    assert (world.item(key)["state"], world.kept(key)) == ("fired", True)


def reminder_of_a_returned_book(world: World) -> None:
    world.post.handle_event(lent(world.ann.id), "c")
    key = world.key("REMINDER#")
    world.mark(key)
    world.post.until(NOON + timedelta(days=13))

    assert (world.item(key)["state"], world.kept(key)) == ("not_applicable", True)


def reminder_of_an_unknown_kind(world: World) -> None:
    """It waits for the newer version, and nobody is notified with another template."""
    loan = lent(world.ann.id)
    world.post.handle_event(loan, "c")
    world.post.services.due_dates["L1"] = loan.data["due_date"]
    key = world.key("REMINDER#")
    world.mark(key, kind=UNKNOWN_KIND)
    world.post.minute(2)
    before = world.post.lines(world.ann.id)
    world.post.until(NOON + timedelta(days=13))

    assert (world.item(key)["state"], world.kept(key, kind=UNKNOWN_KIND)) == ("waiting", True)
    assert world.post.lines(world.ann.id) == before


def lease(world: World) -> None:
    """One that another process left and that has passed. Giving it back removes it, as it is meant to."""
    key = dynamodb.lease_key(world.ann.id, Channel.EMAIL)
    left = {"holder": "another", "until": int((NOON - LEASE).timestamp()), **FUTURE}
    world.table.update(key, changes(left), ABSENT)
    held: list[bool] = []
    world.post.providers[Channel.EMAIL].slow = lambda: held.append(world.kept(key))
    password_changed(world)
    world.post.work()

    assert held == [True]


def preferences(world: World) -> None:
    chosen = Preferences(
        channels={Kind.LOAN_ISSUED: (Channel.SMS,)}, quiet_hours=QuietHours(NOON.time(), (NOON + LEASE).time())
    )
    use_case, user_id = world.api.preferences, world.ann.id
    use_case.replace(user_id, chosen, None, by_the_member=True)
    key = world.key("PREFERENCES")
    item = world.item(key)
    unknown = {
        "channels": {Kind.LOAN_ISSUED.value: ["carrier_pigeon", "sms"], UNKNOWN_KIND: ["email"]},
        "quiet": {**item["quiet"], "on_weekends": "all day"},
        "digest": {**item["digest"], "rhythm": "monthly", "day": 3},
    }
    world.mark(key, **unknown)

    read = use_case.of(user_id)
    view = PreferencesView.of(user_id, read, language="en", time_zone="UTC")
    assert (view.digest.rhythm, view.channels[Kind.LOAN_ISSUED]) == ("monthly", [Channel.SMS])
    use_case.replace(user_id, replace(chosen, language="fr"), None, by_the_member=True)

    item = world.item(key)
    assert (item["language"], world.kept(key)) == ("fr", True)
    assert item["channels"] == {"loan_issued": ["sms", "carrier_pigeon"], UNKNOWN_KIND: ["email"]}
    assert (item["quiet"]["on_weekends"], item["digest"]["day"], item["digest"]["rhythm"]) == ("all day", 3, "off")
    use_case.replace(user_id, Preferences(digest=Digest()), None, by_the_member=True)
    assert world.kept(key)
    assert "quiet" not in world.item(key)
    assert world.item(key)["channels"][UNKNOWN_KIND] == ["email"]


def account_language(world: World) -> None:
    def account_says(language: str | None, epoch: int) -> None:
        world.post.services.join(id=world.ann.id, language=language)
        changed = event("SessionsRevoked", world.ann.id, reason="password_changed", epoch=epoch)
        world.post.handle_event(changed, "c")
        world.post.work()

    account_says("fr", 1)
    key = world.key("LANGUAGE")
    world.mark(key)
    for epoch, language in enumerate(("es", None, "fr"), start=2):
        account_says(language, epoch)
        assert (world.item(key).get("language"), world.kept(key)) == (language, True)


def register(world: World, device_id: str, token: str, user_id: str | None = None) -> None:
    world.api.devices.register(user_id or world.ann.id, device_id, Platform.IOS, token)


def device(world: World) -> None:
    register(world, "phone", "token-one")
    key = world.key("DEVICE#")
    world.mark(key, platform="hologram")
    assert [DeviceView.of(each).platform for each in world.api.devices.of(world.ann.id)] == ["hologram"]
    register(world, "tablet", "token-two")
    world.api.devices.remove(world.ann.id, "tablet")
    assert world.kept(key, platform="hologram")

    register(world, "phone", "token-three")

    assert (world.item(key)["platform"], world.kept(key)) == ("ios", True)


def device_list(world: World) -> None:
    register(world, "phone", "token-one")
    key = dynamodb.device_list_key(world.ann.id)
    world.mark(key)
    register(world, "tablet", "token-two")
    world.api.devices.remove(world.ann.id, "phone")

    assert (world.item(key)["ids"], world.kept(key)) == ({"tablet"}, True)


def device_token(world: World) -> None:
    register(world, "phone", "token-one")
    key = dynamodb.token_key(world.api.devices.of(world.ann.id)[0].token_key)
    world.mark(key)
    register(world, "phone", "token-one")

    assert world.kept(key)


def announced(world: World, *channels: Channel, **details: Any) -> dict[str, str]:
    """The key of the announcement."""
    data = {"subject": "Closed", "message": "On Friday."}
    request = AnnouncementRequest(Kind.ANNOUNCEMENT, data, by="user:L", channels=channels or None, **details)
    announcement_id, _ = world.api.announcements.send(request, None)
    return dynamodb.announcement_key(announcement_id)


def announcement(world: World) -> None:
    done = announced(world, status="active")
    world.mark(done)
    world.post.services.users_down = True
    assert world.post.deliver_announcement(done["pk"].rpartition("#")[2]) == "postponed"
    assert world.kept(done)
    world.post.services.users_down = False
    world.post.minute(5)
    assert (world.item(done)["done"], world.kept(done)) == (True, True)
    later = announced(world, status="active", send_at=world.post.clock.now() + timedelta(days=1))
    world.mark(later)
    world.api.announcements.cancel(later["pk"].rpartition("#")[2], "user:M")

    assert (world.item(later)["cancelled_by"], world.kept(later)) == ("user:M", True)


def announcement_of_an_unknown_kind(world: World) -> None:
    """It waits for the newer version, and can be cancelled here."""
    key = announced(world, Channel.EMAIL, user_ids=(world.ann.id,))
    announcement_id = key["pk"].rpartition("#")[2]
    for unknown in ({"kind": UNKNOWN_KIND}, {"kind": "announcement", "channels": ["email", "carrier_pigeon"]}):
        world.mark(key, **unknown)
        assert world.post.deliver_announcement(announcement_id) == "newer_version"
        assert world.kept(key, **unknown)
        view = AnnouncementView.of(world.api.announcements.find(announcement_id))
        assert (view.template, view.channels) == (unknown["kind"], unknown.get("channels", ["email"]))
    world.api.announcements.cancel(announcement_id, "user:M")

    assert world.kept(key, channels=["email", "carrier_pigeon"])
    assert (world.keys("NOTICE#"), world.post.sent()) == ([], [])


def template_head(world: World) -> None:
    def put(language: str, text: str) -> None:
        world.api.templates.put("welcome", language, {Part.SMS: {"text": text}}, accepted=None, by="user:A")

    put("en", "Hello")
    key = dynamodb.template_head_key("welcome")
    world.mark(key)
    put("en", "Hello again")
    put("fr", "Bonjour")
    world.api.templates.withdraw("welcome", "en", accepted=None, by="user:A")

    assert (world.item(key)["languages"], world.kept(key)) == ({"fr": 3}, True)


def template_version(world: World) -> None:
    world.api.templates.put("welcome", "en", {Part.SMS: {"text": "Hello"}}, accepted=None, by="user:A")
    key = dynamodb.template_version_key("welcome", "en", 1)
    parts = {"sms": {"text": "Hello"}, "hologram": {"scene": "x"}}
    world.mark(key, parts=parts)

    assert world.api.templates.one("welcome", 1).texts == {1: {Part.SMS: {"text": "Hello"}}}
    world.api.templates.put("welcome", "en", {Part.SMS: {"text": "Hi"}}, accepted=None, by="user:A")
    world.api.templates.withdraw("welcome", "en", accepted=None, by="user:A")

    assert world.kept(key, parts=parts)


CASES: dict[str, tuple[Callable[[World], None], ...]] = {
    "erased_key": (tombstone,),
    "planned_key": (planned_mark, planned_mark_of_an_older_version),
    "notice_key": (notice,),
    "delivery_key": (
        delivery,
        delivery_that_fails,
        delivery_that_is_dropped,
        delivery_that_falls_back,
        delivery_of_an_unknown_kind,
        delivery_by_an_unknown_channel,
        delivery_in_an_unknown_state,
    ),
    "reminder_key": (reminder, reminder_of_a_returned_book, reminder_of_an_unknown_kind),
    "lease_key": (lease,),
    "preferences_key": (preferences,),
    "language_key": (account_language,),
    "device_key": (device,),
    "device_list_key": (device_list,),
    "token_key": (device_token,),
    "announcement_key": (announcement, announcement_of_an_unknown_kind),
    "template_head_key": (template_head,),
    "template_version_key": (template_version,),
}
"""By the function of `adapters/dynamodb.py` that makes the keys of the type."""


@pytest.mark.parametrize("case", [case for cases in CASES.values() for case in cases], ids=lambda case: case.__name__)
def test_an_item_of_a_newer_version_survives_every_write(world: World, case: Callable[[World], None]) -> None:
    case(world)


# -- nothing is left out --------------------------------------------------------------------------

ADAPTERS = Path(dynamodb.__file__).parent


def test_every_item_type_is_among_the_cases() -> None:
    made = {name for name, value in vars(dynamodb).items() if name.endswith("_key") and callable(value)}
    assert made == CASES.keys()


def test_keys_are_made_in_one_module() -> None:
    elsewhere = [
        f"{path.name}:{node.lineno}"
        for path in ADAPTERS.glob("*.py")
        if path.name != "dynamodb.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "#" in node.value
        # Docstrings have spaces; names and values in expressions begin with # and :.
        if " " not in node.value and not node.value.startswith("#") and node.value.partition("#")[0].isupper()
    ]
    assert elsewhere == []


def test_whole_items_are_put_only_where_there_is_none() -> None:
    def conditions() -> Iterator[tuple[str, ast.expr]]:
        for path in ADAPTERS.glob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                match node:
                    case ast.Call(func=ast.Name(id="Put"), args=[_, condition]):
                        yield f"{path.name}:{node.lineno}", condition
                    case ast.Call(
                        func=ast.Attribute(value=ast.Attribute(attr="_table"), attr="put"), args=[_, condition]
                    ):
                        yield f"{path.name}:{node.lineno}", condition

    found = list(conditions())
    assert len(found) > 5
    assert [at for at, condition in found if ast.unparse(condition) != "ABSENT"] == []
