"""What the bench reads out of a consumer's log lines."""

import pytest

from library_common.events import Envelope
from tests.performance.consumers import MEASURED, Measured, Work
from tests.support.consumer_queues import CONSUMERS

pytestmark = pytest.mark.unit


def line(status: str, write_units: float, **notes: str) -> dict[str, object]:
    return {"message": "invocation", "status": status, "read_units": 0.5, "write_units": write_units, **notes}


def test_one_line_for_each_message() -> None:
    work = Work(1, [line("revoked", 1), line("known already", 1), line("failed", 1), line("set aside", 0)])

    assert (work.handled, work.spent("write_units"), work.spent("read_units")) == (2, 3.0, 2.0)


def test_one_line_for_each_batch() -> None:
    work = Work(
        2, [line("ok", 12, messages_counted="97"), line("failed", 3, messages_counted="8", messages_failed="2")]
    )
    aside = Work(1, [line("ok", 0, messages_set_aside="4")])

    assert (work.handled, work.spent("write_units")) == (105, 15.0)
    assert aside.handled == 0


@pytest.mark.parametrize("measured", MEASURED, ids=lambda measured: measured.consumed.name)
def test_every_measured_event_is_another_one_of_a_type_with_budgets(measured: Measured) -> None:
    made = [event for _ in range(3) for event in measured.story()]

    assert len({Envelope.model_validate(event).id for event in made}) == len(made)
    assert len({str(event["data"]) for event in made}) == len(made)
    types = {event["type"] for event in made}
    assert measured.alone.keys() == measured.together.keys() == types


def test_every_consumer_of_the_bus_is_measured() -> None:
    assert [measured.consumed for measured in MEASURED] == list(CONSUMERS)
