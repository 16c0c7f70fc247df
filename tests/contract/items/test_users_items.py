"""Old code beside new data, in the users table: what a newer version has stored survives every write of this one.

Every test starts with a table that holds an item of every type. A newer version has added an attribute to each of them.
An operation runs through the real use cases and adapters. Then each item must be as it was, except for the attributes
that the operation is meant to set. New item types and new methods of the adapters that write must be covered here, or
the first two tests fail.
"""

import ast
import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

import pytest

from library_common import idempotency
from library_common.access import ANONYMOUS, Caller
from library_common.access import Role as CallerRole
from library_common.dynamodb import Table, from_wire, to_wire
from library_common.idempotency import Ticket
from tests.fakes.codes import FakeCodeRequests, FakeMessageSender
from tests.fakes.users import FakeMembersLoans, FakePasswords, a_member, any_version, use_cases_on
from tests.support.clock import FixedClock
from tests.support.tables import create_table, dynamodb_in_moto
from users_service.adapters import codes, dynamodb, first_administrators, sessions
from users_service.adapters.codes import DynamoCodes
from users_service.adapters.contacts import email_key
from users_service.adapters.dynamodb import DynamoMembers
from users_service.adapters.first_administrators import DynamoFirstAdministrators
from users_service.adapters.sessions import DynamoSessions
from users_service.application.account_changes import AccountEditor
from users_service.application.account_search import UserSearch
from users_service.application.code_sending import Outcome, SendCode
from users_service.application.first_administrator import AddressOfAnother, EnsureFirstAdministrator
from users_service.application.membership_expiry import ExpireMemberships, Round
from users_service.application.message_templates import MessageTemplates
from users_service.application.registration import Registration
from users_service.domain.account_changes import ProfileUpdate, StatusUpdate
from users_service.domain.codes import Purpose
from users_service.domain.errors import (
    CodeInvalid,
    InvalidCredentials,
    NoLongerAllowed,
    RefreshTokenInvalid,
    StillObliged,
    UnknownValue,
)
from users_service.domain.membership import Status
from users_service.domain.model import Member
from users_service.domain.roles import Role

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

pytestmark = pytest.mark.contract

TABLE = "users"
EMAIL, HEAD, PASSWORD = "ann@example.org", "head@example.org", "seven red bicycles"
ADDED = "added_by_a_newer_version"
ADMIN_ID = "01BX5ZZKBKACTAV9WEVGEMMVRZ"
WRITING_MODULES: tuple[ModuleType, ...] = (dynamodb, sessions, codes, first_administrators)

type Key = tuple[str, str]
type Items = dict[Key, dict[str, Any]]
type Filled = tuple[str, str, str, str]
"""Ann's id, her refresh token, and the digits of her codes for a new password and for her address."""


# -- what there is to cover -----------------------------------------------------------------------


def item_types() -> set[str]:
    """The beginnings of all sort keys that the adapters write."""
    folder = Path(inspect.getfile(dynamodb)).parent
    sources = [path.read_text() for path in folder.glob("*.py")] + [inspect.getsource(idempotency)]
    return {found for source in sources for found in re.findall(r'"sk": f?"([A-Z]+)', source)}


def writers() -> set[str]:
    """`Class.method` of every public method of the adapters that writes to the table, itself or through another."""
    found: set[str] = set()
    for module in WRITING_MODULES:
        for node in ast.parse(inspect.getsource(module)).body:
            if not isinstance(node, ast.ClassDef):
                continue
            methods = {m.name: ast.unparse(m) for m in node.body if isinstance(m, ast.FunctionDef)}
            writing = {n for n, text in methods.items() if re.search(r"_table\.(put|update|delete|transact)\(", text)}
            writing |= {n for n, text in methods.items() if any(f"self.{other}(" in text for other in writing)}
            found |= {f"{node.name}.{name}" for name in writing if not name.startswith("_")}
    return found


def kind(key: Key) -> str:
    return key[1].partition("#")[0]


# -- the world ------------------------------------------------------------------------------------


class Noting:
    """An adapter, and which of its methods were called."""

    def __init__(self, adapter: object, called: set[str]) -> None:
        self._adapter, self._called = adapter, called

    def __getattr__(self, name: str) -> Any:
        self._called.add(f"{type(self._adapter).__name__}.{name}")
        return getattr(self._adapter, name)


