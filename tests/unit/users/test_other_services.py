"""What users asks of loans, notifications and analytics: paging to the end, and one error when there is no answer."""

import time
from collections.abc import Iterator

import pytest

from library_common.clock import SystemClock
from library_common.service_client import ServiceClient, ServiceToken, Timeouts
from tests.support.scripted_service import Does, ScriptedService
from users_service.adapters.other_services import HttpMembersLoans, HttpMembersRecords
from users_service.domain.errors import OtherServiceUnavailable

pytestmark = [pytest.mark.unit, pytest.mark.enable_socket]

ANN = "01ARZ3NDEKTSV4RRFFQ69G5FAV"


@pytest.fixture
def other_service() -> Iterator[ScriptedService]:
    with ScriptedService().running() as other_service:
        yield other_service


@pytest.fixture
def client(other_service: ScriptedService) -> ServiceClient:
    token = ServiceToken(service="users", scopes=frozenset(), secret=lambda: "s" * 64, clock=SystemClock())
    timeouts = Timeouts(connect=5.0, answer=5.0)
    return ServiceClient(service="others", base_url=lambda: other_service.url, token=token, timeouts=timeouts)


@pytest.fixture
def loans(client: ServiceClient) -> HttpMembersLoans:
    return HttpMembersLoans(lambda: client)


@pytest.fixture
def records(client: ServiceClient) -> HttpMembersRecords:
    return HttpMembersRecords(lambda: client, lambda: client)


def soon() -> float:
    """Nobody here is silent: all of it is for a busy machine."""
    return time.monotonic() + 30


def test_open_loans_are_counted(loans: HttpMembersLoans, other_service: ScriptedService) -> None:
    other_service.script = [Does(body={"open_loans": 3})]

    assert loans.open_loans(ANN, soon()) == 3
    assert other_service.asked[0].path == f"/v1/api/loans/obligations/{ANN}"
    assert other_service.asked[0].headers["authorization"].startswith("Bearer ")


def test_a_history_is_read_to_its_end(loans: HttpMembersLoans, other_service: ScriptedService) -> None:
    other_service.script = [
        Does(body={"items": [{"id": "3"}, {"id": "2"}], "next_cursor": "a+b"}),
        Does(body={"items": [{"id": "1"}], "next_cursor": None}),
    ]

    assert [loan["id"] for loan in loans.history(ANN, soon())] == ["3", "2", "1"]
    assert other_service.asked[1].path.endswith("limit=100&cursor=a%2Bb")


@pytest.mark.parametrize("answer", [Does(status=503), Does(status=404), Does(status=403), Does(vanish=True)])
def test_whatever_is_no_answer_is_no_number(
    loans: HttpMembersLoans, other_service: ScriptedService, answer: Does
) -> None:
    other_service.script = [answer]

    with pytest.raises(OtherServiceUnavailable):
        loans.open_loans(ANN, soon())
    with pytest.raises(OtherServiceUnavailable):
        loans.history(ANN, soon())


def test_notices_are_read_to_their_end(records: HttpMembersRecords, other_service: ScriptedService) -> None:
    always = {"preferences": {"language": "fr"}, "devices": [{"id": "phone"}]}
    other_service.script = [
        Does(body={**always, "notices": [{"id": "3"}, {"id": "2"}], "next_cursor": "a+b"}),
        Does(body={**always, "notices": [{"id": "1"}], "next_cursor": None}),
    ]

    assert records.notifications(ANN, soon()) == {**always, "notices": [{"id": "3"}, {"id": "2"}, {"id": "1"}]}
    assert other_service.asked[0].path == f"/v1/api/notifications/export/{ANN}?limit=100"
    assert other_service.asked[1].path.endswith("limit=100&cursor=a%2Bb")


def test_months_are_passed_on(records: HttpMembersRecords, other_service: ScriptedService) -> None:
    other_service.script = [Does(body={"user_id": ANN, "months": [{"month": "2026-11"}]})]

    assert records.activity(ANN, soon()) == [{"month": "2026-11"}]
    assert other_service.asked[0].path == f"/v1/api/analytics/export/{ANN}"


@pytest.mark.parametrize("answer", [Does(status=503), Does(status=404), Does(status=403), Does(vanish=True)])
def test_whatever_is_no_answer_makes_no_archive(
    records: HttpMembersRecords, other_service: ScriptedService, answer: Does
) -> None:
    other_service.script = [answer]

    with pytest.raises(OtherServiceUnavailable):
        records.notifications(ANN, soon())
    with pytest.raises(OtherServiceUnavailable):
        records.activity(ANN, soon())
