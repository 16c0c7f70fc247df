"""The keys of access tokens: the private one in a SecureString parameter, the public ones in another parameter.

The code that signs and parses is imported when first needed: reading an account does not need it.
"""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from library_common.problems import ServiceUnavailable
from users_service.domain.model import Member

if TYPE_CHECKING:
    from library_common.tokens import SigningKey

NOT_THERE_YET = frozenset({"ParameterNotFound"})
"""A missing parameter: the stack's first key is still being made."""

RETRY_SECONDS = 30


class SignedAccessTokens:
    """`AccessTokens` signed with the key in a secret. `secret` answers the current secret and does its own caching."""

    def __init__(self, secret: Callable[[], str]) -> None:
        self._secret = secret
        self._parsed: tuple[str, SigningKey] | None = None

    def mint(self, member: Member, *, session_id: str, now: datetime) -> tuple[str, int]:
        from library_common.tokens import ACCESS_LIFETIME, mint_access_token  # noqa: PLC0415 - see above

        token = mint_access_token(
            self._key(),
            subject=member.id,
            role=member.role,
            now=now,
            session=session_id,
            epoch=member.session_epoch,
        )
        return token, int(ACCESS_LIFETIME.total_seconds())

    def _key(self) -> "SigningKey":
        from library_common.tokens import SigningKey  # noqa: PLC0415 - see above

        text = _there(self._secret)
        if self._parsed is None or self._parsed[0] != text:
            try:
                self._parsed = text, SigningKey.from_json(text)
            except (KeyError, IndexError, TypeError) as exc:
                raise _no_key() from exc
        return self._parsed[1]


class PublishedVerificationKeys:
    """`VerificationKeys` in a parameter. `parameter` answers the current value and does its own caching."""

    def __init__(self, parameter: Callable[[], str]) -> None:
        self._parameter = parameter

    def jwks(self) -> Mapping[str, Any]:
        document: Mapping[str, Any] = json.loads(_there(self._parameter))
        return document


def _there(fetch: Callable[[], str]) -> str:
    from botocore.exceptions import ClientError  # noqa: PLC0415 - loaded already when it matters

    try:
        return fetch()
    except ClientError as exc:
        if exc.response["Error"]["Code"] in NOT_THERE_YET:
            raise _no_key() from exc
        raise


def _no_key() -> ServiceUnavailable:
    return ServiceUnavailable("The library's keys are not there yet. Try again shortly.", retry_after=RETRY_SECONDS)
