"""Logging in, refreshing and logging out: who may, what is told to whom, and what a session survives."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import jwt
import pytest

from library_common.access import Caller
from library_common.access import Role as CallerRole
from library_common.ids import is_id, new_id
from library_common.key_rings import Ring, public_jwks_json, signing_ring_json
from library_common.problems import ServiceUnavailable, TooManyRequests
from library_common.tokens import SigningKey, TokenVerifier, VerifiedToken
from tests.fakes.users import ADMIN, Community, any_version, signing_key, use_cases_on
from tests.support.clock import NOON
from users_service.adapters.token_keys import SignedAccessTokens
from users_service.domain.account_changes import ProfileUpdate, StatusUpdate
from users_service.domain.errors import (
    AccountExpired,
    AccountSuspended,
    EmailNotVerified,
    InvalidCredentials,
    RefreshTokenInvalid,
    StillChanging,
    UsersError,
)
from users_service.domain.membership import Status
from users_service.domain.model import NOBODY, Member
from users_service.domain.roles import Role
from users_service.schemas.responses import SessionView

pytestmark = pytest.mark.unit

EMAIL = "Ann.Lee@Example.com"
PASSWORD = "correct horse"
DAY = timedelta(days=1)


@pytest.fixture
def ann(community: Community) -> Member:
    return community.join("Ann Lee", EMAIL, password=PASSWORD)


def _log_in(community: Community, email: str = EMAIL, password: str = PASSWORD) -> SessionView:
    return community.use_cases.login(email, password)


def _refresh(community: Community, session: SessionView | str) -> SessionView:
    token = session if isinstance(session, str) else session.refresh_token
    return community.use_cases.refresh(token)


def _lasts(community: Community, session: SessionView) -> bool:
    """Whether the session's token is good; uses it up."""
    try:
        _refresh(community, session)
    except RefreshTokenInvalid:
        return False
    return True


def _proves(community: Community, session: SessionView) -> VerifiedToken:
    verifier = TokenVerifier(json.loads(public_jwks_json([signing_key()])), {})
    return verifier.verify(session.access_token, community.clock.now())


def _log_out(community: Community, session: SessionView) -> None:
    proven = _proves(community, session)
    caller = Caller(kind="person", id=proven.subject, role=CallerRole.PATRON, session=proven.session)
    community.use_cases.logout(caller)


def _change(community: Community, member: Member, **changes: Any) -> None:
    present = community.members.accounts[member.id]
    community.members.accounts[member.id] = replace(present, version=present.version + 1, **changes)


# -- logging in -----------------------------------------------------------------------------------


def test_a_login_is_answered_with_tokens_and_the_account(community: Community, ann: Member) -> None:
    session = _log_in(community)

    assert (session.token_type, session.expires_in) == ("Bearer", 900)
    assert session.user == community.use_cases.read(ann.id)
    proven = _proves(community, session)
    assert (proven.kind, proven.subject, proven.role) == ("person", ann.id, CallerRole.PATRON)
    assert (proven.session, proven.epoch) == (session.refresh_token.split(".")[0], 0)
    claims = jwt.decode(session.access_token, options={"verify_signature": False})
    assert (claims["iat"], claims["exp"]) == (NOON.timestamp(), NOON.timestamp() + 900)
    assert community.counted.seen == [("LoginSucceeded", {})]


def test_no_secret_of_a_session_is_stored_or_shown(community: Community, ann: Member) -> None:
    session = _log_in(community)

    _, secret = session.refresh_token.split(".")
    assert len(secret) == 43
    (kept,) = community.sessions.kept.values()
    assert secret not in repr(kept)
    assert kept.secret_hash not in repr(kept)
    for shown in (repr(session), repr(community.counted.seen)):
        assert secret not in shown
        assert session.access_token not in shown


@pytest.mark.parametrize(
    "written",
    ["ann.lee@example.com", "ANN.LEE@EXAMPLE.COM", "Ann.Lee@EXAMPLE.com", "\uff41\uff4e\uff4e.lee@example.com"],
)
def test_the_writing_of_the_address_does_not_matter(community: Community, ann: Member, written: str) -> None:
    assert _log_in(community, written).user.id == ann.id