class World:
    """The use cases on the real adapters, with an item of every type that a newer version has touched."""

    def __init__(self, client: "DynamoDBClient", filled: Filled | None = None) -> None:
        self.client = client
        self.called: set[str] = set()
        table = Table(TABLE, lambda: client, sleep=lambda _: None)
        self.members, self.codes, sessions, ensured = (
            cast("Any", Noting(adapter(table), self.called))
            for adapter in (DynamoMembers, DynamoCodes, DynamoSessions, DynamoFirstAdministrators)
        )
        self.clock, self.loans, self.requests = FixedClock(), FakeMembersLoans(), FakeCodeRequests()
        self.mail = FakeMessageSender()
        passwords = FakePasswords()
        self.cases = use_cases_on(
            self.members,
            sessions,
            self.codes,
            passwords=passwords,
            loans=self.loans,
            code_requests=self.requests,
            clock=self.clock,
        )
        attempts = self.cases.ask_for_code.attempts
        templates = MessageTemplates("Library")
        self.send = SendCode(self.members, self.codes, passwords, self.mail, templates, attempts, self.clock)
        editor = AccountEditor(self.members, self.clock)
        self.expire = ExpireMemberships(self.members, editor, self.clock, monotonic=self.clock.monotonic)
        self.ensure = EnsureFirstAdministrator(self.members, ensured, self.cases.ask_for_code, email_key, self.clock)

        self.ticket = Ticket.of(ANONYMOUS, "POST /api/users", "key", "body")
        self.ann, self.refresh_token, self.reset_code, self.verify_code = filled or self.fill()
        self.admin = Caller(kind="person", id=ADMIN_ID, role=CallerRole.ADMIN)
        self.me = Caller(kind="person", id=self.ann, role=CallerRole.PATRON)

    def fill(self) -> Filled:
        """Puts an item of every type into the table, each with an attribute of a newer version."""
        self.ann = self.register()
        now = self.clock.now()
        admin = a_member(id=ADMIN_ID, name="Root", role=Role.ADMIN, email="root@example.org", created_at=now)
        self.members.add(admin, password_hash=None, happened=[], ticket=None, answer="", now=now)
        token = self.cases.login(EMAIL, PASSWORD).refresh_token
        digits = self.code(Purpose.PASSWORD_RESET), self.code(Purpose.VERIFY_EMAIL)
        self.ensure(HEAD)
        for item in self.items().values():
            self.rewrite(item | {ADDED: {"kept": [1, "two"]}})
        self.rewrite_account(lambda item: item["preferences"].update({ADDED: "kept"}))
        return (self.ann, token, *digits)

    def put_back(self, items: Items) -> None:
        """Fills the table with these items only."""
        for key in self.items():
            self.client.delete_item(TableName=TABLE, Key={"pk": {"S": key[0]}, "sk": {"S": key[1]}})
        for item in items.values():
            self.rewrite(item)

    def register(self) -> str:
        registration = Registration("Ann Lee", EMAIL, Role.PATRON, PASSWORD)
        return self.cases.register(registration, caller=ANONYMOUS, ticket=self.ticket).user.id

    def code(self, purpose: Purpose) -> str:
        """Asks for a code and sends it."""
        self.requests.waiting.clear()
        self.cases.ask_for_code(purpose, EMAIL)
        assert self.send(self.requests.waiting[0]) is Outcome.SENT
        return self.mail.sent[-1].digits

    def edit(self, caller: Caller | None = None, **fields: Any) -> None:
        preferences = fields.pop("preferences", {})
        self.cases.edit_profile(
            self.ann,
            ProfileUpdate(fields, preferences),
            caller=caller or self.admin,
            accept=any_version,
            current_password=PASSWORD if caller is not None else None,
        )

    def change_status(self, status: Status, reason: str | None = None) -> None:
        self.cases.change_status(self.ann, StatusUpdate(status, reason), caller=self.admin, accept=any_version)

    def promote(self, role: Role) -> None:
        self.cases.promote(self.ann, role, caller=self.admin, accept=any_version)

    def logout(self) -> None:
        session = self.refresh_token.partition(".")[0]
        self.cases.logout(Caller(kind="person", id=self.ann, role=CallerRole.PATRON, session=session))

    # -- the table --

    def items(self) -> Items:
        found = [from_wire(item) for item in self.client.scan(TableName=TABLE)["Items"]]
        return {(item["pk"], item["sk"]): item for item in found}

    def rewrite(self, item: dict[str, Any]) -> None:
        self.client.put_item(TableName=TABLE, Item=to_wire(item))

    def rewrite_account(self, change: Callable[[dict[str, Any]], object]) -> None:
        self.rewrite_item((f"USER#{self.ann}", "PROFILE"), change)

    def rewrite_item(self, key: Key, change: Callable[[dict[str, Any]], object]) -> None:
        item = self.items()[key]
        change(item)
        self.rewrite(item)


