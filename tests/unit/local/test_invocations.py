"""Samples as of today: their days move together, and nothing else of them does."""

import hashlib
import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from localstack.embedded import invocations
from localstack.embedded.invocations import HAPPENS_AT, SAMPLES, as_of, refreshed
from localstack.embedded.layout import ROOT

pytestmark = pytest.mark.unit

LATER = datetime(2027, 3, 5, 9, 30, tzinfo=UTC)
DAYS = 103
"""From the story to the day before LATER: at half past nine, noon is still to come."""


def sample(**told: object) -> str:
    return json.dumps(told)


def moved(text: str, now: datetime = LATER) -> Any:
    return json.loads(as_of(text, now))


def test_moments_and_days_move_and_times_of_day_stay() -> None:
    told = moved(sample(at="2026-11-21T12:00:00Z", due="2026-12-05T23:59:59Z", days=["2026-11-01", "2026-11-30"]))

    assert told == {
        "at": "2027-03-04T12:00:00Z",
        "due": "2027-03-18T23:59:59Z",
        "days": ["2027-02-12", "2027-03-13"],
    }
    assert date(2026, 11, 21) + timedelta(days=DAYS) == date(2027, 3, 4)


@pytest.mark.parametrize("hours", [0, 1, 23, 24, 100_000])
def test_the_story_happened_less_than_a_day_ago(hours: int) -> None:
    now = HAPPENS_AT + timedelta(hours=hours)

    happened = datetime.fromisoformat(moved(sample(at="2026-11-21T12:00:00Z"), now)["at"])

    assert timedelta(0) <= now - happened < timedelta(days=1)


def test_what_only_contains_a_day_stays() -> None:
    told = {
        "stream": "arn:aws:dynamodb:us-east-1:0:table/T/stream/2026-11-21T00:00:00.000",
        "correlation_id": "desk-1.2026-11-21.0042",
        "title": "2026-11-21 and after",
        "year": 2026,
        "fraction": "2026-11-21T12:00:00.123Z",
    }

    assert moved(sample(**told)) == told


def test_bodies_move_with_their_digests() -> None:
    body = json.dumps({"detail": {"occurred_at": "2026-11-21T12:00:00Z", "within": json.dumps({"d": "2026-11-21"})}})

    (record,) = moved(json.dumps({"Records": [{"body": body, "md5OfBody": "of the old one"}]}))["Records"]

    detail = json.loads(record["body"])["detail"]
    assert detail["occurred_at"] == "2027-03-04T12:00:00Z"
    assert json.loads(detail["within"]) == {"d": "2027-03-04"}
    assert record["md5OfBody"] == hashlib.md5(record["body"].encode(), usedforsecurity=False).hexdigest()


@pytest.mark.parametrize("path", sorted(SAMPLES.rglob("*.json")), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_sample_is_itself_on_its_day_and_comes_back_from_any_other(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    assert as_of(text, HAPPENS_AT) == text
    later = as_of(text, HAPPENS_AT + timedelta(days=DAYS))
    assert as_of(later, HAPPENS_AT - timedelta(days=DAYS)) == text


@pytest.mark.parametrize(
    "given",
    [
        ["-e", "events/invoke/NotificationsConsumer/loan_created.json"],
        ["--event", str(SAMPLES / "NotificationsConsumer" / "loan_created.json")],
        ["--event=events/invoke/../invoke/NotificationsConsumer/loan_created.json"],
    ],
)
def test_a_sample_is_handed_over_as_of_today(tmp_path: Path, given: list[str]) -> None:
    arguments = refreshed(["invoke", "NotificationsConsumer", *given, "--debug"], tmp_path, LATER)

    assert arguments[:2] == ["invoke", "NotificationsConsumer"]
    assert arguments[-1] == "--debug"
    named = Path(arguments[-2].removeprefix("--event="))
    assert named.parent == tmp_path
    body = json.loads(json.loads(named.read_text())["Records"][0]["body"])
    assert body["detail"]["occurred_at"] == "2027-03-04T12:00:00Z"


def test_events_that_are_no_samples_stay_as_they_are(tmp_path: Path) -> None:
    own = tmp_path / "own.json"
    own.write_text(sample(at="2026-11-21T12:00:00Z"))
    arguments = ["invoke", "F", "-e", str(own), "--event", "events/samples/loans/LoanCreated.v2.json"]
    arguments += ["-e", "events/invoke/none.json", "--env-vars", "x.json", "-e"]

    assert refreshed(arguments, tmp_path / "nowhere", LATER) == arguments
    assert (ROOT / "events/samples/loans/LoanCreated.v2.json").is_file()
    assert refreshed(["start-api"], tmp_path, LATER) == ["start-api"]


def test_the_moment_of_the_samples_is_the_one_they_are_made_with() -> None:
    from tools import sample_events  # noqa: PLC0415 - the tool makes every service importable

    assert int(invocations.HAPPENS_AT.timestamp() * 1000) == sample_events.MOMENT_MS
