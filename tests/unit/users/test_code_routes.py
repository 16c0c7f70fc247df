"""The routes of one-time codes through the Lambda handler: bodies, answers, and what they give away."""

from collections.abc import Callable
from typing import Any

import pytest

from library_common.context import invocation
from library_common.http import ServiceApi
from tests.fakes.users import Community
from tests.support.lambda_events import Answer, api_event, call
from tests.support.operator_log import OperatorLog
from users_service.domain.codes import Purpose

pytestmark = pytest.mark.unit

EMAIL = "ann@example.org"
PASSWORD = "another horse battery"

type Post = Callable[..., Answer]


@pytest.fixture
def post(api: ServiceApi) -> Post:
    """Posts a body to `/api/auth/<path>`."""

    def post(path: str, **body: Any) -> Answer:
        headers = {"X-Correlation-Id": "same-for-all"}
        return call(api, api_event("POST", f"/api/auth/{path}", body=body, headers=headers))

    return post


def test_a_password_is_set_with_a_code(community: Community, post: Post) -> None:
    member = community.join(email=EMAIL)

    asked = post("password-reset", email=EMAIL)
    assert (asked.status, asked.json.keys()) == (202, {"detail"})
    community.deliver_codes()
    digits = community.sent_messages.sent[-1].digits
    confirmed = post("password-reset/confirm", email=EMAIL, code=f" {digits} ", new_password=PASSWORD)

    assert (confirmed.status, confirmed.json) == (204, None)
    assert community.members.hashes[member.id] == f"hash of {PASSWORD}"


def test_an_address_is_verified_with_a_code(community: Community, post: Post) -> None:
    member = community.join(email=EMAIL)

    assert post("verify-email/resend", email=EMAIL).status == 202
    community.deliver_codes()
    assert post("verify-email", email=EMAIL, code=community.sent_messages.sent[-1].digits).status == 204
    assert community.members.accounts[member.id].email_verified_at is not None


REQUESTS: list[tuple[str, dict[str, str]]] = [
    ("password-reset", {}),
    ("password-reset", {"channel": "sms"}),
    ("verify-email/resend", {}),
    ("verify-email", {"code": "123456"}),
    ("password-reset/confirm", {"code": "123456", "new_password": PASSWORD}),
    ("password-reset/confirm", {"code": "123456", "new_password": "short"}),
    ("password-reset/confirm", {"code": "12345x", "new_password": PASSWORD}),
]


@pytest.mark.parametrize(("path", "more"), REQUESTS)
def test_the_answer_is_the_same_whether_or_not_there_is_an_account(
    community: Community, post: Post, path: str, more: dict[str, str]
) -> None:
    community.join(email=EMAIL)
    purpose = Purpose.VERIFY_EMAIL if path.startswith("verify") else Purpose.PASSWORD_RESET
    community.use_cases.ask_for_code(purpose, EMAIL)
    community.deliver_codes()

    with_account, without = post(path, email=EMAIL, **more), post(path, email="eve@example.org", **more)

    assert (with_account.status, with_account.json, with_account.headers) == (
        without.status,
        without.json,
        without.headers,
    )


def test_a_password_that_will_not_do_is_refused_before_anything_else(community: Community, post: Post) -> None:
    """Otherwise a bad one would cost a try, or tell by being refused only where there is an account."""
    community.join(email=EMAIL)
    answer = post("password-reset/confirm", email=EMAIL, code="123456", new_password="short")

    assert (answer.status, answer.json["code"]) == (422, "invalid_request")
    assert [error["field"] for error in answer.json["errors"]] == ["new_password"]
    assert community.attempts.taken == []
    assert community.passwords.compared == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"email": "nowhere"},
        {"email": f"{EMAIL}\nBcc: eve@example.org"},
        {"email": f"{EMAIL}, eve@example.org"},
        {"email": EMAIL, "channel": "pigeon"},
        {"email": EMAIL, "name": "Ann"},
    ],
)
def test_a_request_that_makes_no_sense_is_refused(community: Community, post: Post, body: dict[str, str]) -> None:
    answer = post("password-reset", **body)

    assert (answer.status, answer.json["code"]) == (422, "invalid_request")
    assert community.code_requests.waiting == []


@pytest.mark.parametrize("code", ["", "12345", "1234567", "12345a", "\u0661\u0662\u0663\u0664\u0665\u0666", "-12345"])
def test_a_code_is_six_digits(community: Community, post: Post, code: str) -> None:
    answer = post("verify-email", email=EMAIL, code=code)

    assert (answer.status, answer.json["code"]) == (422, "invalid_request")
    assert community.attempts.taken == []


def test_too_many_requests_are_told_when_to_come_again(community: Community, post: Post) -> None:
    community.attempts.left = {("reset_account", EMAIL): 0, ("confirm_account", EMAIL): 0}
    for path, more in REQUESTS[:5]:
        answer = post(path, email=EMAIL, **more)
        assert (answer.status, answer.json["code"]) == (429, "too_many_requests")
        assert answer.headers["retry-after"] == "60"


def test_neither_address_nor_code_nor_password_is_logged(community: Community, post: Post, log: OperatorLog) -> None:
    community.join(email=EMAIL, phone="+441632960001")
    with invocation():
        for path, more in REQUESTS:
            post(path, email=EMAIL, **more)
        community.deliver_codes()

    for secret in (EMAIL, "ann@", "123456", PASSWORD, "1632960001", *(m.digits for m in community.sent_messages.sent)):
        assert secret not in log.text
