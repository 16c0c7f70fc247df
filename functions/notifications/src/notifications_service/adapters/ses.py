"""E-mail through SES."""

import re
from collections.abc import Callable
from email.utils import formataddr
from typing import TYPE_CHECKING

from library_common import aws
from notifications_service.adapters.providers import classified_errors
from notifications_service.application.ports import Account, Refused, Rendered

if TYPE_CHECKING:
    from mypy_boto3_ses import SESClient
    from mypy_boto3_ses.type_defs import BodyTypeDef

PERMANENT = frozenset({"MessageRejected", "InvalidParameterValue", "InvalidParameter"})
"""Codes of errors that no retry helps. Throttling, exhausted quotas, a paused account and an unverified sender's domain
are not among them: they pass, or an operator corrects them."""

_OURS = re.compile(r"not verified|paused|suspended|configuration set|in the sandbox", re.IGNORECASE)
"""Some of those have the code MessageRejected, too, and differ only in the text: an identity that is not verified (in
the sandbox also the recipient's), an account that may not send. None of them is about the member's address."""

_CHARSET = "UTF-8"


class SesSender:
    """`application.ports.MessageSender` by e-mail, as text and HTML.

    mail_from: an address that SES has verified. library: the sender's name. Everything is a parameter of its own; no
    header is assembled here.
    """

    def __init__(
        self, *, mail_from: str, library: str, client: "Callable[[], SESClient]" = aws.ses_without_retries
    ) -> None:
        self._source = formataddr((library, mail_from))
        self._client = client

    def send(self, account: Account, message: Rendered) -> None:
        body: BodyTypeDef = {"Text": {"Data": message.text, "Charset": _CHARSET}}
        if message.html is not None:
            body["Html"] = {"Data": message.html, "Charset": _CHARSET}
        with classified_errors(PERMANENT, ours=_OURS):
            self._client().send_email(
                Source=self._source,
                Destination={"ToAddresses": [_deliverable(account.email)]},
                Message={"Subject": {"Data": message.subject, "Charset": _CHARSET}, "Body": body},
            )


def _deliverable(address: str) -> str:
    """The domain in ASCII, as SES wants it. Raises Refused unless it is exactly one address."""
    local, at, domain = address.rpartition("@")
    if not (local and at and domain) or any(character in address for character in "\r\n,;<> \t"):
        raise Refused("no_address")
    try:
        return f"{local.encode('ascii').decode()}@{domain.encode('idna').decode()}"
    except UnicodeError as error:
        raise Refused("no_address") from error
