"""The queue of requests for one-time codes and notices.

A message holds an e-mail address, so the queue is encrypted and keeps messages for an hour.
"""

import json
from collections.abc import Mapping
from typing import Any

from library_common import aws
from library_common.clock import from_rfc3339, to_rfc3339
from users_service.domain.codes import AddressNotice, Channel, CodeRequest, Purpose

ADDRESS_CHANGED = "address_changed"


class QueuedCodeRequests:
    """`CodeRequests` on SQS."""

    def __init__(self, queue_url: str) -> None:
        self._queue_url = queue_url

    def put(self, request: CodeRequest) -> None:
        aws.sqs().send_message(QueueUrl=self._queue_url, MessageBody=to_message(request))

    def put_notice(self, notice: AddressNotice) -> None:
        aws.sqs().send_message(QueueUrl=self._queue_url, MessageBody=notice_message(notice))


def to_message(request: CodeRequest) -> str:
    """The body of a message."""
    return json.dumps(
        {
            "id": request.id,
            "purpose": request.purpose.value,
            "email_key": request.email_key,
            "channel": request.channel.value,
            "requested_at": to_rfc3339(request.requested_at),
            "correlation_id": request.correlation_id,
        }
    )


def notice_message(notice: AddressNotice) -> str:
    """The body of a message."""
    return json.dumps(
        {
            "id": notice.id,
            "notice": ADDRESS_CHANGED,
            "email": notice.email,
            "changed_at": to_rfc3339(notice.changed_at),
            "correlation_id": notice.correlation_id,
        }
    )


def from_message(body: str) -> CodeRequest | AddressNotice:
    """The request in a body. Raises ValueError, KeyError, TypeError or AttributeError if there is none."""
    found: Mapping[str, Any] = json.loads(body)
    if found.get("notice") == ADDRESS_CHANGED:
        return AddressNotice(
            id=str(found["id"]),
            email=str(found["email"]),
            changed_at=from_rfc3339(found["changed_at"]),
            correlation_id=str(found["correlation_id"]),
        )
    return CodeRequest(
        id=str(found["id"]),
        purpose=Purpose(found["purpose"]),
        email_key=str(found["email_key"]),
        channel=Channel(found["channel"]),
        requested_at=from_rfc3339(found["requested_at"]),
        correlation_id=str(found["correlation_id"]),
    )
