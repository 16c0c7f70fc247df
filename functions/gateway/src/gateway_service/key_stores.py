"""Where rings are kept and published, and who may change one: the parameter store and the gateway's table."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta

from gateway_service.rotating import TurnTaken
from library_common import aws
from library_common.clock import Clock
from library_common.configuration import parameters_under
from library_common.dynamodb import ConditionFailed, Expression, Table
from library_common.ids import new_id
from library_common.key_rings import Ring, granted_scopes, public_jwks_json, secret_ring, secret_ring_json
from library_common.tokens import SigningKey

TURN = timedelta(seconds=45)
"""Longer than the function may run (30 s): whoever has not given a turn back by then is no longer at it."""

_ATTEMPTS = 20
_PAUSE_SECONDS = 0.5


class SecretStore[Key]:
    """A ring in a SecureString parameter, which is made with the first ring: CloudFormation cannot make one."""

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
    """The rings of the services that call others: a parameter each under one path, with the scopes they may claim."""

    def __init__(self, path: str) -> None:
        self._path = path

    def names(self) -> list[str]:
        """The services that have a ring, or the scopes for one."""
        return sorted(name for name, _ in parameters_under(self._path))

    def store(self, service: str) -> SecretStore[str]:
        """The ring of one service. Writing it leaves the scopes as they are."""
        name = self._name(service)

        def encode(ring: Ring[str]) -> str:
            stored = _value(name)
            return secret_ring_json(ring, " ".join(sorted(granted_scopes(stored))) if stored is not None else "")

        return SecretStore(name, decode=secret_ring, encode=encode)

    def register(self, service: str, scopes: str) -> None:
        """Notes what a service may claim; its ring stays as it is."""
        name, stored = self._name(service), _value(self._name(service))
        document = {**(json.loads(stored) if stored is not None else {}), "scopes": scopes}
        aws.ssm().put_parameter(Name=name, Value=json.dumps(document), Type="SecureString", Overwrite=True)

    def remove(self, service: str) -> None:
        """No token of this service is accepted any more."""
        client = aws.ssm()
        with suppress(client.exceptions.ParameterNotFound):
            client.delete_parameter(Name=self._name(service))

    def _name(self, service: str) -> str:
        return f"{self._path}/{service}"


def _value(name: str) -> str | None:
    client = aws.ssm()
    try:
        return client.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"]
    except client.exceptions.ParameterNotFound:
        return None


class PublishedKeys:
    """The JWKS document in the parameter store.

    No resource of the template: CloudFormation would put its own value back whenever it touches one. Its name is
    agreed on instead, and it stays behind when a stack is deleted.
    """

    def __init__(self, parameter_name: str) -> None:
        self._name = parameter_name

    def publish(self, keys: Sequence[SigningKey]) -> None:
        """Writes only what is not there already."""
        wanted = public_jwks_json(keys)
        if wanted != _value(self._name):
            aws.ssm().put_parameter(
                Name=self._name,
                Description="JWKS with the public keys people's tokens are checked with.",
                Value=wanted,
                Type="String",
                Overwrite=True,
            )


class TableTurns:
    """Turns as items of the gateway's table: pk `ROTATION`, sk the ring's name, `holder`, `until` (epoch seconds).

    Whoever finds one taken waits for it ten seconds.
    """

    def __init__(self, table: Table, clock: Clock, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._table = table
        self._clock = clock
        self._sleep = sleep

    @contextmanager
    def take(self, ring: str) -> Iterator[None]:
        """Raises TurnTaken when it stays taken."""
        key = {"pk": "ROTATION", "sk": ring}
        holder = new_id()
        for attempt in range(_ATTEMPTS):
            if attempt:
                self._sleep(_PAUSE_SECONDS)
            if self._taken(key, holder):
                break
        else:
            raise TurnTaken(ring)
        try:
            yield
        finally:
            self._give_back(key, holder)

    def _taken(self, key: dict[str, str], holder: str) -> bool:
        now = self._clock.now()
        until = int((now + TURN).timestamp())
        free = Expression(
            "attribute_not_exists(#pk) OR #until <= :now",
            names={"pk": "pk", "until": "until"},
            values={"now": int(now.timestamp())},
        )
        try:
            self._table.put({**key, "holder": holder, "until": until, "expires_at_epoch": until}, free)
        except ConditionFailed as failed:
            # Ours, when the answer to the first try was lost and botocore tried again.
            return failed.item is not None and failed.item.get("holder") == holder
        return True

    def _give_back(self, key: dict[str, str], holder: str) -> None:
        try:
            self._table.delete(
                key, Expression("#holder = :holder", names={"holder": "holder"}, values={"holder": holder})
            )
        except ConditionFailed:
            # Taken over meanwhile, since we took so long.
            return
