"""The watch: one metric for all dead-letter queues, sent only when something waits in one."""

import pytest

from admin_service import bootstrap, dead_letters_watch
from tests.fakes.dead_letters import DEAD, JOBS, PRIVATE, PostOffice
from tests.support.operator_log import reading_the_log

pytestmark = pytest.mark.unit


@pytest.fixture
def office(monkeypatch: pytest.MonkeyPatch) -> PostOffice:
    office = PostOffice()
    monkeypatch.setattr(bootstrap, "dead_letters", lambda: office.dead_letters)
    return office


def test_while_nothing_waits_no_metric_is_sent(office: PostOffice, capsys: pytest.CaptureFixture[str]) -> None:
    with reading_the_log() as log:
        answer = dead_letters_watch.handler({}, None)

    assert answer == {"waiting": {}}
    assert "DeadLetters" not in capsys.readouterr().out, "CloudWatch charges for it by the hour"
    assert [(line["level"], line["status"]) for line in log.lines] == [("INFO", "ok")]


def test_what_waits_is_counted_and_its_queues_are_named(office: PostOffice, capsys: pytest.CaptureFixture[str]) -> None:
    for url in (DEAD, DEAD, JOBS, PRIVATE):
        office.queues.put(url, "ann@example.org")

    with reading_the_log() as log:
        answer = dead_letters_watch.handler({}, None)

    waiting = {"Dead": 2, "Jobs": 1, "Private": 1}
    assert answer == {"waiting": waiting}
    said = capsys.readouterr().out
    assert '"DeadLetters":[4.0]' in said
    assert '"service":"admin"' in said, "the dimension of the alarm"
    (error,) = [line for line in log.lines if line["level"] == "ERROR"]
    assert error["queues"] == waiting
    assert "ann@" not in said + log.text
    assert office.queues.hidden == {}, "nothing is received"


def test_queues_that_cannot_be_counted_are_an_error(office: PostOffice, capsys: pytest.CaptureFixture[str]) -> None:
    """The function's errors have an alarm of their own."""
    office.queues.failing.add("waiting")

    with reading_the_log() as log, pytest.raises(ConnectionError):
        dead_letters_watch.handler({}, None)

    assert [line["status"] for line in log.invocations] == ["failed"]
    assert "DeadLetters" not in capsys.readouterr().out
