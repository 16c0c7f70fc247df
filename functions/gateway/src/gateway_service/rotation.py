"""The function that makes, publishes and rotates keys.

Called by a deployment (as a CloudFormation custom resource) it makes the keys that are missing: the library's own with
the platform, and a service's with the stack that declares a `Custom::ServiceIdentity`. Once a day it repairs what is
missing and rotates what is old; on command, with

    {"rotate": ["signing-key", "service:loans"], "force": false}

it rotates at once. Its answer lists what became of each ring. `force` is for keys that somebody else may know:
see docs/operations.md for what it breaks.
"""

import secrets
import time
from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gateway_service.key_stores import PublishedKeys, SecretStore, ServiceKeys, TableTurns
from gateway_service.overlap import SERVICE_SECRET_OVERLAP, SIGNING_KEY_OVERLAP
from gateway_service.rotating import KeepingFailed, KeyKeeping, Outcome, RingKeeper
from gateway_service.settings import RotationSettings
from library_common import aws
from library_common.clock import SystemClock
from library_common.context import current, invocation
from library_common.custom_resource import Refused, answer
from library_common.dynamodb import Table
from library_common.key_rings import signing_ring, signing_ring_json
from library_common.telemetry import log_invocation
from library_common.tokens import SigningKey

SIGNING_KEY = "signing-key"
_SECRET_BYTES = 48
"""64 characters: more than the 256 bits that HS256 can use."""


class Command(BaseModel):
    """What somebody asks for. rotate: names of rings."""

    model_config = ConfigDict(extra="forbid")

    rotate: list[str] = Field(min_length=1)
    force: bool = False


class ServiceIdentity(BaseModel):
    """What a stack declares of a service that calls others. scopes: what its tokens may claim, separated by spaces."""

    service: str = Field(alias="Service", pattern="^[a-z][a-z0-9-]{0,30}$")
    scopes: str = Field(alias="Scopes", pattern="^[a-z]+:[a-z]+( [a-z]+:[a-z]+)*$", max_length=500)


@cache
def _settings() -> RotationSettings:
    return RotationSettings()


def _keeping() -> KeyKeeping:
    return keeping(_settings())


def _service_keys() -> ServiceKeys:
    return ServiceKeys(_settings().service_keys_path)


def keeping(settings: RotationSettings) -> KeyKeeping:
    """The library's own ring, and one for every service that has declared itself."""
    clock = SystemClock()
    signing = RingKeeper(
        name=SIGNING_KEY,
        store=SecretStore(settings.signing_key_parameter, decode=signing_ring, encode=signing_ring_json),
        generate=SigningKey.generate,
        overlap=SIGNING_KEY_OVERLAP,
        publish=PublishedKeys(settings.verification_keys_parameter).publish,
    )
    keys = ServiceKeys(settings.service_keys_path)
    services = [
        RingKeeper(
            name=ring_of(name),
            store=keys.store(name),
            generate=lambda: secrets.token_urlsafe(_SECRET_BYTES),
            overlap=SERVICE_SECRET_OVERLAP,
        )
        for name in keys.names()
    ]
    return KeyKeeping(
        rings={signing.name: signing, **{ring.name: ring for ring in services}},
        turns=turns(settings),
        clock=clock,
        lifetime=timedelta(days=settings.key_days),
    )


def turns(settings: RotationSettings) -> TableTurns:
    """One run at a time at a ring."""
    return TableTurns(Table(settings.table_name, aws.dynamodb), SystemClock())


def ring_of(service: str) -> str:
    """The name of a service's ring."""
    return f"service:{service}"


def handler(event: Mapping[str, Any], _context: object) -> dict[str, Any]:
    """Lambda entry. Raises pydantic's ValidationError for a command that is none, KeepingFailed by the daily run."""
    started = time.perf_counter()
    with invocation():
        status: str = "failed"
        try:
            outcomes = _carry_out(event)
            status = "ok"
            current().log_fields.update({outcome.ring: outcome.code or outcome.result for outcome in outcomes})
        finally:
            log_invocation("rotation", status=status, duration_ms=(time.perf_counter() - started) * 1000)
    return {"outcomes": [outcome.as_json() for outcome in outcomes]}


def _carry_out(event: Mapping[str, Any]) -> list[Outcome]:
    if "RequestType" in event:
        answer(event, _for_deployment, undo=_for_removal)
        return []
    if "rotate" in event:
        command = Command.model_validate(event)
        return _keeping().rotate(command.rotate, force=command.force)
    return _keeping().daily()


def _for_deployment(properties: Mapping[str, Any]) -> None:
    """Makes the keys that are missing: of the service that the properties name, or the library's own."""
    if "Service" not in properties:
        _complete(SIGNING_KEY)
        return
    try:
        identity = ServiceIdentity.model_validate(properties)
    except ValidationError as wrong:
        fields = ", ".join(str(error["loc"][0]) for error in wrong.errors())
        raise Refused(f"A service identity needs a Service and Scopes; these are not valid: {fields}.") from None
    with turns(_settings()).take(ring_of(identity.service)):
        _service_keys().register(identity.service, identity.scopes)
    _complete(ring_of(identity.service))


def _for_removal(properties: Mapping[str, Any]) -> None:
    """The library's own keys stay, so that a table that is taken over finds its people logged in."""
    if "Service" in properties:
        _service_keys().remove(ServiceIdentity.model_validate(properties).service)


def _complete(ring: str) -> None:
    try:
        outcomes = _keeping().complete([ring])
    except KeepingFailed:
        # CloudFormation hears of it, and Lambda does not: our own line is to say so, too.
        current().error_code = "keeping_failed"
        raise
    current().log_fields.update({outcome.ring: outcome.result for outcome in outcomes})
