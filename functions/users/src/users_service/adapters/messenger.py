"""E-mail through SES and text messages through SNS."""

from email.utils import formataddr

from library_common import aws
from users_service.adapters.contacts import deliverable
from users_service.application.ports import Undeliverable


class AwsMessenger:
    """`Messenger` on SES and SNS.

    mail_from: an address that SES has verified. library: the sender's name. Everything goes as a parameter of its
    own, never as a header put together here, and an address with a line break in it is none.
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
        # Transactional: delivered first, and with a price that is worth it for a code.
        aws.sns().publish(
            PhoneNumber=phone,
            Message=body,
            MessageAttributes={"AWS.SNS.SMS.SMSType": {"DataType": "String", "StringValue": "Transactional"}},
        )
