"""Text messages and push messages through SNS."""

import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from library_common import aws
from library_common.telemetry import logger
from notifications_service.adapters.providers import told_apart
from notifications_service.adapters.push_payload import push_payload
from notifications_service.application.ports import (
    Account,
    Devices,
    NotSent,
    PushService,
    Refused,
    Rendered,
    Unknown,
)

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

PERMANENT = frozenset(
    {"InvalidParameter", "ParameterValueInvalid", "InvalidParameterValue", "ValidationException", "OptedOut"}
)
"""A number or a message that SNS does not take whenever it is asked."""

GONE = frozenset({"EndpointDisabled", "NotFound"})
"""A device that does not get messages any more: the app was removed, or its token replaced."""

_NAMES_THE_DEVICE = re.compile(
    r"parameter: (TargetArn|EndpointArn|Token)\b|at '(targetArn|endpointArn)'|no endpoint found", re.IGNORECASE
)
"""What else SNS says of such a device comes under codes that also stand for a message it does not take, one that is too
long above all; only the text tells. A device is forgotten only for what is wrong with the device."""


SECONDS = 5.0
"""How long devices are begun with. The last one may take its ten seconds after that, and what it leads to a little."""


class SmsWay:
    """`application.ports.Way` by text message."""

    def __init__(self, client: "Callable[[], SNSClient]" = aws.sns_without_retries) -> None:
        self._client = client

    def send(self, account: Account, message: Rendered) -> None:
        if not account.phone:
            raise Refused("no_address")
        with told_apart(PERMANENT):
            self._client().publish(
                PhoneNumber=account.phone,
                Message=message.text,
                MessageAttributes={"AWS.SNS.SMS.SMSType": {"DataType": "String", "StringValue": "Transactional"}},
            )


class PushWay:
    """`application.ports.Way` to the devices a member registered. It is sent when one of them has it.

    A device that SNS says is gone is forgotten, here and there. If the process dies in between, its endpoint stays
    there, and nobody sends to it.

    Whoever waits for it has only so much time: when SNS falls silent the other devices are not tried, nor after
    `SECONDS`, so that what became of it can be written down. Who has it on one device has it.
    """

    def __init__(
        self,
        devices: Devices,
        push: PushService,
        client: "Callable[[], SNSClient]" = aws.sns_without_retries,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._devices = devices
        self._push = push
        self._client = client
        self._monotonic = monotonic

    def send(self, account: Account, message: Rendered) -> None:
        payload = push_payload(message)
        reached = False
        trouble: NotSent | Unknown | None = None
        refused: Refused | None = None
        until = self._monotonic() + SECONDS
        for endpoint in self._devices.of(account.id):
            if self._monotonic() >= until:
                trouble = trouble or NotSent("out_of_time")
                break
            try:
                self._publish(endpoint, payload)
            except _Gone:
                self._forget(account.id, endpoint)
            except Refused as failure:
                # For what it says or how it says so; another platform may take it.
                refused = failure
            except NotSent as failure:
                trouble = failure
            except Unknown as failure:
                # One that may have been sent weighs more: it must not be repeated without end.
                trouble = failure
                break
            else:
                reached = True
        if reached:
            return
        raise trouble or refused or Refused("no_address")

    def _publish(self, endpoint: str, payload: str) -> None:
        """Raises _Gone, Refused, NotSent, Unknown."""
        with told_apart(PERMANENT):
            try:
                self._client().publish(TargetArn=endpoint, Message=payload, MessageStructure="json")
            except ClientError as error:
                if _is_gone(error):
                    # Not as its cause, which may be logged: what SNS says may repeat the token.
                    raise _Gone from None
                raise

    def _forget(self, user_id: str, endpoint: str) -> None:
        # Here first: whoever registers the device meanwhile is given the same endpoint, and keeps it.
        if not self._devices.forget(user_id, endpoint):
            return
        try:
            self._push.forget(endpoint)
        except (BotoCoreError, ClientError) as failure:
            # The message does not depend on it, nor does any other.
            logger().warning("endpoint left at the push service", extra={"failure": type(failure).__name__})


class _Gone(Exception):
    """Nobody is at this endpoint any more."""


def _is_gone(error: ClientError) -> bool:
    about = error.response.get("Error", {})
    code = about.get("Code", "")
    return code in GONE or (code in PERMANENT and _NAMES_THE_DEVICE.search(about.get("Message", "")) is not None)
