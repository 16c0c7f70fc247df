"""What members are told, on the deployed stack: in the list at once, by e-mail once, as preferred, in safe words."""

import json
import time
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from library_common.clock import SystemClock, to_rfc3339
from library_common.ids import new_id
from localstack.embedded.mail import Message
from tests.integration.conftest import Posting
from tests.support.faults import Fault
from tests.support.invocations import invocations
from tests.support.library_client import at_once, eventually, ok, problem
from tests.support.yardstick import USUAL_CHECKOUT_SECONDS, allowed

pytestmark = pytest.mark.integration

SAMPLES = Path(__file__).resolve().parents[2] / "events" / "samples"
IN_THE_LIST_WITHIN_SECONDS = 2.0
TEMPLATE_COUNTS_WITHIN_SECONDS = 180.0
"""A minute is what the documents promise; the rest is for the mail itself, on a busy machine."""
REJECTED = """<ErrorResponse xmlns="http://ses.amazonaws.com/doc/2010-12-01/"><Error><Type>Sender</Type>
<Code>MessageRejected</Code><Message>Address is on the suppression list.</Message></Error></ErrorResponse>"""
NEWCOMERS = 13
STUDENTS = 3
VISITS_AT_MOST = 8
RENEWED = "/api/notifications/templates/loan_renewed"
HOSTILE = '{{7*7}} {% for x in y %} <script>alert(1)</script> & "quotes"'


@pytest.fixture(scope="module")
def newcomers(posting: Posting) -> list[dict[str, Any]]:
    """Members whose welcome is over, so that it is in no message of a test."""
    return welcomed_members(posting, *["patron"] * NEWCOMERS)


@pytest.fixture(scope="module")
def everybody(newcomers: list[dict[str, Any]]) -> list[str]:
    """The ids of all of them, whichever test has them by now."""
    return [member["id"] for member in newcomers]


@pytest.fixture(scope="module")
def new_subject(posting: Posting, everybody: list[str]) -> str:
    """The subject that an administrator has chosen for e-mails about renewals, which one test only looks at.

    Stored after the sender has looked for stored templates and found none: it counts a minute later at the latest, and
    other tests are busy until then.
    """
    assert everybody
    word = f"Felicitations {new_id()}"
    template = {"language": "en", "email": {"subject": word, "text": "{{ title }}", "html": "<p>{{ title }}</p>"}}
    ok(posting.library.http.put(RENEWED, json=template, headers=posting.library.as_admin()))
    return word


@pytest.fixture(scope="module")
def post(posting: Posting, newcomers: list[dict[str, Any]], new_subject: str) -> Posting:
    """With warm functions: whoever comes first is told of a visit."""
    assert new_subject
    member = newcomers.pop()
    borrow(posting, member, "A first visit")
    mail_about(posting, member, "A first visit")
    return posting


@pytest.fixture
def member(posting: Posting, newcomers: list[dict[str, Any]]) -> dict[str, Any]:
    """Nobody else's."""
    return newcomers.pop() if newcomers else welcomed_members(posting, "patron")[0]


@pytest.fixture(autouse=True)
def nothing_was_given_up(post: Posting) -> Iterator[None]:
    yield
    assert post.dead_letters() == {}
    assert post.given_up() == []


# -- asking the library ---------------------------------------------------------------------------


def welcomed_members(post: Posting, *roles: str) -> list[dict[str, Any]]:
    """Members of these roles who have been welcomed."""
    members = at_once([partial(post.library.add_member, role) for role in roles], workers=4)
    expected = {member["email"] for member in members}

    def welcomed() -> bool:
        # A service that answered too late, on a busy machine, is asked again after a sweep.
        post.sweep()
        return expected <= {mail.to for mail in post.stack.messages()}

    eventually(welcomed, "the welcomes")
    return members


def borrow(post: Posting, member: dict[str, Any], title: str) -> dict[str, Any]:
    book = post.library.add_book(title=title)
    return post.library.lent(member["id"], book["id"])


