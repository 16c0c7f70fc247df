"""The function that makes, publishes and rotates keys.

* A deployment calls it as a CloudFormation custom resource. It makes the keys that are missing: the library's own for
  `Custom::TokenKeys`, a service's for the `Custom::ServiceIdentity` in that service's stack.
* Once a day it makes what is missing and rotates keys that are old enough.
* With the event `{"rotate": ["signing-key", "service:loans"], "force": false}` it rotates these rings now. `force` is
  for keys that somebody else may know; docs/operations.md says what it breaks.

It answers the result for each ring.
"""

import secrets
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from datetime import timedelta
from functools import cache, partial
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gateway_service.key_rotation import KeyRotation, ManagedRing, Outcome, RotationFailed
from gateway_service.key_stores import RingParameter, ServiceKeys, TableLocks, publish_keys
from gateway_service.overlap import SERVICE_SECRET_OVERLAP, SIGNING_KEY_OVERLAP
from gateway_service.settings import RotationSettings
from library_common import aws
from library_common.clock import SystemClock
from library_common.context import current
from library_common.custom_resource import Refused, answer
from library_common.dynamodb import Table
from library_common.key_rings import signing_ring, signing_ring_json
from library_common.telemetry import logged_invocation
from library_common.tokens import SigningKey

SIGNING_KEY = "signing-key"
_SECRET_BYTES = 48
"""64 characters: more than the 256 bits that HS256 can use."""


class RotationCommand(BaseModel):
    """An event that asks for a rotation. rotate: names of rings."""

    model_config = ConfigDict(extra="forbid")

    rotate: list[str] = Field(min_length=1)
    force: bool = False


class ServiceIdentity(BaseModel):
    """The properties of a `Custom::ServiceIdentity`. scopes: what its tokens may claim, separated by spaces."""

    service: str = Field(alias="Service", pattern="^[a-z][a-z0-9-]{0,30}$")
    scopes: str = Field(alias="Scopes", pattern="^[a-z]+:[a-z]+( [a-z]+:[a-z]+)*$", max_length=500)


@cache
def _settings() -> RotationSettings:
    return RotationSettings()


def _service_keys() -> ServiceKeys:
    return ServiceKeys(_settings().service_keys_path)


def _lock(ring: str) -> AbstractContextManager[None]:
    return TableLocks(Table(_settings().table_name, aws.dynamodb), SystemClock()).hold(ring)


def _key_rotation() -> KeyRotation:
    """The library's own ring, and one for each registered service."""
    settings, keys = _settings(), _service_keys()
    store = RingParameter(settings.signing_key_parameter, decode=signing_ring, encode=signing_ring_json)
    publish = partial(publish_keys, settings.verification_keys_parameter)
    signing = ManagedRing(SIGNING_KEY, store, SigningKey.generate, SIGNING_KEY_OVERLAP, publish)
    rings: dict[str, ManagedRing[Any]] = {SIGNING_KEY: signing}
    for service in keys.names():
        name = _ring_of(service)
        generate = partial(secrets.token_urlsafe, _SECRET_BYTES)
        rings[name] = ManagedRing(name, keys.store(service), generate, SERVICE_SECRET_OVERLAP)
    return KeyRotation(rings, _lock, SystemClock(), lifetime=timedelta(days=settings.key_days))


def _ring_of(service: str) -> str:
    return f"service:{service}"


def handler(event: Mapping[str, Any], _context: object) -> dict[str, Any]:
    """Lambda entry. Raises ValidationError for a malformed command, and RotationFailed in the daily run."""
    with logged_invocation("rotation") as running:
        outcomes = _run(event)
        running.status = "ok"
        running.log_fields |= {outcome.ring: outcome.code or outcome.result for outcome in outcomes}
    return {"outcomes": [outcome.as_json() for outcome in outcomes]}


def _run(event: Mapping[str, Any]) -> list[Outcome]:
    if "RequestType" in event:
        answer(event, _create_or_update, undo=_delete)
        return []
    if "rotate" in event:
        command = RotationCommand.model_validate(event)
        return _key_rotation().rotate(command.rotate, force=command.force)
    return _key_rotation().daily()


def _create_or_update(properties: Mapping[str, Any]) -> None:
    """Makes the missing keys of the service that the properties name, or the library's own."""
    ring = _register(properties) if "Service" in properties else SIGNING_KEY
    try:
        outcomes = _key_rotation().complete([ring])
    except RotationFailed:
        # The error is reported to CloudFormation, not to Lambda. Our own log line must show it, too.
        current().error_code = "rotation_failed"
        raise
    current().log_fields.update({outcome.ring: outcome.result for outcome in outcomes})


def _register(properties: Mapping[str, Any]) -> str:
    """Sets what the service's tokens may claim. Returns the name of its ring."""
    try:
        identity = ServiceIdentity.model_validate(properties)
    except ValidationError as invalid:
        fields = ", ".join(str(error["loc"][0]) for error in invalid.errors())
        raise Refused(f"Custom::ServiceIdentity has missing or invalid properties: {fields}.") from None
    ring = _ring_of(identity.service)
    with _lock(ring):
        _service_keys().register(identity.service, identity.scopes)
    return ring


def _delete(properties: Mapping[str, Any]) -> None:
    """Removes a service's keys. The library's own keys stay: a new stack on the same tables finds its people logged in.

    An identity that was refused has no keys. Nothing is done for it, so that its stack can be rolled back.
    """
    with suppress(ValidationError):
        identity = ServiceIdentity.model_validate(properties)
        with _lock(_ring_of(identity.service)):
            _service_keys().remove(identity.service)
