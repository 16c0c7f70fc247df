"""Calling another service: against a real server, because what matters here is what sockets do."""

import socket
from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from typing import Any

import pytest
import urllib3

from library_common.context import invocation
from library_common.service_client import (
    ATTEMPTS,
    Answered,
    NotFound,
    Refused,
    Result,
    ServiceClient,
    ServiceToken,
    Timeouts,
    Unavailable,
    UnknownOutcome,
    path_segment,
)
from library_common.tokens import SERVICE_LIFETIME, TokenRefused, TokenVerifier
from tests.support.clock import FixedClock
from tests.support.operator_log import OperatorLog
from tests.support.scripted_service import Does, ScriptedService

pytestmark = [pytest.mark.unit, pytest.mark.enable_socket]

SECRET = "s" * 64
SCOPES = frozenset({"inventory:write"})
PATIENT = Timeouts(connect=5.0, answer=5.0, breaker_failures=100, breaker_pause=10.0)
HASTY = Timeouts(connect=5.0, answer=0.4, breaker_failures=100, breaker_pause=10.0)
TOUCHY = Timeouts(connect=5.0, answer=5.0, breaker_failures=3, breaker_pause=10.0)
LONG = 1000.0
"""Seconds until a deadline that plays no part."""

REFUSAL = Does(409, {"code": "no_copies_available", "detail": "None left."})
LOST = Does(vanish=True)

type Ask = Callable[[ServiceClient], Result]


def get(client: ServiceClient) -> Result:
    return client.get("/api/things/1", deadline=_deadline(client))


def post(client: ServiceClient) -> Result:
    """A call that may be repeated."""
    return client.post("/api/things", {"a": 1}, idempotent=True, deadline=_deadline(client))


def post_once(client: ServiceClient) -> Result:
    return client.post("/api/things", {"a": 1}, idempotent=False, deadline=_deadline(client))


def _deadline(client: ServiceClient) -> float:
    return client._monotonic() + LONG


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FixedClock:
    """For tokens, deadlines, pauses between attempts, and the breaker, which reads the wall clock by itself."""
    clock = FixedClock()

    class BreakersTime:
        @staticmethod
        def now(zone: tzinfo | None = None) -> datetime:
            return clock.now().astimezone(zone)

    monkeypatch.setattr("pybreaker.datetime", BreakersTime)
    return clock


@pytest.fixture
def token(clock: FixedClock) -> ServiceToken:
    return ServiceToken(service="loans", scopes=SCOPES, secret=lambda: SECRET, clock=clock)


@pytest.fixture
def calling(
    other_service: ScriptedService, token: ServiceToken, clock: FixedClock
) -> Callable[[Timeouts], ServiceClient]:
    def build(timeouts: Timeouts) -> ServiceClient:
        return ServiceClient(
            service="books",
            base_url=lambda: other_service.url,
            token=token,
            timeouts=timeouts,
            monotonic=clock.monotonic,
            sleep=clock.sleep,
        )

    return build


@pytest.fixture
def client(calling: Callable[[Timeouts], ServiceClient]) -> ServiceClient:
    return calling(PATIENT)


# -- the request ----------------------------------------------------------------------------------


def test_a_call_goes_to_the_address_signed_and_with_the_correlation_id(
    other_service: ScriptedService, client: ServiceClient, clock: FixedClock
) -> None:
    with invocation("order-7", actor="user:U") as record:
        client.post("/api/books/1/reserve", {"loan_id": "L", "é": "ü"}, idempotent=True, deadline=_deadline(client))

    (asked,) = other_service.asked
    assert (asked.method, asked.path) == ("POST", "/v1/api/books/1/reserve")
    assert asked.body == {"loan_id": "L", "é": "ü"}
    assert asked.headers["content-type"] == "application/json"
    assert asked.headers["x-correlation-id"] == "order-7"
    scheme, _, token = asked.headers["authorization"].partition(" ")
    verifier = TokenVerifier({"keys": []}, {"loans": ((SECRET,), SCOPES)})
    proven = verifier.verify(token, clock.now())
    assert (scheme, proven.subject, proven.scopes) == ("Bearer", "loans", SCOPES)
    assert record.outgoing_calls == 1


