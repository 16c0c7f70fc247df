"""The function that makes, publishes and rotates keys.

Called by a deployment (as a CloudFormation custom resource) it sees to it that every ring has its keys; once a
day it repairs what is missing and rotates what is old; on command, with

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

from pydantic import BaseModel, ConfigDict, Field

from gateway_service.key_stores import PublishedKeys, SecretStore, TableTurns
from gateway_service.overlap import SERVICE_SECRET_OVERLAP, SIGNING_KEY_OVERLAP
from gateway_service.rotating import KeepingFailed, KeyKeeping, Outcome, RingKeeper
from gateway_service.settings import RotationSettings
from library_common import aws
from library_common.clock import SystemClock
from library_common.context import current, invocation
from library_common.custom_resource import answer
from library_common.dynamodb import Table
from library_common.key_rings import secret_ring, secret_ring_json, signing_ring, signing_ring_json
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


@cache
def _keeping() -> KeyKeeping:
    return keeping(RotationSettings())


def keeping(settings: RotationSettings) -> KeyKeeping:
    """Every ring the settings name."""
    clock = SystemClock()
    signing = RingKeeper(
        name=SIGNING_KEY,
        store=SecretStore(settings.signing_key_secret_arn, decode=signing_ring, encode=signing_ring_json),
        generate=SigningKey.generate,
        overlap=SIGNING_KEY_OVERLAP,
        publish=PublishedKeys(settings.verification_keys_parameter).publish,
    )
    services = [
        RingKeeper(
            name=f"service:{name}",
            store=SecretStore(identity.secret_arn, decode=secret_ring, encode=secret_ring_json),
            generate=lambda: secrets.token_urlsafe(_SECRET_BYTES),
            overlap=SERVICE_SECRET_OVERLAP,
        )
        for name, identity in settings.service_identities.items()
    ]
    return KeyKeeping(
        rings={signing.name: signing, **{ring.name: ring for ring in services}},
        turns=TableTurns(Table(settings.table_name, aws.dynamodb), clock),
        clock=clock,
        lifetime=timedelta(days=settings.key_days),
    )


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
        answer(event, lambda _: _complete())
        return []
    if "rotate" in event:
        command = Command.model_validate(event)
        return _keeping().rotate(command.rotate, force=command.force)
    return _keeping().daily()


def _complete() -> None:
    try:
        outcomes = _keeping().complete()
    except KeepingFailed:
        # CloudFormation hears of it, and Lambda does not: our own line is to say so, too.
        current().error_code = "keeping_failed"
        raise
    current().log_fields.update({outcome.ring: outcome.result for outcome in outcomes})
