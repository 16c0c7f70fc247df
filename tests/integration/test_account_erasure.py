"""Erasing an account of the deployed library: the export, the refusal while books are out, the erasure."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from library_common.clock import to_rfc3339
from library_common.dynamodb import PRESENT, Expression, Table
from localstack.embedded.stack import LocalStack
from tests.support.consumer_queues import BY_NAME, ConsumerQueue
from tests.support.invariants import everything, violations
from tests.support.library_client import LibraryClient, created, eventually, ok, problem

pytestmark = pytest.mark.integration

REPORTS = ("popular-books?limit=100", "genres", "collection-turnover")


def statistics(stack: LocalStack, library: LibraryClient, genre: str) -> dict[str, Any]:
    """What the library counts of a genre, once everything that happened so far is counted. Of the others, events of
    other tests may be on their way still."""
    ConsumerQueue(stack, BY_NAME["analytics"]).until_empty(seconds=180)
    ask = library.as_librarian()
    found = {report: ok(library.http.get(f"/api/analytics/{report}", headers=ask))["items"] for report in REPORTS}
    return {report: [item for item in items if item["genre"] == genre] for report, items in found.items()}


def of_loans(stack: LocalStack, *texts: str) -> list[str]:
    """The items in the table of loans in which one of the texts stands anywhere."""
    found = [(str(item["pk"]), json.dumps(item, default=str)) for item in everything(stack, "loans")]
    return [key for key, item in found if any(text in item for text in texts)]


def test_a_member_takes_their_data_and_leaves(stack: LocalStack, library: LibraryClient) -> None:
    member = library.add_member()
    me = library.bearer(member["id"], "patron")
    genre = f"farewells {member['id']}".casefold()
    loan = library.lent(member["id"], library.add_book(genre=genre)["id"])
    path = f"/api/users/{member['id']}"

    # Three services are asked, none of which may be awake yet on a busy machine: 503 until they are.
    eventually(lambda: library.http.get(f"{path}/export", headers=me).status_code == 200, "an archive")
    archive = ok(library.http.get(f"{path}/export", headers=me))
    assert archive["account"]["email"] == member["email"]
    assert [entry["id"] for entry in archive["loans"]] == [loan["id"]]
    assert archive["notifications"]["preferences"]["user_id"] == member["id"]
    notices = eventually(
        lambda: [
            notice["kind"]
            for notice in ok(library.http.get(f"{path}/export", headers=me))["notifications"]["notices"]
            if notice["kind"] == "loan_issued"
        ],
        "the notice of the loan in the archive",
    )
    assert notices == ["loan_issued"]
    months = eventually(lambda: ok(library.http.get(f"{path}/export", headers=me))["activity"], "the month's figures")
    assert [month["loans"] for month in months] == [1]

    refused = problem(library.http.delete(path, headers=me), 409, "still_obliged")
    assert [reason["code"] for reason in refused["reasons"]] == ["open_loans"]

    library.returned(loan["id"])
    eventually(
        lambda: sum(m["returns"] for m in ok(library.http.get(f"{path}/export", headers=me))["activity"]) == 1,
        "the return is counted",
    )
    counted = statistics(stack, library, genre)
    assert all(counted.values())
    assert library.http.delete(path, headers=me).status_code == 204
    problem(library.http.get(path, headers=library.as_librarian()), 404, "user_not_found")
    found = ok(library.http.get("/api/users", params={"email": member["email"]}, headers=library.as_librarian()))
    assert found["items"] == []

    # Loans gets the event a moment later. Then nothing there leads to the member but the mark that they are gone.
    account = f"MEMBER#{member['id']}"
    eventually(lambda: of_loans(stack, member["id"]) == [account], "only the account names the member")
    (marked,) = [item for item in everything(stack, "loans") if item["pk"] == account]
    assert "erased" in marked
    assert library.loan(loan["id"]) == {**loan, "user_id": None, **closing(library.loan(loan["id"]))}
    # Their token may still be accepted for a minute; it shows the loan no more than a refused one.
    assert library.http.get(f"/api/loans/{loan['id']}", headers=me).status_code in {401, 404}
    assert library.loans_of(member["id"]) == []
    assert statistics(stack, library, genre) == counted
    assert violations(stack) == []
    again = library.http.post("/api/users", json={"name": "Again", "email": member["email"]})
    assert created(again)["id"] != member["id"]


def closing(loan: dict[str, Any]) -> dict[str, Any]:
    """What a return, and being anonymised, change in what is shown of a loan."""
    assert loan["status"] == "RETURNED"
    assert loan["return_date"] is not None
    assert loan["version"] == 4
    return {name: loan[name] for name in ("status", "return_date", "version")}


def test_the_round_forgets_what_was_closed_long_ago_but_for_those_who_keep_their_history(
    stack: LocalStack, library: LibraryClient
) -> None:
    plain, keeper = library.add_member(), library.add_member(preferences={"keep_history": True})
    book = library.add_book(copies=3)["id"]
    old, kept, young = (created(library.lend(who["id"], book))["id"] for who in (plain, keeper, plain))
    for loan_id in (old, kept, young):
        ok(library.give_back(loan_id))
    eventually(lambda: violations(stack) == [], "no release is pending")
    for loan_id, member in ((old, plain), (kept, keeper)):
        as_if_long_ago(stack, loan_id, member["id"])

    goes_round(stack)

    assert library.loan(old)["user_id"] is None
    assert [loan["id"] for loan in library.loans_of(plain["id"])] == [young]
    assert [loan["id"] for loan in library.loans_of(keeper["id"])] == [kept]
    noted = the_round(stack)
    assert noted["anonymised"] >= 1
    assert (noted["keeping_history"], noted["postponed"], noted["failed"], noted["walked"]) == (1, 0, 0, True)

    withdrawn = {"preferences": {"keep_history": False}}
    ok(library.http.put("/api/users/me", json=withdrawn, headers=library.bearer(keeper["id"], "patron")))
    goes_round(stack)

    assert library.loan(kept)["user_id"] is None
    assert library.loan(young)["user_id"] == plain["id"]
    assert violations(stack) == []


def as_if_long_ago(stack: LocalStack, loan_id: str, user_id: str) -> None:
    """Nobody waits for half a year: the moments of a closed loan, and of its member's account, are rewritten."""
    table = Table(stack.tables["loans"], lambda: stack.client("dynamodb"), meter=lambda *_: None)
    long_ago = to_rfc3339(datetime.now(UTC) - timedelta(days=200))
    table.update(
        {"pk": f"LOAN#{loan_id}", "sk": "LOAN"},
        Expression(
            "SET #issued = :at, #returned = :at", {"issued": "issued", "returned": "returned"}, {"at": long_ago}
        ),
        PRESENT,
    )
    table.update(
        {"pk": f"MEMBER#{user_id}", "sk": "ACCOUNT"},
        Expression("SET #since = :at", {"since": "since"}, {"at": long_ago}),
        Expression("attribute_exists(#since)", {"since": "since"}),
    )


def goes_round(stack: LocalStack) -> None:
    """What the schedule does, but at once, and until users, who may not be awake yet, could be asked."""

    def through() -> bool:
        answer = stack.client("lambda").invoke(
            FunctionName=stack.functions["LoansRetention"], Payload=json.dumps({"anew": True}).encode()
        )
        assert "FunctionError" not in answer, answer["Payload"].read()
        noted = the_round(stack)
        return bool(noted["complete"]) and not noted["postponed"]

    eventually(through, "a round in which nobody was postponed")


def the_round(stack: LocalStack) -> dict[str, Any]:
    (noted,) = [item for item in everything(stack, "loans") if item["pk"] == "RETENTION"]
    return noted