@pytest.fixture(scope="module")
def filled() -> Iterator[tuple["DynamoDBClient", Filled, Items]]:
    with pytest.MonkeyPatch.context() as patch, dynamodb_in_moto(patch) as client:
        create_table(client, "UsersTable", TABLE)
        world = World(client)
        yield client, (world.ann, world.refresh_token, world.reset_code, world.verify_code), world.items()


@pytest.fixture
def world(filled: tuple["DynamoDBClient", Filled, Items]) -> World:
    client, known, items = filled
    world = World(client, known)
    world.put_back(items)
    return world


# -- every operation ------------------------------------------------------------------------------

CHANGE = {"version"}
STATUS = CHANGE | {"status", "status_reason"}
SUSPENDED = STATUS | {"session_epoch"}
PROMOTED = CHANGE | {"role", "expires_at", "session_epoch"}
ENDED = {"ended_at", "ended_by"}
SENT_CODE = {"code_hash", "request_id", "expires_at_epoch"}


@dataclass(frozen=True)
class Operation:
    """sets: item type -> the attributes that change or vanish, except `events`. creates, deletes: item types."""

    name: str
    run: Callable[[World], object]
    writers: set[str]
    sets: dict[str, set[str]] = field(default_factory=dict)
    creates: tuple[str, ...] = ()
    deletes: tuple[str, ...] = ()


def wrong_code(world: World) -> None:
    wrong = f"{(int(world.reset_code) + 1) % 10**6:06}"
    with pytest.raises(CodeInvalid):
        world.cases.reset_password(EMAIL, wrong, "a kettle of stars")


def used_token(world: World) -> None:
    world.cases.refresh(world.refresh_token)
    with pytest.raises(RefreshTokenInvalid):
        world.cases.refresh(world.refresh_token)


def later_code(world: World) -> None:
    world.clock.advance(timedelta(minutes=1))
    world.code(Purpose.PASSWORD_RESET)


def verified(world: World) -> None:
    world.cases.verify_email(EMAIL, world.verify_code)


def obliged_late(world: World) -> None:
    def lends() -> None:
        world.loans.open[world.ann] = world.loans.asked - 1

    world.loans.meanwhile = lends
    with pytest.raises(StillObliged):
        world.cases.erase(world.ann)


def expired(world: World) -> None:
    world.clock.advance(timedelta(days=400))
    assert world.expire(None, seconds=60) == Round(changed=1, failed=0, next_position=None)


