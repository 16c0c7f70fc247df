"""Demo accounts and sample titles of a stack: put in once, remembered in the stack itself.

What has been put in stands in an SSM parameter beside the data. A note in a file here would go on
claiming it after the emulator had lost its state.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from botocore.exceptions import ClientError

from localstack.embedded import seed
from localstack.embedded.aws import Aws
from localstack.embedded.state import Account

TOKEN_LIFETIME = timedelta(hours=12)
_SETUP_TOKEN_LIFETIME = timedelta(minutes=30)
_SETUP_SUBJECT = "library-setup"

type Mint = Callable[[str, str, timedelta], str]
"""(subject, role, lifetime) → access token."""


@dataclass(frozen=True, slots=True)
class SampleData:
    """The demo accounts with fresh tokens; ``report`` tells about the titles when they were put in now."""

    accounts: list[Account]
    report: seed.SeedReport | None


def ensure(
    aws: Aws, stack_name: str, base_url: str, mint: Mint, books: Path, on_progress: Callable[[int, int], None]
) -> SampleData:
    """Puts in what the stack does not hold yet and mints a token for every demo account."""
    known = _recall(aws, stack_name)
    ids = known.get("accounts")
    report = None
    if not isinstance(ids, dict) or set(ids) != {account.role for account in seed.DEMO_ACCOUNTS}:
        ids = seed.seed_accounts(base_url, mint(_SETUP_SUBJECT, "admin", _SETUP_TOKEN_LIFETIME))
    digest = hashlib.sha256(books.read_bytes()).hexdigest()
    if known.get("books") != digest:
        librarian = mint(ids["librarian"], "librarian", _SETUP_TOKEN_LIFETIME)
        report = seed.seed_books(base_url, librarian, books, on_progress)
    _remember(aws, stack_name, {"accounts": ids, "books": digest})
    accounts = [
        Account(
            role=account.role,
            email=account.email,
            password=account.password,
            token=mint(ids[account.role], account.role, TOKEN_LIFETIME),
            user_id=ids[account.role],
        )
        for account in seed.DEMO_ACCOUNTS
    ]
    return SampleData(accounts=accounts, report=report)


def _parameter(stack_name: str) -> str:
    return f"/{stack_name}/sample-data"


def _recall(aws: Aws, stack_name: str) -> dict[str, object]:
    try:
        value = aws.ssm.get_parameter(Name=_parameter(stack_name))["Parameter"]["Value"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ParameterNotFound":
            return {}
        raise
    document: dict[str, object] = json.loads(value)
    return document


def _remember(aws: Aws, stack_name: str, known: dict[str, object]) -> None:
    aws.ssm.put_parameter(Name=_parameter(stack_name), Value=json.dumps(known), Type="String", Overwrite=True)