def test_a_safe_call_has_no_body(other_service: ScriptedService, client: ServiceClient) -> None:
    get(client)

    (asked,) = other_service.asked
    assert (asked.method, asked.body) == ("GET", None)
    assert "content-type" not in asked.headers


@pytest.mark.parametrize(
    ("value", "escaped"), [("a/b", "a%2Fb"), ("..", ".."), ("a?b#c", "a%3Fb%23c"), ("é", "%C3%A9")]
)
def test_a_value_in_a_path_stays_one_segment(value: str, escaped: str) -> None:
    assert path_segment(value) == escaped


# -- one answer -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("does", "result"),
    [
        (Does(200, {"a": 1}), Answered(200, {"a": 1})),
        (Does(201, {"a": 1}), Answered(201, {"a": 1})),
        (Does(204, b""), Answered(204, {})),
        (Does(404, {"code": "book_not_found"}), NotFound("book_not_found")),
        (REFUSAL, Refused(409, "no_copies_available", "None left.")),
        (Does(422, {"code": "invalid_request"}), Refused(422, "invalid_request", "")),
        (Does(400, b"<html>"), Refused(400, "", "")),
        (Does(302, {}, {"Location": "http://127.0.0.1:1/elsewhere"}), Refused(302, "", "")),
    ],
)
@pytest.mark.parametrize("ask", [get, post, post_once])
def test_a_definite_answer_is_taken_at_once(
    other_service: ScriptedService, client: ServiceClient, does: Does, result: Result, ask: Ask
) -> None:
    other_service.script = [does]

    assert ask(client) == result
    assert len(other_service.asked) == 1


NO_ANSWER = [
    Does(500, {"code": "internal_error"}),
    Does(502, b""),
    Does(503, {"code": "service_unavailable"}),
    Does(504, b"<html>"),
    Does(200, b"<html>not what was asked for"),
    Does(200, b'["a", "list"]'),
    Does(200, b"[" * 100_000),
    Does(200, {"barcode": "B-1"}, cut=5),
    Does(200, {"barcode": "B-1"}, cut=0),
    LOST,
]


@pytest.mark.parametrize("does", NO_ANSWER)
def test_a_call_without_a_usable_answer_may_have_been_carried_out(
    other_service: ScriptedService, client: ServiceClient, does: Does
) -> None:
    other_service.script = [does]

    assert isinstance(post_once(client), UnknownOutcome)
    assert isinstance(post(client), UnknownOutcome)
    # Reading changes nothing, so there is nothing to be in doubt about.
    assert isinstance(get(client), Unavailable)


@pytest.mark.parametrize(
    ("does", "why"),
    [
        (Does(429, {"code": "too_many_requests"}), "throttled"),
        (Does(401, {"message": "Unauthorized"}), "status 401"),
        (Does(403, {"message": "User is not authorized"}), "status 403"),
        (Does(404, {"code": "no_such_route"}), "no such route"),
        (Does(404, {"message": "Not Found"}), "no such route"),
        (Does(404, b"nginx"), "no such route"),
    ],
)
@pytest.mark.parametrize("ask", [get, post, post_once])
def test_who_stands_in_front_of_the_service_turning_a_call_away_means_nothing_was_done(
    other_service: ScriptedService, client: ServiceClient, does: Does, why: str, ask: Ask
) -> None:
    other_service.script = [does]

    assert ask(client) == Unavailable("books", why)


def test_a_refused_token_is_worth_an_operators_attention(
    other_service: ScriptedService, client: ServiceClient, log: OperatorLog
) -> None:
    other_service.script = [Does(401)]

    post_once(client)

    assert [(line["level"], line["target"], line["status"]) for line in log.lines] == [("ERROR", "books", 401)]


