"""Custom resources: the work of a deployment is done, undone and reported, whatever happens."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from library_common.custom_resource import Refused, answer
from tests.support.operator_log import reading_the_log
from tests.support.scripted_service import Does, ScriptedService

pytestmark = [pytest.mark.unit, pytest.mark.enable_socket]

PROPERTIES = {"Service": "loans"}


@pytest.fixture
def cloudformation() -> Iterator[ScriptedService]:
    """Takes the reports."""
    service = ScriptedService()
    service.script = [Does(200)]
    with service.running():
        yield service


def request(kind: str, cloudformation: ScriptedService, **more: Any) -> dict[str, Any]:
    return {
        "RequestType": kind,
        "ResponseURL": f"{cloudformation.url}/answer?signature=x",
        "StackId": "stack",
        "RequestId": "request",
        "LogicalResourceId": "Identity",
        "ResourceProperties": PROPERTIES,
        **more,
    }


class Calls:
    """Notes what it was asked to do."""

    def __init__(self) -> None:
        self.done: list[Mapping[str, Any]] = []
        self.undone: list[Mapping[str, Any]] = []


@pytest.mark.parametrize(("kind", "done", "undone"), [("Create", 1, 0), ("Update", 1, 0), ("Delete", 0, 1)])
def test_create_and_update_do_the_work_and_delete_undoes_it(
    cloudformation: ScriptedService, kind: str, done: int, undone: int
) -> None:
    calls = Calls()

    answer(request(kind, cloudformation), calls.done.append, undo=calls.undone.append)

    assert (calls.done, calls.undone) == ([PROPERTIES] * done, [PROPERTIES] * undone)
    (report,) = cloudformation.asked
    assert report.body == {
        "Status": "SUCCESS",
        "Reason": "done",
        "PhysicalResourceId": "Identity",
        "StackId": "stack",
        "RequestId": "request",
        "LogicalResourceId": "Identity",
    }


def test_without_a_way_to_undo_a_delete_does_nothing(cloudformation: ScriptedService) -> None:
    calls = Calls()

    answer(request("Delete", cloudformation), calls.done.append)

    assert calls.done == []
    assert [report.body["Status"] for report in cloudformation.asked] == ["SUCCESS"]


def test_a_resource_keeps_its_id_and_may_have_no_properties(cloudformation: ScriptedService) -> None:
    calls = Calls()
    event = request("Update", cloudformation, PhysicalResourceId="as before", ResourceProperties=None)

    answer(event, calls.done.append)

    assert calls.done == [{}]
    assert cloudformation.asked[0].body["PhysicalResourceId"] == "as before"


@pytest.mark.parametrize("kind", ["Create", "Delete"])
@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (Refused("Scopes is not valid."), "Scopes is not valid."),
        (ValueError("hunter2"), "ValueError; see the log"),
    ],
)
def test_a_failure_is_reported_and_not_raised(
    cloudformation: ScriptedService, kind: str, failure: Exception, reason: str
) -> None:
    def fail(_: Mapping[str, Any]) -> None:
        raise failure

    with reading_the_log() as log:
        answer(request(kind, cloudformation), fail, undo=fail)

    (report,) = cloudformation.asked
    assert (report.body["Status"], report.body["Reason"]) == ("FAILED", reason)
    assert len(log.lines) == 1
