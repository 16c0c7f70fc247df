"""Writes events/invoke: what `sam local invoke` hands to every function, as AWS hands it.

The ids are those of the sample events, so that all samples tell one story: a member, a title, a copy, a loan.
"""

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tools import services
from tools.event_schemas import SCHEMAS
from tools.generated import Files, as_json, command

INVOCATIONS = services.ROOT / "events" / "invoke"
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


# -- the samples ----------------------------------------------------------------------------------


def authorizer() -> Iterator[tuple[str, Event]]:
    """Who is calling."""
    yield "without_token", authorization("GET", "/api/books", None, {"search": "darkness"})
    yield "with_token", authorization("GET", "/api/users/me", "PASTE-A-TOKEN-HERE")


def users() -> Iterator[tuple[str, Event]]:
    """Accounts."""
    one = "/api/users/{user_id}"
    user = {"user_id": MEMBER}
    yield (
        "register",
        request(
            "POST",
            "/api/users",
            ANONYMOUS,
            body={"name": "Grace Gray", "email": "grace@example.org", "password": "correct horse battery staple"},
            headers={"Idempotency-Key": "sample-register-1"},
        ),
    )
    yield "register_refused", request("POST", "/api/users", ANONYMOUS, body={"name": "", "email": "nowhere"})
    yield "list", request("GET", "/api/users", AS_LIBRARIAN, query={"role": "patron", "limit": "10"})
    yield "read_own", request("GET", "/api/users/me", AS_MEMBER)
    yield "read_as_service", request("GET", one, AS_LOANS, path=user)
    yield "read_of_another", request("GET", one, AS_MEMBER, path={"user_id": LIBRARIAN})
    yield "update_own", request("PUT", "/api/users/me", AS_MEMBER, body={"preferences": {"keep_history": True}})
    yield (
        "suspend",
        request("PUT", f"{one}/status", AS_LIBRARIAN, path=user, body={"status": "suspended", "reason": "Lost card."}),
    )
    yield "export", request("GET", f"{one}/export", AS_MEMBER, path=user)
    yield "erase", request("DELETE", one, AS_MEMBER, path=user)
    yield "promote", request("POST", f"{one}/promote", AS_ADMIN, path=user, body={"role": "faculty"})
    address = {"email": "grace@example.org"}
    yield "ask_for_password_reset", request("POST", "/api/auth/password-reset", NO_AUTHORIZER, body=address)
    yield (
        "confirm_with_a_wrong_code",
        request(
            "POST",
            "/api/auth/password-reset/confirm",
            NO_AUTHORIZER,
            body={**address, "code": "000000", "new_password": "another horse battery staple"},
        ),
    )
    yield (
        "verify_with_a_wrong_code",
        request("POST", "/api/auth/verify-email", NO_AUTHORIZER, body={**address, "code": "000000"}),
    )
    yield "resend_verification", request("POST", "/api/auth/verify-email/resend", NO_AUTHORIZER, body=address)
    yield "openapi", request("GET", "/api/users/openapi.json", NO_AUTHORIZER)
    login = {"email": EMAIL, "password": PASSWORD}
    yield "login", request("POST", "/api/auth/login", NO_AUTHORIZER, body=login)
    yield "login_refused", request("POST", "/api/auth/login", NO_AUTHORIZER, body=login | {"password": "wrong"})
    unknown = {"refresh_token": f"{'a' * 22}.{'b' * 43}"}
    yield "refresh_refused", request("POST", "/api/auth/refresh", NO_AUTHORIZER, body=unknown)
    yield "logout", request("POST", "/api/auth/logout", AS_MEMBER)
    yield "keys", request("GET", "/.well-known/jwks.json", NO_AUTHORIZER)


