"""What the authorizer answers API Gateway for every kind of token, and for none."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import jwt
import pytest

from gateway_service import authorizer
from gateway_service.authorizer import Unauthorized, authorize
from gateway_service.keyring import Keyring
from library_common.access import ANONYMOUS, Caller, Role, caller_from_event
from library_common.tokens import SigningKey, mint_access_token, mint_service_token
from tests.support.clock import NOON, FixedClock
from tests.support.operator_log import OperatorLog
from tests.unit.gateway.sources import SCOPES, Revoked, Sources

pytestmark = pytest.mark.unit

ARN = "arn:aws:execute-api:eu-west-1:123456789012:api1/v1/GET/api/users/01ARZ3NDEKTSV4RRFFQ69G5FAV"
ME = "01ARZ3NDEKTSV4RRFFQ69G5FAV"

type Ask = Callable[[str | None], dict[str, Any]]


@pytest.fixture
def ask(keyring: Keyring, revoked: Revoked) -> Ask:
    return lambda authorization: authorize(authorization, ARN, keyring, revoked.revokes, FixedClock())


def caller_of(answer: dict[str, Any]) -> Caller:
    """As the function behind the route sees it."""
    return caller_from_event({"requestContext": {"authorizer": answer["context"]}})


@pytest.mark.parametrize("role", list(Role))
def test_a_person_is_handed_on_with_their_role(ask: Ask, sources: Sources, role: Role) -> None:
    token = mint_access_token(sources.key, subject=ME, role=role.value, now=NOON)

    answer = ask(f"Bearer {token}")

    assert answer["principalId"] == f"person:{ME}"
    assert answer["context"]["token_id"]
    assert caller_of(answer) == Caller(kind="person", id=ME, role=role)


def test_a_service_is_handed_on_with_its_scopes(ask: Ask) -> None:
    token = mint_service_token("s" * 64, service="loans", scopes=SCOPES, now=NOON)

    answer = ask(f"Bearer {token}")

    assert answer["principalId"] == "service:loans"
    assert caller_of(answer) == Caller(kind="service", id="loans", scopes=SCOPES)


def test_a_service_without_scopes_is_handed_on_without(ask: Ask) -> None:
    token = mint_service_token("s" * 64, service="loans", scopes=frozenset(), now=NOON)

    assert caller_of(ask(f"Bearer {token}")) == Caller(kind="service", id="loans")


def test_without_the_header_the_caller_is_nobody(ask: Ask) -> None:
    answer = ask(None)

    assert answer["principalId"] == "anonymous"
    assert caller_of(answer) == ANONYMOUS


def test_api_gateway_takes_no_other_values_than_strings(ask: Ask, sources: Sources) -> None:
    person = mint_access_token(sources.key, subject=ME, role="patron", now=NOON)
    service = mint_service_token("s" * 64, service="loans", scopes=SCOPES, now=NOON)
    for authorization in (None, f"Bearer {person}", f"Bearer {service}"):
        assert all(isinstance(value, str) for value in ask(authorization)["context"].values())


@pytest.mark.parametrize("authorization", [None, "bearer {}", "BEARER {}", "Bearer   {}  "])
def test_the_policy_allows_the_stage_so_that_it_may_be_cached_for_any_route(
    ask: Ask, sources: Sources, authorization: str | None
) -> None:
    token = mint_access_token(sources.key, subject=ME, role="patron", now=NOON)

    policy = ask(authorization and authorization.format(token))["policyDocument"]

    assert policy == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Action": "execute-api:Invoke",
                "Effect": "Allow",
                "Resource": "arn:aws:execute-api:eu-west-1:123456789012:api1/v1/*",
            }
        ],
    }


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        " ",
        "Bearer",
        "Bearer ",
        "Bearer\t",
        "Basic YTpi",
        "Basic {}",
        "Token {}",
        "{}",
        "Bearer{}",
        "Bearer {} x",
        "é",
    ],
)
def test_anything_but_a_bearer_token_is_refused(ask: Ask, sources: Sources, authorization: str) -> None:
    token = mint_access_token(sources.key, subject=ME, role="patron", now=NOON)

    with pytest.raises(Unauthorized):
        ask(authorization.format(token))


def bad_tokens(sources: Sources) -> dict[str, str]:
    key, claims = sources.key, {"iss": "smart-library", "sub": ME, "role": "admin"}
    return {
        "expired": mint_access_token(key, subject=ME, role="patron", now=NOON - timedelta(hours=1)),
        "not yet": mint_access_token(key, subject=ME, role="patron", now=NOON + timedelta(hours=1)),
        "another library's": mint_access_token(SigningKey.generate(), subject=ME, role="admin", now=NOON),
        "unsigned": jwt.encode(claims, "", algorithm="none"),
        "incomplete": key.sign(claims),
        "scope": mint_service_token("s" * 64, service="loans", scopes=frozenset({"users:write"}), now=NOON),
        "secret": mint_service_token("x" * 64, service="loans", scopes=SCOPES, now=NOON),
        "garbage": "abc",
    }


@pytest.mark.parametrize("kind", list(bad_tokens(Sources())))
def test_a_token_that_proves_nothing_is_refused_without_saying_why(ask: Ask, sources: Sources, kind: str) -> None:
    with pytest.raises(Unauthorized) as refused:
        ask(f"Bearer {bad_tokens(sources)[kind]}")

    # API Gateway makes a 401 of exactly this message, and a 500 of any other.
    assert str(refused.value) == "Unauthorized"
    assert refused.value.args == ("Unauthorized",)
    assert refused.value.__suppress_context__, "the reason is no business of the client's"


# -- tokens that are good and refused all the same --------------------------------------------------


@pytest.mark.parametrize(("epoch", "let_in"), [(0, False), (1, False), (2, True), (3, True)])
def test_tokens_of_an_epoch_before_the_revoked_one_are_refused(
    ask: Ask, sources: Sources, revoked: Revoked, epoch: int, let_in: bool
) -> None:
    revoked.epochs[ME] = 2
    token = mint_access_token(sources.key, subject=ME, role="patron", now=NOON, epoch=epoch)

    if let_in:
        assert caller_of(ask(f"Bearer {token}")).id == ME
        return
    with pytest.raises(Unauthorized) as refused:
        ask(f"Bearer {token}")
    assert str(refused.value) == "Unauthorized"


def test_another_members_revocation_is_no_business_of_mine(ask: Ask, sources: Sources, revoked: Revoked) -> None:
    revoked.epochs["01ARZ3NDEKTSV4RRFFQ69G5FAW"] = 7
    token = mint_access_token(sources.key, subject=ME, role="patron", now=NOON)

    assert caller_of(ask(f"Bearer {token}")).id == ME


# -- the Lambda entry -----------------------------------------------------------------------------


@pytest.fixture
def entry(
    monkeypatch: pytest.MonkeyPatch, keyring: Keyring, revoked: Revoked
) -> Callable[[dict[str, str] | None], dict[str, Any]]:
    monkeypatch.setattr(authorizer, "_keyring", lambda: keyring)
    monkeypatch.setattr(authorizer, "_revocations", lambda: revoked)
    monkeypatch.setattr(authorizer, "SystemClock", FixedClock)
    return lambda headers: authorizer.handler({"type": "REQUEST", "methodArn": ARN, "headers": headers}, None)


@pytest.mark.parametrize("name", ["Authorization", "authorization", "AUTHORIZATION"])
def test_the_header_is_found_however_it_is_written(
    entry: Callable[[dict[str, str] | None], dict[str, Any]], sources: Sources, name: str
) -> None:
    token = mint_access_token(sources.key, subject=ME, role="patron", now=NOON)

    assert caller_of(entry({name: f"Bearer {token}"})).id == ME


@pytest.mark.parametrize("headers", [None, {}])
def test_no_headers_are_nobodys(
    entry: Callable[[dict[str, str] | None], dict[str, Any]], headers: dict[str, str] | None
) -> None:
    assert caller_of(entry(headers)) == ANONYMOUS


def test_a_good_token_leaves_one_line_with_who_it_was(
    entry: Callable[[dict[str, str] | None], dict[str, Any]], sources: Sources, log: OperatorLog
) -> None:
    token = mint_access_token(sources.key, subject=ME, role="patron", now=NOON)

    entry({"Authorization": f"Bearer {token}", "X-Correlation-Id": "order-7"})

    (line,) = log.lines
    assert (line["route"], line["status"], line["actor"]) == ("authorizer", 200, f"user:{ME}")
    assert line["correlation_id"] == "order-7"
    assert token not in log.text


def test_a_bad_token_leaves_one_line_without_the_token(
    entry: Callable[[dict[str, str] | None], dict[str, Any]], log: OperatorLog
) -> None:
    with pytest.raises(Unauthorized):
        entry({"Authorization": "Bearer abc.def.ghi"})

    (line,) = log.lines
    assert line["status"] == 401
    assert "abc.def.ghi" not in log.text


def test_keys_that_cannot_be_fetched_are_our_failure_not_the_clients(
    monkeypatch: pytest.MonkeyPatch, log: OperatorLog
) -> None:
    def down() -> Keyring:
        raise ConnectionError("parameter store down")

    monkeypatch.setattr(authorizer, "_keyring", down)

    with pytest.raises(ConnectionError):
        authorizer.handler({"methodArn": ARN, "headers": {"Authorization": "Bearer abc"}}, None)
    assert [line["status"] for line in log.invocations] == [500]
