"""What a failed call to SES or SNS says about the message: refused for good, not sent, or nobody knows.

An answer with an error is certain: nothing was sent. So is a connection that never came about. A connection that broke
or fell silent after the request may hide a message that went out.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    ProxyConnectionError,
    SSLError,
)

from notifications_service.application.ports import NotSent, Refused, Unknown


@contextmanager
def told_apart(permanent: frozenset[str]) -> Iterator[None]:
    """Turns botocore's errors into Refused (for the `permanent` codes), NotSent and Unknown."""
    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", "")) or "no_code"
        if code in permanent:
            raise Refused(code) from error
        raise NotSent(code) from error
    except (ConnectTimeoutError, EndpointConnectionError, ProxyConnectionError, SSLError) as error:
        raise NotSent(type(error).__name__) from error
    except HTTPClientError as error:
        raise Unknown(type(error).__name__) from error
    except BotoCoreError as error:
        # Before anything was sent: no credentials, a parameter that the client itself does not accept.
        raise NotSent(type(error).__name__) from error