def books() -> Iterator[tuple[str, Event]]:
    """Titles and copies."""
    one = "/api/books/{book_id}"
    book = {"book_id": BOOK}
    yield (
        "add",
        request(
            "POST",
            "/api/books",
            AS_LIBRARIAN,
            body={
                "title": "A Wizard of Earthsea",
                "author": "Ursula K. Le Guin",
                "isbn": "978-0-547-72202-3",
                "published_year": 1968,
                "genre": "fantasy",
                "language": "en",
                "subjects": ["magic", "coming of age"],
                "copies": 2,
            },
            headers={"Idempotency-Key": "sample-add-1"},
        ),
    )
    yield "search", request("GET", "/api/books", ANONYMOUS, query={"search": "darkness", "available": "true"})
    yield "read", request("GET", one, NO_AUTHORIZER, path=book)
    yield "availability", request("GET", f"{one}/availability", NO_AUTHORIZER, path=book)
    yield "change", request("PATCH", one, AS_LIBRARIAN, path=book, body={"genre": "science fiction"})
    yield (
        "change_stale",
        request("PATCH", one, AS_LIBRARIAN, path=book, body={"genre": "novel"}, headers={"If-Match": 'W/"99"'}),
    )
    yield "add_copies", request("POST", f"{one}/copies", AS_LIBRARIAN, path=book, body={"count": 2, "shelf": "SF 3"})
    yield "list_copies", request("GET", f"{one}/copies", AS_LIBRARIAN, path=book)
    yield "find_copy", request("GET", "/api/books/copies/{barcode}", AS_LOANS, path={"barcode": BARCODE})
    yield "reserve", request("POST", f"{one}/reserve", AS_LOANS, path=book, body={"loan_id": LOAN})
    yield "release", request("POST", f"{one}/release", AS_LOANS, path=book, body={"loan_id": LOAN})
    yield "reserve_as_member", request("POST", f"{one}/reserve", AS_MEMBER, path=book, body={"loan_id": LOAN})
    yield "archive", request("DELETE", one, AS_LIBRARIAN, path=book)


def loans() -> Iterator[tuple[str, Event]]:
    """Loans."""
    one = "/api/loans/{loan_id}"
    loan = {"loan_id": LOAN}
    yield (
        "check_out",
        request(
            "POST",
            "/api/loans",
            AS_LIBRARIAN,
            body={"user_id": MEMBER, "book_id": BOOK},
            headers={"Idempotency-Key": "sample-checkout-1"},
        ),
    )
    yield (
        "check_out_for_another",
        request("POST", "/api/loans", AS_MEMBER, body={"user_id": LIBRARIAN, "book_id": BOOK}),
    )
    yield "read", request("GET", one, AS_MEMBER, path=loan)
    yield "history", request("GET", "/api/loans", AS_MEMBER, query={"user_id": MEMBER, "status": "active"})
    yield "history_by_path", request("GET", "/api/loans/user/{user_id}", AS_LIBRARIAN, path={"user_id": MEMBER})
    yield "renew", request("PUT", f"{one}/extend", AS_MEMBER, path=loan)
    yield "return", request("POST", "/api/returns", AS_LIBRARIAN, body={"barcode": BARCODE})
    yield "return_by_path", request("POST", f"{one}/return", AS_LIBRARIAN, path=loan, body={"condition": "damaged"})


def admin() -> Iterator[tuple[str, Event]]:
    """Messages that were given up."""
    one = "/api/admin/dead-letters/{queue}"
    queue_name = {"queue": "RevocationDeadLetters"}
    yield "list_queues", request("GET", "/api/admin/dead-letters", AS_ADMIN)
    yield "look", request("GET", one, AS_ADMIN, path=queue_name, query={"limit": "5"})
    yield "look_as_librarian", request("GET", one, AS_LIBRARIAN, path=queue_name)
    yield "redrive", request("POST", f"{one}/redrive", AS_ADMIN, path=queue_name, body={"limit": 10})
    yield "redrive_unknown", request("POST", f"{one}/redrive", AS_ADMIN, path={"queue": "Nowhere"}, body={"limit": 10})


