"""Where key rings are stored and published (parameter store) and locked (the gateway's table)."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain
from typing import Any

from gateway_service.key_rotation import LockHeld
from library_common import aws
from library_common.clock import Clock
from library_common.configuration import parameters_under
from library_common.dynamodb import ConditionFailed, Expression, Table
from library_common.ids import new_id
from library_common.key_rings import Ring, public_jwks_json, secret_ring, secret_ring_json
from library_common.tokens import SigningKey

LOCK_DURATION = timedelta(seconds=45)
"""Longer than the function may run (30 s): a run that has not released its lock by then has died."""

_ATTEMPTS = 20
_PAUSE_SECONDS = 0.5


@dataclass(frozen=True)
class RingParameter[Key]:
    """A ring in a SecureString parameter. The first write creates it, since CloudFormation cannot."""

    name: str
    decode: Callable[[str], Ring[Key] | None]
    encode: Callable[[Ring[Key]], str]

    def read(self) -> Ring[Key] | None:
        stored = _value(self.name)
        return self.decode(stored) if stored is not None else None

    def write(self, ring: Ring[Key]) -> None:
        _put_secret(self.name, self.encode(ring))


@dataclass(frozen=True)
class ServiceKeys:
    """The rings of the services that call others: one parameter for each, under one path, with the service's scopes."""

    path: str

    def names(self) -> list[str]:
        """The registered services."""
        return sorted(name for name, _ in parameters_under(self.path))

    def store(self, service: str) -> RingParameter[str]:
        """The ring of one service. Writing it keeps the scopes. Raises LookupError for a service without scopes."""
        name = f"{self.path}/{service}"
        return RingParameter(name, decode=secret_ring, encode=lambda ring: secret_ring_json(ring, _scopes(name)))

    def register(self, service: str, scopes: str) -> None:
        """Sets the scopes a service may claim, and keeps its ring. A parameter that cannot be read is replaced."""
        name = f"{self.path}/{service}"
        _put_secret(name, json.dumps({**_document(_value(name)), "scopes": scopes}))

    def remove(self, service: str) -> None:
        """From now on no token of this service is accepted."""
        client = aws.ssm()
        with suppress(client.exceptions.ParameterNotFound):
            client.delete_parameter(Name=f"{self.path}/{service}")


def _document(text: str | None) -> dict[str, Any]:
    """The JSON object in a service's parameter; empty when there is none."""
    try:
        stored = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return stored if isinstance(stored, dict) else {}


def _scopes(name: str) -> str:
    """The scopes of the newest version of a service's parameter that can be read. Raises LookupError without one."""
    documents = chain([_document(_value(name))], _versions(name))
    scopes = next((found["scopes"] for found in documents if found.get("scopes") is not None), None)
    if scopes is None:
        raise LookupError(f"{name} has no scopes; deploy the stack of the service")
    return str(scopes)


def _versions(name: str) -> Iterator[dict[str, Any]]:
    """The versions the parameter store still has, newest first. None of a parameter that was deleted."""
    client = aws.ssm()
    pages = client.get_paginator("get_parameter_history").paginate(Name=name, WithDecryption=True)
    try:
        values = [version["Value"] for page in pages for version in page["Parameters"]]
    except client.exceptions.ParameterNotFound:
        return
    yield from map(_document, reversed(values))


def _value(name: str) -> str | None:
    """A parameter's value, None when there is no such parameter."""
    client = aws.ssm()
    try:
        return client.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"]
    except client.exceptions.ParameterNotFound:
        return None


def _put_secret(name: str, value: str) -> None:
    aws.ssm().put_parameter(Name=name, Value=value, Type="SecureString", Overwrite=True)


def publish_keys(name: str, keys: Sequence[SigningKey]) -> None:
    """Publishes the keys as a JWKS document in this parameter. Writes nothing when they are published already.

    It is not a resource of a template: CloudFormation would reset its value with every change. It stays when the stack
    is deleted.
    """
    wanted = public_jwks_json(keys)
    if wanted != _value(name):
        about = "JWKS with the public keys people's tokens are checked with."
        aws.ssm().put_parameter(Name=name, Description=about, Value=wanted, Type="String", Overwrite=True)


@dataclass(frozen=True)
class TableLocks:
    """Locks as items of the gateway's table: pk `ROTATION`, sk the ring's name, `holder`, `until` (epoch seconds).

    Waits up to ten seconds for a lock that is held.
    """

    table: Table
    clock: Clock
    sleep: Callable[[float], None] = time.sleep

    @contextmanager
    def hold(self, ring: str) -> Iterator[None]:
        """Holds the lock of a ring. Raises LockHeld when another run still holds it after ten seconds."""
        key = {"pk": "ROTATION", "sk": ring}
        holder = new_id()
        for attempt in range(_ATTEMPTS):
            if attempt:
                self.sleep(_PAUSE_SECONDS)
            if self._acquire(key, holder):
                break
        else:
            raise LockHeld(ring)
        try:
            yield
        finally:
            # When it has expired, another run may hold it now.
            with suppress(ConditionFailed):
                self.table.delete(key, Expression("#holder = :holder", {"holder": "holder"}, {"holder": holder}))

    def _acquire(self, key: dict[str, str], holder: str) -> bool:
        now = int(self.clock.now().timestamp())
        until = now + int(LOCK_DURATION.total_seconds())
        free = Expression("attribute_not_exists(#pk) OR #until <= :now", {"pk": "pk", "until": "until"}, {"now": now})
        try:
            self.table.put({**key, "holder": holder, "until": until, "expires_at_epoch": until}, free)
        except ConditionFailed as failed:
            # It is ours when the answer to the first try was lost and botocore tried again.
            return failed.item is not None and failed.item.get("holder") == holder
        return True
