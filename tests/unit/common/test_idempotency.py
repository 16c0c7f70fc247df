"""The record of an idempotent request."""

from datetime import timedelta

import pytest

from library_common.access import Caller, Role
from library_common.idempotency import LIFETIME, Ticket
from library_common.problems import IdempotencyKeyReused
from tests.support.clock import NOON

pytestmark = pytest.mark.unit

CALLER = Caller(kind="person", id="U", role=Role.LIBRARIAN)
SECOND = timedelta(seconds=1)


def ticket(*, caller: Caller = CALLER, route: str = "POST /api/books", key: str = "k", body: str = "{}") -> Ticket:
    made = Ticket.of(caller, route, key, body)
    assert made is not None
    return made


def test_without_a_key_there_is_no_ticket() -> None:
    assert Ticket.of(CALLER, "POST /api/books", None, "{}") is None


def test_a_repeat_finds_the_answer() -> None:
    stored = ticket().record('{"id":"1"}', NOON).item

    assert ticket().stored_answer(stored, NOON) == '{"id":"1"}'
    assert ticket().key() == {name: stored[name] for name in ("pk", "sk")}


def test_there_is_no_answer_before_there_is_a_record() -> None:
    assert ticket().stored_answer(None, NOON) is None


@pytest.mark.parametrize(
    ("age", "found"), [(timedelta(), True), (LIFETIME, True), (LIFETIME + SECOND, False), (2 * LIFETIME, False)]
)
def test_a_record_counts_for_a_day_whether_or_not_it_is_deleted_by_then(age: timedelta, found: bool) -> None:
    stored = ticket().record("{}", NOON).item

    assert (ticket().stored_answer(stored, NOON + age) is not None) is found
    # And the condition of the next write says the same.
    condition = ticket().record("{}", NOON + age).condition
    assert (stored[condition.names["exp"]] < condition.values["now"]) is not found


def test_another_body_under_the_same_key_is_refused() -> None:
    stored = ticket(body='{"title":"A"}').record("{}", NOON).item

    with pytest.raises(IdempotencyKeyReused):
        ticket(body='{"title":"B"}').stored_answer(stored, NOON)


def test_another_body_after_the_record_has_expired_is_a_new_request() -> None:
    stored = ticket(body='{"title":"A"}').record("{}", NOON).item

    assert ticket(body='{"title":"B"}').stored_answer(stored, NOON + LIFETIME + SECOND) is None


@pytest.mark.parametrize(
    "other",
    [
        ticket(key="K"),
        ticket(route="POST /api/users"),
        ticket(caller=Caller(kind="person", id="V", role=Role.LIBRARIAN)),
        ticket(caller=Caller(kind="service", id="U")),
    ],
)
def test_a_key_belongs_to_one_caller_and_route(other: Ticket) -> None:
    assert other.record_key != ticket().record_key


def test_neither_the_key_nor_the_body_can_be_read_from_a_record() -> None:
    written = repr(ticket(key="my-key", body='{"password":"sesame"}').record("{}", NOON).item)

    assert "my-key" not in written
    assert "sesame" not in written
    # The same body under another key leaves another trace.
    assert ticket(key="a").request_digest != ticket(key="b").request_digest