def notifications() -> Iterator[tuple[str, Event]]:
    """Preferences, devices and wording; the rest is refused before it is looked up."""
    wishes = {"user_id": MEMBER}
    preferences = "/api/notifications/preferences/{user_id}"
    template = "/api/notifications/templates/{name}"
    issued = {"name": "loan_issued"}
    yield "read_preferences", request("GET", preferences, AS_MEMBER, path=wishes)
    yield (
        "replace_preferences",
        request(
            "PUT",
            preferences,
            AS_MEMBER,
            path=wishes,
            body={
                "channels": {"loan_issued": ["in_app"], "hold_ready": ["email", "sms"]},
                "quiet_hours": {"start": "22:00", "end": "07:00"},
                "digest": {"rhythm": "weekly", "at": "18:00", "weekday": 4},
                "language": "fr-CA",
                "time_zone": "Africa/Nairobi",
            },
        ),
    )
    off = {"channels": {"password_changed": ["in_app"]}}
    yield "cannot_be_turned_off", request("PUT", preferences, AS_MEMBER, path=wishes, body=off)
    yield (
        "register_device",
        request(
            "PUT",
            "/api/notifications/devices/{user_id}/{device_id}",
            AS_MEMBER,
            path={**wishes, "device_id": "phone-1"},
            body={"platform": "android", "token": "sample-device-token"},
        ),
    )
    yield "export", request("GET", "/api/notifications/export/{user_id}", AS_USERS, path=wishes)
    yield "export_as_member", request("GET", "/api/notifications/export/{user_id}", AS_MEMBER, path=wishes)
    yield "list_templates", request("GET", "/api/notifications/templates", AS_LIBRARIAN)
    yield "read_template", request("GET", template, AS_LIBRARIAN, path=issued)
    heading = {"heading": "{{ title }} is yours", "text": "Until {{ due_date | date }}."}
    wording = {"language": "en", "short": heading}
    yield "replace_wording", request("PUT", template, AS_ADMIN, path=issued, body=wording)
    refused = {"language": "en", "sms": {"text": "{{ title.__class__ }}"}}
    yield "replace_wording_refused", request("PUT", template, AS_ADMIN, path=issued, body=refused)
    yield "withdraw_wording", request("DELETE", template, AS_ADMIN, path=issued, query={"language": "en"})
    preview = {"language": "fr", "data": {"title": "Kindred", "due_date": "2026-12-05T20:59:59Z"}}
    yield "preview", request("POST", f"{template}/preview", AS_LIBRARIAN, path=issued, body=preview)
    own = {"template": "announcement", "user_ids": [MEMBER], "data": {"subject": "Hello", "message": "Hello."}}
    yield "send_as_member", request("POST", "/api/notifications/send", AS_MEMBER, body=own)
    announced = {"announcement_id": ANNOUNCEMENT}
    announcement = "/api/notifications/send/{announcement_id}"
    yield "read_announcement", request("GET", announcement, AS_LIBRARIAN, path=announced)
    yield "cancel_announcement", request("DELETE", announcement, AS_LIBRARIAN, path=announced)
    throttled = {"error_code": "Throttling", "channel": "email", "since": "2026-11-21T10:00:00Z"}
    yield "retry_failed", request("POST", "/api/notifications/failed/retry", AS_ADMIN, body=throttled)
    listed = "/api/notifications/user/{user_id}"
    yield "list_of_another", request("GET", listed, AS_MEMBER, path={"user_id": LIBRARIAN})
    yield "openapi", request("GET", "/api/notifications/openapi.json", NO_AUTHORIZER)


def users_stream() -> Iterator[tuple[str, Event]]:
    """Images of accounts."""
    account = {"pk": f"USER#{MEMBER}", "sk": "PROFILE", "user_id": MEMBER, "name": "Grace Gray", "version": 1}
    registered = account | {"events": outbox("users", "MemberRegistered")}
    suspended = account | {"version": 2, "events": outbox("users", "MemberStatusChanged")}
    yield "changes", stream("UsersTable", registered, suspended, account | {"version": 3})


def books_stream() -> Iterator[tuple[str, Event]]:
    """Images of titles and of their copies."""
    title = {"pk": f"BOOK#{BOOK}", "sk": "META", "title": "The Left Hand of Darkness", "version": 1}
    stock = {"pk": f"BOOK#{BOOK}", "sk": "STOCK", "total": 3, "available": 2, "version": 2}
    yield (
        "changes",
        stream(
            "BooksTable",
            title | {"events": outbox("books", "BookAdded")},
            stock | {"events": outbox("books", "CopyStatusChanged")},
        ),
    )
    yield "not_an_envelope", stream("BooksTable", title | {"events": '[{"type":"BookAdded"}]'})


def loans_stream() -> Iterator[tuple[str, Event]]:
    """Images of loans: an issued one, and one whose checkout is not finished."""
    pending = {
        "pk": f"LOAN#{LOAN}",
        "sk": "LOAN",
        "member": MEMBER,
        "role": "patron",
        "book": BOOK,
        "status": "PENDING",
        "requested": "2026-11-21T12:00:00Z",
        "due": "2026-12-05T23:59:59Z",
        "v": 1,
        "lease": MOMENT_MS // 1000 + 30,
    }
    active = {name: value for name, value in pending.items() if name != "lease"} | {
        "status": "ACTIVE",
        "barcode": BARCODE,
        "title": "The Left Hand of Darkness",
        "issued": "2026-11-21T12:00:00Z",
        "open_copy": BARCODE,
        "v": 2,
        "events": outbox("loans", "LoanCreated"),
    }
    yield "issued", stream("LoansTable", pending, active)
    yield "unfinished", stream("LoansTable", pending)


