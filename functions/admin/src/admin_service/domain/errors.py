"""What can be refused."""


class AdminError(Exception):
    """Base of the refusals of this service."""

    code = "admin_error"


class DeadLetterQueueNotFound(AdminError):
    """No queue of dead letters has this name."""

    code = "dead_letter_queue_not_found"

    def __init__(self) -> None:
        super().__init__("There is no dead-letter queue of this name; the list names them all.")
