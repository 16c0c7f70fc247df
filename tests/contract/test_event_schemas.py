"""Event schemas are what the code says, and what is emitted is what the schemas say."""

import json
from pathlib import Path
from typing import Any, ClassVar, get_args

import pytest
from pydantic import BaseModel

from gateway_service.revocations import Revocation
from library_common.events import Envelope
from tests.contract import consumers
from tests.contract.event_schemas import (
    SAMPLES,
    awaited_files,
    complaints,
    newest_only,
    read,
    sample_files,
    schema_files,
)
from tools import event_schemas as generator
from tools import services
from tools.generated import differences
from users_service.domain.events import SessionsEnd, SessionsRevoked

pytestmark = pytest.mark.contract

each_newest_sample = pytest.mark.parametrize(
    "path", newest_only(sample_files()), ids=lambda path: f"{path.parent.name}/{path.stem}"
)
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


@each_newest_sample
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

    assert complaints("loans", sample | {"version": 3})
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


def deliverable(pattern: dict[str, Any], *, awaited: bool = False) -> list[str]:
    """The samples a rule with this pattern would deliver."""
    return [
        path.stem
        for path in sample_files() + (awaited_files() if awaited else [])
        if any(
            consumers.delivers(pattern, path.parent.name, event)
            for event in (read(path), *(e for e in consumers.lean(read(path)) if not complaints(path.parent.name, e)))
        )
    ]


def named_types(pattern: dict[str, Any]) -> set[str]:
    return {kind for kind in pattern["detail-type"] if isinstance(kind, str)}


def test_every_rule_has_its_consumer_and_every_consumer_its_rule() -> None:
    assert consumers.rules().keys() == consumers.CONSUMERS.keys()


@pytest.mark.parametrize("rule", consumers.rules())
def test_a_rule_names_only_what_is_produced_or_awaited(rule: str) -> None:
    """A misspelt type or source is found here."""
    pattern = consumers.rules()[rule]
    delivered = {stem.rpartition(".v")[0] for stem in deliverable(pattern, awaited=True)}

    assert delivered
    assert named_types(pattern) <= delivered


@pytest.mark.parametrize(
    "path", [*sample_files(), *awaited_files()], ids=lambda path: f"{path.parent.parent.name}/{path.stem}"
)
def test_every_version_of_an_event_is_understood_by_all_it_is_delivered_to(path: Path) -> None:
    assert consumers.misunderstandings(path.parent.name, read(path)) == {}


def test_a_consumer_that_does_not_understand_is_noticed() -> None:
    sample = read(SAMPLES / "users" / "SessionsRevoked.v1.json")
    sample["data"]["session_epoch"] = sample["data"].pop("epoch")

    assert consumers.misunderstandings("users", sample) == {
        "SessionsRevokedRule": "PoisonMessage: unreadable: ValidationError: epoch (missing)"
    }


def test_the_gateway_hears_of_revoked_sessions_and_of_nothing_else() -> None:
    assert deliverable(consumers.rules()["SessionsRevokedRule"], awaited=True) == ["SessionsRevoked.v1"]


# -- awaited --------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", awaited_files(), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_what_is_awaited_is_not_produced_yet(path: Path) -> None:
    sample = read(path)
    assert path.name == f"{sample['type']}.v{sample['version']}.json"
    Envelope.model_validate(sample)

    if path.parent.name in services.with_module("domain.events"):
        models = generator.event_types(services.module(path.parent.name, "domain.events"))
        produced = {(model.type, model.version) for model in models}  # type: ignore[attr-defined]
        assert (sample["type"], sample["version"]) not in produced, f"move {path.name} to events/samples"


def test_analytics_hears_of_copies_only_when_no_loan_moved_them() -> None:
    sample = read(SAMPLES / "books" / "CopyStatusChanged.v1.json")
    new_copy = {"book_id": sample["data"]["book_id"], "copies": [{"barcode": "30001000000001", "status": "available"}]}
    without_loan = {**sample, "data": new_copy}
    pattern = consumers.rules()["AnalyticsCopiesRule"]

    assert not consumers.delivers(pattern, "books", sample)
    assert consumers.delivers(pattern, "books", without_loan)
    assert consumers.misunderstandings("books", without_loan) == {}


@pytest.mark.parametrize("reason", get_args(SessionsEnd.__value__))
def test_a_revocation_is_understood_whatever_its_reason(reason: Any) -> None:
    """As users writes it, not only as the sample shows it."""
    data = SessionsRevoked(user_id="U", reason=reason, epoch=3).model_dump(mode="json")

    assert Revocation.model_validate(data) == Revocation(user_id="U", epoch=3)


@pytest.mark.parametrize(
    ("pattern", "delivered"),
    [
        ({"source": ["library.loans"], "detail-type": ["LoanCreated"]}, ["LoanCreated.v1", "LoanCreated.v2"]),
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
        ({"detail": {"version": [2]}}, ["BookAdded.v2", "BookUpdated.v2", "LoanCreated.v2"]),
    ],
)
def test_patterns_are_matched_against_the_samples(pattern: dict[str, Any], delivered: list[str]) -> None:
    assert deliverable(pattern) == delivered