def recovery() -> Iterator[tuple[str, Event]]:
    """Loans to look at again."""
    yield "look_again", queue("LoanRecoveryQueue", {"loan_id": LOAN, "attempt": 0})
    yield "one_unreadable", queue("LoanRecoveryQueue", "not JSON", {"loan_id": LOAN, "attempt": 3})


def erasures() -> Iterator[tuple[str, Event]]:
    """Members who were erased."""
    event = on_the_bus("users", "MemberErased")
    yield "member_erased_twice", queue("LoanErasureQueue", event, event)
    yield "not_from_users", queue("LoanErasureQueue", {**event, "source": "library.loans"}, event)


def retention() -> Iterator[tuple[str, Event]]:
    """The round over closed loans: the schedule, and an operator's commands."""
    yield "hourly", scheduled("Hourly")
    yield "round_anew", {"anew": True}
    yield "round_with_walk", {"walk": True}


def rotation() -> Iterator[tuple[str, Event]]:
    """Keys: the daily run, and commands."""
    yield "daily", scheduled("Daily")
    yield "rotate", {"rotate": ["signing-key", "service:loans"]}
    yield "rotate_compromised", {"rotate": ["service:loans", "service:nobody"], "force": True}
    yield from rotation_for_stacks().items()


def revocations() -> Iterator[tuple[str, Event]]:
    """Members whose sessions end."""
    event = on_the_bus("users", "SessionsRevoked")
    yield "sessions_revoked", queue("RevocationQueue", event, event)
    yield "one_misunderstood", queue("RevocationQueue", {**event, "detail": {"type": "SessionsRevoked"}}, event)


def code_sender() -> Iterator[tuple[str, Event]]:
    """Requests for one-time codes of the day before, which are too old for anything to be sent."""
    asked = {
        "id": "01JD8Z5Q7R8S9T0V1W2X3Y4Z5A",
        "purpose": "password_reset",
        "email_key": "grace@example.org",
        "channel": "email",
        "requested_at": "2026-11-20T12:00:00Z",
        "correlation_id": "sample-1",
    }
    yield "too_late", queue("CodeRequestQueue", asked)
    yield "one_unreadable", queue("CodeRequestQueue", "not JSON", asked)


def membership_expiry() -> Iterator[tuple[str, Event]]:
    """The nightly round: begun by the schedule, gone on with by its queue."""
    yield "nightly", scheduled("nightly", "2026-11-22T00:07:00Z")
    yield "go_on", queue("MembershipRoundQueue", {"name": "grace gray", "user_id": MEMBER, "failed": 0})


def notices() -> Iterator[tuple[str, Event]]:
    """What members are told of."""
    event = on_the_bus("loans", "LoanCreated")
    yield "loan_created", queue("NotificationsQueue", event, event)
    yield "member_erased", queue("NotificationsQueue", on_the_bus("users", "MemberErased"))
    yield "one_misunderstood", queue("NotificationsQueue", {**event, "detail": {"type": "LoanCreated"}}, event)


def sender() -> Iterator[tuple[str, Event]]:
    """Tasks of the sender: messages that are due, a reminder, an announcement, and something else."""
    told = {"correlation_id": "sample-1"}
    yield "deliver", queue("OutgoingQueue", {"task": "deliver", "user_id": MEMBER, "channel": "email", **told})
    yield (
        "remind_and_announce",
        queue(
            "OutgoingQueue",
            {"task": "remind", "user_id": MEMBER, "reminder_id": "01JD8Z5Q7R8S9T0V1W2X3Y4Z5A", **told},
            {"task": "announce", "broadcast_id": "01JD8Z5Q7R8S9T0V1W2X3Y4Z5B", **told},
        ),
    )
    yield "one_unreadable", queue("OutgoingQueue", "not JSON")


def sweep() -> Iterator[tuple[str, Event]]:
    """The schedule."""
    yield "every_minute", scheduled("EveryMinute")


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


