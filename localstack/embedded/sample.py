"""Demo accounts and sample titles of a system, added once.

An SSM parameter of the system says what was added. A file here would be wrong after the emulator lost its state.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from botocore.exceptions import ClientError

from localstack.embedded import login, seed
from localstack.embedded.aws import Aws
from localstack.embedded.login import LoginRefused, Mailbox
from localstack.embedded.state import Account

ADMINISTRATOR = next(account for account in seed.DEMO_ACCOUNTS if account.role == "admin")
"""Created by the deployment (parameter AdminEmail), as on AWS. This account creates the others."""


@dataclass(frozen=True, slots=True)
class SampleData:
    """The demo accounts with fresh tokens. ``report``: about the titles, if they were added now."""

    accounts: list[Account]
    report: seed.SeedReport | None


def ensure(
    aws: Aws, system: str, base_url: str, mailbox: Mailbox, books: Path, on_progress: Callable[[int, int], None]
) -> SampleData:
    """Adds what is missing and logs in to every demo account.

    Refuses when the administrator cannot log in, or when titles must be added and the librarian cannot.
    """
    known = _read_added(aws, system)
    ids = known.get("accounts")
    report = None
    if not isinstance(ids, dict) or set(ids) != {account.role for account in seed.DEMO_ACCOUNTS}:
        administrator = login.log_in_first_administrator(base_url, ADMINISTRATOR.email, ADMINISTRATOR.password, mailbox)
        ids = seed.seed_accounts(base_url, administrator.access_token)
    accounts = [_logged_in(base_url, account, ids[account.role]) for account in seed.DEMO_ACCOUNTS]
    digest = hashlib.sha256(books.read_bytes()).hexdigest()
    if known.get("books") != digest:
        librarian = next(account for account in accounts if account.role == "librarian")
        if not librarian.token:
            raise LoginRefused(librarian.email, "", "the sample titles cannot be added; `make reset` starts over.")
        report = seed.seed_books(base_url, librarian.token, books, on_progress)
    _write_added(aws, system, {"accounts": ids, "books": digest})
    return SampleData(accounts=accounts, report=report)


def _logged_in(base_url: str, account: seed.DemoAccount, user_id: str) -> Account:
    try:
        token = login.log_in(base_url, account.email, account.password).access_token
    except LoginRefused:
        # The account was suspended or has another password now. That must not stop the system from starting.
        token = ""
    return Account(role=account.role, email=account.email, password=account.password, token=token, user_id=user_id)


def _parameter(system: str) -> str:
    return f"/{system}/sample-data"


def _read_added(aws: Aws, system: str) -> dict[str, object]:
    try:
        value = aws.ssm.get_parameter(Name=_parameter(system))["Parameter"]["Value"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ParameterNotFound":
            return {}
        raise
    document: dict[str, object] = json.loads(value)
    return document


def _write_added(aws: Aws, system: str, known: dict[str, object]) -> None:
    aws.ssm.put_parameter(Name=_parameter(system), Value=json.dumps(known), Type="String", Overwrite=True)
