"""What AWS passes to functions, for the sample invocations in `functions/<service>/samples.py`.

The ids are those of the sample events, so that all samples tell one story: a member, a title, a copy, a loan.
"""

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from tools.event_schemas import SCHEMAS

SAMPLES = SCHEMAS.parent / "samples"

MEMBER = "01JD8Y3V5QWZ6X7R8T9B0C1D2E"
LIBRARIAN = "01JD8X0000000000000000000A"
ADMIN = "01JD8X0000000000000000000B"
BOOK = "01JD8Y5M2N3P4Q5R6S7T8V9W0X"
LOAN = "01JD8Z1A2B3C4D5E6F7G8H9J0K"
ANNOUNCEMENT = "01JD8Z1A2B3C4D5E6F7G8H9J0Q"
BARCODE = "30001000012347"

EMAIL = "sample@example.org"
PASSWORD = "a sample passphrase"  # noqa: S105 - of a member who does not exist
"""What the samples' member logs in with."""

ACCOUNT = "000000000000"
API_ID = "library000"
HOST = "library.example.org"
MOMENT_MS = 1_795_262_400_000
"""2026-11-21T12:00:00Z, when the story happens. `localstack.embedded.invocations` moves it to the day it is told."""

type Event = dict[str, Any]
type Samples = Iterator[tuple[str, object, Event]]
"""Of one function: the file's name, the answer, and the event.

The answer is the status of a function behind the API, and what any other function returns. A test passes every event to
its function and compares the answer.
"""

OWN_TEST = "a test of its own compares the answer"
"""In the place of an answer that is not always the same."""

NO_FAILURES: dict[str, Any] = {"batchItemFailures": []}
"""Answer of a consumer that handled all messages, or moved them to the dead-letter queue."""


@dataclass(frozen=True)
class Caller:
    """What the authorizer says of a caller. Without `kind` the route has no authorizer."""

    kind: str | None = None
    subject: str = ""
    role: str = ""
    scope: str = ""

    def context(self) -> dict[str, str] | None:
        """For `requestContext.authorizer`."""
        if self.kind is None:
            return None
        claims = {"kind": self.kind, "subject": self.subject, "role": self.role, "scope": self.scope}
        told = {name: value for name, value in claims.items() if value}
        return {"principalId": f"{self.kind}:{self.subject}" if self.subject else self.kind, **told}


NO_AUTHORIZER = Caller()
ANONYMOUS = Caller("anonymous")
AS_MEMBER = Caller("person", MEMBER, role="patron")
AS_LIBRARIAN = Caller("person", LIBRARIAN, role="librarian")
AS_ADMIN = Caller("person", ADMIN, role="admin")
AS_LOANS = Caller("service", "loans", scope="inventory:write users:read")
AS_USERS = Caller("service", "users", scope="loans:read notifications:read analytics:read")


def request(
    method: str,
    resource: str,
    caller: Caller,
    *,
    path: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
    body: object = None,
    headers: Mapping[str, str] | None = None,
) -> Event:
    """A REST API proxy event. `resource` is the path as the template writes it, `path` fills its braces."""
    filled = resource
    for name, value in (path or {}).items():
        filled = filled.replace(f"{{{name}}}", quote(value, safe=""))
    sent = {
        "Accept": "application/json",
        "Host": HOST,
        "X-Correlation-Id": "sample-1",
        "X-Forwarded-For": "203.0.113.7",
        "X-Forwarded-Proto": "https",
        **({"Content-Type": "application/json"} if body is not None else {}),
        **(headers or {}),
    }
    context: Event = {
        "accountId": ACCOUNT,
        "apiId": API_ID,
        "domainName": HOST,
        "httpMethod": method,
        "identity": {"sourceIp": "203.0.113.7", "userAgent": "sample"},
        "path": f"/v1{filled}",
        "protocol": "HTTP/1.1",
        "requestId": "5a1e0c5e-0000-4000-8000-000000000001",
        "requestTime": "21/Nov/2026:12:00:00 +0000",
        "requestTimeEpoch": MOMENT_MS,
        "resourceId": "abc123",
        "resourcePath": resource,
        "stage": "v1",
    }
    if (claims := caller.context()) is not None:
        context["authorizer"] = claims
    return {
        "resource": resource,
        "path": filled,
        "httpMethod": method,
        "headers": sent,
        "multiValueHeaders": {name: [value] for name, value in sent.items()},
        "queryStringParameters": dict(query) if query else None,
        "multiValueQueryStringParameters": {name: [value] for name, value in query.items()} if query else None,
        "pathParameters": dict(path) if path else None,
        "stageVariables": None,
        "requestContext": context,
        "body": json.dumps(body) if body is not None else None,
        "isBase64Encoded": False,
    }


