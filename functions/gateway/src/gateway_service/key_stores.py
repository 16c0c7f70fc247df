"""Where rings are kept and published, and who may change one: Secrets Manager, the parameter store, the table."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

from gateway_service.rotating import TurnTaken
from library_common import aws
from library_common.clock import Clock
from library_common.dynamodb import ConditionFailed, Expression, Table
from library_common.ids import new_id
from library_common.key_rings import Ring, public_jwks_json
from library_common.tokens import SigningKey

TURN = timedelta(seconds=45)
"""Longer than the function may run (30 s): whoever has not given a turn back by then is no longer at it."""

_ATTEMPTS = 20
_PAUSE_SECONDS = 0.5


class SecretStore[Key]:
    """A ring in a secret, which has a value from its beginning: CloudFormation gave it one."""

    def __init__(
        self, arn: str, *, decode: Callable[[str], Ring[Key] | None], encode: Callable[[Ring[Key]], str]
    ) -> None:
        self._arn = arn
        self._decode = decode
        self._encode = encode

    def read(self) -> Ring[Key] | None:
        return self._decode(aws.secretsmanager().get_secret_value(SecretId=self._arn)["SecretString"])

    def write(self, ring: Ring[Key]) -> None:
        aws.secretsmanager().put_secret_value(SecretId=self._arn, SecretString=self._encode(ring))


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
        if wanted != self._published():
            aws.ssm().put_parameter(
                Name=self._name,
                Description="JWKS with the public keys people's tokens are checked with.",
                Value=wanted,
                Type="String",
                Overwrite=True,
            )

    def _published(self) -> str | None:
        client = aws.ssm()
        try:
            return client.get_parameter(Name=self._name)["Parameter"]["Value"]
        except client.exceptions.ParameterNotFound:
            return None


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