def test_what_is_counted_has_a_bounded_length_whatever_is_sent(community: Community) -> None:
    for email in ("\ufdfa" * 254, "", "\ud800", "@", "x" * 100_000):
        with pytest.raises(InvalidCredentials):
            _log_in(community, email)

    assert {len(key) for _, key in community.attempts.taken} == {64}


def test_every_writing_of_an_address_uses_up_the_same_attempts(community: Community, ann: Member) -> None:
    community.attempts.allowed = 3
    for written in ("ann.lee@example.com", "ANN.lee@example.com", "Ann.Lee@Example.COM"):
        with pytest.raises(InvalidCredentials):
            _log_in(community, written, "wrong horse")

    with pytest.raises(TooManyRequests):
        _log_in(community)


def test_a_password_may_be_typed_on_another_keyboard(community: Community) -> None:
    community.join(email=EMAIL, password="caf\u00e9 au lait")

    assert _log_in(community, password="cafe\u0301 au lait").user.email == EMAIL


@pytest.mark.parametrize("more", ["x", "\u0000", " "])
def test_what_goes_on_after_the_72nd_byte_counts(community: Community, more: str) -> None:
    community.join(email=EMAIL, password="y" * 72)

    with pytest.raises(InvalidCredentials):
        _log_in(community, password="y" * 72 + more)
    assert _log_in(community, password="y" * 72).user.email == EMAIL


def test_brute_force_is_stopped_before_anything_is_compared(community: Community, ann: Member) -> None:
    community.attempts.allowed = 5
    for number in range(5):
        with pytest.raises(InvalidCredentials):
            _log_in(community, password=f"guess {number:04}")
    compared, reads = len(community.passwords.compared), len(community.members.reads)

    for _ in range(20):
        with pytest.raises(TooManyRequests):
            _log_in(community)

    assert len(community.passwords.compared) == compared
    assert len(community.members.reads) == reads
    assert community.counted.seen[-1] == ("LoginRefused", {"reason": "limit"})
    assert {limit for limit, _ in community.attempts.taken} == {"login_account"}


# -- nobody learns who has an account --------------------------------------------------------------


def _stranger(community: Community) -> tuple[str, str]:
    return "nobody@example.com", PASSWORD


def _wrong_password(community: Community) -> tuple[str, str]:
    return EMAIL, "wrong horse"


def _no_password(community: Community) -> tuple[str, str]:
    community.join(email="bare@example.com")
    return "bare@example.com", PASSWORD


def _no_address(community: Community) -> tuple[str, str]:
    return "nobody at all", PASSWORD


def _too_long(community: Community) -> tuple[str, str]:
    return EMAIL, PASSWORD + "x" * 72


def _impossible(community: Community) -> tuple[str, str]:
    return EMAIL, "\ud800\u0000"


def _suspended(community: Community) -> tuple[str, str]:
    community.join(email="out@example.com", password=PASSWORD, stored_status=Status.SUSPENDED)
    return "out@example.com", "wrong horse"


def _pending(community: Community) -> tuple[str, str]:
    community.join(email="new@example.com", password=PASSWORD, stored_status=Status.PENDING)
    return "new@example.com", "wrong horse"


def _half_erased(community: Community) -> tuple[str, str]:
    gone = community.join(email="gone@example.com", password=PASSWORD)
    del community.members.accounts[gone.id]
    return "gone@example.com", PASSWORD


WRONG = [
    _stranger,
    _wrong_password,
    _no_password,
    _no_address,
    _too_long,
    _impossible,
    _suspended,
    _pending,
    _half_erased,
]


@pytest.mark.parametrize("attempt", WRONG)
def test_every_wrong_login_is_refused_alike_after_the_same_work(
    community: Community, ann: Member, attempt: Callable[[Community], tuple[str, str]]
) -> None:
    email, password = attempt(community)

    with pytest.raises(InvalidCredentials) as refused:
        _log_in(community, email, password)

    assert str(refused.value) == str(InvalidCredentials())
    assert community.members.reads == ["address", "account", "credentials"]
    assert len(community.passwords.compared) == 1
    assert len(community.attempts.taken) == 1
    assert community.counted.seen == [("LoginRefused", {"reason": "credentials"})]
    assert community.sessions.kept == {}


