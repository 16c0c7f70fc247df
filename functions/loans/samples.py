"""Sample invocations of loans: `make events` writes them to events/invoke."""

from tools.sample_events import (
    AS_LIBRARIAN,
    AS_MEMBER,
    BARCODE,
    BOOK,
    LIBRARIAN,
    LOAN,
    MEMBER,
    MOMENT_MS,
    NO_FAILURES,
    Samples,
    on_the_bus,
    outbox,
    queue,
    request,
    scheduled,
    stream,
)


def loans() -> Samples:
    """Loans."""
    one = "/api/loans/{loan_id}"
    loan = {"loan_id": LOAN}
    # Other services cannot be asked in the test: nothing listens at their address. A return does not need them.
    yield (
        "check_out",
        503,
        request(
            "POST",
            "/api/loans",
            AS_LIBRARIAN,
            body={"user_id": MEMBER, "book_id": BOOK},
            headers={"Idempotency-Key": "sample-checkout-1"},
        ),
    )
    yield (
        "check_out_for_another",
        403,
        request("POST", "/api/loans", AS_MEMBER, body={"user_id": LIBRARIAN, "book_id": BOOK}),
    )
    yield "read", 200, request("GET", one, AS_MEMBER, path=loan)
    yield "history", 200, request("GET", "/api/loans", AS_MEMBER, query={"user_id": MEMBER, "status": "active"})
    yield "history_by_path", 200, request("GET", "/api/loans/user/{user_id}", AS_LIBRARIAN, path={"user_id": MEMBER})
    yield "renew", 503, request("PUT", f"{one}/extend", AS_MEMBER, path=loan)
    yield "return", 200, request("POST", "/api/returns", AS_LIBRARIAN, body={"barcode": BARCODE})
    yield (
        "return_by_path",
        200,
        request("POST", f"{one}/return", AS_LIBRARIAN, path=loan, body={"condition": "damaged"}),
    )


def loans_stream() -> Samples:
    """Images of loans: an issued one, and one whose checkout is not finished."""
    pending = {
        "pk": f"LOAN#{LOAN}",
        "sk": "LOAN",
        "member": MEMBER,
        "role": "patron",
        "book": BOOK,
        "status": "PENDING",
        "requested": "2026-11-21T12:00:00Z",
        "due": "2026-12-05T23:59:59Z",
        "v": 1,
        "lease": MOMENT_MS // 1000 + 30,
    }
    active = {name: value for name, value in pending.items() if name != "lease"} | {
        "status": "ACTIVE",
        "barcode": BARCODE,
        "title": "The Left Hand of Darkness",
        "issued": "2026-11-21T12:00:00Z",
        "open_copy": BARCODE,
        "v": 2,
        "events": outbox("loans", "LoanCreated"),
    }
    yield "issued", {"published": 1, "set_aside": 0}, stream("LoansTable", pending, active)
    # Goes to the recovery queue.
    yield "unfinished", {"published": 0, "set_aside": 0}, stream("LoansTable", pending)


def recovery() -> Samples:
    """Loans to look at again."""
    yield "look_again", NO_FAILURES, queue("LoanRecoveryQueue", {"loan_id": LOAN, "attempt": 0})
    # The first message moves to the dead-letter queue, the second is handled.
    yield "one_unreadable", NO_FAILURES, queue("LoanRecoveryQueue", "not JSON", {"loan_id": LOAN, "attempt": 3})


def erasures() -> Samples:
    """Members who were erased."""
    event = on_the_bus("users", "MemberErased")
    yield "member_erased_twice", NO_FAILURES, queue("LoanErasureQueue", event, event)
    # Moves to the dead-letter queue: what other services say of members erases nobody.
    yield "not_from_users", NO_FAILURES, queue("LoanErasureQueue", {**event, "source": "library.loans"}, event)


def retention() -> Samples:
    """The round over closed loans: the schedule, and an operator's commands."""
    # The schedule; does nothing when the day's round is done.
    yield "hourly", None, scheduled("Hourly")
    # Another round at once.
    yield "round_anew", None, {"anew": True}
    # The same, after searching the whole table for accounts.
    yield "round_with_walk", None, {"walk": True}


FUNCTIONS = {
    "LoansFunction": loans,
    "LoansPublisher": loans_stream,
    "LoansRecovery": recovery,
    "LoansErasure": erasures,
    "LoansRetention": retention,
}
