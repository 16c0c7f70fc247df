"""E-mail through SES."""

import re
from collections.abc import Callable
from email.utils import formataddr
from typing import TYPE_CHECKING

from library_common import aws
from notifications_service.adapters.providers import told_apart
from notifications_service.application.ports import Account, Refused, Rendered

if TYPE_CHECKING:
    from mypy_boto3_ses import SESClient
    from mypy_boto3_ses.type_defs import BodyTypeDef

PERMANENT = frozenset({"MessageRejected", "InvalidParameterValue", "InvalidParameter"})
"""What SES does not take whenever it is asked. Throttling, exhausted quotas, a paused account, a sender's domain that
is not verified are not among them: they come right again, or somebody puts them right."""

_OURS = re.compile(r"not verified|paused|suspended|configuration set|in the sandbox", re.IGNORECASE)
"""Some of those come as MessageRejected, too, and only the text tells: an identity that is not verified (in the sandbox
the recipient's counts, too), an account that may not send. A member's address is not to blame for any of them."""

_CHARSET = "UTF-8"


class SesWay:
    """`application.ports.Way` by e-mail, as text and HTML.

    mail_from: an address that SES has verified. library: the sender's name. Everything goes as a parameter of its own,
    never as a header put together here.
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
        with told_apart(PERMANENT, ours=_OURS):
            self._client().send_email(
                Source=self._source,
                Destination={"ToAddresses": [_deliverable(account.email)]},
                Message={"Subject": {"Data": message.subject, "Charset": _CHARSET}, "Body": body},
            )


def _deliverable(address: str) -> str:
    """As SES takes it: the domain in ASCII. Raises Refused for what is no address, or could be several."""
    local, at, domain = address.rpartition("@")
    if not (local and at and domain) or any(character in address for character in "\r\n,;<> \t"):
        raise Refused("no_address")
    try:
        return f"{local.encode('ascii').decode()}@{domain.encode('idna').decode()}"
    except UnicodeError as error:
        raise Refused("no_address") from error
