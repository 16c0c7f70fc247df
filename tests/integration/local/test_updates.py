"""Services are deployed one by one while people use the library: nobody notices, and a failed update hurts nobody.

On an emulator of its own: what is deployed here must not disturb other tests.
"""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx
import pytest

from library_common.ids import new_id
from localstack.embedded import composition
from localstack.embedded.errors import Refusal
from localstack.embedded.layout import ROOT, TEMPLATE
from localstack.embedded.stack import LocalStack
from tests.support.generous_limits import RATE_LIMITS
from tests.support.library_client import ADMIN_ID, LIBRARIAN_ID, LibraryClient, created, eventually, ok
from tests.support.one_time_codes import NEW_PASSWORD, address, code_in_mailbox, codes, done, post
from tests.support.staff import employ

pytestmark = pytest.mark.integration

HEAD = address()
"""Of the first administrator."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    parameters = {"RateLimits": RATE_LIMITS, "AdminEmail": HEAD, "RecoveryDelaySeconds": "3"}
    with LocalStack.start(tmp_path_factory.mktemp("updates"), parameters=parameters) as stack:
        employ(stack, LIBRARIAN_ID, "librarian")
        employ(stack, ADMIN_ID, "admin")
        yield stack


@pytest.fixture(scope="module")
def library(stack: LocalStack) -> Iterator[LibraryClient]:
    client = LibraryClient(base_url=stack.base_url, mint=stack.mint_token)
    with client.http:
        yield client


@dataclass
class Load:
    """What was asked meanwhile, by kind. unexplained: every answer that nobody should get."""

    answered: dict[str, int] = field(default_factory=dict)
    unexplained: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, kind: str, expected: int, answer: httpx.Response) -> bool:
        """Whether it is the expected answer. One that says when to come again explains itself."""
        with self._lock:
            self.answered[kind] = self.answered.get(kind, 0) + 1
            if answer.status_code != expected and not _is_busy(answer):
                self.unexplained.append(f"{kind}: {answer.status_code} {answer.text[:200]}")
        return answer.status_code == expected


def _is_busy(answer: httpx.Response) -> bool:
    """What a busy machine may answer: a process did not start in time, or the same request is still being worked on."""
    return answer.status_code in {409, 503} and "retry-after" in answer.headers


@contextmanager
def under_load(library: LibraryClient) -> Iterator[Load]:
    """Somebody looks at the catalogue, somebody at their account, and somebody borrows and returns."""
    load, over = Load(), threading.Event()
    # Copies and places enough: where a release has to wait for its service, the recovery brings them back later.
    book, shelf = library.add_book(copies=1), library.add_book(copies=10)
    reader, borrower = library.add_member(), library.add_member("faculty")

    def look() -> None:
        while not over.is_set():
            load.note("books", 200, library.http.get(f"/api/books/{book['id']}"))

    def read() -> None:
        while not over.is_set():
            headers = library.bearer(reader["id"], "patron")
            load.note("users", 200, library.http.get("/api/users/me", headers=headers))

    def repeated(kind: str, expected: int, ask: Callable[[], httpx.Response]) -> httpx.Response | None:
        """The answer once nobody was too busy for it; None when the load is over before that."""
        while not over.is_set():
            answer = ask()
            if load.note(kind, expected, answer) or not _is_busy(answer):
                return answer
        return None

    def lend() -> None:
        while not over.is_set():
            # The same key again is the same loan: after a 503 it is not known whether the copy was taken.
            checkout = partial(library.lend, borrower["id"], shelf["id"], key=new_id())
            lent = repeated("loans", 201, checkout)
            if lent is not None and lent.status_code == 201:
                repeated("returns", 200, partial(library.give_back, lent.json()["id"]))

    with ThreadPoolExecutor(3) as pool:
        running = [pool.submit(each) for each in (look, read, lend)]
        try:
            yield load
        finally:
            over.set()
        for each in running:
            each.result()


def wait_for_more(load: Load, each: int = 3) -> None:
    """Until so many more answers of each kind have come."""
    before = dict(load.answered)
    kinds = ("books", "users", "loans")
    eventually(
        lambda: all(load.answered.get(kind, 0) >= before.get(kind, 0) + each for kind in kinds),
        f"{each} more answers of each kind",
        seconds=120,
    )


def test_one_service_is_updated_alone_and_nobody_notices(stack: LocalStack, library: LibraryClient) -> None:
    with under_load(library) as load:
        wait_for_more(load)
        for service in ("books", "loans"):
            assert stack.deploy(service, LogLevel="WARNING") == {service}
            wait_for_more(load)

    assert load.unexplained == []
    level = stack.client("lambda").get_function_configuration(
        FunctionName=stack.functions["BooksFunction"], Qualifier="live"
    )
    assert level["Environment"]["Variables"]["LOG_LEVEL"] == "WARNING"


def broken(folder: Path) -> Path:
    """A root template whose loans fail after their functions were updated; everything else is as it is."""
    loans = (ROOT / "functions" / "loans" / "template.yaml").read_text(encoding="utf-8")
    loans = loans.replace("CodeUri: src/", f"CodeUri: {ROOT}/functions/loans/src")
    loans = loans.replace("ContentUri: ../../", f"ContentUri: {ROOT}/")
    loans = loans.replace("Description: HTTP API of loans.", "Description: HTTP API of loans, about to be rolled back.")
    wrong = "  Broken:\n    Type: AWS::SSM::Parameter\n    DependsOn: LoansFunction\n"
    wrong += "    Properties: {Type: Wrong, Value: none}\n"
    text = loans.replace("\n  # ---- wiring", f"\n{wrong}\n  # ---- wiring", 1)
    assert text.count("Broken:") == 1
    (folder / "loans.yaml").write_text(text, encoding="utf-8")
    root = TEMPLATE.read_text(encoding="utf-8")
    for stack in composition.stacks(TEMPLATE):
        location = stack.template_file.relative_to(ROOT).as_posix()
        elsewhere = folder / "loans.yaml" if stack.name == "loans" else stack.template_file
        root = root.replace(f"Location: {location}", f"Location: {elsewhere}")
    (folder / "template.yaml").write_text(root, encoding="utf-8")
    return folder / "template.yaml"


def test_a_broken_update_of_loans_is_rolled_back_and_hurts_no_other_service(
    stack: LocalStack, library: LibraryClient, tmp_path: Path
) -> None:
    functions = stack.client("lambda")
    before = functions.get_function_configuration(FunctionName=stack.functions["LoansFunction"])
    with under_load(library) as load:
        wait_for_more(load)
        with pytest.raises(Refusal, match=r"-loans ended in UPDATE_ROLLBACK_COMPLETE: Broken \(AWS::SSM::Parameter\)"):
            stack.deploy("loans", template=broken(tmp_path))
        wait_for_more(load)

    assert load.unexplained == []
    after = functions.get_function_configuration(FunctionName=stack.functions["LoansFunction"])
    assert after["Description"] == before["Description"]
    states = {
        found["StackName"].removeprefix(f"{stack.system}-"): found["StackStatus"]
        for found in stack.client("cloudformation").describe_stacks()["Stacks"]
    }
    assert states.pop("loans") == "UPDATE_ROLLBACK_COMPLETE"
    assert {"books", "users"} <= states.keys()
    assert set(states.values()) <= {"CREATE_COMPLETE", "UPDATE_COMPLETE"}
    member, book = library.add_member(), library.add_book(copies=1)
    loan = created(library.lend(member["id"], book["id"]))
    assert ok(library.give_back(loan["id"]))["status"] == "RETURNED"


def test_the_first_administrator_comes_with_the_deployment(stack: LocalStack, library: LibraryClient) -> None:
    """With the first deployment, once, whatever is deployed later; and nobody else's account is taken for it."""
    code = code_in_mailbox(stack, HEAD)
    done(post(library, "password-reset/confirm", email=HEAD, code=code, new_password=NEW_PASSWORD))

    found = ok(library.http.get("/api/users", params={"email": HEAD}, headers=library.as_librarian()))["items"]
    assert [(user["role"], user["status"], user["email_verified"]) for user in found] == [("admin", "active", True)]
    stored = stack.client("dynamodb").get_item(
        TableName=stack.tables["users"],
        Key={"pk": {"S": f"USER#{found[0]['id']}"}, "sk": {"S": "CREDENTIALS"}},
    )["Item"]
    assert stored["password_hash"]["S"].startswith("$2b$12$")

    sent = len(codes(stack, HEAD))
    stack.deploy("users", MembershipDays="366", MembershipStartsAs="pending")
    assert len(codes(stack, HEAD)) == sent
    assert ok(library.http.get(f"/api/users/{found[0]['id']}", headers=library.as_librarian())) == found[0]

    member = address()
    joined = created(library.http.post("/api/users", json={"name": "Ann", "email": member}))
    assert joined["status"] == "pending"
    done(post(library, "verify-email", email=member, code=code_in_mailbox(stack, member)))
    read = ok(library.http.get(f"/api/users/{joined['id']}", headers=library.as_librarian()))
    assert (read["status"], read["role"]) == ("active", "patron")

    with pytest.raises(Refusal, match="belongs to an account that is not an administrator's"):
        stack.deploy("users", AdminEmail=member, MembershipStartsAs="pending")
    read = ok(library.http.get(f"/api/users/{joined['id']}", headers=library.as_librarian()))
    assert read["role"] == "patron"
