"""Somebody's sessions end: their tokens are refused within a minute, nobody else's, and a new login's are good."""

import time

import pytest

from localstack.embedded.stack import LocalStack
from tests.support.library_client import LibraryClient, eventually, ok, problem
from tests.support.yardstick import allowed

pytestmark = pytest.mark.integration

WITHIN_SECONDS = 60.0
USUAL_ANSWER_SECONDS = 0.1
"""What an answer takes from processes that have started: more than on an idle machine."""


def test_tokens_of_who_is_suspended_or_erased_end_within_a_minute(stack: LocalStack, library: LibraryClient) -> None:
    member, gone, other = (library.add_member() for _ in range(3))
    theirs, gones, others = (library.bearer(one["id"], "patron") for one in (member, gone, other))
    for headers in (theirs, gones, others):
        ok(library.http.get("/api/loans", headers=headers))

    suspended_at = time.monotonic()
    ok(
        library.http.put(
            f"/api/users/{member['id']}/status",
            json={"status": "suspended", "reason": "Lost card."},
            headers=library.as_librarian(),
        )
    )

    assert library.http.delete(f"/api/users/{gone['id']}", headers=gones).status_code == 204

    answered: list[float] = []

    def refused() -> bool:
        asked_at = time.monotonic()
        ok(library.http.get("/api/users/me", headers=others))
        answered.append(time.monotonic() - asked_at)
        # The answers to these very tokens are cached, so they are the last ones to be refused. The loans service does
        # not ask for the account: what keeps the erased member out is the token.
        return all(library.http.get("/api/loans", headers=headers).status_code == 401 for headers in (theirs, gones))

    eventually(refused, "the tokens are refused", seconds=4 * WITHIN_SECONDS)
    within = allowed(WITHIN_SECONDS, yardstick=answered, usually=USUAL_ANSWER_SECONDS)
    assert time.monotonic() - suspended_at < within
    problem(library.http.get("/api/users/me", headers=theirs), 401, "not_authenticated")
    # Another old token, which nothing has cached an answer for.
    old = {"Authorization": f"Bearer {stack.mint_token(member['id'], 'patron')}"}
    problem(library.http.get("/api/users/me", headers=old), 401, "not_authenticated")

    new = {"Authorization": f"Bearer {stack.mint_token(member['id'], 'patron', epoch=1)}"}
    assert ok(library.http.get("/api/users/me", headers=new))["status"] == "suspended"
    ok(library.http.get("/api/users/me", headers=others))
    attributes = stack.client("sqs").get_queue_attributes(
        QueueUrl=stack.outputs["RevocationDeadLetters"], AttributeNames=["ApproximateNumberOfMessages"]
    )["Attributes"]
    assert attributes["ApproximateNumberOfMessages"] == "0"
