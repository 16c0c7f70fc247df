"""What the one line of an invocation counts, and what is sent as a metric."""

import json

import pytest

from library_common.telemetry import count, emit_metric, logged_invocation
from tests.support.operator_log import OperatorLog


def test_the_line_of_an_invocation_carries_its_counters(log: OperatorLog, capsys: pytest.CaptureFixture[str]) -> None:
    with logged_invocation("login"):
        count("LoginRefused", reason="limit")
        count("LoginRefused", reason="limit")
        count("NoticesSent", 3, channel="email")
        count("KeysUnread")

    (line,) = log.invocations
    assert line["counts"] == {"LoginRefused reason=limit": 2, "NoticesSent channel=email": 3, "KeysUnread": 1}
    assert "_aws" not in capsys.readouterr().out, "no metric"


def test_a_line_without_counters_has_no_field_for_them(log: OperatorLog) -> None:
    with logged_invocation("login") as running:
        running.status = 200

    assert "counts" not in log.invocations[0]
    assert log.invocations[0]["status"] == 200


def test_an_invocation_that_raises_has_failed(log: OperatorLog) -> None:
    with pytest.raises(ZeroDivisionError), logged_invocation("sweep", actor="service:notifications"):
        _ = 1 / 0

    assert (log.invocations[0]["status"], log.invocations[0]["actor"]) == ("failed", "service:notifications")


def test_messages_of_a_batch_have_counters_of_their_own(log: OperatorLog) -> None:
    for name in ("First", "Second"):
        with logged_invocation("consumer"):
            count(name)

    assert [line["counts"] for line in log.invocations] == [{"First": 1}, {"Second": 1}]


def test_counting_outside_of_an_invocation_does_nothing(log: OperatorLog) -> None:
    count("KeysUnread")

    with logged_invocation("authorizer"):
        pass
    assert "counts" not in log.invocations[0]


def test_a_metric_is_sent_at_once_under_the_service_whose_alarm_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "loans")

    emit_metric("LimiterUnavailable", service="gateway")

    (sent,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (described,) = sent["_aws"]["CloudWatchMetrics"]
    assert (described["Namespace"], described["Dimensions"]) == ("SmartLibrary", [["service"]])
    assert (sent["LimiterUnavailable"], sent["service"]) == ([1.0], "gateway")
