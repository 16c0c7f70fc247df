"""Sample invocations of notifications: `make events` writes them to events/invoke."""

from tools.sample_events import (
    ANNOUNCEMENT,
    AS_ADMIN,
    AS_LIBRARIAN,
    AS_MEMBER,
    AS_USERS,
    LIBRARIAN,
    MEMBER,
    NO_AUTHORIZER,
    NO_FAILURES,
    Samples,
    on_the_bus,
    queue,
    request,
    scheduled,
)


def notifications() -> Samples:
    """Preferences, devices and templates; the rest is refused before it is looked up."""
    of_member = {"user_id": MEMBER}
    preferences = "/api/notifications/preferences/{user_id}"
    template = "/api/notifications/templates/{name}"
    issued = {"name": "loan_issued"}
    yield "read_preferences", 200, request("GET", preferences, AS_MEMBER, path=of_member)
    yield (
        "replace_preferences",
        200,
        request(
            "PUT",
            preferences,
            AS_MEMBER,
            path=of_member,
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
    yield "cannot_be_turned_off", 422, request("PUT", preferences, AS_MEMBER, path=of_member, body=off)
    # Refused where no push application is set up.
    yield (
        "register_device",
        409,
        request(
            "PUT",
            "/api/notifications/devices/{user_id}/{device_id}",
            AS_MEMBER,
            path={**of_member, "device_id": "phone-1"},
            body={"platform": "android", "token": "sample-device-token"},
        ),
    )
    yield "export", 200, request("GET", "/api/notifications/export/{user_id}", AS_USERS, path=of_member)
    yield "export_as_member", 403, request("GET", "/api/notifications/export/{user_id}", AS_MEMBER, path=of_member)
    yield "list_templates", 200, request("GET", "/api/notifications/templates", AS_LIBRARIAN)
    yield "read_template", 200, request("GET", template, AS_LIBRARIAN, path=issued)
    heading = {"heading": "{{ title }} is yours", "text": "Until {{ due_date | date }}."}
    replacement = {"language": "en", "short": heading}
    yield "replace_template", 200, request("PUT", template, AS_ADMIN, path=issued, body=replacement)
    refused = {"language": "en", "sms": {"text": "{{ title.__class__ }}"}}
    yield "replace_template_refused", 422, request("PUT", template, AS_ADMIN, path=issued, body=refused)
    yield "delete_template", 204, request("DELETE", template, AS_ADMIN, path=issued, query={"language": "en"})
    preview = {"language": "fr", "data": {"title": "Kindred", "due_date": "2026-12-05T20:59:59Z"}}
    yield "preview", 200, request("POST", f"{template}/preview", AS_LIBRARIAN, path=issued, body=preview)
    own = {"template": "announcement", "user_ids": [MEMBER], "data": {"subject": "Hello", "message": "Hello."}}
    yield "send_as_member", 403, request("POST", "/api/notifications/send", AS_MEMBER, body=own)
    announced = {"announcement_id": ANNOUNCEMENT}
    announcement = "/api/notifications/send/{announcement_id}"
    yield "read_announcement", 200, request("GET", announcement, AS_LIBRARIAN, path=announced)
    yield "cancel_announcement", 204, request("DELETE", announcement, AS_LIBRARIAN, path=announced)
    throttled = {"error_code": "Throttling", "channel": "email", "since": "2026-11-21T10:00:00Z"}
    yield "retry_failed", 202, request("POST", "/api/notifications/failed/retry", AS_ADMIN, body=throttled)
    listed = "/api/notifications/user/{user_id}"
    yield "list_of_another", 404, request("GET", listed, AS_MEMBER, path={"user_id": LIBRARIAN})
    yield "openapi", 200, request("GET", "/api/notifications/openapi.json", NO_AUTHORIZER)


def notices() -> Samples:
    """What members are told of."""
    event = on_the_bus("loans", "LoanCreated")
    yield "loan_created", NO_FAILURES, queue("NotificationsQueue", event, event)
    yield "member_erased", NO_FAILURES, queue("NotificationsQueue", on_the_bus("users", "MemberErased"))
    # The first message moves to the dead-letter queue, the second is handled.
    yield (
        "one_misunderstood",
        NO_FAILURES,
        queue("NotificationsQueue", {**event, "detail": {"type": "LoanCreated"}}, event),
    )


def sender() -> Samples:
    """Tasks of the sender: messages that are due, a reminder, an announcement, and something else."""
    told = {"correlation_id": "sample-1"}
    # Sends what is due for a member by e-mail.
    yield (
        "deliver",
        NO_FAILURES,
        queue("OutgoingQueue", {"task": "deliver", "user_id": MEMBER, "channel": "email", **told}),
    )
    # A reminder and an announcement that no longer apply.
    yield (
        "remind_and_announce",
        NO_FAILURES,
        queue(
            "OutgoingQueue",
            {"task": "remind", "user_id": MEMBER, "reminder_id": "01JD8Z5Q7R8S9T0V1W2X3Y4Z5A", **told},
            {"task": "announce", "broadcast_id": "01JD8Z5Q7R8S9T0V1W2X3Y4Z5B", **told},
        ),
    )
    # Moves to the dead-letter queue.
    yield "one_unreadable", NO_FAILURES, queue("OutgoingQueue", "not JSON")


def sweep() -> Samples:
    """The schedule."""
    # The schedule.
    yield "every_minute", None, scheduled("EveryMinute")


FUNCTIONS = {
    "NotificationsFunction": notifications,
    "NotificationsConsumer": notices,
    "SenderFunction": sender,
    "SweepFunction": sweep,
}
