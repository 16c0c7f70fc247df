"""The HTTP API of notifications as its callers see it."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from library_common.clock import to_rfc3339
from library_common.http import ServiceApi
from library_common.ids import new_id
from notifications_service.adapters import template_renderer
from notifications_service.adapters.template_renderer import JinjaTemplateRenderer
from notifications_service.application.devices import MemberDevices
from notifications_service.application.preferences import MemberPreferences
from notifications_service.application.templates import TemplateAdministration
from notifications_service.application.use_cases import UseCases
from notifications_service.domain.announcements import Announcement, Audience
from notifications_service.domain.kinds import Channel, Kind
from notifications_service.http import build
from notifications_service.schemas.announcements import SendBody
from notifications_service.schemas.preferences import PreferencesBody
from tests.fakes.notifications import (
    FakeAccountLanguages,
    FakeDevices,
    FakeNotices,
    FakePreferences,
    FakePush,
    FakeTemplateStore,
)
from tests.support.clock import FixedClock
from tests.support.lambda_events import Answer, api_event, call, person, service
from tests.support.operator_log import reading_the_log
from tests.support.shared_api import api_on

pytestmark = pytest.mark.unit

MEMBER = "01JD8Y3V5QWZ6X7R8T9B0C1D2E"
OTHER = "01JD8Y3V5QWZ6X7R8T9B0C1D2F"
AS_MEMBER = person(MEMBER)
AS_LIBRARIAN = person("01JD8X0000000000000000000A", "librarian")
AS_ADMIN = person("01JD8X0000000000000000000B", "admin")


@dataclass
class Library:
    """The API on fakes."""

    clock: FixedClock = field(default_factory=FixedClock)
    templates: FakeTemplateStore = field(default_factory=FakeTemplateStore)
    preferences: FakePreferences = field(default_factory=FakePreferences)
    devices: FakeDevices = field(default_factory=FakeDevices)
    languages: FakeAccountLanguages = field(default_factory=FakeAccountLanguages)
    notices: FakeNotices = field(init=False)
    api: ServiceApi = field(init=False)

    def __post_init__(self) -> None:
        self.notices = FakeNotices(self.clock)
        renderer = JinjaTemplateRenderer(
            self.templates,
            library_name="Smart Library",
            default_language="en",
            library_zone=ZoneInfo("Africa/Nairobi"),
            monotonic=self.clock.monotonic,
        )
        cases = UseCases(
            **self.notices.use_cases(renderer, self.preferences, self.languages),
            preferences=MemberPreferences(self.preferences),
            devices=MemberDevices(self.devices, FakePush(), self.clock),
            templates=TemplateAdministration(self.templates, renderer, "en", self.clock),
            default_language="en",
            library_time_zone="Africa/Nairobi",
        )
        self.api = api_on(build, cases)

    @property
    def sent(self) -> list[Announcement]:
        """The announcements that were sent."""
        return list(self.notices.announcements.stored.values())

    def ask(self, method: str, path: str, body: object = None, *, by: Any = AS_MEMBER, **headers: str) -> Answer:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return call(self.api, api_event(method, f"/api/notifications{path}", body=body, caller=by, headers=sent))


@pytest.fixture
def library() -> Library:
    return Library()


def fields(answer: Answer) -> set[str]:
    return {error["field"] for error in answer.json["errors"]}


# -- the list -------------------------------------------------------------------------------------


def test_notices_are_listed_newest_first_in_the_readers_words(library: Library) -> None:
    for title in ("Kindred", "Dawn"):
        library.notices.inbox.add(MEMBER, Kind.LOAN_ISSUED, {"title": title, "due_date": "2026-12-05T22:30:00Z"})
    library.ask("PUT", f"/preferences/{MEMBER}", {"language": "fr", "time_zone": "America/New_York"})

    answer = library.ask("GET", f"/user/{MEMBER}")

    assert answer.status == 200
    assert [item["heading"] for item in answer.json["items"]] == [
        "Vous avez emprunté « Dawn »",
        "Vous avez emprunté « Kindred »",
    ]
    # A loan ends on a day of the library, wherever its reader is.
    assert "6 décembre 2026" in answer.json["items"][0]["text"]
    assert (answer.json["unread"], answer.json["next_cursor"]) == (2, None)


def test_the_list_is_in_the_accounts_language_unless_the_member_chose_another(library: Library) -> None:
    library.notices.inbox.add(MEMBER, Kind.LOAN_ISSUED, {"title": "Dawn", "due_date": "2026-12-05T22:30:00Z"})

    def heading() -> str:
        return str(library.ask("GET", f"/user/{MEMBER}").json["items"][0]["heading"])

    assert heading() == "You borrowed “Dawn”"
    library.languages.note(MEMBER, None, "fr")
    assert heading() == "Vous avez emprunté « Dawn »"
    exported = library.ask("GET", f"/export/{MEMBER}", by=service("users", "notifications:read")).json
    assert exported["notices"][0]["heading"] == "Vous avez emprunté « Dawn »"
    library.ask("PUT", f"/preferences/{MEMBER}", {"language": "en-GB"})
    assert heading() == "You borrowed “Dawn”"


def test_a_notice_that_cannot_be_put_into_words_does_not_hide_the_others(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    for title in ("Kindred", "Dawn"):
        library.notices.inbox.add(MEMBER, Kind.LOAN_ISSUED, {"title": title})
    library.notices.inbox.add(MEMBER, Kind.FINE_CHARGED, {"amount": {"amount": "1e999999999", "currency": "USD"}})
    render = JinjaTemplateRenderer.render

    def odd(self: JinjaTemplateRenderer, kind: Kind, channel: Channel, language: str | None, data: Any) -> Any:
        if data.get("title") == "Dawn":
            raise OverflowError("whatever it is")
        return render(self, kind, channel, language, data)

    monkeypatch.setattr(JinjaTemplateRenderer, "render", odd)
    with reading_the_log() as log:
        answer = library.ask("GET", f"/user/{MEMBER}")

    assert [item["heading"] for item in answer.json["items"]][1:] == ["Loan issued", "You borrowed “Kindred”"]
    assert "1e999999999" in answer.json["items"][0]["heading"] + answer.json["items"][0]["text"]
    assert [line["failure"] for line in log.lines if line.get("message") == "notice not rendered"] == ["OverflowError"]
    assert "Dawn" not in log.text


def test_reading_is_noted_once_and_the_first_time_counts(library: Library) -> None:
    entry = library.notices.inbox.add(MEMBER, Kind.WELCOME, {})
    for _ in range(2):
        assert library.ask("POST", f"/user/{MEMBER}/{entry.id}/read").status == 204
        library.clock.advance(timedelta(hours=1))

    listed = library.ask("GET", f"/user/{MEMBER}").json
    assert (listed["unread"], listed["items"][0]["read_at"]) == (0, "2026-11-21T12:00:00Z")
    assert library.ask("GET", f"/user/{MEMBER}?unread=true").json["items"] == []


def test_pages(library: Library) -> None:
    told = [library.notices.inbox.add(MEMBER, Kind.WELCOME, {}).id for _ in range(5)]
    seen, url = [], f"/user/{MEMBER}?limit=2"
    cursor = ""
    while True:
        page = library.ask("GET", url + cursor).json
        assert page["unread"] == 5
        seen += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == told[::-1]
    other = library.ask("GET", f"/user/{MEMBER}?unread=true{cursor}")
    assert (other.status, fields(other)) == (422, {"cursor"})


def test_the_archive_has_preferences_devices_and_every_notice(library: Library) -> None:
    told = [library.notices.inbox.add(MEMBER, Kind.LOAN_ISSUED, {"title": f"Book {n}"}).id for n in range(3)]
    library.notices.inbox.add(OTHER, Kind.WELCOME, {})
    library.ask("PUT", f"/preferences/{MEMBER}", {"language": "fr"})
    library.ask("PUT", f"/devices/{MEMBER}/phone-1", {"platform": "ios", "token": "a-secret-token"})
    users = service("users", "notifications:read")

    first = library.ask("GET", f"/export/{MEMBER}?limit=2", by=users).json
    second = library.ask("GET", f"/export/{MEMBER}?limit=2&cursor={first['next_cursor']}", by=users).json

    assert [notice["id"] for notice in first["notices"] + second["notices"]] == told[::-1]
    assert second["next_cursor"] is None
    assert first["notices"][0]["heading"] == "Vous avez emprunté « Book 2 »"
    assert first["preferences"]["language"] == "fr"
    assert [device["id"] for device in first["devices"]] == ["phone-1"]
    assert "token" not in str(first["devices"])


def test_the_archive_is_for_the_service_that_puts_it_together(library: Library) -> None:
    for caller in (AS_MEMBER, AS_LIBRARIAN, AS_ADMIN, service("loans", "users:read")):
        assert library.ask("GET", f"/export/{MEMBER}", by=caller).status == 403
    users = service("users", "notifications:read")
    assert library.ask("GET", "/export/nobody", by=users).status == 404
    assert library.ask("GET", f"/export/{MEMBER}?cursor=x", by=users).status == 422
    nothing = library.ask("GET", f"/export/{OTHER}", by=users).json
    assert (nothing["notices"], nothing["devices"], nothing["preferences"]["user_id"]) == ([], [], OTHER)


def test_another_members_notice_is_none_of_ones_own(library: Library) -> None:
    entry = library.notices.inbox.add(OTHER, Kind.WELCOME, {})

    assert library.ask("POST", f"/user/{MEMBER}/{entry.id}/read").json["code"] == "notice_not_found"
    assert library.ask("POST", f"/user/{OTHER}/{entry.id}/read").json["code"] == "not_found"
    assert library.ask("GET", f"/user/{OTHER}", by=AS_LIBRARIAN).status == 403


def test_a_notice_that_cannot_be_written_does_not_hide_the_others(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(template_renderer, "built_in_text", lambda name, _: {} if name == "welcome" else None)
    library.notices.inbox.add(MEMBER, Kind.WELCOME, {})
    answer = library.ask("GET", f"/user/{MEMBER}")
    assert [(item["kind"], item["heading"]) for item in answer.json["items"]] == [("welcome", "Welcome")]


# -- sending --------------------------------------------------------------------------------------

CLOSED = {"template": "announcement", "data": {"subject": "Closed", "message": "On Friday.\nSorry."}}


def test_an_announcement_to_an_audience(library: Library) -> None:
    body = {**CLOSED, "audience": {"role": "student"}, "channels": ["email", "email", "in_app"]}
    answer = library.ask("POST", "/send", body, by=AS_LIBRARIAN)

    assert answer.status == 202
    (sent,) = library.sent
    assert (sent.kind, sent.to) == (Kind.ANNOUNCEMENT, Audience("student", "active"))
    assert sent.channels == (Channel.EMAIL, Channel.IN_APP)
    assert (sent.data, sent.send_at) == (CLOSED["data"], library.clock.now())
    assert sent.by == f"user:{AS_LIBRARIAN['subject']}"


@pytest.mark.parametrize("example", SendBody.model_json_schema()["examples"], ids=lambda body: body["template"])
def test_the_examples_of_the_document_are_sent(library: Library, example: dict[str, Any]) -> None:
    assert library.ask("POST", "/send", example, by=AS_LIBRARIAN).status == 202


@pytest.mark.parametrize("example", PreferencesBody.model_json_schema()["examples"])
def test_the_example_preferences_of_the_document_are_accepted(library: Library, example: dict[str, Any]) -> None:
    answer = library.ask("PUT", f"/preferences/{MEMBER}", example)

    assert answer.status == 200
    assert {name: answer.json[name] for name in ("quiet_hours", "digest", "language", "time_zone")} == {
        name: example[name] for name in ("quiet_hours", "digest", "language", "time_zone")
    }


def test_a_repeat_after_its_moment_is_the_same_broadcast(library: Library) -> None:
    at = to_rfc3339(library.clock.now() + timedelta(seconds=5))
    body = {**CLOSED, "audience": {}, "send_at": at}
    first = library.ask("POST", "/send", body, by=AS_LIBRARIAN, Idempotency_Key="k1")
    library.clock.advance(timedelta(seconds=7))
    again = library.ask("POST", "/send", body, by=AS_LIBRARIAN, Idempotency_Key="k1")
    late = library.ask("POST", "/send", body, by=AS_LIBRARIAN, Idempotency_Key="k2")
    changed = {**body, "audience": {"role": "patron"}}
    other = library.ask("POST", "/send", changed, by=AS_LIBRARIAN, Idempotency_Key="k1")

    assert (again.status, again.json) == (202, first.json)
    assert again.headers["idempotency-replayed"] == "true"
    assert (late.status, fields(late)) == (422, {"send_at"})
    assert other.json["code"] == "idempotency_key_reused"
    assert len(library.sent) == 1


def test_a_repeat_is_the_same_broadcast(library: Library) -> None:
    body = {**CLOSED, "user_ids": [MEMBER, MEMBER]}
    first = library.ask("POST", "/send", body, by=AS_LIBRARIAN, Idempotency_Key="k1")
    again = library.ask("POST", "/send", body, by=AS_LIBRARIAN, Idempotency_Key="k1")
    other = library.ask("POST", "/send", {**body, "user_ids": [OTHER]}, by=AS_LIBRARIAN, Idempotency_Key="k1")

    assert again.json == first.json
    assert again.headers["idempotency-replayed"] == "true"
    assert other.json["code"] == "idempotency_key_reused"
    assert [announcement.to for announcement in library.sent] == [(MEMBER,)]


@pytest.mark.parametrize(
    ("ahead", "refused"), [(-1, True), (0, True), (1, False), (365 * 86_400, False), (365 * 86_400 + 1, True)]
)
def test_when_it_may_be_sent(library: Library, ahead: int, refused: bool) -> None:
    at = to_rfc3339(library.clock.now() + timedelta(seconds=ahead))
    answer = library.ask("POST", "/send", {**CLOSED, "audience": {}, "send_at": at}, by=AS_LIBRARIAN)

    assert answer.status == (422 if refused else 202)
    assert (fields(answer) == {"send_at"}) if refused else library.sent[0].send_at > library.clock.now()


@pytest.mark.parametrize(
    ("body", "field_"),
    [
        ({**CLOSED}, "body"),
        ({**CLOSED, "audience": {}, "user_ids": [MEMBER]}, "body"),
        ({**CLOSED, "user_ids": []}, "user_ids"),
        ({**CLOSED, "user_ids": [new_id() for _ in range(101)]}, "user_ids"),
        ({**CLOSED, "user_ids": [MEMBER, "nobody"]}, "user_ids.1"),
        ({**CLOSED, "audience": {"role": "king"}}, "audience.role"),
        ({**CLOSED, "audience": {}, "template": "password_changed"}, "template"),
        ({**CLOSED, "audience": {}, "data": {"subject": "Closed"}}, "data.message"),
        ({**CLOSED, "audience": {}, "data": {**CLOSED["data"], "title": "x"}}, "data.title"),  # type: ignore[dict-item]
        ({**CLOSED, "audience": {}, "data": {"subject": "a\nb", "message": "x"}}, "data.subject"),
        ({**CLOSED, "audience": {}, "channels": []}, "channels"),
        ({"template": "hold_ready", "audience": {}, "data": {"title": "Kindred"}}, "audience"),
        ({"template": "hold_ready", "user_ids": [MEMBER], "data": {}}, "data.title"),
    ],
)
def test_what_cannot_be_sent(library: Library, body: dict[str, Any], field_: str) -> None:
    answer = library.ask("POST", "/send", body, by=AS_LIBRARIAN)
    assert (answer.status, fields(answer)) == (422, {field_})
    assert library.sent == []


# -- failed messages ------------------------------------------------------------------------------


def test_failed_messages_are_listed_and_tried_again(library: Library) -> None:
    failed = [library.notices.failed.add(MEMBER) for _ in range(3)]
    first = library.ask("GET", "/failed?limit=2", by=AS_ADMIN).json
    rest = library.ask("GET", f"/failed?limit=2&cursor={first['next_cursor']}", by=AS_ADMIN).json

    assert [item["id"] for item in first["items"] + rest["items"]] == failed
    assert first["items"][0]["error_code"] == "MessageRejected"
    assert library.ask("POST", f"/failed/{failed[1]}/retry", by=AS_ADMIN).status == 202
    assert library.notices.failed.retried == [failed[1]]
    for unknown in (new_id(), "x"):
        assert library.ask("POST", f"/failed/{unknown}/retry", by=AS_ADMIN).json["code"] == "notice_not_found"


def test_all_that_failed_for_a_reason_is_tried_again_page_by_page(library: Library) -> None:
    failed = [library.notices.failed.add(MEMBER) for _ in range(3)]
    which = {"error_code": "MessageRejected", "channel": "email", "since": "2026-11-21T12:00:00+02:00"}

    first = library.ask("POST", "/failed/retry", {**which, "limit": 2}, by=AS_ADMIN)
    rest = library.ask("POST", "/failed/retry", {**which, "cursor": first.json["next_cursor"]}, by=AS_ADMIN)

    assert (first.status, first.json["retried"]) == (202, 2)
    assert (rest.status, rest.json) == (202, {"retried": 1, "next_cursor": None})
    assert library.notices.failed.retried == failed
    since = datetime(2026, 11, 21, 10, tzinfo=UTC)
    assert library.notices.failed.asked == [(since, None)] * 2
    # A cursor is of its question.
    other = {**which, "error_code": "Throttling", "cursor": first.json["next_cursor"]}
    assert library.ask("POST", "/failed/retry", other, by=AS_ADMIN).json["code"] == "invalid_request"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"error_code": ""},
        {"error_code": "Throttling", "channel": "pigeon"},
        {"error_code": "Throttling", "limit": 101},
        {"error_code": "Throttling", "limit": "10"},
        {"error_code": "Throttling", "since": "ten o'clock"},
        {"error_code": "Throttling", "since": "2026-11-21T10:00:00Z", "until": "2026-11-21T10:00:00Z"},
        {"error_code": "Throttling", "reason": "x"},
        {"error_code": "Throttling", "cursor": "x"},
    ],
)
def test_nothing_is_tried_again_by_mistake(library: Library, body: dict[str, Any]) -> None:
    library.notices.failed.add(MEMBER)

    assert library.ask("POST", "/failed/retry", body, by=AS_ADMIN).status == 422
    assert library.notices.failed.retried == []


# -- preferences ----------------------------------------------------------------------------------


def test_who_said_nothing_sees_what_counts(library: Library) -> None:
    answer = library.ask("GET", f"/preferences/{MEMBER}")

    assert answer.headers["etag"] == 'W/"0"'
    assert set(answer.json["channels"]) == set(Kind)
    assert answer.json["channels"]["hold_ready"] == ["email", "in_app"]
    assert answer.json["digest"] == {"rhythm": "off", "at": "08:00", "weekday": 0}
    assert answer.json["defaults"] == {
        "channels": ["email", "in_app"],
        "language": "en",
        "time_zone": "Africa/Nairobi",
    }
    assert (answer.json["language"], answer.json["quiet_hours"]) == (None, None)


def test_preferences_are_replaced_as_a_whole_and_what_is_read_can_be_sent_back(library: Library) -> None:
    chosen = {
        "channels": {"loan_issued": [], "hold_ready": ["sms", "email", "sms"]},
        "quiet_hours": {"start": "22:00", "end": "07:00"},
        "digest": {"rhythm": "weekly", "at": "18:30", "weekday": 4},
        "language": "FR-ca",
        "time_zone": "Africa/Nairobi",
    }
    first = library.ask("PUT", f"/preferences/{MEMBER}", chosen).json
    kept = {name: first[name] for name in chosen}
    again = library.ask("PUT", f"/preferences/{MEMBER}", kept, If_Match='W/"1"').json
    reset = library.ask("PUT", f"/preferences/{MEMBER}", {}, by=AS_ADMIN).json

    assert first["channels"]["loan_issued"] == []
    assert first["channels"]["hold_ready"] == ["email", "sms"]
    assert (first["language"], first["version"]) == ("fr-CA", 1)
    assert again == first
    assert (reset["version"], reset["language"], reset["channels"]["loan_issued"]) == (2, None, ["email", "in_app"])
    stale = library.ask("PUT", f"/preferences/{MEMBER}", chosen, If_Match='W/"1"')
    assert (stale.status, stale.json["code"]) == (412, "stale_version")


def test_what_is_read_can_be_sent_back_as_it_is(library: Library) -> None:
    path = f"/preferences/{MEMBER}"
    chosen = {
        "channels": {"loan_issued": ["in_app"]},
        "quiet_hours": {"start": "22:00", "end": "07:00"},
        "digest": {"rhythm": "daily", "at": "18:30"},
    }
    for changes in ({}, chosen, {"language": "fr"}, {"quiet_hours": None}):
        read = library.ask("GET", path)
        answer = library.ask("PUT", path, {**read.json, **changes}, If_Match=read.headers["etag"])
        assert answer.status == 200
        assert {**read.json, **changes, "channels": 0, "digest": 0, "version": 0} == {
            **answer.json, "channels": 0, "digest": 0, "version": 0,
        }  # fmt: skip
    read = library.ask("GET", path)
    assert (read.json["channels"]["loan_issued"], read.json["digest"]["at"]) == (["in_app"], "18:30")
    assert library.ask("PUT", path, read.json).json == read.json, "the same again changes nothing"


@pytest.mark.parametrize("said", ["7", "24:00", "22:60", "22:00\n", "9:30", "22.00"])
def test_what_is_no_time_is_refused_in_words(library: Library, said: str) -> None:
    for body in ({"quiet_hours": {"start": said, "end": "07:00"}}, {"digest": {"rhythm": "daily", "at": said}}):
        answer = library.ask("PUT", f"/preferences/{MEMBER}", body)
        assert answer.status == 422
        assert [error["message"] for error in answer.json["errors"]] == ["must be a time like 22:00"]


def test_the_servers_own_fields_are_not_the_members_to_set(library: Library) -> None:
    odd = {"user_id": OTHER, "version": 7, "defaults": {"channels": [], "language": "xx", "time_zone": "UTC"}}
    answer = library.ask("PUT", f"/preferences/{MEMBER}", {**odd, "language": "fr"})

    assert (answer.json["user_id"], answer.json["version"], answer.json["language"]) == (MEMBER, 1, "fr")
    assert answer.json["defaults"]["time_zone"] == "Africa/Nairobi"
    assert library.ask("GET", f"/preferences/{OTHER}", by=person(OTHER)).json["version"] == 0
    assert library.ask("PUT", f"/preferences/{MEMBER}", {"updated_at": "x"}).status == 422


@pytest.mark.parametrize("channels", [[], ["in_app"], ["sms", "push", "in_app"]])
def test_that_a_password_was_changed_is_always_told_by_email(library: Library, channels: list[str]) -> None:
    refused = library.ask("PUT", f"/preferences/{MEMBER}", {"channels": {"password_changed": channels}})
    assert (refused.status, refused.json["code"]) == (422, "cannot_be_turned_off")
    more = library.ask("PUT", f"/preferences/{MEMBER}", {"channels": {"password_changed": ["sms", "email"]}})
    assert more.json["channels"]["password_changed"] == ["email", "sms"]


def test_librarians_read_what_others_preference_and_change_only_their_own(library: Library) -> None:
    librarian = AS_LIBRARIAN["subject"]
    refused = library.ask("PUT", f"/preferences/{MEMBER}", {"language": "fr"}, by=AS_LIBRARIAN)

    assert refused.status == 403
    assert library.ask("GET", f"/preferences/{MEMBER}", by=AS_LIBRARIAN).json["version"] == 0
    assert library.ask("PUT", f"/preferences/{librarian}", {"language": "fr"}, by=AS_LIBRARIAN).status == 200
    assert set(library.preferences.stored) == {librarian}


@pytest.mark.parametrize("kind", ["role_changed", "membership_changed"])
def test_nobody_but_the_member_keeps_it_from_them_what_they_may_do(library: Library, kind: str) -> None:
    path, off = f"/preferences/{MEMBER}", {"channels": {kind: ["in_app", "sms"]}, "language": "fr"}

    refused = library.ask("PUT", path, off, by=AS_ADMIN)
    assert (refused.status, refused.json["code"], fields(refused)) == (
        422,
        "cannot_be_turned_off",
        {f"channels.{kind}"},
    )
    assert library.preferences.stored == {}

    assert library.ask("PUT", path, off).json["channels"][kind] == ["sms", "in_app"]
    # What the member turned off may stay off, and can be turned on again.
    assert library.ask("PUT", path, {**off, "language": "es"}, by=AS_ADMIN).json["language"] == "es"
    assert library.ask("PUT", path, {}, by=AS_ADMIN).json["channels"][kind] == ["email", "in_app"]
    assert library.ask("PUT", path, off, by=AS_ADMIN).status == 422


@pytest.mark.parametrize(
    "zone",
    [
        "Nairobi",
        "Africa/Atlantis",
        "../../etc/localtime",
        "/etc/localtime",
        "Africa/../Africa/Nairobi",
        "Africa",
        "America/Argentina",
        "posix/Africa/Nairobi",
        "localtime",
        "Africa/Nairobi\x00",
        "tzdata.zi",
        "",
    ],
)
def test_what_is_no_time_zone(library: Library, zone: str) -> None:
    answer = library.ask("PUT", f"/preferences/{MEMBER}", {"time_zone": zone})
    assert (answer.status, fields(answer)) == (422, {"time_zone"})


@pytest.mark.parametrize("zone", ["UTC", "Africa/Nairobi", "America/Argentina/Buenos_Aires", "Etc/GMT+3"])
def test_what_is_one(library: Library, zone: str) -> None:
    assert library.ask("PUT", f"/preferences/{MEMBER}", {"time_zone": zone}).json["time_zone"] == zone


@pytest.mark.parametrize(
    ("body", "field_"),
    [
        ({"language": "french"}, "language"),
        ({"language": "../fr"}, "language"),
        ({"channels": {"moon_landing": ["email"]}}, "channels.moon_landing"),
        ({"channels": {"welcome": ["pigeon"]}}, "channels.welcome.0"),
        ({"quiet_hours": {"start": "25:00", "end": "07:00"}}, "quiet_hours.start"),
        ({"quiet_hours": {"start": "22:00"}}, "quiet_hours.end"),
        ({"quiet_hours": {"start": "07:00", "end": "03:01"}}, "quiet_hours"),
        ({"digest": {"rhythm": "hourly"}}, "digest.rhythm"),
        ({"digest": {"weekday": 7}}, "digest.weekday"),
        ({"digest": {"at": "8:00"}}, "digest.at"),
        ({"colour": "blue"}, "colour"),
    ],
)
def test_what_nobody_can_preference(library: Library, body: dict[str, Any], field_: str) -> None:
    answer = library.ask("PUT", f"/preferences/{MEMBER}", body)
    assert (answer.status, fields(answer)) == (422, {field_})
    assert library.preferences.stored == {}


def test_a_malformed_id_names_nobody(library: Library) -> None:
    assert library.ask("GET", "/preferences/nobody", by=AS_LIBRARIAN).json["code"] == "user_not_found"
    for malformed in ("nobody", MEMBER.lower(), MEMBER + "0", "8" + MEMBER[1:]):
        refused = library.ask("PUT", f"/preferences/{malformed}", {"language": "fr"}, by=AS_ADMIN)
        assert (refused.status, refused.json["code"]) == (404, "user_not_found")
    assert library.preferences.stored == {}


# -- announcements --------------------------------------------------------------------------------


def announced(library: Library, **details: Any) -> str:
    body = {"template": "announcement", "data": {"subject": "Closed", "message": "Until Monday."}, **details}
    answer = library.ask("POST", "/send", body, by=AS_LIBRARIAN, Idempotency_Key=new_id())
    assert answer.status == 202, answer.json
    return str(answer.json["id"])


def test_an_announcement_can_be_looked_up_and_cancelled(library: Library) -> None:
    its_id = announced(library, audience={"role": "student"}, send_at="2026-12-01T06:00:00Z", channels=["email"])

    assert library.ask("GET", f"/send/{its_id}", by=AS_LIBRARIAN).json == {
        "id": its_id,
        "state": "waiting",
        "template": "announcement",
        "audience": {"role": "student", "status": "active"},
        "user_ids": None,
        "data": {"subject": "Closed", "message": "Until Monday."},
        "channels": ["email"],
        "send_at": "2026-12-01T06:00:00Z",
        "created_at": "2026-11-21T12:00:00Z",
        "by": f"user:{AS_LIBRARIAN['subject']}",
        "cancelled_by": None,
        "told": 0,
    }
    for _ in range(2):
        assert library.ask("DELETE", f"/send/{its_id}", by=AS_ADMIN).status == 204
    cancelled = library.ask("GET", f"/send/{its_id}", by=AS_LIBRARIAN).json
    assert (cancelled["state"], cancelled["cancelled_by"]) == ("cancelled", f"user:{AS_ADMIN['subject']}")


def test_one_that_is_done_is_not_cancelled(library: Library) -> None:
    its_id = announced(library, user_ids=[MEMBER])
    known = library.notices.announcements.stored
    known[its_id] = replace(known[its_id], done=True, notified=1, version=1)

    answer = library.ask("DELETE", f"/send/{its_id}", by=AS_LIBRARIAN)

    assert (answer.status, answer.json["code"]) == (409, "announcement_done")
    view = library.ask("GET", f"/send/{its_id}", by=AS_LIBRARIAN).json
    assert (view["state"], view["told"], view["user_ids"], view["audience"]) == ("done", 1, [MEMBER], None)


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("its_id", ["nothing", "01JD8Y3V5QWZ6X7R8T9B0C1D2E"])
def test_an_announcement_there_is_none_of(library: Library, method: str, its_id: str) -> None:
    answer = library.ask(method, f"/send/{its_id}", by=AS_LIBRARIAN)
    assert (answer.status, answer.json["code"]) == (404, "announcement_not_found")
    assert library.ask(method, f"/send/{its_id}").status == 403


# -- devices --------------------------------------------------------------------------------------


def test_a_device_is_registered_and_removed(library: Library, caplog: pytest.LogCaptureFixture) -> None:
    body = {"platform": "ios", "token": "a-secret-token"}
    made = library.ask("PUT", f"/devices/{MEMBER}/phone-1", body)

    assert made.json == {"id": "phone-1", "platform": "ios", "registered_at": "2026-11-21T12:00:00Z"}
    assert "a-secret-token" not in str([vars(record) for record in caplog.records])
    for _ in range(2):
        assert library.ask("DELETE", f"/devices/{MEMBER}/phone-1").status == 204
    assert library.devices.known == {}


@pytest.mark.parametrize(
    ("device", "body", "status", "code"),
    [
        ("phone-1", {"platform": "ios", "token": "refused-token"}, 422, "device_refused"),
        ("phone-1", {"platform": "pager", "token": "token-token"}, 422, "invalid_request"),
        ("phone-1", {"platform": "ios", "token": "with spaces in it"}, 422, "invalid_request"),
        ("phone%201", {"platform": "ios", "token": "token-token"}, 422, "invalid_request"),
    ],
)
def test_devices_that_are_refused(library: Library, device: str, body: object, status: int, code: str) -> None:
    answer = library.ask("PUT", f"/devices/{MEMBER}/{device}", body)
    assert (answer.status, answer.json["code"]) == (status, code)
    assert library.devices.known == {}


def test_a_member_who_was_erased_changes_nothing_any_more(library: Library) -> None:
    library.devices.erased.add(MEMBER)
    library.preferences.erase(MEMBER)

    for path, body in (
        ("devices/" + MEMBER + "/phone-1", {"platform": "ios", "token": "a-long-token"}),
        ("preferences/" + MEMBER, {"language": "fr"}),
    ):
        answer = library.ask("PUT", f"/{path}", body)
        assert (answer.status, answer.json["code"]) == (404, "user_not_found")
    assert (library.devices.known, library.preferences.stored) == ({}, {})


def test_other_peoples_devices_are_nobodys_business(library: Library) -> None:
    body = {"platform": "ios", "token": "token-token"}
    assert library.ask("PUT", f"/devices/{MEMBER}/phone-1", body, by=AS_ADMIN).status == 403
    assert library.ask("PUT", f"/devices/{OTHER}/phone-1", body).status == 404


# -- templates ------------------------------------------------------------------------------------

KARIBU = {"language": "en", "short": {"heading": "Karibu, {{ member_name }}!", "text": "Your account is ready."}}


def test_every_template_is_listed(library: Library) -> None:
    library.ask("PUT", "/templates/welcome", KARIBU, by=AS_ADMIN)
    items = {item["name"]: item for item in library.ask("GET", "/templates", by=AS_LIBRARIAN).json["items"]}

    assert set(items) == {*Kind, "digest"}
    assert items["welcome"] == {"name": "welcome", "version": 1, "built_in": ["en", "es", "fr"], "stored": ["en"]}
    assert items["digest"]["stored"] == []


def test_a_template_is_stored_used_and_withdrawn(library: Library) -> None:
    stored = library.ask("PUT", "/templates/welcome", KARIBU, by=AS_ADMIN, If_Match='W/"0"')
    english = next(each for each in stored.json["wordings"] if each["language"] == "en")

    assert stored.headers["etag"] == 'W/"1"'
    assert english["parts"]["short"] == {"source": "stored", "fields": KARIBU["short"]}
    assert english["parts"]["email"]["source"] == "built_in"
    assert stored.json["changes"][0]["by"] == f"user:{AS_ADMIN['subject']}"

    library.notices.inbox.add(MEMBER, Kind.WELCOME, {"member_name": "Ann"})
    assert library.ask("GET", f"/user/{MEMBER}").json["items"][0]["heading"] == "Karibu, Ann!"

    for _ in range(2):
        assert library.ask("DELETE", "/templates/welcome?language=en", by=AS_ADMIN).status == 204
    after = library.ask("GET", "/templates/welcome", by=AS_LIBRARIAN).json
    assert [(change["version"], change["withdrawn"]) for change in after["changes"]] == [(2, True), (1, False)]
    library.clock.advance(timedelta(minutes=1))
    assert library.ask("GET", f"/user/{MEMBER}").json["items"][0]["heading"] == "Welcome to Smart Library"


def test_the_same_template_again_is_no_new_version_and_an_outdated_one_is_refused(library: Library) -> None:
    for _ in range(2):
        assert library.ask("PUT", "/templates/welcome", KARIBU, by=AS_ADMIN).json["version"] == 1
    other = {**KARIBU, "language": "sw"}
    assert library.ask("PUT", "/templates/welcome", other, by=AS_ADMIN, If_Match='W/"0"').status == 412
    assert library.ask("DELETE", "/templates/welcome?language=en", by=AS_ADMIN, If_Match='W/"0"').status == 412
    assert library.ask("PUT", "/templates/welcome", other, by=AS_ADMIN, If_Match='W/"1"').json["version"] == 2


@pytest.mark.parametrize(
    ("name", "body", "code", "wrong"),
    [
        ("welcome", {"sms": {"text": "{{ member_name.__class__ }}"}}, "template_refused", "sms.text"),
        ("welcome", {"short": {"heading": "x", "text": "a\n{{ title }}"}}, "template_refused", "short.text"),
        ("loan_issued", {"sms": {"text": "{{ title }}" + "x" * 160}}, "template_refused", "sms.text"),
        ("loan_issued", {"email": {"subject": "{% if not title %}x{% endif %}", "text": "x"}}, "template_refused",
         "email.subject"),
        ("fine_paid", {"short": {"heading": "{{ amount.cents }}", "text": "x"}}, "template_refused", "short.heading"),
        ("fine_paid", {"short": {"heading": "x", "text": "{{ reason.x }}"}}, "template_refused", "short.text"),
        ("loan_issued", {"many": {"heading": "{{ count }}", "line": "{{ amount }}"}}, "template_refused", "many.line"),
        ("welcome", {"email": {"subject": "a\nb", "text": "x"}}, "invalid_request", "email.subject"),
        ("welcome", {"sms": {"text": "x" * 10_241}}, "invalid_request", "sms.text"),
        ("digest", {"many": {"heading": "x", "line": "x"}}, "invalid_request", "many"),
        ("welcome", {}, "invalid_request", "body"),
    ],
)  # fmt: skip
def test_a_template_that_is_refused_says_where(
    library: Library, name: str, body: dict[str, Any], code: str, wrong: str
) -> None:
    stored = library.ask("PUT", f"/templates/{name}", {"language": "en", **body}, by=AS_ADMIN)
    assert (stored.status, stored.json["code"], fields(stored)) == (422, code, {wrong})
    assert library.templates.versions == {}


def test_the_text_of_an_earlier_version_can_be_read(library: Library) -> None:
    hujambo = {"language": "en", "sms": {"text": "Hujambo!"}}
    for body in (KARIBU, hujambo):
        assert library.ask("PUT", "/templates/welcome", body, by=AS_ADMIN).status == 200
    library.ask("DELETE", "/templates/welcome?language=en", by=AS_ADMIN)

    def texts(version: str) -> dict[int, Any]:
        asked = library.ask("GET", f"/templates/welcome?version={version}", by=AS_LIBRARIAN)
        return {change["version"]: change["parts"] for change in asked.json["changes"]}

    assert texts("1") == {3: None, 2: None, 1: {"short": KARIBU["short"]}}
    assert texts("2") == {3: None, 2: {"sms": hujambo["sms"]}, 1: None}
    assert texts("3") == {3: {}, 2: None, 1: None}
    for version, status, code in (("4", 404, "version_not_found"), ("0", 422, "invalid_request")):
        answer = library.ask("GET", f"/templates/welcome?version={version}", by=AS_LIBRARIAN)
        assert (answer.status, answer.json["code"]) == (status, code)


def test_a_preview_stores_nothing(library: Library) -> None:
    body = {"language": "fr", "sms": {"text": "{{ title }} le {{ due_date | date }}"}, "data": {"title": "{{ 7*7 }}"}}
    answer = library.ask("POST", "/templates/loan_issued/preview", body, by=AS_LIBRARIAN)

    text = "{{ 7*7 }} le 5 décembre 2026"
    shown = {"language": "fr", "fields": {"text": text}}
    # Each brace counts twice.
    assert answer.json == {"parts": {"sms": {**shown, "characters": len(text) + 4, "characters_of_one": 160}}}
    assert library.templates.versions == {}


def test_a_digest_is_previewed_in_its_language(library: Library) -> None:
    parts = library.ask("POST", "/templates/digest/preview", {"language": "fr"}, by=AS_LIBRARIAN).json["parts"]

    assert "Vous avez emprunté 2 documents" in parts["email"]["fields"]["text"]
    assert "- Kindred, jusqu'au 28 novembre 2026" in parts["email"]["fields"]["text"]
    assert "Une réservation est prête" in parts["short"]["fields"]["text"]


@pytest.mark.parametrize(("title", "characters"), [("红楼梦", 3), ("Война", 5), ("🦉", 2)])
def test_a_preview_counts_a_text_message_as_its_alphabet_does(library: Library, title: str, characters: int) -> None:
    body = {"language": "en", "sms": {"text": "{{ title }}"}, "data": {"title": title}}
    sms = library.ask("POST", "/templates/loan_issued/preview", body, by=AS_LIBRARIAN).json["parts"]["sms"]
    assert (sms["fields"]["text"], sms["characters"], sms["characters_of_one"]) == (title, characters, 70)


def test_a_preview_without_parts_shows_what_counts_now(library: Library) -> None:
    library.ask("PUT", "/templates/loan_issued", {"language": "fr", "sms": {"text": "{{ title }} !"}}, by=AS_ADMIN)
    parts = library.ask("POST", "/templates/loan_issued/preview", {"language": "fr-CA"}, by=AS_LIBRARIAN).json["parts"]

    assert set(parts) == {"email", "sms", "short", "many"}
    assert parts["sms"]["fields"]["text"] == "The Left Hand of Darkness !"
    assert parts["email"]["fields"]["subject"] == "Vous avez emprunté « The Left Hand of Darkness »"


@pytest.mark.parametrize("data", [{"author": "x"}, {"amount": "3"}, {"title": {"amount": "3", "currency": "USD"}}])
def test_a_preview_takes_the_templates_own_fields(library: Library, data: dict[str, Any]) -> None:
    template = "fine_paid" if "amount" in data else "loan_issued"
    answer = library.ask("POST", f"/templates/{template}/preview", {"data": data}, by=AS_LIBRARIAN)
    assert (answer.status, fields(answer)) == (422, {f"data.{next(iter(data))}"})


@pytest.mark.parametrize("name", ["unknown", "..", "WELCOME", "phrases"])
def test_there_are_no_other_templates(library: Library, name: str) -> None:
    for method, path, body in (
        ("GET", "", None),
        ("PUT", "", KARIBU),
        ("DELETE", "?language=en", None),
        ("POST", "/preview", {}),
    ):
        answer = library.ask(method, f"/templates/{name}{path}", body, by=AS_ADMIN)
        assert (answer.status, answer.json["code"]) == (404, "template_not_found")
