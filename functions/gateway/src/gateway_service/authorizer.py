"""The Lambda REQUEST authorizer of the API.

Answers with the caller (kind, subject, role, scopes), which API Gateway passes to the function behind the route. The
policy allows the whole stage: this function decides *who* calls, each route in the services decides *what they may do*.
So an answer cached for a token can be used for every route.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from gateway_service.keyring import Keyring
from gateway_service.revoked_epochs import VIEW_SECONDS, RevocationView
from gateway_service.settings import GatewaySettings
from library_common import aws
from library_common.access import caller_from_event
from library_common.clock import Clock, SystemClock
from library_common.configuration import cache_seconds
from library_common.dynamodb import Table
from library_common.telemetry import count, logged_invocation
from library_common.tokens import TokenRefused, VerifiedToken


class Unauthorized(Exception):
    """API Gateway turns an authorizer error with exactly this message into a 401 response."""

    def __init__(self) -> None:
        super().__init__("Unauthorized")


@cache
def _keyring() -> Keyring:
    return Keyring.from_settings(GatewaySettings())


@cache
def _revocations() -> RevocationView:
    table = Table(GatewaySettings().table_name, aws.dynamodb_without_retries)
    return RevocationView(table, seconds=cache_seconds(VIEW_SECONDS))


def handler(event: Mapping[str, Any], _context: object) -> dict[str, Any]:
    """Lambda entry. Raises Unauthorized for a token that is not valid."""
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    with logged_invocation("authorizer", correlation_id=headers.get("x-correlation-id")) as record:
        record.status = 500
        try:
            keyring, revokes = _keyring(), _revocations().revokes
            answer = authorize(headers.get("authorization"), event["methodArn"], keyring, revokes, SystemClock())
            # Named as the services name the same caller in their logs and events.
            record.actor = caller_from_event({"requestContext": {"authorizer": answer["context"]}}).actor
            record.status = 200
        except Unauthorized:
            record.status = 401
            raise
        return answer


def authorize(
    authorization: str | None, method_arn: str, keyring: Keyring, revokes: Callable[[VerifiedToken], bool], clock: Clock
) -> dict[str, Any]:
    """The authorizer's answer for an Authorization header. Without the header the caller is anonymous.

    For a route that needs a token, the header is the identity source: API Gateway refuses a request without it before
    this code runs, and the service checks again. Raises Unauthorized.
    """
    if authorization is None:
        return _answer("anonymous", method_arn, {"kind": "anonymous"})
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        count("TokenRefused", reason="scheme")
        raise Unauthorized
    try:
        verified = keyring.verify(token.strip(), clock.now())
    except TokenRefused as refused:
        count("TokenRefused", reason=str(refused))
        # The client does not learn the reason: it would help an attacker.
        raise Unauthorized from None
    if revokes(verified):
        count("TokenRefused", reason="revoked")
        raise Unauthorized
    return _answer(f"{verified.kind}:{verified.subject}", method_arn, _claims(verified))


def _claims(verified: VerifiedToken) -> dict[str, str]:
    # API Gateway passes strings only.
    claims = {"kind": verified.kind, "subject": verified.subject, "token_id": verified.token_id}
    if verified.role is not None:
        claims["role"] = verified.role.value
    if verified.session is not None:
        claims["session"] = verified.session
    if verified.scopes:
        claims["scope"] = " ".join(sorted(verified.scopes))
    return claims


def _answer(principal: str, method_arn: str, claims: Mapping[str, str]) -> dict[str, Any]:
    stage_arn = "/".join(method_arn.split("/")[:2])
    return {
        "principalId": principal,
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [{"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": f"{stage_arn}/*"}],
        },
        "context": dict(claims),
    }
