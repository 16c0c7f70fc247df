"""Text messages and push messages through SNS."""

import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from library_common import aws
from library_common.telemetry import logger
from notifications_service.adapters.providers import classified_errors
from notifications_service.adapters.push_payload import push_payload
from notifications_service.application.ports import (
    Account,
    DeviceStore,
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
"""Codes of errors about the number or the message that no retry helps."""

_GONE_CODES = frozenset({"EndpointDisabled", "NotFound"})
"""The device gets no messages any more: the app was removed, or its token replaced."""

_NAMES_THE_DEVICE = re.compile(
    r"parameter: (TargetArn|EndpointArn|Token)\b|at '(targetArn|endpointArn)'|no endpoint found", re.IGNORECASE
)
"""SNS also reports such devices under codes that stand for a refused message, for example one that is too long; only
the text tells. A device is removed only if the device is the problem."""


SECONDS = 5.0
"""How long further devices are begun. The last one may take its ten seconds after that."""


class SmsSender:
    """`application.ports.MessageSender` by text message."""

    def __init__(self, client: "Callable[[], SNSClient]" = aws.sns_without_retries) -> None:
        self._client = client

    def send(self, account: Account, message: Rendered) -> None:
        if not account.phone:
            raise Refused("no_address")
        with classified_errors(PERMANENT):
            self._client().publish(
                PhoneNumber=account.phone,
                Message=message.text,
                MessageAttributes={"AWS.SNS.SMS.SMSType": {"DataType": "String", "StringValue": "Transactional"}},
            )


class PushSender:
    """`application.ports.MessageSender` to the member's devices. It is sent when one of them has it.

    A device that SNS reports as gone is removed, here and there. If the process dies in between, its endpoint stays
    there, and nothing is sent to it.

    The caller has limited time. After a time-out of SNS, or after `SECONDS`, the other devices are not tried, so that
    the outcome can still be written.
    """

    def __init__(
        self,
        devices: DeviceStore,
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
        for endpoint in [device.endpoint for device in self._devices.devices(account.id)]:
            if self._monotonic() >= until:
                trouble = trouble or NotSent("out_of_time")
                break
            try:
                self._publish(endpoint, payload)
            except _Gone:
                self._forget(account.id, endpoint)
            except Refused as failure:
                # Because of its content or form; another platform may take it.
                refused = failure
            except NotSent as failure:
                trouble = failure
            except Unknown as failure:
                # This outweighs NotSent: it may have been sent and must not be repeated endlessly.
                trouble = failure
                break
            else:
                reached = True
        if reached:
            return
        raise trouble or refused or Refused("no_address")

    def _publish(self, endpoint: str, payload: str) -> None:
        """Raises _Gone, Refused, NotSent, Unknown."""
        with classified_errors(PERMANENT):
            try:
                self._client().publish(TargetArn=endpoint, Message=payload, MessageStructure="json")
            except ClientError as error:
                if _is_gone(error):
                    # `from None`: causes are logged, and the text may repeat the token.
                    raise _Gone from None
                raise

    def _forget(self, user_id: str, endpoint: str) -> None:
        # Here first: a member who registers the device meanwhile gets the same endpoint, and keeps it.
        if not self._devices.forget(user_id, endpoint):
            return
        try:
            self._push.forget(endpoint)
        except (BotoCoreError, ClientError) as failure:
            # No message depends on it.
            logger().warning("endpoint left at the push service", extra={"failure": type(failure).__name__})


class _Gone(Exception):
    """The endpoint does not work any more."""


def _is_gone(error: ClientError) -> bool:
    about = error.response.get("Error", {})
    code = about.get("Code", "")
    return code in _GONE_CODES or (code in PERMANENT and _NAMES_THE_DEVICE.search(about.get("Message", "")) is not None)