SAVE, SPEND, TRY = "DynamoMembers.save", "DynamoCodes.spend", "DynamoCodes.count_try"
OPERATIONS = [
    Operation(
        "register another",
        lambda w: w.cases.register(
            Registration("Bob", "bob@example.org", Role.FACULTY, PASSWORD),
            caller=w.admin,
            ticket=Ticket.of(w.admin, "POST /api/users", "other", "body"),
        ),
        {"DynamoMembers.add"},
        creates=("CREDENTIALS", "EMAIL", "IDEMPOTENT", "PROFILE"),
    ),
    Operation("register again", lambda w: w.register(), set()),
    Operation("log in", lambda w: w.cases.login(EMAIL, PASSWORD), {"DynamoSessions.begin"}, creates=("SESSION",)),
    Operation(
        "refresh",
        lambda w: w.cases.refresh(w.refresh_token),
        {"DynamoSessions.rotate"},
        {"SESSION": {"secret_hash", "generation"}},
    ),
    Operation(
        "refresh twice",
        used_token,
        {"DynamoSessions.rotate", "DynamoSessions.end"},
        {"SESSION": {"secret_hash", "generation"} | ENDED},
    ),
    Operation("log out", lambda w: w.logout(), {"DynamoSessions.end"}, {"SESSION": ENDED}),
    Operation(
        "change the name", lambda w: w.edit(name="Zoe"), {SAVE}, {"PROFILE": CHANGE | {"name", "directory_name"}}
    ),
    Operation(
        "change preferences",
        lambda w: w.edit(preferences={"language": "fr", "notification_sms": True}),
        {SAVE},
        {"PROFILE": CHANGE | {"preferences"}},
    ),
    Operation(
        "change one's phone",
        lambda w: w.edit(w.me, phone="+441632960001"),
        {SAVE},
        {"PROFILE": CHANGE | {"phone", "phone_confirmed"}},
    ),
    Operation(
        "change one's address",
        lambda w: w.edit(w.me, email="ann.lee@example.org"),
        {SAVE},
        {"PROFILE": CHANGE | {"email", "email_key"}},
        creates=("EMAIL",),
        deletes=("EMAIL",),
    ),
    Operation("suspend", lambda w: w.change_status(Status.SUSPENDED, "noise"), {SAVE}, {"PROFILE": SUSPENDED}),
    Operation(
        "promote",
        lambda w: w.promote(Role.LIBRARIAN),
        {SAVE},
        {"PROFILE": CHANGE | {"role", "expires_at", "session_epoch"}},
    ),
    Operation("expire by time", expired, {SAVE}, {"PROFILE": CHANGE | {"status"}}),
    Operation("send a newer code", later_code, {"DynamoCodes.keep", "DynamoCodes.mark_sent"}, {"CODE": SENT_CODE}),
    Operation("try a wrong code", wrong_code, {TRY}, {"CODE": {"tries"}}),
    Operation(
        "reset the password",
        lambda w: w.cases.reset_password(EMAIL, w.reset_code, "a kettle of stars"),
        {TRY, SPEND},
        {
            "CODE": {"tries", "code_hash"},
            "CREDENTIALS": {"password_hash"},
            "PROFILE": CHANGE | {"email_verified_at", "session_epoch"},
        },
    ),
    Operation(
        "verify the address",
        verified,
        {TRY, SPEND},
        {"CODE": {"tries", "code_hash"}, "PROFILE": CHANGE | {"email_verified_at"}},
    ),
    Operation("give up an erasure", obliged_late, {SAVE}, {"PROFILE": CHANGE | {"session_epoch"}}),
    Operation(
        "name another first administrator",
        lambda w: w.ensure("next@example.org"),
        {"DynamoMembers.add", "DynamoFirstAdministrators.record"},
        creates=("EMAIL", "FIRSTADMIN", "PROFILE"),
    ),
    Operation("name the first administrator again", lambda w: w.ensure(HEAD), set()),
]
ERASE = {"DynamoMembers.erase"}
"""Tested on its own: it is meant to remove what a newer version has stored."""


def test_every_writer_is_covered() -> None:
    covered = {writer for operation in OPERATIONS for writer in operation.writers}

    assert covered | ERASE == writers()


def test_every_item_type_is_there(world: World) -> None:
    assert {kind(key) for key in world.items()} == item_types()
    assert all(ADDED in item for item in world.items().values())


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_what_a_newer_version_has_stored_survives(world: World, operation: Operation) -> None:
    before = world.items()

    operation.run(world)

    after = world.items()
    assert world.called & writers() == operation.writers
    assert sorted(kind(key) for key in after.keys() - before.keys()) == sorted(operation.creates)
    assert sorted(kind(key) for key in before.keys() - after.keys()) == sorted(operation.deletes)
    changed: dict[str, set[str]] = {}
    for key in before.keys() & after.keys():
        old, new = before[key], after[key]
        assert new[ADDED] == old[ADDED], key
        different = {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)} - {"events"}
        if different:
            changed.setdefault(kind(key), set()).update(different)
    assert changed == operation.sets
    assert after[f"USER#{world.ann}", "PROFILE"]["preferences"][ADDED] == "kept"


def test_erasing_removes_also_what_a_newer_version_has_stored(world: World) -> None:
    """It may be personal."""
    world.cases.erase(world.ann)

    mine = {key: item for key, item in world.items().items() if key[0] == f"USER#{world.ann}" or EMAIL in key[0]}
    assert [set(item) for item in mine.values()] == [{"pk", "sk", "erased", "version", "expires_at_epoch", "events"}]
    assert world.called & writers() == {SAVE, *ERASE}


# -- values of a newer version --------------------------------------------------------------------

UNKNOWN = [("role", "archivist"), ("status", "frozen")]
REFUSED: dict[str, Callable[[World], object]] = {
    "log in": lambda w: w.cases.login(EMAIL, PASSWORD),
    "refresh": lambda w: w.cases.refresh(w.refresh_token),
    "change the name": lambda w: w.edit(name="Zoe"),
    "change one's address": lambda w: w.edit(w.me, email="ann.lee@example.org"),
    "suspend": lambda w: w.change_status(Status.SUSPENDED, "noise"),
    "activate": lambda w: w.change_status(Status.ACTIVE),
    "promote": lambda w: w.promote(Role.FACULTY),
    "reset the password": lambda w: w.cases.reset_password(EMAIL, w.reset_code, "a kettle of stars"),
    "verify the address": verified,
    "erase": lambda w: w.cases.erase(w.ann),
}


