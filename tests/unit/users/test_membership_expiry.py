"""The nightly round: who is written down as what, once, and that nobody stops the others."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from library_common.context import invocation
from library_common.versions import VersionConflict
from tests.depth import at_depth
from tests.fakes.users import Community
from tests.support.clock import NOON
from tests.support.operator_log import OperatorLog
from users_service import expiry
from users_service.adapters.expiry_queue import from_message
from users_service.domain.membership import Status
from users_service.domain.model import Member
from users_service.domain.search import Position

pytestmark = pytest.mark.unit

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
ENDED: dict[str, Any] = {"stored_status": Status.ACTIVE, "expires_at": NOON}
SERVED: dict[str, Any] = {"stored_status": Status.SUSPENDED, "suspended_until": NOON, "status_reason": "noise"}


class FakeQueue:
    """The queue of the rest of a run, as a list of bodies."""

    def __init__(self) -> None:
        self.waiting: list[str] = []

    def go_on(self, after: Position, *, failed: int) -> None:
        self.waiting.append(json.dumps({"name": after.sort_name, "user_id": after.user_id, "failed": failed}))


def whole_round(community: Community, *, seconds: float = 60, event: Mapping[str, Any] | None = None) -> int:
    """A round to its end, however many runs it takes; how many it took. Raises AccountsLeft."""
    queue: Any = FakeQueue()
    expiry.run_expiry(event or {}, community.expire, queue, seconds=seconds)
    runs = 1
    while queue.waiting:
        message = {"Records": [{"body": queue.waiting.pop(0)}]}
        expiry.run_expiry(message, community.expire, queue, seconds=seconds)
        runs += 1
    return runs


@pytest.mark.parametrize(
    ("attributes", "old", "new"),
    [
        (ENDED, "active", "expired"),
        (SERVED, "suspended", "active"),
        ({**SERVED, "expires_at": NOON - DAY}, "suspended", "expired"),
    ],
)
def test_what_time_has_done_is_written_and_told(
    community: Community, attributes: dict[str, Any], old: str, new: str
) -> None:
    member = community.join(**attributes)
    read_before = community.use_cases.read(member.id)

    whole_round(community)

    account = community.members.accounts[member.id]
    assert (account.stored_status, account.suspended_until, account.status_reason) == (new, None, None)
    assert account.version == 2
    assert community.told == [("MemberStatusChanged", {"user_id": member.id, "old": old, "new": new})]
    assert community.members.published[0].actor == "system"
    read_now = community.use_cases.read(member.id)
    assert read_now.model_copy(update={"version": 1}) == read_before, "readers knew"


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {**ENDED, "expires_at": NOON + SECOND},
        {**SERVED, "suspended_until": NOON + SECOND},
        {**SERVED, "suspended_until": None},
        {**SERVED, "suspended_until": None, "expires_at": NOON},
        {"stored_status": Status.EXPIRED, "expires_at": NOON},
        {"stored_status": Status.PENDING, "expires_at": NOON},
    ],
)
def test_who_is_what_they_are_is_left_alone(community: Community, attributes: dict[str, Any]) -> None:
    member = community.join(**attributes)

    whole_round(community)

    assert (community.members.accounts[member.id], community.told) == (member, [])


def test_the_round_again_changes_nothing(community: Community) -> None:
    for number in range(5):
        community.join(name=f"Member {number}", **(ENDED if number % 2 else SERVED))
    whole_round(community)
    accounts, told = dict(community.members.accounts), list(community.told)

    whole_round(community)

    assert (community.members.accounts, community.told) == (accounts, told)
    assert len(told) == 5


def test_a_change_by_somebody_else_meanwhile_is_kept(community: Community) -> None:
    member = community.join(**ENDED)
    renewed = replace(member, expires_at=NOON + DAY, version=2)
    community.members.meanwhile.append(lambda: community.members.accounts.update({member.id: renewed}))

    whole_round(community)

    assert (community.members.accounts[member.id], community.told) == (renewed, [])


def test_one_bad_account_does_not_stop_the_others(community: Community, log: OperatorLog) -> None:
    members = [community.join(name=f"Member {number}", **ENDED) for number in range(7)]
    bad = members[3]
    save = community.members.save

    def failing(member: Member, **rest: Any) -> None:
        if member.id == bad.id:
            raise RuntimeError("the address ann@example.org is broken")
        save(member, **rest)

    community.members.save = failing  # type: ignore[method-assign]
    with pytest.raises(expiry.AccountsLeft, match="1 accounts"):
        whole_round(community)

    statuses = [community.members.accounts[member.id].stored_status for member in members]
    assert statuses.count(Status.EXPIRED) == 6
    assert bad.id in log.text
    assert "ann@example.org" not in log.text
    community.members.save = save  # type: ignore[method-assign]
    whole_round(community)
    assert community.members.accounts[bad.id].stored_status is Status.EXPIRED


def test_an_account_that_is_always_being_changed_is_for_the_next_round(community: Community) -> None:
    community.join(**ENDED)

    def busy(*_: Any, **__: Any) -> None:
        raise VersionConflict

    community.members.save = busy  # type: ignore[method-assign]
    with pytest.raises(expiry.AccountsLeft):
        whole_round(community)


def test_a_round_that_takes_too_long_goes_on_where_it_was(community: Community, log: OperatorLog) -> None:
    members = [community.join(name=f"Member {number:03}", **ENDED) for number in range(9)]
    save = community.members.save

    def slow(member: Member, **rest: Any) -> None:
        community.clock.advance(SECOND)
        save(member, **rest)

    community.members.save = slow  # type: ignore[method-assign]

    assert whole_round(community, seconds=2) == 5
    assert all(community.members.accounts[member.id].version == 2 for member in members)
    assert [line["status"] for line in log.invocations] == ["continued"] * 4 + ["finished"]
    assert "Member 0" not in log.text


def test_what_failed_in_an_earlier_run_is_raised_at_the_end(community: Community) -> None:
    community.join(name="Zoe", **ENDED)
    body = json.dumps({"name": "ann", "user_id": "0" * 26, "failed": 2})
    assert from_message(body) == (Position("ann", "0" * 26), 2)

    with pytest.raises(expiry.AccountsLeft, match="2 accounts"):
        whole_round(community, event={"Records": [{"body": body}]})
    assert community.told, "and yet the rest was done"


def test_the_round_acts_as_the_system_whoever_ran_before(community: Community) -> None:
    community.join(**ENDED)
    with invocation(actor="user:somebody"):
        whole_round(community)
    assert community.members.published[0].actor == "system"


moments = st.one_of(st.none(), st.integers(-3, 3).map(lambda days: NOON + days * DAY))


@settings(max_examples=at_depth(quick=15, full=200))
@given(st.lists(st.tuples(st.sampled_from(list(Status)), moments, moments), max_size=12))
def test_afterwards_everybody_is_stored_as_they_read_and_nobody_reads_differently(
    who: list[tuple[Status, Any, Any]],
) -> None:
    community = Community()
    for status, until, end in who:
        community.join(stored_status=status, suspended_until=until, expires_at=end)
    before = {m.id: m.status(NOON) for m in community.members.accounts.values()}
    differing = sum(m.status(NOON) is not m.stored_status for m in community.members.accounts.values())

    whole_round(community)

    after = {m.id: m.stored_status for m in community.members.accounts.values()}
    assert after == before
    assert len(community.told) == differing
