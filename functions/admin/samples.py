"""Sample invocations of admin: `make events` writes them to events/invoke."""

from tools.sample_events import AS_ADMIN, AS_LIBRARIAN, Samples, request, scheduled


def admin() -> Samples:
    """Messages that were given up."""
    one = "/api/admin/dead-letters/{queue}"
    queue_name = {"queue": "RevocationDeadLetters"}
    yield "list_queues", 200, request("GET", "/api/admin/dead-letters", AS_ADMIN)
    yield "look", 200, request("GET", one, AS_ADMIN, path=queue_name, query={"limit": "5"})
    yield "look_as_librarian", 403, request("GET", one, AS_LIBRARIAN, path=queue_name)
    yield "redrive", 200, request("POST", f"{one}/redrive", AS_ADMIN, path=queue_name, body={"limit": 10})
    yield (
        "redrive_unknown",
        404,
        request("POST", f"{one}/redrive", AS_ADMIN, path={"queue": "Nowhere"}, body={"limit": 10}),
    )


def dead_letters_watch() -> Samples:
    """The schedule."""
    # The schedule.
    yield "every_five_minutes", {}, scheduled("EveryFiveMinutes")


FUNCTIONS = {
    "AdminFunction": admin,
    "DeadLettersWatch": dead_letters_watch,
}
