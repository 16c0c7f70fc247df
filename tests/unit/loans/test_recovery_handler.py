"""The recovery queue's entry: one bad message does not hold up the others."""

import json
from typing import Any

import pytest

from loans_service import bootstrap, recovery
from loans_service.application.ports import BooksUnavailable
from loans_service.domain.loan import Condition, Loan
from tests.architecture.deployment import load
from tests.fakes import sqs as in_memory
from tests.fakes.lending import Library
from tests.fakes.sqs import SqsInMemory, batch, failed, in_place_of_sqs, queue
from tests.support.operator_log import OperatorLog

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def sqs(monkeypatch: pytest.MonkeyPatch) -> SqsInMemory:
    return in_place_of_sqs(monkeypatch)


def message(body: object, message_id: str = "m1") -> dict[str, Any]:
    return {**in_memory.message(body), "messageId": message_id, "receiptHandle": f"{message_id}/1"}


def deliver(library: Library, *records: dict[str, Any]) -> list[str]:
    """The ids of the messages that are to come again."""
    consumer = recovery.consumer(library.recovery, queue(retry_delays=recovery.RETRY_DELAYS))
    return failed(consumer(batch(*records), None))


@pytest.fixture
def unreleased(library: Library) -> Loan:
    loan = library.lend(library.member(), library.title())
    library.books.failures.append((BooksUnavailable("down"), False))
    return library.returns.return_copy(loan, condition=Condition.GOOD)


def test_a_loan_is_finished_and_its_message_done(library: Library, unreleased: Loan, log: OperatorLog) -> None:
    assert deliver(library, message({"loan_id": unreleased.id, "attempt": 0})) == []

    library.assert_nothing_left_behind()
    (line,) = log.invocations
    assert (line["route"], line["status"], line["loan_id"]) == ("recovery", "finished", unreleased.id)
    assert line["actor"] == "service:loans"


def test_a_loan_that_cannot_be_finished_yet_is_queued_anew_and_its_message_done(
    library: Library, unreleased: Loan, log: OperatorLog
) -> None:
    library.books.failures.append((BooksUnavailable("down"), False))

    assert deliver(library, message({"loan_id": unreleased.id, "attempt": 2})) == []

    assert library.recoveries.queued == [(unreleased.id, 120, 3)]
    assert [line["status"] for line in log.invocations] == ["later"]


BAD = ["not json", "[]", "7", "null", "{}", {"loan_id": "L"}, {"attempt": 0}, {"loan_id": "L", "attempt": "soon"}]


@pytest.mark.parametrize("body", BAD)
def test_a_bad_message_is_set_aside_alone(
    library: Library, unreleased: Loan, body: object, log: OperatorLog, sqs: SqsInMemory
) -> None:
    good = message({"loan_id": unreleased.id, "attempt": 0}, "good")

    assert deliver(library, message(body, "bad"), good) == []

    library.assert_nothing_left_behind()
    assert [line["status"] for line in log.invocations] == ["set aside", "finished"]
    assert len(sqs.set_aside) == 1


def test_a_failure_of_the_storage_brings_only_its_own_message_again(
    library: Library, unreleased: Loan, monkeypatch: pytest.MonkeyPatch, sqs: SqsInMemory
) -> None:
    get = library.loans.get

    def failing_once(loan_id: str) -> Loan | None:
        if loan_id == "broken":
            raise ConnectionError("storage")
        return get(loan_id)

    monkeypatch.setattr(library.loans, "get", failing_once)

    records = [message({"loan_id": loan, "attempt": 0}, loan) for loan in ("broken", unreleased.id)]
    assert deliver(library, *records) == ["broken"]
    assert sqs.pauses == [("broken", 30)]
    library.assert_nothing_left_behind()


def test_a_queue_that_is_down_brings_the_message_again(
    library: Library, unreleased: Loan, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: object, **__: object) -> None:
        raise ConnectionError("queue")

    monkeypatch.setattr(library.recoveries, "look_again", down)
    library.books.failures.append((BooksUnavailable("down"), False))

    assert deliver(library, message({"loan_id": unreleased.id, "attempt": 0})) == ["m1"]


def test_the_same_message_twice_changes_nothing_more(library: Library, unreleased: Loan) -> None:
    twice = [message({"loan_id": unreleased.id, "attempt": 0}, name) for name in ("m1", "m2")]

    assert deliver(library, *twice) == []
    assert deliver(library, *twice) == []
    library.assert_nothing_left_behind()


@pytest.mark.parametrize("event", [{}, {"Records": []}])
def test_an_empty_batch_is_no_trouble(library: Library, event: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "recovery", lambda: library.recovery)

    assert recovery.handler(event, None) == {"batchItemFailures": []}


def test_the_alarm_counts_what_the_recovery_counts(
    library: Library, unreleased: Loan, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "loans")
    library.books.failures.append((BooksUnavailable("down"), False))
    deliver(library, message({"loan_id": unreleased.id, "attempt": 2}))
    alarm = load()["Resources"]["LoanRecoveryAgeAlarm"]["Properties"]

    metrics = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    (counted,) = [metric for metric in metrics if alarm["MetricName"] in metric]

    wanted = {dimension["Name"]: dimension["Value"] for dimension in alarm["Dimensions"]}
    (dimensions,) = counted["_aws"]["CloudWatchMetrics"][0]["Dimensions"]
    assert {name: counted[name] for name in dimensions} == wanted
    assert counted["_aws"]["CloudWatchMetrics"][0]["Namespace"] == alarm["Namespace"]
