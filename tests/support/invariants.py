"""The lending invariants, checked over everything in the tables of a deployed stack.

Reads the tables directly, because no API shows a half-done checkout; that is the point of looking.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from library_common.dynamodb import from_wire
from localstack.embedded.stack import LocalStack

LIMITS = {"student": 3, "patron": 5, "faculty": 10, "librarian": 10, "admin": 5}
OUT = {"on_loan", "awaiting_pickup", "in_transit"}


def everything(stack: LocalStack, table: str) -> list[dict[str, Any]]:
    """All items of a service's table."""
    pages = stack.client("dynamodb").get_paginator("scan").paginate(TableName=stack.tables[table], ConsistentRead=True)
    return [from_wire(item) for page in pages for item in page["Items"]]


def violations(stack: LocalStack) -> list[str]:
    """Every broken invariant as a sentence; empty when all hold and nothing is unfinished."""
    stored = everything(stack, "loans")
    loans = [item for item in stored if item["sk"] == "LOAN"]
    accounts = [item for item in stored if item["sk"] == "ACCOUNT"]
    stocks = [item for item in everything(stack, "books") if item["sk"] == "STOCK"]
    return [*_unfinished(loans), *_copies(loans, stocks), *_places(loans, accounts)]


def _unfinished(loans: list[dict[str, Any]]) -> Iterator[str]:
    for loan in loans:
        if loan["status"] == "PENDING":
            yield f"{loan['pk']} is PENDING"
        if loan.get("settling"):
            yield f"{loan['pk']} has its release pending"


def _copies(loans: list[dict[str, Any]], stocks: list[dict[str, Any]]) -> Iterator[str]:
    open_by_copy = Counter(loan["barcode"] for loan in loans if loan["status"] == "ACTIVE")
    for barcode, number in open_by_copy.items():
        if number > 1:
            yield f"copy {barcode} has {number} open loans"
    held: dict[str, str] = {}
    for stock in stocks:
        states = Counter(copy["status"] for copy in stock["copies"].values())
        out = sum(states[state] for state in OUT)
        if stock["available"] != states["available"] or stock["out"] != out or stock["total"] != states.total():
            yield f"{stock['pk']} counts {stock['total']}/{stock['available']}/{stock['out']}, has {dict(states)}"
        for barcode, copy in stock["copies"].items():
            if copy.get("loan"):
                held[copy["loan"]] = barcode
    lent = {loan["pk"].removeprefix("LOAN#"): loan["barcode"] for loan in loans if loan["status"] == "ACTIVE"}
    for loan_id in lent.keys() - held.keys():
        yield f"loan {loan_id} is open and books holds no copy for it"
    for loan_id in held.keys() - lent.keys():
        yield f"books holds {held[loan_id]} for {loan_id}, which is not open"
    for loan_id in held.keys() & lent.keys():
        if held[loan_id] != lent[loan_id]:
            yield f"loan {loan_id} says {lent[loan_id]}, books says {held[loan_id]}"


def _places(loans: list[dict[str, Any]], accounts: list[dict[str, Any]]) -> Iterator[str]:
    open_loans: dict[str, set[str]] = {}
    roles: dict[str, str] = {}
    for loan in (loan for loan in loans if "anonymised" not in loan):
        roles[loan["member"]] = loan["role"]
        if loan["status"] == "ACTIVE":
            open_loans.setdefault(loan["member"], set()).add(loan["pk"].removeprefix("LOAN#"))
    for account in accounts:
        member = account["pk"].removeprefix("MEMBER#")
        places = set(account["open"])
        if places != open_loans.get(member, set()):
            yield f"member {member} has places for {sorted(places)}, open are {sorted(open_loans.get(member, set()))}"
        if places and len(places) > LIMITS[roles[member]]:
            yield f"member {member} has {len(places)} open loans, a {roles[member]} may have {LIMITS[roles[member]]}"
