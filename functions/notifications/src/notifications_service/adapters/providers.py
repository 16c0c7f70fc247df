"""What a failed call to SES or SNS says about the message: refused for good, not sent, or nobody knows.

An answer with an error is certain: nothing was sent. So is a connection that never came about. A connection that broke
or fell silent after the request may hide a message that went out, and so may an answer that is not the provider's, such
as the page of a proxy in between.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from re import Pattern

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    ProxyConnectionError,
    SSLError,
)
from botocore.parsers import ResponseParserError

from notifications_service.application.ports import NotSent, Refused, Unknown


@contextmanager
def told_apart(permanent: frozenset[str], ours: Pattern[str] | None = None) -> Iterator[None]:
    """Turns botocore's errors into Refused (for the `permanent` codes), NotSent and Unknown.

    ours: what a message under one of these codes contains when the sender is what is wrong, not what was sent or to
    whom. The message itself goes no further: it may name the recipient.
    """
    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", "")) or "no_code"
        said = str(error.response.get("Error", {}).get("Message", ""))
        if code in permanent and not (ours is not None and ours.search(said)):
            raise Refused(code) from error
        raise NotSent(code) from error
    except (ConnectTimeoutError, EndpointConnectionError, ProxyConnectionError, SSLError) as error:
        raise NotSent(type(error).__name__) from error
    except (HTTPClientError, ResponseParserError) as error:
        raise Unknown(type(error).__name__) from error
    except BotoCoreError as error:
        # Before anything was sent: no credentials, a parameter that the client itself does not accept.
        raise NotSent(type(error).__name__) from error
