"""What starts the round over closed loans, and what an operator sees of it."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from loans_service import bootstrap, retention
from loans_service.application.retention_job import RetentionJob
from loans_service.settings import LoansSettings
from tests.support.operator_log import OperatorLog
from tests.unit.loans.test_retention_job import DAY, PERIOD, SECOND, Broken, Retained

pytestmark = pytest.mark.unit

SCHEDULE: dict[str, Any] = {"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}}


@pytest.fixture
def retained() -> Retained:
    return Retained()


def run(retained: Retained, event: Mapping[str, Any] = SCHEDULE, process: RetentionJob | None = None) -> None:
    retention.run_job(event, process or retained.process(), seconds=100)


def told(log: OperatorLog) -> dict[str, Any]:
    """Of the last run, what its one line says."""
    line = log.invocations[-1]
    names = ("status", "round", "anonymised", "members_keeping_history", "members_postponed", "failed")
    return {name: line.get(name) for name in names}


def test_one_line_says_how_many_were_anonymised_kept_and_postponed(retained: Retained, log: OperatorLog) -> None:
    for keeps in (False, False, True, None):
        retained.read(retained.member(keeps=keeps))
    retained.library.clock.advance(PERIOD + SECOND)

    run(retained)

    assert told(log) == {
        "status": "postponed",
        "round": "2027-05-20",
        "anonymised": "2",
        "members_keeping_history": "1",
        "members_postponed": "1",
        "failed": "0",
    }
    (line,) = log.invocations
    assert (line["route"], line["actor"]) == ("loan retention", "service:loans")
    assert not any(member in log.text for member in retained.library.members.members)


def test_the_rest_of_the_day_there_is_nothing_to_do(retained: Retained, log: OperatorLog) -> None:
    run(retained)
    loan = retained.read(retained.member())
    retained.library.clock.advance(timedelta(hours=1))
    run(retained)

    assert [line["status"] for line in log.invocations] == ["finished", "already finished"]
    assert retained.names_somebody(loan)


@pytest.mark.parametrize("event", [{"anew": True}, {"walk": True}])
def test_an_operator_begins_another_round(retained: Retained, event: dict[str, bool]) -> None:
    loan = retained.read(retained.member())
    retained.library.clock.advance(PERIOD)
    run(retained)
    retained.library.clock.advance(SECOND)
    run(retained)
    assert retained.names_somebody(loan)

    run(retained, event)

    assert not retained.names_somebody(loan)


@pytest.mark.parametrize("event", [{}, {"anew": "yes"}, {"anew": 1}, {"walk": None}])
def test_only_a_clear_word_is_a_command(retained: Retained, event: dict[str, Any], log: OperatorLog) -> None:
    run(retained)
    run(retained, event)

    assert told(log)["status"] == "already finished"


def test_what_failed_rings_the_alarm_at_the_rounds_end(retained: Retained, log: OperatorLog) -> None:
    bad, good = retained.read(retained.member()), retained.read(retained.member())
    retained.library.clock.advance(PERIOD + SECOND)
    broken = retained.process(lambda port: Broken(port, bad.id) if port is retained.library.loans else port)

    with pytest.raises(retention.LoansLeft):
        run(retained, process=broken)

    assert (told(log)["status"], told(log)["anonymised"], told(log)["failed"]) == ("failed", "1", "1")
    assert not retained.names_somebody(good)
    # Lambda tries a failed run twice more: that is no second alarm, and the next day's round does what is left.
    run(retained)
    assert told(log)["status"] == "already finished"
    retained.library.clock.advance(DAY)
    run(retained)
    assert (told(log)["status"], told(log)["anonymised"]) == ("finished", "1")


def test_a_round_that_takes_longer_than_a_day_rings_it_too(retained: Retained, log: OperatorLog) -> None:
    loan = retained.read(retained.member())
    retained.library.members.down = True
    retained.library.clock.advance(PERIOD + SECOND)
    run(retained)
    assert told(log)["status"] == "postponed"
    retained.library.clock.advance(DAY)

    with pytest.raises(retention.RoundLate):
        run(retained)

    assert told(log)["members_postponed"] == "1"
    retained.library.members.down = False
    run(retained)
    assert (told(log)["status"], retained.names_somebody(loan)) == ("finished", False)


def test_a_run_that_was_overtaken_is_no_failure(retained: Retained, log: OperatorLog) -> None:
    class Taken:
        def current(self) -> None:
            return None

        def save(self, now: object) -> object:
            return retained.store.save(now)  # type: ignore[arg-type]

    run(retained)
    slow = retained.process(lambda port: Taken() if port is retained.store else port)
    run(retained, process=slow)

    assert [line["status"] for line in log.invocations] == ["finished", "another run"]


def test_a_table_that_is_down_fails_the_run(retained: Retained, log: OperatorLog) -> None:
    class Down:
        def due(self, *_: object) -> None:
            raise ConnectionError("storage")

        def unlisted(self, *_: object) -> tuple[list[str], None]:
            return [], None

    process = retained.process(lambda port: Down() if port is retained.library.accounts else port)
    with pytest.raises(ConnectionError):
        run(retained, process=process)

    assert told(log)["status"] == "failed"
    run(retained)
    assert told(log)["status"] == "finished"


def test_the_handler_runs_the_job(retained: Retained, log: OperatorLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "retention_job", retained.process)

    retention.handler(SCHEDULE, None)

    assert told(log)["status"] == "finished"


@pytest.mark.parametrize("days", [0, -1, 3651])
def test_a_period_that_makes_no_sense_is_refused(days: int) -> None:
    with pytest.raises(ValidationError):
        LoansSettings(loan_history_days=days)
