"""One-time codes on the deployed stack: out of the mailbox, into the API."""

import secrets
from typing import Any

import httpx
import pytest

from localstack.embedded.stack import LocalStack
from tests.support.event_tap import EventTap
from tests.support.invocations import log_group
from tests.support.library_client import LibraryClient, at_once, created, eventually, ok, problem
from tests.support.one_time_codes import NEW_PASSWORD, address, code_in_mailbox, codes, done, post

pytestmark = pytest.mark.integration

PASSWORD = "lantern-otter-velvet-41"


def test_register_verify_and_use_the_account(library: LibraryClient, stack: LocalStack) -> None:
    email = address()
    member = created(library.http.post("/api/users", json={"name": "Ann", "email": email, "password": PASSWORD}))
    assert member["email_verified"] is False

    code = code_in_mailbox(stack, email)
    done(post(library, "verify-email", email=email, code=code))

    read = ok(library.http.get(f"/api/users/{member['id']}", headers=library.as_librarian()))
    assert (read["email_verified"], read["status"]) == (True, "active")
    problem(post(library, "verify-email", email=email, code=code), 422, "code_invalid")
    # There is nothing left to prove, and nobody is told so.
    assert post(library, "verify-email/resend", email=email).status_code == 202


def test_a_forgotten_password_is_replaced(library: LibraryClient, stack: LocalStack, bus: EventTap) -> None:
    email = address()
    member = created(library.http.post("/api/users", json={"name": "Ann", "email": email, "password": PASSWORD}))
    code_in_mailbox(stack, email)

    assert post(library, "password-reset", email=email.upper()).status_code == 202
    code = code_in_mailbox(stack, email, number=2)
    done(post(library, "password-reset/confirm", email=email, code=code, new_password=NEW_PASSWORD))

    problem(
        post(library, "password-reset/confirm", email=email, code=code, new_password=NEW_PASSWORD), 422, "code_invalid"
    )
    seen = eventually(lambda: bus.about(f"user:{member['id']}", at_least=2), "the end of the sessions on the bus")
    assert "SessionsRevoked" in [event["type"] for event in seen]


def test_only_the_new_password_logs_in(library: LibraryClient, stack: LocalStack) -> None:
    if "/api/auth/login" not in ok(library.http.get("/api/users/openapi.json"))["paths"]:
        pytest.skip("there is no login yet")
    email = address()
    created(library.http.post("/api/users", json={"name": "Ann", "email": email, "password": PASSWORD}))
    code_in_mailbox(stack, email)
    assert post(library, "login", email=email, password=PASSWORD).status_code == 200

    post(library, "password-reset", email=email)
    code = code_in_mailbox(stack, email, number=2)
    done(post(library, "password-reset/confirm", email=email, code=code, new_password=NEW_PASSWORD))

    assert post(library, "login", email=email, password=PASSWORD).status_code == 401
    assert post(library, "login", email=email, password=NEW_PASSWORD).status_code == 200


def test_a_code_by_text_message(library: LibraryClient, stack: LocalStack) -> None:
    email, phone = address(), f"+44163296{secrets.randbelow(10**4):04}"
    member = library.add_member(email=email, phone=phone, password="down the rabbit hole")
    me = library.bearer(member["id"], "patron")
    # A number is written to once the member has confirmed it; whoever registered the account may have given any.
    confirmed = {"phone": phone, "current_password": "down the rabbit hole"}
    assert library.http.put("/api/users/me", json=confirmed, headers=me).status_code == 200

    assert post(library, "password-reset", email=email, channel="sms").status_code == 202

    code = code_in_mailbox(stack, phone)
    done(post(library, "password-reset/confirm", email=email, code=code, new_password=NEW_PASSWORD))
    assert codes(stack, email) == []