def test_a_right_login_reads_and_compares_no_more_than_a_wrong_one(community: Community, ann: Member) -> None:
    _log_in(community)

    assert community.members.reads == ["address", "account", "credentials"]
    assert len(community.passwords.compared) == 1


def test_nobody_has_the_id_that_stands_for_nobody(community: Community) -> None:
    assert is_id(NOBODY)
    assert new_id() != NOBODY


# -- who may log in -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attributes", "refusal", "reason"),
    [
        ({"stored_status": Status.SUSPENDED, "status_reason": "noise"}, AccountSuspended, "suspended"),
        ({"stored_status": Status.PENDING}, EmailNotVerified, "unverified"),
        ({"role": Role.LIBRARIAN, "stored_status": Status.EXPIRED}, AccountExpired, "expired"),
        ({"role": Role.ADMIN, "stored_status": Status.EXPIRED}, AccountExpired, "expired"),
    ],
)
def test_who_has_the_right_password_is_told_why_not(
    community: Community, attributes: dict[str, Any], refusal: type[UsersError], reason: str
) -> None:
    community.join(email=EMAIL, password=PASSWORD, **attributes)

    with pytest.raises(refusal):
        _log_in(community)

    assert community.sessions.kept == {}
    assert community.counted.seen == [("LoginRefused", {"reason": reason})]


def test_a_suspension_says_why_and_until_when(community: Community) -> None:
    community.join(
        email=EMAIL,
        password=PASSWORD,
        stored_status=Status.SUSPENDED,
        status_reason="Three books lost",
        suspended_until=NOON + DAY,
    )

    with pytest.raises(AccountSuspended) as refused:
        _log_in(community)

    assert refused.value.extra == {"status_reason": "Three books lost", "suspended_until": "2026-11-22T12:00:00Z"}


@pytest.mark.parametrize(
    "attributes",
    [
        {"stored_status": Status.EXPIRED},
        {"expires_at": NOON},
        {"stored_status": Status.SUSPENDED, "suspended_until": NOON},
        {"role": Role.LIBRARIAN},
    ],
)
def test_an_expired_membership_and_a_suspension_that_is_over_do_not_lock_out(
    community: Community, attributes: dict[str, Any]
) -> None:
    member = community.join(email=EMAIL, password=PASSWORD, **attributes)

    assert _refresh(community, _log_in(community)).user.id == member.id


def test_a_login_does_not_overtake_a_suspension(community: Community, ann: Member) -> None:
    community.members.meanwhile.append(lambda: _change(community, ann, stored_status=Status.SUSPENDED, session_epoch=1))

    with pytest.raises(AccountSuspended):
        _log_in(community)
    assert community.sessions.kept == {}


def test_a_login_does_not_overtake_a_new_password(community: Community, ann: Member) -> None:
    def reset() -> None:
        community.members.hashes[ann.id] = "hash of another horse"
        _change(community, ann, session_epoch=1)

    community.members.meanwhile.append(reset)

    with pytest.raises(InvalidCredentials):
        _log_in(community)
    assert community.sessions.kept == {}


def test_a_harmless_change_meanwhile_does_not_matter(community: Community, ann: Member) -> None:
    community.members.meanwhile.append(lambda: _change(community, ann, name="Ann Young"))

    assert _log_in(community).user.name == "Ann Young"


def test_an_account_that_never_holds_still_is_given_up_on(community: Community, ann: Member) -> None:
    session = _log_in(community)

    def come_in_between() -> None:
        _change(community, ann)
        community.members.meanwhile.append(come_in_between)

    community.members.meanwhile.append(come_in_between)

    with pytest.raises(StillChanging):
        _log_in(community)
    with pytest.raises(StillChanging):
        _refresh(community, session)
    community.members.meanwhile.clear()
    assert _lasts(community, session), "what was not written has not used up the token"


# -- refreshing -----------------------------------------------------------------------------------


def test_a_refresh_answers_the_next_tokens_of_the_same_session(community: Community, ann: Member) -> None:
    first = _log_in(community)
    community.clock.advance(timedelta(minutes=14))
    second = _refresh(community, first)

    assert second.refresh_token != first.refresh_token
    assert _proves(community, second).session == _proves(community, first).session
    assert _proves(community, second).token_id != _proves(community, first).token_id
    (kept,) = community.sessions.kept.values()
    assert (kept.generation, kept.created_at, kept.used_at) == (2, NOON, NOON + timedelta(minutes=14))
    assert community.counted.seen[-1] == ("SessionRefreshed", {})