def listed(post: Posting, member: dict[str, Any], *, unread: bool = False) -> dict[str, Any]:
    return ok(
        post.library.http.get(
            f"/api/notifications/user/{member['id']}",
            params={"unread": "true"} if unread else {},
            headers=post.library.bearer(member["id"], "patron"),
        )
    )


def set_preferences(post: Posting, member: dict[str, Any], **preferences: object) -> None:
    path = f"/api/notifications/preferences/{member['id']}"
    ok(post.library.http.put(path, json=preferences, headers=post.library.bearer(member["id"], "patron")))


def mails_about(post: Posting, member: dict[str, Any], text: str) -> list[Message]:
    return [mail for mail in post.stack.messages(member["email"]) if text in mail.body or text in mail.subject]


def mail_about(post: Posting, member: dict[str, Any], text: str) -> Message:
    return eventually(lambda: mails_about(post, member, text), f"a mail about {text}")[0]


def in_the_list(post: Posting, member: dict[str, Any], *titles: str) -> None:
    """Waits until the member's list has a notice of each of these."""

    def all_of_them() -> bool:
        headings = [notice["heading"] for notice in listed(post, member)["items"]]
        return all(any(title in heading for heading in headings) for title in titles)

    eventually(all_of_them, "in the list")


def put_on_the_bus(post: Posting, event_type: str, *, ago: timedelta = timedelta(0), **data: object) -> str:
    """An event of loans like the sample, but for its data, and of so long ago; answers its id."""
    sample = json.loads((SAMPLES / "loans" / f"{event_type}.v1.json").read_text())
    envelope = {
        **sample,
        "id": new_id(),
        "occurred_at": to_rfc3339(SystemClock().now() - ago),
        "correlation_id": new_id(),
        "data": {**sample["data"], **data},
    }
    entry = {
        "Source": "library.loans",
        "DetailType": event_type,
        "Detail": json.dumps(envelope),
        "EventBusName": post.stack.outputs["EventBusName"],
    }
    assert post.stack.client("events").put_events(Entries=[entry])["FailedEntryCount"] == 0
    event_id: str = envelope["id"]
    return event_id


# -- lending --------------------------------------------------------------------------------------


def test_a_checkout_is_in_the_list_within_two_seconds(post: Posting, member: dict[str, Any]) -> None:
    before = len(listed(post, member)["items"])
    took, lending = [], []
    for number in range(5):
        book = post.library.add_book(title=f"Quick {number}")
        asked = time.monotonic()
        loan = post.library.lent(member["id"], book["id"])
        started = time.monotonic()
        while len(listed(post, member)["items"]) <= before + number:
            assert time.monotonic() - started < 30 * IN_THE_LIST_WITHIN_SECONDS, "never in the list"
            time.sleep(0.05)
        took.append(time.monotonic() - started)
        lending.append(started - asked)
        assert loan["status"] == "ACTIVE"
    # The middle one: one of them may wait for a new process on a busy machine.
    within = allowed(IN_THE_LIST_WITHIN_SECONDS, yardstick=lending, usually=USUAL_CHECKOUT_SECONDS)
    print(f"in the list after {', '.join(f'{seconds:.2f}' for seconds in took)} s of {within:.1f} s allowed")
    assert median(took) < within, took


def test_several_loans_of_one_visit_are_one_mail(post: Posting, member: dict[str, Any]) -> None:
    def borrow_three(reader: dict[str, Any]) -> bool:
        """Whether all three were within a visit, as far as the machine is concerned."""
        books = [post.library.add_book(title=title)["id"] for title in titles]
        at_once([partial(post.library.lent, reader["id"], book) for book in books])
        in_the_list(post, reader, *titles)
        now = SystemClock().now()
        return now < min(one.send_at for one in post.outgoing.deliveries(reader["id"]) if one.kind == "loan_issued")

    titles = ["The Dispossessed", "Kindred", "Solaris"]
    reader, tries = member, 1
    while not borrow_three(reader):
        # Too slow for a visit of a few seconds: it may have become two, by right.
        assert tries < VISITS_AT_MOST, "no three loans were ever within a visit"
        (reader,), tries = welcomed_members(post, "patron"), tries + 1

    post.until_nothing_more_comes(reader["id"])
    (mail,) = mails_about(post, reader, titles[0])
    assert all(title in mail.body and title in mail.html for title in titles)
    assert [mails_about(post, reader, title) for title in titles] == [[mail]] * 3


