"""Access tokens for a deployed system, signed with its own key."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from localstack.embedded.aws import Aws
from localstack.embedded.errors import Refusal
from localstack.embedded.layout import COMMON_LAYER

if TYPE_CHECKING:
    from types import ModuleType

    from library_common.tokens import SigningKey


def signing_key(aws: Aws, system: str) -> SigningKey:
    """The system's current signing key. Refuses when there is none."""
    try:
        stored = aws.ssm.get_parameter(Name=f"/{system}/keys/token-signing", WithDecryption=True)["Parameter"]["Value"]
        key: SigningKey = _library_tokens().SigningKey.from_json(stored)
    except (KeyError, ValueError, aws.ssm.exceptions.ParameterNotFound):
        raise Refusal("The system has no key to sign tokens with: its deployment should have made one.") from None
    return key


def mint(key: SigningKey, subject: str, role: str, lifetime: timedelta, epoch: int = 0) -> str:
    """An access token as a login would answer it, for any subject, role and session epoch."""
    token: str = _library_tokens().mint_access_token(
        key, subject=subject, role=role, now=datetime.now(UTC), lifetime=lifetime, epoch=epoch
    )
    return token


def _library_tokens() -> ModuleType:
    # library_common is not installed: it is imported from its folder in this repository.
    if str(COMMON_LAYER) not in sys.path:
        sys.path.insert(0, str(COMMON_LAYER))
    from library_common import tokens  # noqa: PLC0415 - importable from here on

    return tokens
