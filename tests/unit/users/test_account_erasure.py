"""Export and erasure: the archive of one person's data, and erasing it once nothing binds the person any more."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from library_common.http import ServiceApi
from library_common.versions import VersionConflict
from tests.fakes.users import LIBRARIAN, Community, any_version
from tests.support.lambda_events import Answer, api_event, call, person
from users_service.domain.account_changes import ProfileUpdate, StatusUpdate
from users_service.domain.account_erasure import CLOSING
from users_service.domain.errors import OtherServiceUnavailable, StillChanging, StillObliged, UserNotFound
from users_service.domain.membership import Status
from users_service.domain.model import Member
from users_service.domain.roles import Role

pytestmark = pytest.mark.unit


@pytest.fixture
def ask(api: ServiceApi) -> Callable[..., Answer]:
    return lambda method, url, **request: call(api, api_event(method, url, **request))


def _as(member: Member) -> Mapping[str, str]:
    return person(member.id, member.role)


def test_a_member_without_obligations_is_erased(community: Community, ask: Callable[..., Answer]) -> None:
    member = community.join(email="ann@example.org")

    answer = ask("DELETE", f"/api/users/{member.id}", caller=_as(member))

    assert (answer.status, answer.json) == (204, None)
    assert community.members.accounts == {}
    assert community.members.holders == {}
    assert [kind for kind, _ in community.told] == ["SessionsRevoked", "MemberErased"]
    assert community.told[0][1]["reason"] == "erased"
    assert ask("DELETE", f"/api/users/{member.id}", caller=_as(member)).status == 404


@pytest.mark.parametrize(("held", "are"), [(1, "1 copy is"), (2, "2 copies are")])
def test_who_has_books_stays_and_hears_why(
    community: Community, ask: Callable[..., Answer], held: int, are: str
) -> None:
    member = community.join()
    community.loans.open[member.id] = held

    answer = ask("DELETE", f"/api/users/{member.id}", caller=_as(member))

    assert (answer.status, answer.json["code"]) == (409, "still_obliged")
    assert answer.json["reasons"] == [
        {"code": "open_loans", "detail": f"{are} still on loan or being lent."},
    ]
    assert community.members.accounts[member.id] == member, "nothing was touched"
    assert community.told == []


@pytest.mark.parametrize("role", [Role.LIBRARIAN, Role.ADMIN])
def test_staff_are_not_erased_before_somebody_has_taken_their_role(community: Community, role: Role) -> None:
    member = community.join(role=role)

    with pytest.raises(StillObliged) as refused:
        community.use_cases.erase(member.id)

    assert [code for code, _ in refused.value.reasons] == ["staff_account"]
    assert community.loans.asked == 0


def test_a_loan_made_while_the_account_closes_keeps_it(community: Community) -> None:
    member = community.join()

    def borrowed_in_between() -> None:
        if community.loans.asked == 2:
            assert community.members.accounts[member.id].status(community.clock.now()) is Status.SUSPENDED
            community.loans.open[member.id] = 1

    community.loans.meanwhile = borrowed_in_between

    with pytest.raises(StillObliged):
        community.use_cases.erase(member.id)

    kept = community.members.accounts[member.id]
    assert (kept.stored_status, kept.status_reason) == (member.stored_status, member.status_reason)
    assert kept.session_epoch == 1, "their logins stay ended"


def test_a_suspension_is_what_it_was_when_erasing_is_refused_late(community: Community) -> None:
    until = community.clock.now().replace(year=2027)
    member = community.join(stored_status=Status.SUSPENDED, status_reason="lost card", suspended_until=until)

    def borrowed_in_between() -> None:
        if community.loans.asked == 2:
            community.loans.open[member.id] = 1

    community.loans.meanwhile = borrowed_in_between

    with pytest.raises(StillObliged):
        community.use_cases.erase(member.id)

    kept = community.members.accounts[member.id]
    assert (kept.stored_status, kept.status_reason, kept.suspended_until) == (Status.SUSPENDED, "lost card", until)


@pytest.mark.parametrize("look", [1, 2])
def test_what_staff_decide_meanwhile_stands(community: Community, look: int) -> None:
    """A librarian suspends the member while the erasure is under way, which is then refused."""
    member = community.join()

    def suspended_in_between() -> None:
        if community.loans.asked == look:
            community.use_cases.change_status(
                member.id,
                StatusUpdate(Status.SUSPENDED, reason="Unpaid."),
                caller=LIBRARIAN,
                accept=any_version,
            )
        if community.loans.asked == 2:
            community.loans.open[member.id] = 1

    community.loans.meanwhile = suspended_in_between

    with pytest.raises(StillObliged):
        community.use_cases.erase(member.id)

    kept = community.members.accounts[member.id]
    assert (kept.stored_status, kept.status_reason) == (Status.SUSPENDED, "Unpaid.")


def test_a_code_that_comes_while_the_account_goes_does_not_keep_it(community: Community) -> None:
    member = community.join()
    whole, refusals = community.members.erase, [VersionConflict(), VersionConflict()]

    def first_in_the_way(*given: Any, **more: Any) -> None:
        if refusals:
            raise refusals.pop()
        whole(*given, **more)

    community.members.erase = first_in_the_way  # type: ignore[method-assign]

    community.use_cases.erase(member.id)

    assert community.members.accounts == {}


@pytest.mark.parametrize("look", [1, 2])
def test_when_loans_cannot_be_asked_nothing_is_lost(community: Community, look: int) -> None:
    member = community.join()

    def goes_down() -> None:
        community.loans.down = community.loans.asked == look

    community.loans.meanwhile = goes_down

    with pytest.raises(OtherServiceUnavailable):
        community.use_cases.erase(member.id)

    assert community.members.accounts[member.id].stored_status is Status.ACTIVE
    assert "MemberErased" not in [kind for kind, _ in community.told]


def test_a_process_that_died_half_way_is_finished_by_asking_again(community: Community) -> None:
    member = community.join()

    def dies(*_: Any, **__: Any) -> None:
        raise VersionConflict

    whole, community.members.erase = community.members.erase, dies  # type: ignore[method-assign]
    with pytest.raises(StillChanging):
        community.use_cases.erase(member.id)
    assert community.members.accounts[member.id].status_reason == CLOSING
    community.members.erase = whole  # type: ignore[method-assign]

    community.use_cases.erase(member.id)

    assert community.members.accounts == {}
    assert [kind for kind, _ in community.told] == ["SessionsRevoked", "MemberErased"], "logins are ended once"


def test_a_change_at_the_same_time_is_not_lost_and_not_in_the_way(community: Community) -> None:
    member = community.join()
    community.members.meanwhile.append(
        lambda: community.use_cases.edit_profile(
            member.id, ProfileUpdate({"name": "New"}, {}), caller=_caller(member), accept=any_version
        )
    )

    community.use_cases.erase(member.id)

    assert community.members.accounts == {}


def test_nobody_erases_or_exports_who_is_not_there(community: Community) -> None:
    for act in (community.use_cases.erase, community.use_cases.export):
        with pytest.raises(UserNotFound):
            act("01ARZ3NDEKTSV4RRFFQ69G5FAV")
        with pytest.raises(UserNotFound):
            act("x")


def test_the_archive_holds_everything(community: Community, ask: Callable[..., Answer]) -> None:
    member = community.join(phone="+441632960001")
    community.loans.loans[member.id] = [{"id": "L2", "title": "Dune"}, {"id": "L1", "title": "Emma"}]

    community.records.notices[member.id] = [{"id": "N1", "heading": "You borrowed Dune"}]
    community.records.months[member.id] = [{"month": "2026-11", "loans": 2}]

    answer = ask("GET", f"/api/users/{member.id}/export", caller=_as(member))

    assert answer.status == 200
    assert answer.json["account"]["phone"] == "+441632960001"
    assert [loan["title"] for loan in answer.json["loans"]] == ["Dune", "Emma"]
    assert answer.json["notifications"] == {
        "preferences": {"user_id": member.id},
        "devices": [],
        "notices": [{"id": "N1", "heading": "You borrowed Dune"}],
    }
    assert answer.json["activity"] == [{"month": "2026-11", "loans": 2}]
    assert answer.headers["content-disposition"] == f'attachment; filename="library-{member.id}.json"'
    assert answer.headers["cache-control"] == "no-store"
    assert "hash" not in str(answer.json)


@pytest.mark.parametrize("down", ["loans", "notifications", "analytics"])
def test_an_archive_that_lacks_something_is_none(community: Community, down: str) -> None:
    member = community.join()
    community.loans.down = down == "loans"
    community.records.down = {down}

    with pytest.raises(OtherServiceUnavailable):
        community.use_cases.export(member.id)


def _caller(member: Member) -> Any:
    from library_common.access import Caller  # noqa: PLC0415 - its Role is another than the domain's
    from library_common.access import Role as CallerRole  # noqa: PLC0415

    return Caller(kind="person", id=member.id, role=CallerRole(member.role))
