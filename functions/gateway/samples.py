"""Sample invocations of the gateway: `make events` writes them to events/invoke."""

from tools.sample_events import NO_FAILURES, OWN_TEST, Samples, authorization, deployment, on_the_bus, queue, scheduled


def authorizer() -> Samples:
    """Who is calling."""
    # Admitted as an anonymous caller.
    yield "without_token", OWN_TEST, authorization("GET", "/api/books", None, {"search": "darkness"})
    # Refused until a token is pasted in.
    yield "with_token", OWN_TEST, authorization("GET", "/api/users/me", "PASTE-A-TOKEN-HERE")


def rotation() -> Samples:
    """Keys: the daily run, and commands."""
    # Creates and repairs keys, and rotates those that are due.
    yield "daily", OWN_TEST, scheduled("Daily")
    # Refused while the keys are young.
    yield (
        "rotate",
        {
            "outcomes": [
                {"ring": "signing-key", "result": "refused", "code": "too_soon"},
                {"ring": "service:loans", "result": "refused", "code": "too_soon"},
            ]
        },
        {"rotate": ["signing-key", "service:loans"]},
    )
    yield (
        "rotate_compromised",
        {
            "outcomes": [
                {"ring": "service:loans", "result": "rotated"},
                {"ring": "service:nobody", "result": "refused", "code": "no_such_ring"},
            ]
        },
        {"rotate": ["service:loans", "service:nobody"], "force": True},
    )
    # CloudFormation, for the stack of a service that calls others.
    identity = {"ServiceToken": "the function itself", "Service": "loans", "Scopes": "users:read inventory:write"}
    asked = deployment("Custom::ServiceIdentity", "ServiceIdentity", identity)
    yield "service_identity", {"outcomes": []}, {"RequestType": "Create", **asked}
    yield (
        "service_identity_removed",
        {"outcomes": []},
        {"RequestType": "Delete", "PhysicalResourceId": "ServiceIdentity", **asked},
    )


def revocations() -> Samples:
    """Members whose sessions end."""
    event = on_the_bus("users", "SessionsRevoked")
    yield "sessions_revoked", NO_FAILURES, queue("RevocationQueue", event, event)
    # The first message moves to the dead-letter queue, the second is handled.
    yield (
        "one_misunderstood",
        NO_FAILURES,
        queue("RevocationQueue", {**event, "detail": {"type": "SessionsRevoked"}}, event),
    )


FUNCTIONS = {
    "AuthorizerFunction": authorizer,
    "RotationFunction": rotation,
    "RevocationsFunction": revocations,
}