def authorization(method: str, path: str, token: str | None, query: Mapping[str, str] | None = None) -> Event:
    """What API Gateway hands to a REQUEST authorizer."""
    event = request(method, path, NO_AUTHORIZER, query=query)
    if token is not None:
        for headers, value in (("headers", f"Bearer {token}"), ("multiValueHeaders", [f"Bearer {token}"])):
            event[headers]["Authorization"] = value
    arn = f"arn:aws:execute-api:us-east-1:{ACCOUNT}:{API_ID}/v1/{method}{path}"
    kept = {name: value for name, value in event.items() if name not in {"body", "isBase64Encoded"}}
    return {"type": "REQUEST", "methodArn": arn, **kept}


def stream(table: str, *images: Mapping[str, Any]) -> Event:
    """A batch of a table's stream: the items as they are after a write each."""
    return {"Records": [_record(table, number, image) for number, image in enumerate(images, 1)]}


def _record(table: str, number: int, image: Mapping[str, Any]) -> Event:
    from library_common.dynamodb import to_wire  # noqa: PLC0415 - importable only once the path is set

    wire = to_wire(image)
    return {
        "eventID": f"{number:032x}",
        "eventName": "MODIFY",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "us-east-1",
        "dynamodb": {
            "ApproximateCreationDateTime": MOMENT_MS / 1000,
            "Keys": {name: wire[name] for name in ("pk", "sk")},
            "NewImage": wire,
            "SequenceNumber": f"{number:021d}",
            "SizeBytes": len(json.dumps(wire)),
            "StreamViewType": "NEW_IMAGE",
        },
        "eventSourceARN": f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/{table}/stream/2026-11-21T00:00:00.000",
    }


def scheduled(rule: str, time: str = "2026-11-21T12:00:00Z") -> Event:
    """What a schedule hands to its function."""
    return {
        "version": "0",
        "id": "5a1e0c5e-0000-4000-8000-000000000002",
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": ACCOUNT,
        "time": time,
        "region": "us-east-1",
        "resources": [f"arn:aws:events:us-east-1:{ACCOUNT}:rule/{rule}"],
        "detail": {},
    }


def queue(name: str, *bodies: object) -> Event:
    """A batch of queue messages."""
    texts = [body if isinstance(body, str) else json.dumps(body) for body in bodies]
    return {
        "Records": [
            {
                "messageId": f"5a1e0c5e-0000-4000-8000-{number:012d}",
                "receiptHandle": base64.b64encode(f"receipt {number}".encode()).decode(),
                "body": text,
                "attributes": {
                    "ApproximateReceiveCount": "1",
                    "SentTimestamp": str(MOMENT_MS),
                    "SenderId": ACCOUNT,
                    "ApproximateFirstReceiveTimestamp": str(MOMENT_MS),
                },
                "messageAttributes": {},
                "md5OfBody": hashlib.md5(text.encode(), usedforsecurity=False).hexdigest(),
                "eventSource": "aws:sqs",
                "eventSourceARN": f"arn:aws:sqs:us-east-1:{ACCOUNT}:{name}",
                "awsRegion": "us-east-1",
            }
            for number, text in enumerate(texts, 1)
        ]
    }


def newest(source: str, kind: str) -> Event:
    """The sample of the latest version of a type of event."""
    versions = sorted((SAMPLES / source).glob(f"{kind}.v*.json"), key=lambda path: int(path.stem.rpartition(".v")[2]))
    envelope: Event = json.loads(versions[-1].read_text(encoding="utf-8"))
    return envelope


def on_the_bus(source: str, kind: str) -> Event:
    """A sample event as EventBridge delivers it."""
    envelope = newest(source, kind)
    return {
        "version": "0",
        "id": "5a1e0c5e-0000-4000-8000-000000000002",
        "detail-type": kind,
        "source": f"library.{source}",
        "account": ACCOUNT,
        "time": envelope["occurred_at"],
        "region": "us-east-1",
        "resources": [],
        "detail": envelope,
    }


def outbox(source: str, *kinds: str) -> str:
    """The `events` attribute of an item that was just written, with these sample events in it."""
    listed = [newest(source, kind) for kind in kinds]
    return json.dumps(listed, separators=(",", ":"), ensure_ascii=False)


def deployment(resource_type: str, logical_id: str, properties: Mapping[str, Any]) -> Event:
    """What CloudFormation asks of a custom resource's function; the answer goes to `ResponseURL`."""
    return {
        "StackId": f"arn:aws:cloudformation:us-east-1:{ACCOUNT}:stack/library/5a1e0c5e-0000-4000-8000-000000000003",
        "RequestId": "5a1e0c5e-0000-4000-8000-000000000004",
        "ResponseURL": "https://cloudformation.example.org/answer",
        "ResourceType": resource_type,
        "LogicalResourceId": logical_id,
        "ResourceProperties": dict(properties),
    }
