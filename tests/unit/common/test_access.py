"""Who may use a route: every combination of what a route declares and who calls."""

from itertools import product

import pytest

from library_common.access import ANONYMOUS, Access, Caller, Role, caller_from_event
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
    Access(public=public, member=member, own=own, librarian=librarian, admin=admin, scope=scope)
    for public, member, own, librarian, admin, scope in product(
        (False, True), (False, True), (None, "user_id"), (False, True), (False, True), (None, "users:read")
    )
]


def expected(access: Access, who: str, *, path_names_me: bool) -> str:
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
    return "allowed" if access.own is None or path_names_me else "404 not_found"


def outcome(access: Access, caller: Caller, path_params: dict[str, str]) -> str:
    try:
        access.check(caller, path_params)
    except (NotAuthenticated, NotAllowed) as refused:
        return f"{refused.status} {refused.code}"
    return "allowed"


@pytest.mark.parametrize("who", CALLERS)
@pytest.mark.parametrize("path_id", [ME, SOMEBODY_ELSE])
def test_every_route_lets_in_exactly_whom_it_declares(who: str, path_id: str) -> None:
    for access in DECLARED:
        wanted = expected(access, who, path_names_me=path_id == ME)
        assert outcome(access, CALLERS[who], {"user_id": path_id}) == wanted, access


def test_a_route_that_forgets_to_name_its_path_parameter_lets_no_member_in() -> None:
    access = Access(member=True, own="user_id")

    assert outcome(access, CALLERS["patron"], {"member_id": ME}) == "404 not_found"


def test_who_comes_without_a_token_is_told_what_kind_is_needed() -> None:
    with pytest.raises(NotAuthenticated) as refused:
        Access(member=True).check(ANONYMOUS, {})

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
    assert Access().describe() == {}
    assert Access(member=True, own="user_id", scope="users:read").describe() == {
        "member": True,
        "own": "user_id",
        "scope": "users:read",
    }
