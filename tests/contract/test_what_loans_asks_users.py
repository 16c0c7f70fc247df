"""What the round over closed loans needs of users, as users answers it: the preference, and who is erased."""

from collections.abc import Iterator
from typing import Any, cast

import pytest

from library_common.service_client import Answered, NotFound, Result, ServiceClient
from loans_service.adapters.services import HttpMembers
from loans_service.domain.errors import MemberNotFound
from tests.contract.filled_services import Running, running
from tests.contract.in_process import InProcess
from tests.support.lambda_events import api_event, call, person, service

pytestmark = pytest.mark.contract


@pytest.fixture(scope="module")
def users() -> Iterator[Running]:
    with InProcess().running() as stack, running(stack, "users") as users:
        yield users


class Direct:
    """A client of loans without the way in between."""

    def __init__(self, users: Running) -> None:
        self._users = users

    def get(self, path: str, *, deadline: float) -> Result:
        answer = call(self._users.api, api_event("GET", path, caller=service("loans", "users:read")))
        if answer.status == 404:
            return NotFound(answer.json["code"])
        assert answer.status == 200, answer.json
        return Answered(answer.status, answer.json)


def asked(users: Running, user_id: str) -> bool | None:
    return HttpMembers(cast("ServiceClient", Direct(users))).find(user_id, 0.0).keeps_history


def test_the_preference_and_its_withdrawal_are_read(users: Running) -> None:
    member = users.known["user_id"]
    assert asked(users, member) is False

    for keeps in (True, False):
        body: dict[str, Any] = {"preferences": {"keep_history": keeps}}
        answer = call(users.api, api_event("PUT", "/api/users/me", body=body, caller=person(member, "patron")))
        assert answer.status == 200, answer.json
        assert asked(users, member) is keeps


def test_an_erased_member_differs_from_one_who_cannot_be_asked_about(users: Running) -> None:
    member = users.known["user_id"]
    erased = call(users.api, api_event("DELETE", f"/api/users/{member}", caller=person(member, "patron")))
    assert erased.status == 204, erased.json

    with pytest.raises(MemberNotFound):
        asked(users, member)
