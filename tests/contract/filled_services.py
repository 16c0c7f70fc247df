"""The services on their real storage adapters in moto, each with something in it to find.

What loans asks of users and books comes from fakes. DynamoDB's own rules that moto does not know are enforced.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, cast

import admin_service.http
import analytics_service.http
import books_service.http
import loans_service.http
import notifications_service.bootstrap
import notifications_service.http
import users_service.http
from admin_service.adapters.publishers import LambdaPublishers
from admin_service.adapters.registry import RegisteredQueues
from admin_service.adapters.sqs import SqsQueues
from admin_service.application.dead_letters import DeadLetters
from analytics_service.adapters.aliases import DynamoAliases
from analytics_service.adapters.counter_reader import DynamoCounterReader
from analytics_service.adapters.dynamodb import DynamoLedger
from analytics_service.application.apply_events import ApplyEvents
from analytics_service.application.reports import Reports
from books_service.adapters.dynamodb import DynamoCatalogue
from books_service.bootstrap import compose
from books_service.domain.title import Metadata
from library_common import aws
from library_common.clock import SystemClock
from library_common.configuration import parameters_under
from library_common.dynamodb import Table
from library_common.http import ServiceApi
from library_common.ids import new_id
from library_common.limits import Unlimited
from loans_service.adapters.dynamodb import DynamoLoans
from notifications_service.application.announcements import AnnouncementRequest
from notifications_service.domain.kinds import Kind
from notifications_service.domain.templates import samples_of
from tests.contract import strict_dynamodb
from tests.contract.in_process import SYSTEM, InProcess
from tests.fakes.analytics import Counting, created, title_names
from tests.fakes.lending import Library
from tests.fakes.notifications import FakeNotices, FakePush
from tests.fakes.users import ADMIN, LIBRARIAN, a_member, use_cases_on
from tests.support.clock import FixedClock
from tests.support.lambda_events import person, service
from users_service.adapters.code_queue import QueuedCodeRequests
from users_service.adapters.codes import DynamoCodes
from users_service.adapters.dynamodb import DynamoMembers
from users_service.adapters.passwords import is_common
from users_service.adapters.sessions import DynamoSessions
from users_service.application.password_policy import PasswordPolicy
from users_service.application.registration import Registration
from users_service.bootstrap import UseCases
from users_service.domain.roles import Role


@dataclass(frozen=True)
class Running:
    """One service, and what exists in it by the name of the field that names it.

    either: pairs of fields of which a body takes one.
    """

    api: ServiceApi
    known: dict[str, str]
    either: tuple[tuple[str, str], ...] = ()

    def caller_for(self, access: Mapping[str, Any]) -> dict[str, str]:
        """A librarian wherever librarians may; else who may."""
        if access.get("librarian") or access.get("public"):
            return person(LIBRARIAN.id, "librarian")
        if access.get("admin"):
            return person(ADMIN.id, "admin")
        if "scope" in access:
            return service("loans", access["scope"])
        return person(self.known.get("user_id", LIBRARIAN.id), "patron")


@contextmanager
def running(stack: InProcess, name: str) -> Iterator[Running]:
    """A service as its handler would run it, with a client of its own."""
    aws._client.cache_clear()
    strict_dynamodb.enforce(stack.indexes())
    try:
        yield SERVICES[name](stack)
    finally:
        aws._client.cache_clear()


def users_cases(stack: InProcess) -> UseCases:
    """The use cases of users on their table."""
    table = Table(stack.refs["UsersTable"], aws.dynamodb)
    return use_cases_on(
        DynamoMembers(table),
        DynamoSessions(table),
        DynamoCodes(table),
        policy=PasswordPolicy(is_common),
        clock=SystemClock(),
        code_requests=QueuedCodeRequests(stack.refs["CodeRequestQueue"]),
        attempts=Unlimited(),
    )


def users(stack: InProcess) -> Running:
    """The users service with one member."""
    use_cases = users_cases(stack)
    members = DynamoMembers(Table(stack.refs["UsersTable"], aws.dynamodb))
    for staff in (LIBRARIAN, ADMIN):
        # Their tokens are of accounts that exist, as in life: some changes look at the account itself.
        if members.get(staff.id) is None:
            account = a_member(id=staff.id, role=Role(str(staff.role)))
            members.add(account, password_hash=None, happened=[], ticket=None, answer="", now=account.created_at)
    member = use_cases.register(
        Registration(name="Ann Lee", email=f"{new_id()}@example.org", role=Role.PATRON, password="correct horse"),
        caller=LIBRARIAN,
        ticket=None,
    )
    return Running(users_service.http.build(lambda: use_cases), {"user_id": member.user.id})


def books(stack: InProcess) -> Running:
    """The books service with one title, some copies of which are lent."""
    catalogue = DynamoCatalogue(Table(stack.refs["BooksTable"], aws.dynamodb))
    use_cases = compose(catalogue, clock=SystemClock())
    title = use_cases.titles.add(Metadata(title="The Dispossessed", author="Ursula K. Le Guin"), 3)
    loan_id = new_id()
    held = use_cases.reservations.reserve(title.id, loan_id)
    known = {"book_id": title.id, "barcode": held.barcode, "loan_id": loan_id}
    return Running(books_service.http.build(lambda: use_cases), known)


def loans(stack: InProcess) -> Running:
    """The loans service with one member, one title and one open loan."""
    library = Library(
        clock=FixedClock(), loans=cast("Any", DynamoLoans(stack.refs["LoansTable"], aws.dynamodb))
    )  # the fake's place is taken by the real thing, which implements the same port
    member, book = library.member(), library.title(copies=50)
    loan = library.lend(member, book)
    known = {"user_id": member.id, "book_id": book, "loan_id": loan.id, "barcode": loan.barcode or ""}
    return Running(
        loans_service.http.build(lambda: library.lending), known, (("book_id", "barcode"), ("loan_id", "barcode"))
    )


def admin(stack: InProcess) -> Running:
    """The admin service with one dead letter."""
    queue = "RevocationDeadLetters"
    aws.sqs().send_message(QueueUrl=stack.refs[queue], MessageBody="{}")
    dead_letters = DeadLetters(
        declared=RegisteredQueues(lambda: list(parameters_under(f"/{SYSTEM}/dead-letters"))),
        queues=SqsQueues(wait_seconds=0),
        publishers=LambdaPublishers(lambda: list(parameters_under(f"/{SYSTEM}/publishers"))),
    )
    return Running(admin_service.http.build(lambda: dead_letters), {"queue": queue})


def analytics(stack: InProcess) -> Running:
    """The analytics service, which has counted one loan."""
    counting = Counting(clock=FixedClock())
    table = Table(stack.refs["AnalyticsTable"], aws.dynamodb)
    counters, aliases = DynamoCounterReader(table, counting.generations), DynamoAliases(table)
    ledger = DynamoLedger(table, counting.clock)
    apply_events = ApplyEvents(
        ledger, aliases, counting.generations, counting.calendar, counting.clock.sleep, counting.hot
    )
    user_id = new_id()
    apply_events.apply([created(new_id(), "2026-11-20T09:00:00Z", "2026-12-04T20:59:59Z", user=user_id)])
    reports = Reports(counters, title_names(apply_events), aliases, counting.calendar, counting.clock)
    return Running(analytics_service.http.build(lambda: reports), {"user_id": user_id})


def notifications(stack: InProcess) -> Running:
    """The notifications service with a member who was told something, and a message that did not get through."""
    notices, member = FakeNotices(SystemClock()), new_id()
    cases = notifications_service.bootstrap.compose(Table(stack.refs["NotificationsTable"], aws.dynamodb))
    about_notices = notices.use_cases(cases.inbox.templates, cases.inbox.preferences, cases.inbox.languages)
    cases = replace(cases, devices=replace(cases.devices, push=FakePush()), **about_notices)
    told = notices.inbox.add(member, Kind.LOAN_ISSUED, samples_of(Kind.LOAN_ISSUED))
    notices.failed.add(member, delivery_id=told.id)
    closed = {"subject": "Closed on Friday", "message": "We are back on Saturday."}
    request = AnnouncementRequest(Kind.ANNOUNCEMENT, closed, by=f"user:{new_id()}")
    announcement, _ = cases.announcements.send(request, None)
    known = {
        "user_id": member,
        "notification_id": told.id,
        "announcement_id": announcement,
        "device_id": "phone-1",
        "name": Kind.LOAN_ISSUED.value,
    }
    return Running(notifications_service.http.build(lambda: cases), known, (("user_ids", "audience"),))


SERVICES: dict[str, Callable[[InProcess], Running]] = {
    "admin": admin,
    "analytics": analytics,
    "books": books,
    "loans": loans,
    "notifications": notifications,
    "users": users,
}
