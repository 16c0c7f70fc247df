"""Sample invocations of users: `make events` writes them to events/invoke."""

from tools.sample_events import (
    ANONYMOUS,
    AS_ADMIN,
    AS_LIBRARIAN,
    AS_LOANS,
    AS_MEMBER,
    EMAIL,
    LIBRARIAN,
    MEMBER,
    NO_AUTHORIZER,
    NO_FAILURES,
    PASSWORD,
    Samples,
    deployment,
    outbox,
    queue,
    request,
    scheduled,
    stream,
)


def users() -> Samples:
    """Accounts."""
    one = "/api/users/{user_id}"
    user = {"user_id": MEMBER}
    yield (
        "register",
        201,
        request(
            "POST",
            "/api/users",
            ANONYMOUS,
            body={"name": "Grace Gray", "email": "grace@example.org", "password": "correct horse battery staple"},
            headers={"Idempotency-Key": "sample-register-1"},
        ),
    )
    yield "register_refused", 422, request("POST", "/api/users", ANONYMOUS, body={"name": "", "email": "nowhere"})
    yield "list", 200, request("GET", "/api/users", AS_LIBRARIAN, query={"role": "patron", "limit": "10"})
    yield "read_own", 200, request("GET", "/api/users/me", AS_MEMBER)
    yield "read_as_service", 200, request("GET", one, AS_LOANS, path=user)
    yield "read_of_another", 404, request("GET", one, AS_MEMBER, path={"user_id": LIBRARIAN})
    yield "update_own", 200, request("PUT", "/api/users/me", AS_MEMBER, body={"preferences": {"keep_history": True}})
    yield (
        "suspend",
        200,
        request("PUT", f"{one}/status", AS_LIBRARIAN, path=user, body={"status": "suspended", "reason": "Lost card."}),
    )
    # Other services cannot be asked in the test: nothing listens at their address.
    yield "export", 503, request("GET", f"{one}/export", AS_MEMBER, path=user)
    yield "erase", 503, request("DELETE", one, AS_MEMBER, path=user)
    yield "promote", 200, request("POST", f"{one}/promote", AS_ADMIN, path=user, body={"role": "faculty"})
    address = {"email": "grace@example.org"}
    yield "ask_for_password_reset", 202, request("POST", "/api/auth/password-reset", NO_AUTHORIZER, body=address)
    yield (
        "confirm_with_a_wrong_code",
        422,
        request(
            "POST",
            "/api/auth/password-reset/confirm",
            NO_AUTHORIZER,
            body={**address, "code": "000000", "new_password": "another horse battery staple"},
        ),
    )
    yield (
        "verify_with_a_wrong_code",
        422,
        request("POST", "/api/auth/verify-email", NO_AUTHORIZER, body={**address, "code": "000000"}),
    )
    yield "resend_verification", 202, request("POST", "/api/auth/verify-email/resend", NO_AUTHORIZER, body=address)
    yield "openapi", 200, request("GET", "/api/users/openapi.json", NO_AUTHORIZER)
    login = {"email": EMAIL, "password": PASSWORD}
    yield "login", 200, request("POST", "/api/auth/login", NO_AUTHORIZER, body=login)
    yield "login_refused", 401, request("POST", "/api/auth/login", NO_AUTHORIZER, body=login | {"password": "wrong"})
    unknown = {"refresh_token": f"{'a' * 22}.{'b' * 43}"}
    yield "refresh_refused", 401, request("POST", "/api/auth/refresh", NO_AUTHORIZER, body=unknown)
    yield "logout", 204, request("POST", "/api/auth/logout", AS_MEMBER)
    yield "keys", 200, request("GET", "/.well-known/jwks.json", NO_AUTHORIZER)


def users_stream() -> Samples:
    """Images of accounts."""
    account = {"pk": f"USER#{MEMBER}", "sk": "PROFILE", "user_id": MEMBER, "name": "Grace Gray", "version": 1}
    registered = account | {"events": outbox("users", "MemberRegistered")}
    suspended = account | {"version": 2, "events": outbox("users", "MemberStatusChanged")}
    yield (
        "changes",
        {"published": 2, "set_aside": 0},
        stream("UsersTable", registered, suspended, account | {"version": 3}),
    )


def code_sender() -> Samples:
    """Requests for one-time codes of the day before, which are too old for anything to be sent."""
    asked = {
        "id": "01JD8Z5Q7R8S9T0V1W2X3Y4Z5A",
        "purpose": "password_reset",
        "email_key": "grace@example.org",
        "channel": "email",
        "requested_at": "2026-11-20T12:00:00Z",
        "correlation_id": "sample-1",
    }
    # Nothing is sent for a request of the day before.
    yield "too_late", NO_FAILURES, queue("CodeRequestQueue", asked)
    yield "one_unreadable", NO_FAILURES, queue("CodeRequestQueue", "not JSON", asked)


def membership_expiry() -> Samples:
    """The nightly round: begun by the schedule, gone on with by its queue."""
    # The schedule.
    yield "nightly", None, scheduled("nightly", "2026-11-22T00:07:00Z")
    # The rest of a round.
    yield "go_on", None, queue("MembershipRoundQueue", {"name": "grace gray", "user_id": MEMBER, "failed": 0})


def first_administrator() -> Samples:
    """During a deployment with an administrator's address."""
    properties = {"ServiceToken": "the function itself", "Email": "head@example.org"}
    asked = deployment("Custom::FirstAdministrator", "FirstAdministrator", properties)
    # Fails at the end with `sam local invoke`, because nothing listens at `ResponseURL`.
    yield "create", None, {"RequestType": "Create", **asked}
    yield "delete", None, {"RequestType": "Delete", "PhysicalResourceId": "FirstAdministrator", **asked}


FUNCTIONS = {
    "UsersFunction": users,
    "UsersPublisher": users_stream,
    "CodeSender": code_sender,
    "MembershipExpiry": membership_expiry,
    "FirstAdministratorFunction": first_administrator,
}
