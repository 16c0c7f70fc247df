"""E-mail through SES and text messages through SNS."""

from email.utils import formataddr

from library_common import aws
from users_service.adapters.contacts import deliverable
from users_service.application.ports import Undeliverable


class AwsMessageSender:
    """`MessageSender` on SES and SNS.

    mail_from: an address that SES has verified. library: the sender's name. Everything is passed as its own
    parameter, never in a header built here, and an address with a line break is refused.
    """

    def __init__(self, *, mail_from: str, library: str) -> None:
        self._source = formataddr((library, mail_from))

    def email(self, to: str, subject: str, body: str) -> None:
        """Raises Undeliverable, and botocore's errors."""
        try:
            address = deliverable(to)
        except ValueError as exc:
            raise Undeliverable from exc
        aws.ses().send_email(
            Source=self._source,
            Destination={"ToAddresses": [address]},
            Message={
                "Subject": {"Data": subject, "Charset": "UTF-8"},
                "Body": {"Text": {"Data": body, "Charset": "UTF-8"}},
            },
        )

    def text(self, phone: str, body: str) -> None:
        """Raises botocore's errors."""
        # Transactional: delivered first, at a higher price.
        aws.sns().publish(
            PhoneNumber=phone,
            Message=body,
            MessageAttributes={"AWS.SNS.SMS.SMSType": {"DataType": "String", "StringValue": "Transactional"}},
        )