def test_who_wants_no_mail_gets_none(post: Posting, member: dict[str, Any]) -> None:
    set_preferences(post, member, channels={"loan_issued": ["in_app"]})
    borrow(post, member, "Quiet Days")

    in_the_list(post, member, "Quiet Days")
    post.until_nothing_more_comes(member["id"])
    assert mails_about(post, member, "Quiet Days") == []


def test_unread_until_it_is_read(post: Posting, member: dict[str, Any]) -> None:
    borrow(post, member, "Read Me")
    (notice,) = eventually(
        lambda: [n for n in listed(post, member, unread=True)["items"] if n["kind"] == "loan_issued"], "in the list"
    )
    unread = listed(post, member)["unread"]
    path = f"/api/notifications/user/{member['id']}/{notice['id']}/read"
    for _ in range(2):
        answer = post.library.http.post(path, headers=post.library.bearer(member["id"], "patron"))
        assert answer.status_code == 204, answer.text

    eventually(lambda: listed(post, member)["unread"] == unread - 1, "one less is unread")
    assert notice["id"] not in [n["id"] for n in listed(post, member, unread=True)["items"]]
    (read,) = [n for n in listed(post, member)["items"] if n["id"] == notice["id"]]
    assert read["read_at"] is not None
    # It is nobody else's.
    stranger = post.library.add_member()
    refused = post.library.http.post(path, headers=post.library.bearer(stranger["id"], "patron"))
    assert refused.status_code in (403, 404)


# -- what did not get through ---------------------------------------------------------------------


def test_all_that_failed_for_a_reason_goes_out_once_it_is_tried_again(
    post: Posting, member: dict[str, Any], newcomers: list[dict[str, Any]], everybody: list[str]
) -> None:
    run = new_id()
    # Or mails that other tests did not wait for would be refused, too.
    post.until_nothing_more_comes(*everybody)
    members = [member, newcomers.pop()]
    for reader in members:
        # Whoever is told by another way, too, is not told twice after the mail was refused.
        set_preferences(post, reader, channels={"loan_issued": ["email"]})
    since = to_rfc3339(SystemClock().now())
    with post.mail.broken(Fault("POST", r"^/$", status=400, text=REJECTED)):
        for reader in members:
            borrow(post, reader, f"Refused {run}")
        eventually(lambda: len(post.given_up()) == len(members), "what was refused is listed as failed")

    which = {"error_code": "MessageRejected", "channel": "email", "since": since, "limit": 1}
    first = retry_all(post, which)
    rest = retry_all(post, {**which, "cursor": first["next_cursor"], "limit": 100})

    assert (first["retried"], rest) == (1, {"retried": 1, "next_cursor": None})
    for reader in members:
        mail_about(post, reader, run)
    assert retry_all(post, which) == {"retried": 0, "next_cursor": None}
    assert [len(mails_about(post, reader, run)) for reader in members] == [1, 1]


def retry_all(post: Posting, which: dict[str, Any]) -> dict[str, Any]:
    answer = post.library.http.post("/api/notifications/failed/retry", json=which, headers=post.library.as_admin())
    assert answer.status_code == 202, answer.text
    document: dict[str, Any] = answer.json()
    return document


# -- reminders ------------------------------------------------------------------------------------


