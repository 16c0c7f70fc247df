"""The delayed queue of loans to look at again."""

import json

from library_common import aws


class QueuedRecoveries:
    """Implements `application.ports.Recoveries`."""

    def __init__(self, queue_url: str) -> None:
        self._queue_url = queue_url

    def look_again(self, loan_id: str, *, in_seconds: int, attempt: int) -> None:
        aws.sqs().send_message(
            QueueUrl=self._queue_url,
            DelaySeconds=in_seconds,
            MessageBody=json.dumps({"loan_id": loan_id, "attempt": attempt}),
        )
