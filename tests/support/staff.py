"""Accounts for the staff whose tokens the tests mint: some changes look at the acting account itself."""

from library_common.clock import SystemClock
from library_common.dynamodb import Table
from localstack.embedded.stack import LocalStack
from users_service.adapters.contacts import email_key
from users_service.adapters.dynamodb import DynamoMembers
from users_service.domain.membership import Status
from users_service.domain.model import Member
from users_service.domain.roles import Role


def employ(stack: LocalStack, user_id: str, role: str) -> None:
    """Makes sure that there is an active account with this id and role, without anybody having registered it."""
    members = DynamoMembers(Table(stack.outputs["UsersTable"], lambda: stack.client("dynamodb")))
    if members.get(user_id) is not None:
        return
    now = SystemClock().now().replace(microsecond=0)
    email = f"{user_id.lower()}@example.org"
    account = Member(
        id=user_id,
        name=f"The tests' {role}",
        email=email,
        email_key=email_key(email),
        role=Role(role),
        stored_status=Status.ACTIVE,
        created_at=now,
    )
    members.add(account, password_hash=None, happened=[], ticket=None, answer="", now=now)