@pytest.mark.parametrize("ask", [get, post, post_once])
def test_a_refused_connection_means_nothing_was_done(clock: FixedClock, token: ServiceToken, ask: Ask) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    client = ServiceClient(
        service="books", base_url=lambda: url, token=token, monotonic=clock.monotonic, sleep=clock.sleep
    )

    assert ask(client) == Unavailable("books", "NewConnectionError")


def test_a_connection_that_was_left_meanwhile_is_no_trouble(
    other_service: ScriptedService, client: ServiceClient
) -> None:
    other_service.script = [Does(200, {"n": 1}, leave=True), Does(200, {"n": 2})]

    assert post(client) == Answered(200, {"n": 1})
    assert post(client) == Answered(200, {"n": 2})


# -- trying again ---------------------------------------------------------------------------------


@pytest.mark.parametrize("does", [*NO_ANSWER, Does(429)])
@pytest.mark.parametrize(("ask", "attempts"), [(get, ATTEMPTS), (post, ATTEMPTS), (post_once, 1)])
def test_only_what_may_be_repeated_is_tried_again(
    other_service: ScriptedService, client: ServiceClient, does: Does, ask: Ask, attempts: int
) -> None:
    other_service.script = [does]

    ask(client)

    assert len(other_service.asked) == attempts


@pytest.mark.parametrize("first", [*NO_ANSWER, Does(429)])
@pytest.mark.parametrize("ask", [get, post])
def test_the_answer_to_a_later_attempt_counts(
    other_service: ScriptedService, client: ServiceClient, first: Does, ask: Ask
) -> None:
    other_service.script = [first, Does(200, {"a": 1})]

    assert ask(client) == Answered(200, {"a": 1})


@pytest.mark.parametrize("first", [LOST, Does(429)])
@pytest.mark.parametrize("ask", [get, post])
def test_a_refusal_of_a_later_attempt_counts(
    other_service: ScriptedService, client: ServiceClient, first: Does, ask: Ask
) -> None:
    other_service.script = [first, REFUSAL]

    assert ask(client) == Refused(409, "no_copies_available", "None left.")


@pytest.mark.parametrize("then", [Does(429), Does(404, b""), Does(403)])
def test_a_lost_attempt_stays_in_doubt_whatever_turned_away_the_later_ones(
    other_service: ScriptedService, client: ServiceClient, then: Does
) -> None:
    other_service.script = [LOST, then]

    assert isinstance(post(client), UnknownOutcome)


def test_attempts_are_spread(other_service: ScriptedService, token: ServiceToken, clock: FixedClock) -> None:
    pauses: list[float] = []
    client = ServiceClient(
        service="books",
        base_url=lambda: other_service.url,
        token=token,
        timeouts=PATIENT,
        monotonic=clock.monotonic,
        sleep=pauses.append,
    )
    other_service.script = [LOST]

    for _ in range(5):
        post(client)

    assert len(pauses) == 5 * (ATTEMPTS - 1)
    assert all(0 <= pause <= 0.5 for pause in pauses)
    assert len(set(pauses)) > 1


# -- time -----------------------------------------------------------------------------------------


class RecordingPool(urllib3.PoolManager):
    """Records how long each attempt may take, and moves the clock by `seconds` with each: the machine's speed does not
    matter."""

    def __init__(self, clock: FixedClock, seconds: float = 0.0) -> None:
        super().__init__(retries=False)
        self.timeouts: list[urllib3.Timeout] = []
        self._clock, self._seconds = clock, seconds

    def request(self, *args: Any, **options: Any) -> urllib3.BaseHTTPResponse:
        self.timeouts.append(options["timeout"])
        try:
            return super().request(*args, **options)
        finally:
            self._clock.sleep(self._seconds)


