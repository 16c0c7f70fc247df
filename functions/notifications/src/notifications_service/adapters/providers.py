"""What a failed call to SES or SNS means for the message: refused for good, not sent, or unknown.

An error answer is certain: nothing was sent. So is a connection that was never made. When a connection broke or timed
out after the request, the message may have been sent; so may it when the answer is not the provider's, such as a
proxy's error page.
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
def classified_errors(permanent: frozenset[str], ours: Pattern[str] | None = None) -> Iterator[None]:
    """Turns botocore's errors into Refused (for the `permanent` codes), NotSent and Unknown.

    ours: matches error texts under these codes that mean the library's own set-up, not the message or the recipient.
    The text itself is not passed on: it may name the recipient.
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