def test_the_sweep_sends_a_due_reminder_and_none_for_a_book_that_is_back(post: Posting, member: dict[str, Any]) -> None:
    """Days that pass are what no test can wait for. So the members have had the due dates for three days already, as
    far as notifications knows: of a renewal, in an event that comes late. The morning to remind them is over, too.
    """
    run = new_id()
    # Alone in its mail, the reminder can be recognised.
    set_preferences(
        post, member, channels={kind: ["in_app"] for kind in ("loan_issued", "loan_renewed", "loan_returned")}
    )
    kept, back = (borrow(post, member, f"{title} {run}") for title in ("Kept", "Back"))
    before = len(post.stack.messages(member["email"]))
    # Nobody tells a reminder that the book is back: it is planned all the same, and has to ask.
    ok(post.library.give_back(back["id"]))
    for loan, title in ((kept, "Kept"), (back, "Back")):
        told = {"loan_id": loan["id"], "user_id": member["id"], "due_date": loan["due_date"]}
        put_on_the_bus(post, "LoanRenewed", ago=timedelta(days=3), title=f"{title} {run}", **told)

    def ends() -> bool:
        post.sweep()
        return due_soon(post, member) == {kept["id"]: "fired", back["id"]: "not_applicable"}

    eventually(ends, "each reminder came to its end")
    eventually(lambda: post.stack.messages(member["email"])[before:], "the reminder by mail")
    post.until_nothing_more_comes(member["id"])
    subject = f"“Kept {run}” is due soon"
    assert [mail.subject for mail in post.stack.messages(member["email"])[before:]] == [subject]
    reminded = [n["heading"] for n in listed(post, member)["items"] if n["kind"] == "loan_due_soon"]
    assert reminded == [subject]


def due_soon(post: Posting, member: dict[str, Any]) -> dict[str, str]:
    """What became of the member's reminders of what is due soon, by the loan."""
    found = post.stack.client("dynamodb").query(
        TableName=post.stack.tables["notifications"],
        KeyConditionExpression="pk = :pk AND begins_with(sk, :reminder)",
        ExpressionAttributeValues={":pk": {"S": f"MEMBER#{member['id']}"}, ":reminder": {"S": "REMINDER#"}},
        ConsistentRead=True,
    )["Items"]
    return {item["loan_id"]["S"]: item["state"]["S"] for item in found if item["kind"]["S"] == "loan_due_soon"}


# -- announcements --------------------------------------------------------------------------------


def test_an_announcement_reaches_each_of_its_audience_once(post: Posting, member: dict[str, Any]) -> None:
    students = welcomed_members(post, *["student"] * STUDENTS)
    subject = f"Closed on Friday {new_id()}"
    body = {
        "template": "announcement",
        "audience": {"role": "student"},
        "data": {"subject": subject, "message": "We are back on Saturday."},
        "channels": ["email", "in_app"],
    }
    headers = {**post.library.as_librarian(), "Idempotency-Key": new_id()}
    first = post.library.http.post("/api/notifications/send", json=body, headers=headers)
    again = post.library.http.post("/api/notifications/send", json=body, headers=headers)
    assert (first.status_code, again.status_code) == (202, 202), first.text
    assert first.json() == again.json()

    def told_everybody() -> bool:
        post.sweep()
        path = f"/api/notifications/send/{first.json()['id']}"
        return bool(ok(post.library.http.get(path, headers=post.library.as_librarian()))["state"] == "done")

    eventually(told_everybody, "the whole audience is told")
    post.until_nothing_more_comes(member["id"], *(student["id"] for student in students))
    for student in students:
        assert len(mails_about(post, student, subject)) == 1
        assert len([n for n in listed(post, student)["items"] if subject in n["heading"]]) == 1
    assert mails_about(post, member, subject) == []


# -- words from outside ----------------------------------------------------------------------------


