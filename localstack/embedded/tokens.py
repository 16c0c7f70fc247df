"""Access tokens of a deployed stack, signed with the key the stack itself uses."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from localstack.embedded.aws import Aws
from localstack.embedded.layout import COMMON_LAYER

if TYPE_CHECKING:
    from types import ModuleType

    from library_common.tokens import SigningKey


def ensure_signing_key(aws: Aws, secret: str) -> SigningKey:
    """The stack's key; a new one is made and stored when the secret holds none yet."""
    stored = _secret_value(aws, secret)
    if holds_key(stored):
        key: SigningKey = _library_tokens().SigningKey.from_json(stored)
        return key
    key = _library_tokens().SigningKey.generate()
    aws.secretsmanager.put_secret_value(SecretId=secret, SecretString=key.to_json())
    return key


def mint(key: SigningKey, subject: str, role: str, lifetime: timedelta) -> str:
    """An access token as login would give it, for any subject and role."""
    token: str = _library_tokens().mint_access_token(
        key, subject=subject, role=role, now=datetime.now(UTC), lifetime=lifetime
    )
    return token


def holds_key(secret_value: str) -> bool:
    """Whether the secret holds a key: the template creates it as ``{}``."""
    try:
        document = json.loads(secret_value)
    except ValueError:
        return False
    return isinstance(document, dict) and bool(document.get("keys"))


def _secret_value(aws: Aws, secret: str) -> str:
    try:
        return aws.secretsmanager.get_secret_value(SecretId=secret).get("SecretString", "")
    except ClientError as error:
        # A secret without any value yet.
        if error.response["Error"]["Code"] == "ResourceNotFoundException":
            return ""
        raise


def _library_tokens() -> ModuleType:
    # library_common is not installed here: it is this repository's own code, found where Lambda finds it.
    if str(COMMON_LAYER) not in sys.path:
        sys.path.insert(0, str(COMMON_LAYER))
    from library_common import tokens  # noqa: PLC0415 - importable from here on

    return tokens
