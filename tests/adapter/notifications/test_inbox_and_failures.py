"""What people look at: members' own lists, and what failed."""

from datetime import timedelta

import pytest

from library_common.ids import is_id
from notifications_service.application.ports import InboxEntry, NoPosition, Position, Refused
from notifications_service.domain.errors import NoticeNotFound
from notifications_service.domain.kinds import Channel
from tests.fakes.post_office import Post, event, lent
from tests.support.clock import NOON

pytestmark = pytest.mark.adapter

ANN = "01JD8Y3V5QWZ6X7R8T9B0C1D2A"
BEN = "01JD8Y3V5QWZ6X7R8T9B0C1D2B"

NOBODY = "01JD8Y3V5QWZ6X7R8T9B0C1D2E"


def told(post: Post, user_id: str, number: int) -> None:
    for count in range(number):
        post.handle_event(lent(user_id, f"T{count}", loan_id=f"L{count}", at=NOON + timedelta(minutes=count)), "c")


def page_of(
    post: Post, user_id: str, limit: int, after: Position | None = None, *, unread_only: bool = False
) -> tuple[list[InboxEntry], Position | None, int]:
    """A page, where to go on, and how many are unread."""
    entries, more = post.inbox_store.page(user_id, limit, after, unread_only=unread_only)
    return entries, more, post.inbox_store.unread(user_id)


@pytest.mark.parametrize("unread_only", [False, True])
def test_a_list_is_newest_first_and_paged_without_gaps(post: Post, unread_only: bool) -> None:
    told(post, ANN, 5)
    told(post, BEN, 1)

    titles, position = [], None
    for _ in range(4):
        page, position, unread = page_of(post, ANN, 2, position, unread_only=unread_only)
        titles += [entry.data["title"] for entry in page]
        assert (len(page) <= 2, unread) == (True, 5)
        if position is None:
            break

    assert titles == ["T4", "T3", "T2", "T1", "T0"]
    assert position is None


def test_what_was_read_counts_no_more_and_stays_read(post: Post) -> None:
    told(post, ANN, 3)
    (newest, *_), _, _ = page_of(post, ANN, 10)
    assert is_id(newest.id)

    for _ in range(2):
        post.inbox.mark_read(ANN, newest.id)
        post.clock.advance(timedelta(minutes=5))

    entries, _, unread = page_of(post, ANN, 10, unread_only=True)
    assert ([entry.data["title"] for entry in entries], unread) == (["T1", "T0"], 2)
    assert [entry.read_at for entry in page_of(post, ANN, 10)[0]] == [NOON, None, None]


def test_another_members_notice_is_none(post: Post) -> None:
    told(post, ANN, 1)
    (entry,), _, _ = page_of(post, ANN, 10)

    for user_id, notice_id in ((BEN, entry.id), (ANN, "01JD8Y3V5QWZ6X7R8T9B0C1D2E")):
        with pytest.raises(NoticeNotFound):
            post.inbox.mark_read(user_id, notice_id)
    assert page_of(post, ANN, 10)[2] == 1
    assert post.items(BEN) == []


def test_failures_are_newest_first_and_paged(post: Post) -> None:
    post.providers[Channel.EMAIL].down = Refused("MessageRejected")
    members = [post.services.join().id for _ in range(5)]
    for user_id in members:
        post.handle_event(event("SessionsRevoked", user_id, reason="password_changed", epoch=1), "c")
        post.work()
        post.clock.advance(timedelta(seconds=5))

    found, position = [], None
    while True:
        page, position = post.failures.list(2, position)
        found += page
        if position is None:
            break

    assert [failed.user_id for failed in found] == members[::-1]
    assert all(failed.failure_id is not None and is_id(failed.failure_id) for failed in found)
    assert {failed.attempts for failed in found} == {1}


def test_no_failure_by_an_id_that_names_none(post: Post) -> None:
    with pytest.raises(NoticeNotFound):
        post.failures.retry(NOBODY)


@pytest.mark.parametrize("made_up", [{}, {"id": "x"}, {"id": 3}, {"id": NOBODY, "channel": "post"}])
def test_a_made_up_position_is_none(post: Post, made_up: dict[str, object]) -> None:
    with pytest.raises(NoPosition):
        post.failures.list(5, made_up)
    if "channel" not in made_up:
        with pytest.raises(NoPosition):
            page_of(post, ANN, 5, made_up)