@pytest.mark.parametrize("operation", REFUSED.values(), ids=REFUSED.keys())
@pytest.mark.parametrize(("name", "value"), UNKNOWN)
def test_an_account_with_an_unknown_value_is_not_changed(
    world: World, name: str, value: str, operation: Callable[[World], object]
) -> None:
    world.rewrite_account(lambda item: item.update({name: value}))
    before = world.items()

    with pytest.raises(UnknownValue):
        operation(world)

    after = world.items()
    tried = {key for key in before if before[key] != after[key]}
    assert before.keys() == after.keys()
    assert {kind(key) for key in tried} <= {"CODE"}, "a try is counted, and nothing else"
    assert all(before[key] | {"tries": 1} == after[key] for key in tried)


@pytest.mark.parametrize(("name", "value"), UNKNOWN)
def test_an_unknown_value_is_read_as_it_is(world: World, name: str, value: str) -> None:
    world.rewrite_account(lambda item: item.update({name: value}))

    found = [
        world.cases.read(world.ann),
        world.cases.export(world.ann).account,
        *world.cases.find(UserSearch(name="ann"), limit=5, cursor=None).items,
        *world.cases.find(UserSearch(email=EMAIL), limit=5, cursor=None).items,
    ]

    assert [user.model_dump()[name] for user in found] == [value] * 4
    for known in Status:
        assert name == "role" or world.ann not in {
            user.id for user in world.cases.find(UserSearch(status=known), limit=9, cursor=None).items
        }


@pytest.mark.parametrize(("name", "value"), UNKNOWN)
def test_no_permission_follows_from_an_unknown_value(world: World, name: str, value: str) -> None:
    world.rewrite_item((f"USER#{world.admin.id}", "PROFILE"), lambda item: item.update({name: value}))
    before = world.items()

    with pytest.raises(NoLongerAllowed):
        world.promote(Role.LIBRARIAN)
    with pytest.raises(NoLongerAllowed):
        world.cases.register(Registration("Eve", "eve@example.org", Role.ADMIN), caller=world.admin, ticket=None)

    assert world.items() == before


@pytest.mark.parametrize(("name", "value"), UNKNOWN)
def test_the_nightly_round_passes_over_an_unknown_value(world: World, name: str, value: str) -> None:
    world.rewrite_account(lambda item: item.update({name: value}))
    before = world.items()
    world.clock.advance(timedelta(days=400))

    outcome = world.expire(None, seconds=60)

    assert outcome.failed == 0
    assert world.items() == before


def test_an_address_of_an_unknown_role_makes_no_first_administrator(world: World) -> None:
    world.rewrite_account(lambda item: item.update(role="archivist"))
    before = world.items()

    with pytest.raises(AddressOfAnother):
        world.ensure(EMAIL)

    assert world.items() == before


def test_a_code_that_went_another_way_proves_nothing_and_is_replaced(world: World) -> None:
    key = (f"USER#{world.ann}", "CODE#password_reset")
    world.rewrite_item(key, lambda item: item.update(channel="post"))

    with pytest.raises(CodeInvalid):
        world.cases.reset_password(EMAIL, world.reset_code, "a kettle of stars")
    assert world.items()[key]["channel"] == "post"

    later_code(world)
    assert (world.items()[key]["channel"], ADDED in world.items()[key]) == ("email", True)
    world.cases.reset_password(EMAIL, world.mail.sent[-1].digits, "a kettle of stars")


def test_a_session_that_ended_for_an_unknown_reason_stays_ended(world: World) -> None:
    (key,) = (key for key in world.items() if kind(key) == "SESSION")
    world.rewrite_item(key, lambda item: item.update(ended_at="2026-11-21T11:00:00Z", ended_by="device_lost"))
    before = world.items()

    with pytest.raises(RefreshTokenInvalid):
        world.cases.refresh(world.refresh_token)
    world.logout()

    assert world.items() == before
    with pytest.raises(InvalidCredentials):
        world.cases.login(EMAIL, "wrong")


def test_an_unknown_preference_does_not_hide_the_known_ones(world: World) -> None:
    member: Member = world.members.get(world.ann)

    assert member.preferences.notification_email is True
