"""Reviews for the contract tests: with a review, with a returned title, with all its events; how it reads events."""

import reviews_service.http
from library_common import aws
from library_common.clock import SystemClock
from library_common.consumers import data_of, read_delivery
from library_common.dynamodb import Table
from library_common.ids import new_id
from reviews_service.adapters.dynamodb import DynamoReviews
from reviews_service.application.reviews import Reviews
from reviews_service.loan_returns import LoanReturned
from tests.contract.filled_services import Running
from tests.contract.in_process import InProcess
from tests.support.shared_api import api_on
from tools.sample_events import BOOK, MEMBER


def use_cases(stack: InProcess) -> Reviews:
    """The use cases on their table."""
    return Reviews(DynamoReviews(Table(stack.refs["ReviewsTable"], aws.dynamodb)), SystemClock())


def running(stack: InProcess) -> Running:
    """The service with one review."""
    reviews, known = use_cases(stack), {"user_id": new_id(), "book_id": new_id()}
    reviews.title_returned(**known)
    reviews.write(**known, stars=4)
    return Running(api_on(reviews_service.http.build, reviews), known)


def fill_for_samples(stack: InProcess) -> None:
    """The member of the samples returned the title."""
    use_cases(stack).title_returned(MEMBER, BOOK)


def emit_every_event(stack: InProcess) -> None:
    """Makes the service emit events of every type."""
    running(stack)


UNDERSTANDS = {"ReviewInvitationsRule": lambda body: data_of(read_delivery(body).message, LoanReturned)}
