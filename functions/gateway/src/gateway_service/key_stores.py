"""Where key rings are stored and published (parameter store) and locked (the gateway's table)."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
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


class RingParameter[Key]:
    """A ring in a SecureString parameter. The first write creates it, since CloudFormation cannot."""

    def __init__(
        self, name: str, *, decode: Callable[[str], Ring[Key] | None], encode: Callable[[Ring[Key]], str]
    ) -> None:
        self._name = name
        self._decode = decode
        self._encode = encode

    def read(self) -> Ring[Key] | None:
        stored = _value(self._name)
        return self._decode(stored) if stored is not None else None

    def write(self, ring: Ring[Key]) -> None:
        aws.ssm().put_parameter(Name=self._name, Value=self._encode(ring), Type="SecureString", Overwrite=True)


class ServiceKeys:
    """The rings of the services that call others: one parameter for each, under one path, with the service's scopes."""

    def __init__(self, path: str) -> None:
        self._path = path

    def names(self) -> list[str]:
        """The registered services."""
        return sorted(name for name, _ in parameters_under(self._path))

    def store(self, service: str) -> RingParameter[str]:
        """The ring of one service. Writing it keeps the scopes. Raises LookupError for a service without scopes."""
        name = self._name(service)

        def encode(ring: Ring[str]) -> str:
            return secret_ring_json(ring, _scopes(name))

        return RingParameter(name, decode=secret_ring, encode=encode)

    def register(self, service: str, scopes: str) -> None:
        """Sets the scopes a service may claim, and keeps its ring. A parameter that cannot be read is replaced."""
        name = self._name(service)
        document = {**_document(_value(name)), "scopes": scopes}
        aws.ssm().put_parameter(Name=name, Value=json.dumps(document), Type="SecureString", Overwrite=True)

    def remove(self, service: str) -> None:
        """From now on no token of this service is accepted."""
        client = aws.ssm()
        with suppress(client.exceptions.ParameterNotFound):
            client.delete_parameter(Name=self._name(service))

    def _name(self, service: str) -> str:
        return f"{self._path}/{service}"


def _document(text: str | None) -> dict[str, Any]:
    """The JSON object in a service's parameter; empty when there is none."""
    try:
        stored = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return stored if isinstance(stored, dict) else {}


def _scopes(name: str) -> str:
    """The scopes of the newest version of a service's parameter that can be read. Raises LookupError without one."""
    scopes = _document(_value(name)).get("scopes")
    if scopes is None:
        scopes = next((found["scopes"] for found in _versions(name) if "scopes" in found), None)
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


class PublishedKeys:
    """The JWKS document in the parameter store.

    It is not a resource of a template: CloudFormation would reset its value with every change. It stays when the stack
    is deleted.
    """

    def __init__(self, parameter_name: str) -> None:
        self._name = parameter_name

    def publish(self, keys: Sequence[SigningKey]) -> None:
        """Publishes these keys. Writes nothing when they are published already."""
        wanted = public_jwks_json(keys)
        if wanted != _value(self._name):
            aws.ssm().put_parameter(
                Name=self._name,
                Description="JWKS with the public keys people's tokens are checked with.",
                Value=wanted,
                Type="String",
                Overwrite=True,
            )


class TableLocks:
    """Locks as items of the gateway's table: pk `ROTATION`, sk the ring's name, `holder`, `until` (epoch seconds).

    Waits up to ten seconds for a lock that is held.
    """

    def __init__(self, table: Table, clock: Clock, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._table = table
        self._clock = clock
        self._sleep = sleep

    @contextmanager
    def hold(self, ring: str) -> Iterator[None]:
        """Holds the lock of a ring. Raises LockHeld when another run still holds it after ten seconds."""
        key = {"pk": "ROTATION", "sk": ring}
        holder = new_id()
        for attempt in range(_ATTEMPTS):
            if attempt:
                self._sleep(_PAUSE_SECONDS)
            if self._acquire(key, holder):
                break
        else:
            raise LockHeld(ring)
        try:
            yield
        finally:
            self._release(key, holder)

    def _acquire(self, key: dict[str, str], holder: str) -> bool:
        now = self._clock.now()
        until = int((now + LOCK_DURATION).timestamp())
        free = Expression(
            "attribute_not_exists(#pk) OR #until <= :now",
            names={"pk": "pk", "until": "until"},
            values={"now": int(now.timestamp())},
        )
        try:
            self._table.put({**key, "holder": holder, "until": until, "expires_at_epoch": until}, free)
        except ConditionFailed as failed:
            # It is ours when the answer to the first try was lost and botocore tried again.
            return failed.item is not None and failed.item.get("holder") == holder
        return True

    def _release(self, key: dict[str, str], holder: str) -> None:
        try:
            self._table.delete(
                key, Expression("#holder = :holder", names={"holder": "holder"}, values={"holder": holder})
            )
        except ConditionFailed:
            # It expired, and another run holds it now.
            return
