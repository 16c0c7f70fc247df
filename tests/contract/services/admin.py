"""Admin for the contract tests: with a dead letter."""

import admin_service.http
from admin_service.adapters.publishers import LambdaPublishers
from admin_service.adapters.sqs import SqsQueues, registered_queues
from admin_service.application.dead_letters import DeadLetters
from library_common import aws
from library_common.configuration import parameters_under
from tests.contract.filled_services import Running
from tests.contract.in_process import SYSTEM, InProcess
from tests.support.shared_api import api_on


def running(stack: InProcess) -> Running:
    """The admin service with one dead letter."""
    queue = "RevocationDeadLetters"
    aws.sqs().send_message(QueueUrl=stack.refs[queue], MessageBody="{}")
    dead_letters = DeadLetters(
        declared=lambda: registered_queues(text for _, text in parameters_under(f"/{SYSTEM}/dead-letters")),
        queues=SqsQueues(wait_seconds=0),
        publishers=LambdaPublishers(lambda: list(parameters_under(f"/{SYSTEM}/publishers"))),
    )
    return Running(api_on(admin_service.http.build, dead_letters), {"queue": queue})