def test_a_silent_service_is_waited_for_no_longer_than_one_answer_may_take(
    other_service: ScriptedService, token: ServiceToken, clock: FixedClock
) -> None:
    pool = RecordingPool(clock)
    client = ServiceClient(
        service="books",
        base_url=lambda: other_service.url,
        token=token,
        timeouts=HASTY,
        pool=pool,
        monotonic=clock.monotonic,
    )
    other_service.script = [Does(silent=True)]

    # The service never answers, so it was the client that ended the wait.
    assert post_once(client) == UnknownOutcome("books", "ReadTimeoutError")
    assert [timeout.read_timeout for timeout in pool.timeouts] == [HASTY.answer]


def test_a_slow_first_attempt_is_made_good_by_the_second(
    other_service: ScriptedService, calling: Callable[[Timeouts], ServiceClient]
) -> None:
    other_service.script = [Does(silent=True), Does(200, {"a": 1})]

    assert post(calling(HASTY)) == Answered(200, {"a": 1})


@pytest.mark.parametrize(("ask_safely", "kind"), [(True, Unavailable), (False, UnknownOutcome)])
def test_the_deadline_holds_over_all_attempts_together(
    other_service: ScriptedService, token: ServiceToken, clock: FixedClock, ask_safely: bool, kind: type[Result]
) -> None:
    pool = RecordingPool(clock, seconds=0.5)
    client = ServiceClient(
        service="books",
        base_url=lambda: other_service.url,
        token=token,
        timeouts=Timeouts(connect=0.1, answer=20.0, breaker_failures=100),
        pool=pool,
        monotonic=clock.monotonic,
        sleep=lambda _: None,
    )
    other_service.script = [LOST, Does(silent=True)]
    deadline = clock.monotonic() + 0.8

    if ask_safely:
        result = client.get("/api/things", deadline=deadline)
    else:
        result = client.post("/api/things", {}, idempotent=True, deadline=deadline)

    assert isinstance(result, kind)
    # The second attempt had what the first one left, and a third one never began.
    assert [timeout.read_timeout for timeout in pool.timeouts] == pytest.approx([0.8, 0.3])
    assert [timeout.total for timeout in pool.timeouts] == pytest.approx([0.8, 0.3])


def test_no_further_attempt_begins_that_could_not_connect_in_time(
    other_service: ScriptedService, client: ServiceClient, clock: FixedClock
) -> None:
    other_service.script = [LOST]

    client.get("/api/things", deadline=clock.monotonic() + PATIENT.connect)

    assert len(other_service.asked) == 1


@pytest.mark.parametrize("late", [0.0, 5.0])
def test_after_the_deadline_nothing_is_sent(
    other_service: ScriptedService, client: ServiceClient, clock: FixedClock, late: float
) -> None:
    deadline = clock.monotonic() - late

    assert client.post("/api/things", {}, idempotent=True, deadline=deadline) == Unavailable("books", "deadline passed")
    assert client.get("/api/things", deadline=deadline) == Unavailable("books", "deadline passed")
    assert other_service.asked == []


# -- the breaker ----------------------------------------------------------------------------------


@pytest.fixture
def touchy(calling: Callable[[Timeouts], ServiceClient]) -> ServiceClient:
    return calling(TOUCHY)


def trip(client: ServiceClient, other_service: ScriptedService) -> None:
    other_service.script = [Does(500)]
    for _ in range(TOUCHY.breaker_failures):
        post_once(client)
    other_service.asked.clear()


def test_a_service_that_keeps_failing_is_left_alone(other_service: ScriptedService, touchy: ServiceClient) -> None:
    trip(touchy, other_service)

    for ask in (get, post, post_once):
        # Nothing was sent, so nothing is in doubt.
        assert ask(touchy) == Unavailable("books", "circuit open")
    assert other_service.asked == []


def test_fewer_failures_do_not_matter(other_service: ScriptedService, touchy: ServiceClient) -> None:
    failing, working = Does(500), Does(200)
    other_service.script = [failing, failing, working, failing, failing, working]

    results = [post_once(touchy) for _ in range(6)]

    assert [isinstance(result, Answered) for result in results] == [False, False, True, False, False, True]


