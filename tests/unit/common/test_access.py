"""Who may use a route: every combination of what a route declares and who calls."""

from itertools import product
from typing import Any

import pytest

from library_common.access import ANONYMOUS, Access, Caller, Role, caller_from_event, require_own
from library_common.problems import NotAllowed, NotAuthenticated

pytestmark = pytest.mark.unit

ME, SOMEBODY_ELSE = "01ARZ3NDEKTSV4RRFFQ69G5FAV", "01BX5ZZKBKACTAV9WEVGEMMVRZ"
CALLERS = {
    "nobody": ANONYMOUS,
    **{role.value: Caller(kind="person", id=ME, role=role) for role in Role},
    "service with the scope": Caller(kind="service", id="loans", scopes=frozenset({"users:read", "other"})),
    "service with another scope": Caller(kind="service", id="loans", scopes=frozenset({"users:readall", "users"})),
    "service without scopes": Caller(kind="service", id="loans"),
}
DECLARED = [
    Access(public=public, member=own is not None, own=own, librarian=librarian, admin=admin, scope=scope)
    for public, own, librarian, admin, scope in product(
        (False, True),
        (None, "path:user_id", "query:user_id", "body:user_id", "loan", "caller"),
        (False, True),
        (False, True),
        (None, "users:read"),
    )
    if public or own or librarian or admin or scope
]


def expected(access: Access, who: str, *, names_me: bool) -> str:
    """The rules as the design states them, one sentence each."""
    if access.public:
        return "allowed"
    if who == "nobody":
        return "401 not_authenticated"
    if who.startswith("service"):
        return "allowed" if access.scope and who == "service with the scope" else "403 not_allowed"
    staff = (access.librarian and who in {"librarian", "admin"}) or (access.admin and who == "admin")
    if staff:
        return "allowed"
    if not access.member:
        return "403 not_allowed"
    # Of a loan only the loan itself can tell whose it is.
    # Who may know that the thing is there is not told that it is not.
    refusal = "403 not_allowed" if access.own == "body:user_id" or who in {"librarian", "admin"} else "404 not_found"
    return "allowed" if access.own in {"loan", "caller"} or names_me else refusal


def outcome(access: Access, caller: Caller, named: list[object]) -> str:
    try:
        access.check(caller)
        if (asked := access.required_owner(caller)) is not None:
            place, name = asked
            assert f"{place}:{name}" == access.own
            require_own(place, named, caller)
    except (NotAuthenticated, NotAllowed) as refused:
        return f"{refused.status} {refused.code}"
    return "allowed"


@pytest.mark.parametrize("who", CALLERS)
@pytest.mark.parametrize("named", [ME, SOMEBODY_ELSE])
def test_every_route_lets_in_exactly_whom_it_declares(who: str, named: str) -> None:
    for access in DECLARED:
        wanted = expected(access, who, names_me=named == ME)
        assert outcome(access, CALLERS[who], [named]) == wanted, access


@pytest.mark.parametrize("named", [[ME, SOMEBODY_ELSE], [SOMEBODY_ELSE, ME], [""], [None], [[ME]], [ME.lower()]])
def test_naming_oneself_beside_somebody_else_does_not_help(named: list[object]) -> None:
    for own in ("path:user_id", "query:user_id", "body:user_id"):
        assert outcome(Access(member=True, own=own), CALLERS["patron"], named) != "allowed"


def test_a_route_that_forgets_to_name_its_path_parameter_lets_no_member_in() -> None:
    assert outcome(Access(member=True, own="path:user_id"), CALLERS["patron"], []) == "404 not_found"


def test_what_a_query_or_body_leaves_out_is_for_the_route_to_understand() -> None:
    for own in ("query:user_id", "body:user_id"):
        assert outcome(Access(member=True, own=own), CALLERS["patron"], []) == "allowed"


@pytest.mark.parametrize(
    "declared",
    [
        {},
        {"own": "caller"},
        {"member": True},
        {"librarian": True, "own": "path:user_id"},
        {"member": True, "own": None},
    ],
)
def test_a_route_has_to_say_who_may_use_it_and_members_on_whose_things(declared: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must declare|required"):
        Access(**declared)


def test_who_comes_without_a_token_is_told_what_kind_is_needed() -> None:
    with pytest.raises(NotAuthenticated) as refused:
        Access(librarian=True).check(ANONYMOUS)

    assert refused.value.headers == {"WWW-Authenticate": "Bearer"}


@pytest.mark.parametrize(
    ("claims", "caller"),
    [
        (None, ANONYMOUS),
        ({}, ANONYMOUS),
        ({"kind": "anonymous"}, ANONYMOUS),
        ({"kind": "person"}, ANONYMOUS),
        ({"kind": "person", "subject": "", "role": "admin"}, ANONYMOUS),
        ({"kind": "service", "scope": "users:read"}, ANONYMOUS),
        ({"subject": ME, "role": "admin"}, ANONYMOUS),
        ({"kind": "person", "subject": ME, "role": "faculty"}, Caller(kind="person", id=ME, role=Role.FACULTY)),
        ({"kind": "service", "subject": "loans"}, Caller(kind="service", id="loans")),
        (
            {"kind": "service", "subject": "loans", "scope": "a b"},
            Caller(kind="service", id="loans", scopes=frozenset({"a", "b"})),
        ),
    ],
)
def test_the_caller_is_whom_the_authorizer_named_and_else_nobody(claims: dict[str, str] | None, caller: Caller) -> None:
    assert caller_from_event({"requestContext": {"authorizer": claims}}) == caller


@pytest.mark.parametrize("event", [{}, {"requestContext": None}, {"requestContext": {}}])
def test_an_event_without_an_authorizer_has_no_caller(event: dict[str, object]) -> None:
    assert caller_from_event(event) == ANONYMOUS


def test_a_service_never_passes_for_a_person_of_the_same_id() -> None:
    assert not Caller(kind="service", id=ME).is_person(ME)
    assert Caller(kind="person", id=ME, role=Role.PATRON).is_person(ME)


@pytest.mark.parametrize(
    ("caller", "actor"),
    [
        (ANONYMOUS, "anonymous"),
        (Caller(kind="person", id=ME, role=Role.ADMIN), f"user:{ME}"),
        (Caller(kind="service", id="loans"), "service:loans"),
    ],
)
def test_logs_and_events_name_the_actor(caller: Caller, actor: str) -> None:
    assert caller.actor == actor


def test_the_document_says_what_a_route_declares_and_nothing_else() -> None:
    assert Access(public=True).describe() == {"public": True}
    assert Access(member=True, own="path:user_id", scope="users:read").describe() == {
        "member": True,
        "own": "path:user_id",
        "scope": "users:read",
    }
