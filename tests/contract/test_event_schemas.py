"""Event schemas are what the code says, and what is emitted is what the schemas say."""

import json
from pathlib import Path
from typing import Any, ClassVar, get_args

import pytest
from moto.events.models import EventPattern
from pydantic import BaseModel

from analytics_service.domain.incoming import understand
from gateway_service.revocations import Delivery, Revocation
from library_common.events import SOURCE_PREFIX, Envelope
from localstack.embedded import template
from localstack.embedded.layout import TEMPLATE
from tests.contract.event_schemas import SAMPLES, complaints, read, sample_files, schema_files
from tools import event_schemas as generator
from tools import services
from tools.generated import differences
from users_service.domain.events import SessionsEnd, SessionsRevoked

pytestmark = pytest.mark.contract

each_sample = pytest.mark.parametrize("path", sample_files(), ids=lambda path: f"{path.parent.name}/{path.stem}")


def test_the_committed_schemas_are_those_of_the_code() -> None:
    assert differences(generator.generate(), [generator.SCHEMAS]) == [], "run: make events"


def test_an_envelope_schema_has_the_fields_of_the_envelope() -> None:
    assert generator.ENVELOPE.keys() == Envelope.model_fields.keys()


def test_every_schema_has_a_sample() -> None:
    assert [f"{path.parent.name}/{path.name}" for path in sample_files()] == [
        f"{path.parent.name}/{path.name}" for path in schema_files()
    ]


# -- samples --------------------------------------------------------------------------------------


@each_sample
def test_a_sample_is_what_its_schema_describes(path: Path) -> None:
    sample = read(path)

    assert complaints(path.parent.name, sample) == []
    assert path.name == f"{sample['type']}.v{sample['version']}.json"


@each_sample
def test_a_sample_is_what_the_model_reads_and_writes(path: Path) -> None:
    sample = read(path)
    models = generator.event_types(services.module(path.parent.name, "domain.events"))
    (model,) = [m for m in models if (m.type, m.version) == (sample["type"], sample["version"])]  # type: ignore[attr-defined]

    data = model.model_validate(sample["data"]).model_dump(mode="json", exclude_none=True)

    assert data == sample["data"]


@each_sample
def test_samples_show_every_field(path: Path) -> None:
    """Fields that may be missing are what a consumer's author has to see most."""
    schema = read(generator.SCHEMAS / path.parent.name / path.name)

    assert read(path)["data"].keys() == schema["properties"]["data"]["properties"].keys()


# -- schemas notice -------------------------------------------------------------------------------


@each_sample
def test_a_renamed_field_is_noticed(path: Path) -> None:
    for part in ("envelope", "data"):
        for name in read(path) if part == "envelope" else read(path)["data"]:
            if name in {"type", "version"}:
                continue  # without them there is no saying which schema
            sample = read(path)
            container = sample if part == "envelope" else sample["data"]
            container[f"{name}_renamed"] = container.pop(name)
            assert complaints(path.parent.name, sample), name


@each_sample
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", "not-a-ulid"),
        ("occurred_at", "2026-11-21T12:00:00+00:00"),
        ("actor", "somebody"),
        ("subject", "01JD8Y3V5QWZ6X7R8T9B0C1D2E"),
        ("correlation_id", "no spaces"),
        ("data", {}),
        ("data", None),
    ],
)
def test_a_wrong_value_is_noticed(path: Path, field: str, value: object) -> None:
    assert complaints(path.parent.name, read(path) | {field: value})


def test_a_type_or_version_without_schema_is_noticed() -> None:
    sample = read(SAMPLES / "loans" / "LoanCreated.v1.json")

    assert complaints("loans", sample | {"version": 2})
    assert complaints("loans", sample | {"type": "LoanMade"})
    assert complaints("books", sample)


class Inner(BaseModel):
    """A part of the event below."""

    note: str | None = None


class Happened(BaseModel):
    """An event type no service has."""

    type: ClassVar[str] = "Happened"
    version: ClassVar[int] = 3

    title: str
    inner: Inner
    parts: list[Inner] = []
    until: str | int | None = None
    must: str | None


def test_schemas_are_closed_and_leave_out_instead_of_null() -> None:
    schema = generator.schema_of("anywhere", Happened)
    data = schema["properties"]["data"]

    assert schema["properties"]["version"]["const"] == 3
    assert data["additionalProperties"] is False
    assert schema["$defs"]["Inner"]["additionalProperties"] is False
    assert data["required"] == ["title", "inner"], "what may be None may be left out"
    assert data["properties"]["title"] == {"type": "string"}
    assert data["properties"]["until"] == {"anyOf": [{"type": "string"}, {"type": "integer"}]}
    assert "null" not in json.dumps(schema)


# -- rules on the bus -----------------------------------------------------------------------------