def test_answers_do_not_tell_who_has_an_account(library: LibraryClient, stack: LocalStack) -> None:
    known, unknown = address(), address()
    library.add_member(email=known)

    def said(response: httpx.Response) -> tuple[int, Any, set[str]]:
        document = response.json()
        document.pop("correlation_id", None)
        return response.status_code, document, set(response.headers)

    for path, more in (
        ("password-reset", {}),
        ("verify-email/resend", {}),
        ("verify-email", {"code": "000000"}),
        ("password-reset/confirm", {"code": "000000", "new_password": NEW_PASSWORD}),
    ):
        assert said(post(library, path, email=known, **more)) == said(post(library, path, email=unknown, **more))
    code_in_mailbox(stack, known)
    assert stack.messages(unknown) == []


def test_a_code_cannot_be_guessed_not_even_all_at_once(library: LibraryClient, stack: LocalStack) -> None:
    email = address()
    member = library.add_member(email=email)
    post(library, "password-reset", email=email)
    code = code_in_mailbox(stack, email)
    wrong = f"{(int(code) + 1) % 10**6:06}"

    def guess(text: str) -> httpx.Response:
        return post(library, "password-reset/confirm", email=email, code=text, new_password=NEW_PASSWORD)

    at_once([lambda: guess(wrong)] * 6)

    problem(guess(code), 422, "code_invalid")
    assert library.http.get(f"/api/users/{member['id']}", headers=library.as_librarian()).json()["version"] == 1


def failures(stack: LocalStack) -> list[Any]:
    """What the sender has logged of codes it could not send."""
    logs = stack.client("logs")
    group = log_group(stack, "CodeSender")
    try:
        found: list[Any] = logs.filter_log_events(logGroupName=group, filterPattern='"message failed"')["events"]
    except logs.exceptions.ResourceNotFoundException:
        return []  # never invoked yet
    return found


def test_while_mail_cannot_be_sent_the_request_waits(library: LibraryClient, stack: LocalStack) -> None:
    email, sender = address(), stack.outputs["MailFrom"]
    library.add_member(email=email)
    ses = stack.client("ses")
    ses.delete_identity(Identity=sender)
    try:
        assert post(library, "password-reset", email=email).status_code == 202
        eventually(lambda: failures(stack), "the sender failing")
        assert codes(stack, email) == []
    finally:
        ses.verify_email_identity(EmailAddress=sender)

    done(
        post(
            library,
            "password-reset/confirm",
            email=email,
            code=code_in_mailbox(stack, email),
            new_password=NEW_PASSWORD,
        )
    )


def test_the_nightly_round_runs_and_runs_again(library: LibraryClient, stack: LocalStack, bus: EventTap) -> None:
    member = library.add_member()
    table = stack.tables["users"]
    stack.client("dynamodb").update_item(
        TableName=table,
        Key={"pk": {"S": f"USER#{member['id']}"}, "sk": {"S": "PROFILE"}},
        UpdateExpression="SET expires_at = :past REMOVE events",
        ExpressionAttributeValues={":past": {"S": "2020-01-01T23:59:59Z"}},
    )

    for _ in range(2):
        answer = stack.client("lambda").invoke(FunctionName=stack.functions["MembershipExpiry"], Payload=b"{}")
        assert "FunctionError" not in answer, answer["Payload"].read()

    account = ok(library.http.get(f"/api/users/{member['id']}", headers=library.as_librarian()))
    assert (account["status"], account["version"]) == ("expired", 2)
    seen = eventually(
        lambda: [e for e in bus.about(f"user:{member['id']}", at_least=1) if e["type"] == "MemberStatusChanged"],
        "the end of the membership on the bus",
    )
    assert [(e["actor"], e["data"]["old"], e["data"]["new"]) for e in seen] == [("system", "active", "expired")]


def test_the_round_is_on_the_schedule(stack: LocalStack) -> None:
    events = stack.client("events")
    rules = [rule for page in events.get_paginator("list_rules").paginate() for rule in page["Rules"]]
    nightly = [rule for rule in rules if rule.get("ScheduleExpression") == "cron(7 0 * * ? *)"]
    assert nightly
    assert all(rule["State"] == "ENABLED" for rule in nightly)