def test_a_refresh_takes_the_account_as_it_is_now(community: Community, ann: Member) -> None:
    session = _log_in(community)
    _change(community, ann, role=Role.FACULTY, name="Dr Lee")

    refreshed = _refresh(community, session)

    assert (refreshed.user.name, _proves(community, refreshed).role) == ("Dr Lee", CallerRole.FACULTY)


def test_reuse_ends_the_session_for_both(community: Community, ann: Member) -> None:
    stolen = _log_in(community)
    newest = _refresh(community, _refresh(community, stolen))

    with pytest.raises(RefreshTokenInvalid):
        _refresh(community, stolen)
    with pytest.raises(RefreshTokenInvalid):
        _refresh(community, newest)

    (kept,) = community.sessions.kept.values()
    assert (kept.ended_by, kept.ended_at) == ("reuse", NOON)
    reasons = [told["reason"] for name, told in community.counted.seen if name == "RefreshRefused"]
    assert reasons == ["reused", "over"]


def test_reuse_leaves_other_sessions_alone(community: Community, ann: Member) -> None:
    phone, laptop = _log_in(community), _log_in(community)
    _refresh(community, phone)
    with pytest.raises(RefreshTokenInvalid):
        _refresh(community, phone)

    assert _lasts(community, laptop)


def test_of_two_refreshes_at_once_one_wins_and_the_session_ends(community: Community, ann: Member) -> None:
    session = _log_in(community)
    won: list[SessionView] = []
    community.members.meanwhile.append(lambda: won.append(_refresh(community, session)))

    with pytest.raises(RefreshTokenInvalid):
        _refresh(community, session)

    assert len(won) == 1
    with pytest.raises(RefreshTokenInvalid):
        _refresh(community, won[0])


def test_somebody_else_s_secret_for_a_session_is_reuse(community: Community, ann: Member) -> None:
    mine, other = _log_in(community), _log_in(community)
    made_up = f"{mine.refresh_token.split('.')[0]}.{other.refresh_token.split('.')[1]}"

    with pytest.raises(RefreshTokenInvalid):
        _refresh(community, made_up)
    with pytest.raises(RefreshTokenInvalid):
        _refresh(community, mine)
    assert _lasts(community, other)


@pytest.mark.parametrize(
    "token", ["", ".", "x", "x" * 66, f"{'a' * 22}.{'b' * 43}", f"{'a' * 22}.{'b' * 44}", f"{'é' * 22}.{'b' * 43}"]
)
def test_what_is_no_token_is_refused_like_one_that_is_not_good(community: Community, ann: Member, token: str) -> None:
    session = _log_in(community)

    with pytest.raises(RefreshTokenInvalid) as refused:
        _refresh(community, token)
    assert str(refused.value) == str(RefreshTokenInvalid())
    assert _lasts(community, session)


def test_a_session_ends_after_its_days_however_much_it_is_used(community: Community, ann: Member) -> None:
    session = _log_in(community)
    for _ in range(29):
        community.clock.advance(DAY)
        session = _refresh(community, session)
    community.clock.advance(DAY - timedelta(seconds=1))
    session = _refresh(community, session)
    community.clock.advance(timedelta(seconds=1))

    with pytest.raises(RefreshTokenInvalid):
        _refresh(community, session)


def test_a_suspension_ends_sessions_and_says_so(community: Community, ann: Member) -> None:
    session = _log_in(community)
    cases = community.use_cases
    cases.change_status(ann.id, StatusUpdate(Status.SUSPENDED, "noise"), caller=ADMIN, accept=any_version)

    with pytest.raises(AccountSuspended):
        _refresh(community, session)
    cases.change_status(ann.id, StatusUpdate(Status.ACTIVE), caller=ADMIN, accept=any_version)
    with pytest.raises(RefreshTokenInvalid):
        _refresh(community, session)
    assert _lasts(community, _log_in(community)), "a new login is of the new epoch"