def first_administrator() -> Iterator[tuple[str, Event]]:
    """During a deployment with an administrator's address."""
    properties = {"ServiceToken": "the function itself", "Email": "head@example.org"}
    asked = deployment("Custom::FirstAdministrator", "FirstAdministrator", properties)
    yield "create", {"RequestType": "Create", **asked}
    yield "delete", {"RequestType": "Delete", "PhysicalResourceId": "FirstAdministrator", **asked}


def dead_letters_watch() -> Iterator[tuple[str, Event]]:
    """The schedule."""
    yield "every_five_minutes", scheduled("EveryFiveMinutes")


def rotation_for_stacks() -> dict[str, Event]:
    """What CloudFormation asks of the rotation for a stack whose service calls others."""
    identity = {"ServiceToken": "the function itself", "Service": "loans", "Scopes": "users:read inventory:write"}
    asked = deployment("Custom::ServiceIdentity", "ServiceIdentity", identity)
    return {
        "service_identity": {"RequestType": "Create", **asked},
        "service_identity_removed": {"RequestType": "Delete", "PhysicalResourceId": "ServiceIdentity", **asked},
    }


def analytics() -> Iterator[tuple[str, Event]]:
    """Reports."""
    base = "/api/analytics"
    november = {"from": "2026-11-01", "to": "2026-11-30"}
    yield "dashboard", request("GET", f"{base}/dashboard", AS_LIBRARIAN)
    yield "dashboard_as_member", request("GET", f"{base}/dashboard", AS_MEMBER)
    yield "trends", request("GET", f"{base}/borrowing-trends", AS_LIBRARIAN, query={**november, "granularity": "week"})
    yield "popular", request("GET", f"{base}/popular-books", AS_LIBRARIAN, query={**november, "limit": "5"})
    yield "genres_as_csv", request("GET", f"{base}/genres", AS_LIBRARIAN, query={**november, "format": "csv"})
    yield (
        "activity",
        request("GET", f"{base}/member-activity/{{user_id}}", AS_MEMBER, path={"user_id": MEMBER}, query=november),
    )
    yield "export", request("GET", f"{base}/export/{{user_id}}", AS_USERS, path={"user_id": MEMBER})
    yield "period_refused", request("GET", f"{base}/engagement", AS_LIBRARIAN, query={"from": "2020-01-01"})


def analytics_consumer() -> Iterator[tuple[str, Event]]:
    """Events on their way into the statistics."""
    loan = [on_the_bus("loans", kind) for kind in ("LoanReturned", "LoanCreated", "LoanRenewed", "LoanCreated")]
    yield "a_loan", queue("AnalyticsQueue", *loan, on_the_bus("books", "BookAdded"))
    yield "one_misread", queue("AnalyticsQueue", "not JSON", on_the_bus("loans", "LoanCreated"))


def analytics_rebuild() -> Iterator[tuple[str, Event]]:
    """What an operator asks of the statistics."""
    yield "status_of_rebuild", {"action": "status"}
    yield "begin_rebuild", {"action": "begin"}
    yield "finish_refused", {"action": "finish"}
    yield "nightly_cleaning", scheduled("nightly", "2026-11-22T02:23:00Z")


FUNCTIONS = {
    "AuthorizerFunction": authorizer,
    "RotationFunction": rotation,
    "RevocationsFunction": revocations,
    "UsersFunction": users,
    "UsersPublisher": users_stream,
    "CodeSender": code_sender,
    "MembershipExpiry": membership_expiry,
    "FirstAdministratorFunction": first_administrator,
    "AdminFunction": admin,
    "DeadLettersWatch": dead_letters_watch,
    "NotificationsConsumer": notices,
    "SenderFunction": sender,
    "SweepFunction": sweep,
    "BooksFunction": books,
    "BooksPublisher": books_stream,
    "LoansFunction": loans,
    "LoansPublisher": loans_stream,
    "LoansRecovery": recovery,
    "LoansErasure": erasures,
    "LoansRetention": retention,
    "AnalyticsFunction": analytics,
    "AnalyticsConsumer": analytics_consumer,
    "AnalyticsRebuild": analytics_rebuild,
    "NotificationsFunction": notifications,
}


def generate() -> Files:
    """Every sample of every function."""
    services.make_importable()
    files: dict[Path, str] = {}
    for function, samples in FUNCTIONS.items():
        for name, event in samples():
            files[INVOCATIONS / function / f"{name}.json"] = as_json(event)
    return files


if __name__ == "__main__":
    raise SystemExit(command(__doc__.splitlines()[0], generate, [INVOCATIONS], "make events"))