def deliverable(pattern: dict[str, Any]) -> list[str]:
    """The samples a rule with this pattern would deliver, by EventBridge's own rules as moto knows them."""
    rule = EventPattern.load(json.dumps(pattern))
    delivered = []
    for path in sample_files():
        sample = read(path)
        about: Any = {"source": SOURCE_PREFIX + path.parent.name, "detail-type": sample["type"]}
        events: list[Any] = [about | {"detail": variant} for variant in (sample, *_without_a_field(sample))]
        if any(rule.matches_event(event) for event in events):
            delivered.append(path.stem)
    return delivered


def _without_a_field(sample: dict[str, Any]) -> list[dict[str, Any]]:
    """The sample without one of the fields that its data may lack: a rule may want just those."""
    lean = ({**sample, "data": {n: v for n, v in sample["data"].items() if n != left}} for left in sample["data"])
    return [variant for variant in lean if not complaints(_source_of(sample), variant)]


def _source_of(sample: dict[str, Any]) -> str:
    return next(path.parent.name for path in sample_files() if path.stem == f"{sample['type']}.v{sample['version']}")


def patterns() -> dict[str, dict[str, Any]]:
    """Every rule in the template: resources of their own, and event sources of functions."""
    loaded = template.load(TEMPLATE)
    found = {
        name: properties["EventPattern"]
        for name, properties in template.resources_of(loaded, "AWS::Events::Rule").items()
        if "EventPattern" in properties
    }
    for name, properties in template.resources_of(loaded, template.FUNCTION).items():
        for event, source in (properties.get("Events") or {}).items():
            if source["Type"] in {"EventBridgeRule", "CloudWatchEvent"}:
                found[f"{name}.{event}"] = source["Properties"]["Pattern"]
    return found


def test_every_rule_of_the_template_delivers_something() -> None:
    """One with a misspelt type is found here."""
    assert {name: pattern for name, pattern in patterns().items() if not deliverable(pattern)} == {}


def test_the_gateway_hears_of_revoked_sessions_and_understands_them() -> None:
    sample = read(SAMPLES / "users" / "SessionsRevoked.v1.json")

    assert deliverable(patterns()["SessionsRevokedRule"]) == ["SessionsRevoked.v1"]
    understood = Revocation.model_validate(Delivery.model_validate({"detail": sample}).detail.data)
    assert understood.model_dump() == {name: sample["data"][name] for name in ("user_id", "epoch")}


def test_analytics_hears_of_what_it_counts_and_understands_every_version_of_it() -> None:
    heard = deliverable(patterns()["AnalyticsRule"])
    for path in sample_files():
        if path.stem in heard:
            sample = read(path)
            assert understand(sample["type"], sample["id"], sample["occurred_at"], sample["data"]) or (
                sample["type"] == "BookUpdated" and "title" not in sample["data"]
            )

    assert {"LoanCreated.v1", "LoanReturned.v1", "BookAdded.v1", "MemberErased.v1"} <= set(heard)
    assert "CopyStatusChanged.v1" not in heard


def test_analytics_hears_of_copies_only_when_no_loan_moved_them() -> None:
    sample = read(SAMPLES / "books" / "CopyStatusChanged.v1.json")
    rule = EventPattern.load(json.dumps(patterns()["AnalyticsCopiesRule"]))

    def delivered(data: dict[str, Any]) -> bool:
        event: Any = {"source": "library.books", "detail-type": sample["type"], "detail": {**sample, "data": data}}
        return bool(rule.matches_event(event))

    assert not delivered(sample["data"])
    assert delivered({name: value for name, value in sample["data"].items() if name != "loan_id"})


@pytest.mark.parametrize("reason", get_args(SessionsEnd.__value__))
def test_a_revocation_is_understood_whatever_its_reason(reason: Any) -> None:
    """As users writes it, not only as the sample shows it."""
    data = SessionsRevoked(user_id="U", reason=reason, epoch=3).model_dump(mode="json")

    assert Revocation.model_validate(data) == Revocation(user_id="U", epoch=3)


@pytest.mark.parametrize(
    ("pattern", "delivered"),
    [
        ({"source": ["library.loans"], "detail-type": ["LoanCreated"]}, ["LoanCreated.v1"]),
        (
            {"source": [{"prefix": "library.u"}]},
            [
                "MemberErased.v1",
                "MemberRegistered.v1",
                "MemberRoleChanged.v1",
                "MemberStatusChanged.v1",
                "SessionsRevoked.v1",
            ],
        ),
        ({"detail": {"data": {"condition": ["good"]}}}, ["LoanReturned.v1"]),
        ({"source": ["library.loan"], "detail-type": ["LoanCreated"]}, []),
        ({"detail-type": ["LoanIssued"]}, []),
        ({"detail": {"version": [2]}}, []),
    ],
)
def test_patterns_are_matched_against_the_samples(pattern: dict[str, Any], delivered: list[str]) -> None:
    assert deliverable(pattern) == delivered