def test_another_role_takes_a_new_login(community: Community, ann: Member) -> None:
    session = _log_in(community)
    community.use_cases.promote(ann.id, Role.FACULTY, caller=ADMIN, accept=any_version)

    with pytest.raises(RefreshTokenInvalid):
        _refresh(community, session)
    again = _log_in(community)
    assert (_proves(community, again).role, _proves(community, again).epoch) == (CallerRole.FACULTY, 1)
    assert _lasts(community, again)


def test_an_edit_of_the_profile_does_not(community: Community, ann: Member) -> None:
    session = _log_in(community)
    caller = Caller(kind="person", id=ann.id, role=CallerRole.PATRON)
    update = ProfileUpdate({"name": "Ann Young"}, {})
    community.use_cases.edit_profile(ann.id, update, caller=caller, accept=any_version)

    assert _refresh(community, session).user.name == "Ann Young"


def test_an_erased_account_has_no_sessions(community: Community, ann: Member) -> None:
    session = _log_in(community)
    del community.members.accounts[ann.id]

    with pytest.raises(RefreshTokenInvalid):
        _refresh(community, session)


def test_a_refresh_does_not_overtake_a_suspension(community: Community, ann: Member) -> None:
    session = _log_in(community)
    community.members.meanwhile.append(lambda: _change(community, ann, stored_status=Status.SUSPENDED, session_epoch=1))

    with pytest.raises(AccountSuspended):
        _refresh(community, session)
    assert next(iter(community.sessions.kept.values())).generation == 1


# -- logging out ----------------------------------------------------------------------------------


def test_logging_out_ends_this_session_only(community: Community, ann: Member) -> None:
    phone, laptop = _log_in(community), _log_in(community)

    _log_out(community, phone)
    _log_out(community, phone)

    with pytest.raises(RefreshTokenInvalid):
        _refresh(community, phone)
    assert _lasts(community, laptop)
    assert community.sessions.kept[phone.refresh_token.split(".")[0]].ended_by == "logout"


@pytest.mark.parametrize("session", [None, "unknown"])
def test_a_token_of_no_session_logs_nobody_out(community: Community, ann: Member, session: str | None) -> None:
    lasting = _log_in(community)
    caller = Caller(kind="person", id=ann.id, role=CallerRole.PATRON, session=session)

    community.use_cases.logout(caller)

    assert _lasts(community, lasting)


def test_nobody_ends_the_session_of_another(community: Community, ann: Member) -> None:
    lasting = _log_in(community)
    other = community.join()
    session_id = lasting.refresh_token.split(".")[0]

    community.use_cases.logout(Caller(kind="person", id=other.id, role=CallerRole.PATRON, session=session_id))

    assert _lasts(community, lasting)


# -- keys -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("secret", ["{}", '{"keys": []}'])
def test_without_a_key_nothing_is_used_up(community: Community, ann: Member, secret: str) -> None:
    session = _log_in(community)
    keyless = use_cases_on(
        community.members,
        community.sessions,
        community.codes,
        passwords=community.passwords,
        access_tokens=SignedAccessTokens(lambda: secret),
    )

    with pytest.raises(ServiceUnavailable):
        keyless.login(EMAIL, PASSWORD)
    with pytest.raises(ServiceUnavailable):
        keyless.refresh(session.refresh_token)

    assert len(community.sessions.kept) == 1
    assert _lasts(community, session)


def test_a_new_signing_key_is_used_as_soon_as_it_is_there_and_parsed_once(
    ann: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [SigningKey.generate(), SigningKey.generate()]
    parsed: list[str] = []
    read = SigningKey.from_json

    def noted(text: str) -> SigningKey:
        parsed.append(text)
        return read(text)

    monkeypatch.setattr(SigningKey, "from_json", noted)
    secret = [signing_ring_json(Ring(keys[0]))]
    tokens = SignedAccessTokens(lambda: secret[0])

    def kid() -> str:
        token, _ = tokens.mint(ann, session_id="s", now=NOON)
        return str(jwt.get_unverified_header(token)["kid"])

    assert [kid(), kid()] == [keys[0].kid] * 2
    secret[0] = signing_ring_json(Ring(keys[1]))
    assert [kid(), kid()] == [keys[1].kid] * 2
    assert len(parsed) == 2
