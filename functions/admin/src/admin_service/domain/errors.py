"""The refusals of admin."""


class DeadLetterQueueNotFound(Exception):
    """There is no dead-letter queue with this name."""

    code = "dead_letter_queue_not_found"

    def __init__(self) -> None:
        super().__init__("There is no dead-letter queue with this name. GET /api/admin/dead-letters lists them.")
