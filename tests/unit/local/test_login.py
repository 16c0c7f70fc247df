"""Logging in to demo accounts, and the first administrator's way in, against an API in this process."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from localstack.embedded import login
from localstack.embedded.errors import Refusal
from localstack.embedded.login import LoginRefused
from localstack.embedded.mail import Message
from tests.support.scripted_service import Asked, Does, ScriptedService

pytestmark = [pytest.mark.unit, pytest.mark.enable_socket]

EMAIL = "admin@library.example.org"
LET_IN = Does(body={"access_token": "a.b.c", "user": {"id": "U1"}})
WRONG = Does(status=401, body={"code": "invalid_credentials", "detail": "Wrong."})
BUSY = Does(status=503, body={"code": "service_unavailable"})
CHANGED = Does(status=204, body=b"")
CODE_REFUSED = Does(status=422, body={"code": "code_invalid"})
ON_ITS_WAY = Does(status=202)


@pytest.fixture
def api() -> Iterator[ScriptedService]:
    with ScriptedService().running() as other_service:
        yield other_service


def a_mail(code: str) -> Message:
    return Message(EMAIL, "your code", f"Your code: {code}\n\nIt is valid for 10 minutes.", datetime.now(UTC))


def enter(api: ScriptedService, *mailbox: list[Message]) -> login.Login:
    """mailbox: what it holds each time somebody looks; the last state stays."""
    states = list(mailbox) or [[]]
    return login.log_in_first_administrator(
        api.url, EMAIL, "demo", lambda _: states.pop(0) if len(states) > 1 else states[0]
    )


def paths(api: ScriptedService) -> list[str]:
    return [asked.path.removeprefix("/v1/api/auth/") for asked in api.asked]


def codes(api: ScriptedService) -> list[str]:
    return [asked.body["code"] for asked in api.asked if asked.path.endswith("confirm")]


def test_who_has_the_password_is_let_in(api: ScriptedService) -> None:
    api.script = [LET_IN]

    assert enter(api) == login.Login("U1", "a.b.c")
    assert paths(api) == ["login"]


def test_an_api_that_wakes_up_is_asked_again(api: ScriptedService) -> None:
    api.script = [BUSY, BUSY, LET_IN]

    assert enter(api).user_id == "U1"


def test_the_deployments_code_sets_the_password(api: ScriptedService) -> None:
    api.script = [WRONG, CHANGED, LET_IN]

    assert enter(api, [a_mail("111111"), a_mail("222222")]).access_token == "a.b.c"
    assert paths(api) == ["login", "password-reset/confirm", "login"]
    assert codes(api) == ["222222"], "the newest one"


def test_a_code_that_is_too_old_is_replaced_and_not_tried_again(api: ScriptedService) -> None:
    api.script = [WRONG, CODE_REFUSED, ON_ITS_WAY, CHANGED, LET_IN]
    old, new = [a_mail("111111")], [a_mail("111111"), a_mail("222222")]

    enter(api, old, old, old, new)

    assert codes(api) == ["111111", "222222"]
    assert paths(api)[2] == "password-reset"


def test_without_a_code_it_says_so(api: ScriptedService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login, "_CODE_DEADLINE_SECONDS", 0.0)
    api.script = [WRONG, ON_ITS_WAY]

    with pytest.raises(Refusal, match=r"No code for the password of admin@library.example.org"):
        enter(api)


def test_a_refusal_that_no_password_changes_is_told(api: ScriptedService) -> None:
    api.script = [Does(status=403, body={"code": "account_suspended", "detail": "The account is suspended."})]

    with pytest.raises(LoginRefused, match="The account is suspended") as refused:
        enter(api)

    assert refused.value.code == "account_suspended"
    assert isinstance(api.asked[0], Asked)


def test_something_that_is_no_library_is_told(api: ScriptedService) -> None:
    api.script = [Does(body=b"<html>")]

    with pytest.raises(Refusal, match="does not answer POST /api/auth/login"):
        enter(api)
