"""Reminders of loans: when they come, and all the ways in which they do not."""

from datetime import UTC, datetime, timedelta

import pytest

from library_common.clock import to_rfc3339
from notifications_service.domain.notices import IncomingEvent
from tests.depth import at_depth
from tests.fakes.post_office import NAIROBI, Post, event, lent, renewed, shuffled
from tests.support.clock import NOON

pytestmark = pytest.mark.adapter


def due(loan: IncomingEvent) -> datetime:
    return datetime.fromisoformat(loan.data["due_date"])


def morning(loan: IncomingEvent, days: int) -> datetime:
    """Nine o'clock in Nairobi, so many days after the due date."""
    date = due(loan).astimezone(NAIROBI).date() + timedelta(days=days)
    return datetime(date.year, date.month, date.day, 9, tzinfo=NAIROBI).astimezone(UTC)


def take_out(post: Post, loan: IncomingEvent) -> None:
    """Loans knows of it, and so does the bus."""
    post.services.due_dates[loan.data["loan_id"]] = loan.data["due_date"]
    post.handle_event(loan, "c-1")
    post.minute(2)


def reminders(post: Post, user_id: str) -> list[str]:
    return [line for line in post.lines(user_id) if not line.startswith(("loan_issued", "loan_renewed"))]


def test_a_member_is_reminded_before_and_after_until_the_book_is_back(post: Post) -> None:
    ann = post.services.join()
    loan = lent(ann.id)
    take_out(post, loan)

    post.until(morning(loan, -2) - timedelta(minutes=10))
    assert (reminders(post, ann.id), post.listed(ann.id)) == ([], ["loan_issued"])
    post.until(morning(loan, -2))
    assert reminders(post, ann.id) == ["loan_due_soon Dune"]
    post.until(morning(loan, 1))
    post.until(morning(loan, 7))
    assert reminders(post, ann.id) == ["loan_due_soon Dune", "loan_overdue Dune", "loan_overdue Dune"]
    del post.services.due_dates["L1"]
    post.until(morning(loan, 14))

    assert len(reminders(post, ann.id)) == 3
    assert post.listed(ann.id) == ["loan_issued", "loan_due_soon", "loan_overdue", "loan_overdue"]


def test_only_the_next_reminder_is_kept(post: Post) -> None:
    ann = post.services.join()
    loan = lent(ann.id)
    take_out(post, loan)

    def waiting() -> list[str]:
        items = [item for item in post.items(ann.id) if item["sk"]["S"].startswith("REMINDER#")]
        return [item["fire_at"]["S"] for item in items if item["state"]["S"] == "waiting"]

    assert waiting() == [to_rfc3339(morning(loan, -2))]
    post.until(morning(loan, -2))
    assert waiting() == [to_rfc3339(morning(loan, 1))]
    del post.services.due_dates["L1"]
    post.until(morning(loan, 1))
    assert waiting() == []


def test_a_short_loan_is_not_announced_to_be_due_soon(post: Post) -> None:
    ann = post.services.join()
    loan = lent(ann.id, days=2)
    take_out(post, loan)

    post.until(due(loan) + timedelta(minutes=1))

    assert reminders(post, ann.id) == []


def test_a_book_returned_a_second_ago_is_not_reminded_of(post: Post) -> None:
    ann = post.services.join()
    loan = lent(ann.id)
    take_out(post, loan)
    post.until(morning(loan, -2) - timedelta(minutes=10))
    del post.services.due_dates["L1"]

    post.until(morning(loan, 20))

    assert (reminders(post, ann.id), post.listed(ann.id)) == ([], ["loan_issued"])


def test_nor_one_returned_while_the_reminder_waited_for_the_morning(post: Post) -> None:
    ann = post.services.join()
    loan = lent(ann.id)
    take_out(post, loan)
    post.hours.quiet_until = morning(loan, -2) + timedelta(hours=2)
    post.until(morning(loan, -2))
    assert post.listed(ann.id) == ["loan_issued", "loan_due_soon"]
    del post.services.due_dates["L1"]

    post.until(post.hours.quiet_until + timedelta(minutes=1))

    assert reminders(post, ann.id) == []


def test_loans_being_down_makes_a_reminder_late_but_not_lost(post: Post) -> None:
    ann = post.services.join()
    loan = lent(ann.id)
    take_out(post, loan)
    post.services.loans_down = True
    post.until(morning(loan, -2))
    assert reminders(post, ann.id) == []

    post.services.loans_down = False
    post.minute(10)

    assert reminders(post, ann.id) == ["loan_due_soon Dune"]


def test_after_a_long_outage_only_the_last_reminder_counts(post: Post) -> None:
    ann = post.services.join()
    loan = lent(ann.id)
    take_out(post, loan)

    post.until(morning(loan, 8))

    assert reminders(post, ann.id) == ["loan_overdue Dune"]


@pytest.mark.parametrize("seed", range(at_depth(quick=2, full=6)))
def test_a_renewal_moves_the_reminders_in_whatever_order_events_come(post: Post, seed: int) -> None:
    ann = post.services.join()
    loan = lent(ann.id)
    later = renewed(ann.id, loan, at=NOON + timedelta(days=3))
    post.services.due_dates["L1"] = later.data["due_date"]
    for incoming in shuffled([loan, later, loan, later], seed):
        post.handle_event(incoming, "c-1")
    post.until(morning(loan, 1))
    assert reminders(post, ann.id) == []

    for days in (-2, 1):
        post.until(morning(later, days))

    assert reminders(post, ann.id) == ["loan_due_soon Dune", "loan_overdue Dune"]


@pytest.mark.parametrize("told_first", ["event", "reminder"])
def test_an_overdue_loan_is_told_once_by_event_and_reminder_together(post: Post, told_first: str) -> None:
    ann = post.services.join()
    loan = lent(ann.id)
    take_out(post, loan)
    said = event("LoanOverdue", ann.id, at=due(loan), title="Dune", loan_id="L1", due_date=loan.data["due_date"])
    post.until(morning(loan, 1) if told_first == "reminder" else due(loan))

    outcome = post.handle_event(said, "c-2")

    post.until(morning(loan, 1) + timedelta(hours=1))
    assert outcome == ("already_planned" if told_first == "reminder" else "planned")
    assert reminders(post, ann.id).count("loan_overdue Dune") == 1


def test_two_processes_fire_a_reminder_once(post: Post) -> None:
    ann = post.services.join()
    loan = lent(ann.id)
    take_out(post, loan)
    post.clock.moment = morning(loan, -2)
    post.sweep()
    post.sweep()

    outcomes = post.work()
    assert outcomes.count("planned") == 1
    post.minute(3)

    assert reminders(post, ann.id) == ["loan_due_soon Dune"]
    assert post.listed(ann.id) == ["loan_issued", "loan_due_soon"]


def test_an_erased_member_is_not_reminded(post: Post) -> None:
    ann = post.services.join()
    loan = lent(ann.id)
    take_out(post, loan)
    post.clock.moment = morning(loan, -2)
    post.sweep()
    post.handle_event(event("MemberErased", ann.id), "c-2")

    post.work()

    assert [item["sk"]["S"] for item in post.items(ann.id)] == ["ERASED"]