def test_after_a_pause_one_probe_goes_through_and_success_closes_the_breaker(
    other_service: ScriptedService, touchy: ServiceClient, clock: FixedClock
) -> None:
    trip(touchy, other_service)
    other_service.script = [Does(200)]

    clock.sleep(TOUCHY.breaker_pause - 0.1)
    assert post_once(touchy) == Unavailable("books", "circuit open")
    clock.sleep(0.1)
    assert isinstance(post_once(touchy), Answered)

    # Closed for good: it takes as many failures as at first to open it again.
    other_service.script = [Does(500)]
    for _ in range(TOUCHY.breaker_failures):
        assert isinstance(post_once(touchy), UnknownOutcome)
    assert post_once(touchy) == Unavailable("books", "circuit open")


def test_a_probe_that_fails_opens_the_breaker_for_another_pause(
    other_service: ScriptedService, touchy: ServiceClient, clock: FixedClock
) -> None:
    trip(touchy, other_service)
    clock.sleep(TOUCHY.breaker_pause)

    # Even a call that may be repeated sends no more than the probe; and that one is in doubt.
    assert isinstance(post(touchy), UnknownOutcome)
    assert len(other_service.asked) == 1
    assert post(touchy) == Unavailable("books", "circuit open")
    clock.sleep(TOUCHY.breaker_pause)
    other_service.script = [Does(200)]
    assert isinstance(post(touchy), Answered)


def test_a_breaker_that_opens_between_attempts_leaves_them_in_doubt(
    other_service: ScriptedService, calling: Callable[[Timeouts], ServiceClient]
) -> None:
    other_service.script = [LOST]
    client = calling(Timeouts(connect=5.0, answer=5.0, breaker_failures=2))

    assert post(client) == UnknownOutcome("books", "circuit open")
    assert len(other_service.asked) == 2


@pytest.mark.parametrize("does", [REFUSAL, Does(404, {"code": "book_not_found"}), Does(429), Does(403), Does(404, b"")])
def test_a_service_that_refuses_is_not_down(other_service: ScriptedService, touchy: ServiceClient, does: Does) -> None:
    other_service.script = [does]

    for _ in range(3 * TOUCHY.breaker_failures):
        post_once(touchy)

    assert len(other_service.asked) == 3 * TOUCHY.breaker_failures


def test_a_refused_connection_counts_as_a_failure(token: ServiceToken, clock: FixedClock) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    client = ServiceClient(
        service="books",
        base_url=lambda: url,
        token=token,
        timeouts=TOUCHY,
        monotonic=clock.monotonic,
        sleep=clock.sleep,
    )

    results = [post_once(client) for _ in range(TOUCHY.breaker_failures + 1)]

    assert results[-1] == Unavailable("books", "circuit open")


def test_our_own_lateness_says_nothing_about_the_service(
    other_service: ScriptedService, touchy: ServiceClient, clock: FixedClock
) -> None:
    other_service.script = [Does(500)]
    for _ in range(TOUCHY.breaker_failures - 1):
        post_once(touchy)
    touchy.get("/api/things", deadline=clock.monotonic())
    post_once(touchy)
    assert post_once(touchy) == Unavailable("books", "circuit open"), "lateness is no success that closes the breaker"

    clock.sleep(TOUCHY.breaker_pause)
    touchy.get("/api/things", deadline=clock.monotonic())

    other_service.asked.clear()
    post(touchy)
    assert len(other_service.asked) == 1, "nor is it the probe"


def test_the_state_of_the_breaker_can_be_seen(
    other_service: ScriptedService,
    touchy: ServiceClient,
    clock: FixedClock,
    log: OperatorLog,
) -> None:
    with invocation() as running:
        trip(touchy, other_service)
        clock.sleep(TOUCHY.breaker_pause)
        other_service.script = [Does(200)]
        post_once(touchy)

    assert running.counts == {f"BreakerState target=books state={s}": 1 for s in ("open", "half-open", "closed")}
    assert [line["state"] for line in log.lines if line["message"] == "circuit breaker"] == [
        "open",
        "half-open",
        "closed",
    ]