def test_a_hostile_title_is_a_title(post: Posting, member: dict[str, Any]) -> None:
    borrow(post, member, HOSTILE)

    mail = mail_about(post, member, "alert(1)")

    assert HOSTILE in mail.body
    assert HOSTILE in mail.subject
    assert "49" not in mail.subject
    assert "<script" not in mail.html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in mail.html
    (notice,) = [n for n in listed(post, member)["items"] if n["kind"] == "loan_issued"]
    assert HOSTILE in notice["heading"]


def test_line_breaks_in_a_title_make_no_header(post: Posting, member: dict[str, Any]) -> None:
    """The catalogue takes no such title; what comes over the bus is not believed to be checked."""
    title = "Broken\r\nBcc: everybody@example.org\r\n\r\nlines"
    refused = post.library.http.post(
        "/api/books", json={"title": title, "author": "A. Writer", "copies": 1}, headers=post.library.as_librarian()
    )
    assert refused.status_code == 422
    put_on_the_bus(post, "LoanCreated", loan_id=new_id(), user_id=member["id"], title=title)

    mail = mail_about(post, member, "Broken")

    assert not {"\r", "\n"} & set(mail.subject)
    assert mail.to == member["email"]
    assert post.stack.messages("everybody@example.org") == []


# -- erasure --------------------------------------------------------------------------------------


def test_of_an_erased_member_nothing_is_left(post: Posting, member: dict[str, Any]) -> None:
    me = post.library.bearer(member["id"], "patron")
    loan = borrow(post, member, "The Last One")
    set_preferences(post, member, language="fr")
    mail_about(post, member, "The Last One")
    post.library.returned(loan["id"])
    eventually(lambda: [n for n in listed(post, member)["items"] if n["kind"] == "loan_returned"], "the return")

    assert post.library.http.delete(f"/api/users/{member['id']}", headers=me).status_code == 204

    def left() -> list[str]:
        found = post.stack.client("dynamodb").query(
            TableName=post.stack.tables["notifications"],
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": f"MEMBER#{member['id']}"}},
            ConsistentRead=True,
        )["Items"]
        return [item["sk"]["S"] for item in found]

    eventually(lambda: left() == ["ERASED"], "everything gone but the tombstone")
    refused = post.library.http.put(
        f"/api/notifications/preferences/{member['id']}", json={"language": "es"}, headers=post.library.as_admin()
    )
    problem(refused, 404, "user_not_found")
    late = put_on_the_bus(post, "LoanReturned", loan_id=loan["id"], user_id=member["id"])
    eventually(lambda: invocations(post.stack, "NotificationsConsumer", late), "the late event is heard of")
    assert left() == ["ERASED"]


# -- templates ------------------------------------------------------------------------------------


def test_an_administrators_wording_counts_until_it_is_withdrawn(
    post: Posting, new_subject: str, member: dict[str, Any]
) -> None:
    """Last: what it waits for has begun long ago."""
    loan = borrow(post, member, "Worded")
    mail_about(post, member, "Worded")

    def written() -> Message | None:
        newest = renewal_mail(post, member, loan)
        return newest if newest.subject == new_subject else None

    mail = eventually(written, "the changed template", seconds=TEMPLATE_COUNTS_WITHIN_SECONDS)
    assert mail is not None
    assert mail.body.strip() == "Worded"

    withdrawn = post.library.http.delete(RENEWED, params={"language": "en"}, headers=post.library.as_admin())
    assert withdrawn.status_code == 204, withdrawn.text
    preview = ok(
        post.library.http.post(f"{RENEWED}/preview", json={"language": "en"}, headers=post.library.as_librarian())
    )
    assert new_subject not in json.dumps(preview)


def renewal_mail(post: Posting, member: dict[str, Any], loan: dict[str, Any]) -> Message:
    """A member renews, and is told."""
    before = len(post.stack.messages(member["email"]))
    renewed = {"loan_id": loan["id"], "user_id": member["id"], "title": "Worded", "due_date": loan["due_date"]}
    put_on_the_bus(post, "LoanRenewed", **renewed)
    return eventually(lambda: post.stack.messages(member["email"])[before:], "the mail about a renewal")[-1]
