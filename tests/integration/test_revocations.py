"""Somebody's sessions end: their tokens are refused within a minute, nobody else's, and a new login's are good."""

import time

import pytest

from localstack.embedded.stack import LocalStack
from tests.support.library_client import LibraryClient, eventually, ok, problem

pytestmark = pytest.mark.integration

WITHIN_SECONDS = 60.0


def test_a_suspended_members_tokens_end_within_a_minute(stack: LocalStack, library: LibraryClient) -> None:
    member, other = library.add_member(), library.add_member()
    theirs, others = (library.bearer(one["id"], "patron") for one in (member, other))
    for headers in (theirs, others):
        ok(library.http.get("/api/users/me", headers=headers))

    suspended_at = time.monotonic()
    ok(
        library.http.put(
            f"/api/users/{member['id']}/status",
            json={"status": "suspended", "reason": "Lost card."},
            headers=library.as_librarian(),
        )
    )

    def refused() -> bool:
        ok(library.http.get("/api/users/me", headers=others))
        # The answer to this very token is cached, so it is the last one to be refused.
        return library.http.get("/api/users/me", headers=theirs).status_code == 401

    eventually(refused, "the suspended member's token is refused", seconds=WITHIN_SECONDS)
    assert time.monotonic() - suspended_at < WITHIN_SECONDS
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