# -- the token ------------------------------------------------------------------------------------


def test_a_token_is_used_again_until_a_minute_before_it_expires(clock: FixedClock, token: ServiceToken) -> None:
    first = token.get()

    clock.advance(SERVICE_LIFETIME - timedelta(seconds=61))
    assert token.get() == first
    clock.advance(timedelta(seconds=1))
    assert token.get() != first


def test_a_renewed_token_is_signed_with_the_secret_as_it_is_then(clock: FixedClock) -> None:
    secrets = ["o" * 64, "n" * 64]
    token = ServiceToken(service="loans", scopes=SCOPES, secret=lambda: secrets[0], clock=clock)
    token.get()
    secrets.pop(0)
    clock.advance(SERVICE_LIFETIME)

    verifier = TokenVerifier({"keys": []}, {"loans": (("n" * 64,), SCOPES)})

    assert verifier.verify(token.get(), clock.now()).subject == "loans"


def test_all_calls_of_a_while_carry_the_same_token(other_service: ScriptedService, client: ServiceClient) -> None:
    for _ in range(3):
        get(client)

    assert len({asked.headers["authorization"] for asked in other_service.asked}) == 1


# -- a secret that was replaced ---------------------------------------------------------------------

UNAUTHENTICATED = Does(401, {"code": "not_authenticated"})


@pytest.fixture
def secrets() -> list[str]:
    """The secret as this process remembers it, and as it is now."""
    return [SECRET, SECRET]


@pytest.fixture
def token_of_two(secrets: list[str], clock: FixedClock) -> ServiceToken:
    return ServiceToken(
        service="loans", scopes=SCOPES, secret=lambda: secrets[0], newer_secret=lambda: secrets[1], clock=clock
    )


@pytest.fixture
def renewing(other_service: ScriptedService, token_of_two: ServiceToken, clock: FixedClock) -> ServiceClient:
    return ServiceClient(
        service="books",
        base_url=lambda: other_service.url,
        token=token_of_two,
        timeouts=PATIENT,
        monotonic=clock.monotonic,
        sleep=clock.sleep,
    )


def signed_with(token: str, secret: str, clock: FixedClock) -> bool:
    try:
        TokenVerifier({"keys": []}, {"loans": ((secret,), SCOPES)}).verify(token.removeprefix("Bearer "), clock.now())
    except TokenRefused:
        return False
    return True


@pytest.mark.parametrize("ask", [get, post, post_once])
def test_after_a_401_a_call_is_signed_with_the_secret_of_now(
    ask: Ask, other_service: ScriptedService, renewing: ServiceClient, secrets: list[str], clock: FixedClock
) -> None:
    """Also one that must not be repeated: what the authorizer refuses never reached the service."""
    secrets[1] = "n" * 64
    other_service.script = [UNAUTHENTICATED, Does(200, {"done": True})]

    assert ask(renewing) == Answered(200, {"done": True})
    first, second = (asked.headers["authorization"] for asked in other_service.asked)
    assert signed_with(first, SECRET, clock)
    assert signed_with(second, "n" * 64, clock)


def test_a_renewed_token_is_used_from_then_on(
    other_service: ScriptedService, renewing: ServiceClient, secrets: list[str]
) -> None:
    secrets[1] = "n" * 64
    other_service.script = [UNAUTHENTICATED, Does()]

    for _ in range(3):
        post_once(renewing)

    assert len(other_service.asked) == 4
    assert len({asked.headers["authorization"] for asked in other_service.asked[1:]}) == 1


def test_without_a_newer_secret_a_401_stays_one(other_service: ScriptedService, renewing: ServiceClient) -> None:
    other_service.script = [UNAUTHENTICATED]

    assert post_once(renewing) == Unavailable("books", "status 401")
    assert len(other_service.asked) == 1
