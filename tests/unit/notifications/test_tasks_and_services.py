"""Tasks of the sender as messages, the services' answers, and the settings."""

import json
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from library_common.service_client import Answered, NotFound, Refused, Result, Unavailable, UnknownOutcome
from notifications_service.adapters.services import HttpAccounts, HttpLoans
from notifications_service.adapters.task_queue import read_task, to_message
from notifications_service.application.ports import (
    Account,
    Due,
    DueAnnouncement,
    DueDelivery,
    DueReminder,
    ServiceUnavailable,
)
from notifications_service.domain.kinds import Channel
from notifications_service.settings import NotificationsSettings

pytestmark = pytest.mark.unit

USER = {
    "id": "U",
    "name": "Ann",
    "email": "ann@example.org",
    "phone": None,
    "status": "suspended",
    "preferences": {"language": "fr", "notification_email": False, "notification_sms": True},
}
LOAN = {"id": "L", "status": "ACTIVE", "due_date": "2026-12-05T20:59:59Z"}


class Client:
    """A service that answers everything the same."""

    def __init__(self, answer: Result) -> None:
        self.answer = answer
        self.asked: list[str] = []

    def get(self, path: str, *, deadline: float) -> Result:
        self.asked.append(path)
        return self.answer


def accounts(answer: Result) -> HttpAccounts:
    client: Any = Client(answer)
    return HttpAccounts(client)


def out(answer: Result, due_date: str = LOAN["due_date"]) -> bool:
    client: Any = Client(answer)
    return HttpLoans(client).still_out("L", due_date)


@pytest.mark.parametrize("task", [DueDelivery("U", Channel.SMS), DueReminder("U", "R"), DueAnnouncement("B")])
def test_a_task_is_read_as_it_was_written(task: Due) -> None:
    assert read_task(to_message(task)).message == task


@pytest.mark.parametrize(
    "body", ["", "[]", "{}", '{"task": "dance"}', '{"task": "deliver", "user_id": "U", "channel": "pigeon"}']
)
def test_what_is_no_task_is_poison(body: str) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        read_task(body)


def test_a_message_says_nothing_of_what_is_told() -> None:
    assert json.loads(to_message(DueDelivery("U", Channel.EMAIL))).keys() == {
        "task",
        "user_id",
        "channel",
        "correlation_id",
    }


def test_an_account_is_what_users_answers() -> None:
    assert accounts(Answered(200, USER)).find("U") == Account(
        "U", "Ann", "ann@example.org", None, "fr", takes_email=False, takes_sms=True
    )
    assert accounts(NotFound("user_not_found")).find("U") is None


@pytest.mark.parametrize(
    ("told", "phone", "proved"),
    [
        ({}, None, False),
        ({"phone_confirmed": False, "email_verified": False}, None, False),
        ({"phone_confirmed": True, "email_verified": True}, "+254711222333", True),
    ],
)
def test_a_number_counts_that_was_confirmed(told: dict[str, Any], phone: str | None, proved: bool) -> None:
    account = accounts(Answered(200, USER | {"phone": "+254711222333"} | told)).find("U")

    assert account is not None
    assert (account.phone, account.has_proved_email) == (phone, proved)


@pytest.mark.parametrize(
    "answer", [Refused(409, "x", ""), Unavailable("users", "circuit open"), UnknownOutcome("users", "timeout")]
)
def test_no_answer_is_no_answer(answer: Result) -> None:
    for ask in (lambda: accounts(answer).find("U"), lambda: accounts(answer).ids(None, "active", 5, None)):
        with pytest.raises(ServiceUnavailable):
            ask()
    with pytest.raises(ServiceUnavailable):
        out(answer)


def test_members_are_asked_for_page_by_page() -> None:
    client: Any = Client(Answered(200, {"items": [{"id": "A"}, {"id": "B"}], "next_cursor": "c/2"}))

    assert HttpAccounts(client).ids("patron", "active", 50, "c/1") == (["A", "B"], "c/2")
    assert client.asked == ["/api/users?limit=50&role=patron&status=active&cursor=c%2F1"]


@pytest.mark.parametrize(
    ("loan", "still"),
    [
        (LOAN, True),
        (LOAN | {"status": "OVERDUE"}, True),
        (LOAN | {"status": "RETURNED"}, False),
        (LOAN | {"status": "LOST"}, False),
        (LOAN | {"claimed_returned": True}, False),
        (LOAN | {"due_date": "2026-12-19T20:59:59Z"}, False),
    ],
)
def test_a_loan_is_out_while_the_member_has_it_until_that_date(loan: dict[str, Any], still: bool) -> None:
    assert out(Answered(200, loan)) is still
    assert out(NotFound("loan_not_found")) is False


@pytest.mark.parametrize("due_date", ["", "2026-12-05", "2026-12-05T20:59:59", "soon", "0001-01-01T00:00:00+10:00"])
def test_no_loan_is_due_at_what_is_no_moment(due_date: str) -> None:
    assert out(Answered(200, LOAN), due_date) is False


def test_the_environment_becomes_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OVERDUE_DAYS", "3,10")
    monkeypatch.setenv("LIBRARY_TIME_ZONE", "Africa/Nairobi")
    settings = NotificationsSettings()

    assert settings.reminder_schedule.overdue_days == (3, 10)
    assert settings.zone == ZoneInfo("Africa/Nairobi")
    monkeypatch.setenv("LIBRARY_TIME_ZONE", "Nowhere/Land")
    assert NotificationsSettings().zone == ZoneInfo("UTC")
