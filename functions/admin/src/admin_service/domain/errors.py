"""The refusals of admin."""


class AdminError(Exception):
    """Base of the refusals of this service."""

    code = "admin_error"


class DeadLetterQueueNotFound(AdminError):
    """There is no dead-letter queue with this name."""

    code = "dead_letter_queue_not_found"

    def __init__(self) -> None:
        super().__init__("There is no dead-letter queue with this name. GET /api/admin/dead-letters lists them.")
