"""Notifications for the contract tests: with a notice, with the announcement of the samples; how it reads events."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import notifications_service.bootstrap
import notifications_service.http
from library_common import aws
from library_common.clock import SystemClock
from library_common.dynamodb import Table
from library_common.ids import new_id
from notifications_service.adapters.announcements import DynamoAnnouncements
from notifications_service.application.announcements import AnnouncementRequest
from notifications_service.consumer import read_event
from notifications_service.domain.announcements import Announcement, Audience
from notifications_service.domain.kinds import Kind
from notifications_service.domain.notices import DUE_DATE_EVENTS, notice_of
from notifications_service.domain.templates import own_fields, samples_of
from tests.contract.filled_services import NotUsed, Running
from tests.contract.in_process import InProcess
from tests.fakes.notifications import FakeNotices, FakePush
from tests.support.shared_api import api_on
from tools import sample_events as samples


def running(stack: InProcess) -> Running:
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
    return Running(api_on(notifications_service.http.build, cases), known, (("user_ids", "audience"),))


def fill_for_samples(stack: InProcess) -> None:
    """Adds the announcement of the samples."""
    now = datetime.now(UTC).replace(microsecond=0)
    closed = Announcement(
        id=samples.ANNOUNCEMENT,
        kind=Kind.ANNOUNCEMENT,
        to=Audience("patron"),
        channels=None,
        send_at=now + timedelta(days=1),
        created_at=now,
        correlation_id="sample-1",
        data={"subject": "Closed on Friday", "message": "We are back on Saturday."},
        by=f"user:{samples.LIBRARIAN}",
    )
    DynamoAnnouncements(Table(stack.refs["NotificationsTable"], aws.dynamodb)).create(closed, None, now)


def told(body: str) -> object:
    """As notifications understands it. It gets every end of sessions, and sends notices of changed passwords only."""
    event = read_event(body).message
    notice = notice_of(event, (1, 7, 14))
    if notice is None:
        if event.type not in {"MemberErased", "SessionsRevoked"}:
            raise NotUsed(event.type)
        return None
    needed = {field.name for field in own_fields(notice.kind) if not field.optional}
    needed |= {"loan_id", "due_date"} if event.type in DUE_DATE_EVENTS else set()
    if missing := needed - notice.data.keys():
        raise NotUsed(f"{event.type} without {', '.join(sorted(missing))}")
    return notice


UNDERSTANDS = {"NotificationsRule": told}
