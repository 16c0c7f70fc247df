"""Limits at the HTTP edge: whom they count, what clients are told, and that they never stand in the way."""

from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from library_common.access import Access
from library_common.context import current
from library_common.http import RequestBody, ServiceApi
from library_common.limits import DEFAULTS, LeasingRateLimiter, Limit
from tests.fakes.buckets import FakeBuckets
from tests.support.clock import FixedClock
from tests.support.lambda_events import ANONYMOUS, Answer, api_event, call, person, service
from tests.support.operator_log import OperatorLog

pytestmark = pytest.mark.unit

ANN = person("01ARZ3NDEKTSV4RRFFQ69G5FAV")
BEN = person("01ARZ3NDEKTSV4RRFFQ69G5FAW")
LENA = person("01ARZ3NDEKTSV4RRFFQ69G5FAX", "librarian")
HOME, SCHOOL = "198.51.100.7", "203.0.113.1"
KNOWN = {
    **DEFAULTS,
    "member": Limit(capacity=3, seconds=60),
    "staff": Limit(capacity=5, seconds=60),
    "anonymous": Limit(capacity=4, seconds=60),
    "register": Limit(capacity=2, seconds=3600),
}
HEADERS = ("ratelimit-limit", "ratelimit-remaining", "ratelimit-reset")


class ThingBody(RequestBody):
    name: str


@pytest.fixture
def buckets() -> FakeBuckets:
    return FakeBuckets()


@pytest.fixture
def api(buckets: FakeBuckets) -> ServiceApi:
    limiter = LeasingRateLimiter(KNOWN, buckets, FixedClock())
    built = ServiceApi(name="tiny", title="Tiny", problems={}, limiter=lambda: limiter)

    @built.get("/api/things", access=Access(public=True))
    def find() -> list[str]:
        return []

    @built.post("/api/things", access=Access(public=True), status=201, limit="register")
    def make(body: ThingBody) -> str:
        return body.name

    @built.get("/api/mine", access=Access(member=True, own="caller", scope="things:read"))
    def mine() -> str:
        return "mine"

    @built.get("/api/staff", access=Access(librarian=True))
    def staff() -> str:
        return "staff"

    @built.get("/api/code", access=Access(public=True))
    def code() -> None:
        limiter.take("reset_account", "ann@example.org")

    return built


def ask(api: ServiceApi, path: str, caller: dict[str, str] = ANONYMOUS, source: str = HOME, **more: Any) -> Answer:
    event = api_event(more.pop("method", "GET"), path, caller=caller, **more)
    event["requestContext"]["identity"]["sourceIp"] = source
    return call(api, event)


def register(api: ServiceApi, caller: dict[str, str] = ANONYMOUS, source: str = HOME) -> Answer:
    return ask(api, "/api/things", caller, source, method="POST", body={"name": "kettle"})


def told(answer: Answer) -> tuple[str, ...]:
    return tuple(answer.headers[name] for name in HEADERS)


def test_every_answer_tells_where_its_caller_stands(api: ServiceApi) -> None:
    assert told(ask(api, "/api/mine", ANN)) == ("3", "2", "20")
    assert told(ask(api, "/api/things")) == ("4", "3", "15")
    # Of two limits the tighter one, and on refusals of other kinds, too.
    assert told(register(api)) == ("2", "1", "1800")
    assert told(ask(api, "/api/things", method="POST", body={"nom": 1})) == ("2", "0", "3600")


def test_too_many_requests_are_refused_with_a_problem_document(api: ServiceApi, log: OperatorLog) -> None:
    for _ in range(3):
        assert ask(api, "/api/mine", ANN).status == 200

    answer = ask(api, "/api/mine", ANN)

    assert answer.status == 429
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["code"] == "too_many_requests"
    assert answer.headers["retry-after"] == "20"
    assert told(answer) == ("3", "0", "20")
    assert log.invocations[-1]["error_code"] == "too_many_requests"


def test_people_are_counted_one_by_one_wherever_they_are(api: ServiceApi) -> None:
    for source in (HOME, SCHOOL, "2001:db8::1"):
        ask(api, "/api/mine", ANN, source)

    assert ask(api, "/api/mine", ANN, "192.0.2.1").status == 429
    assert ask(api, "/api/mine", BEN, HOME).status == 200
    assert [ask(api, "/api/staff", LENA).status for _ in range(6)] == [200] * 5 + [429]


def test_others_are_counted_by_address(api: ServiceApi) -> None:
    assert [ask(api, "/api/things", source=HOME).status for _ in range(5)] == [200] * 4 + [429]
    assert ask(api, "/api/things", source=SCHOOL).status == 200
    assert ask(api, "/api/things", ANN, source=HOME).status == 200, "members have a limit of their own"


def test_a_network_of_addresses_is_one_caller(api: ServiceApi) -> None:
    answers = [ask(api, "/api/things", source=f"2001:db8:0:1::{number}").status for number in range(1, 6)]

    assert answers == [200] * 4 + [429]
    assert ask(api, "/api/things", source="2001:db8:0:2::1").status == 200


def test_nobody_becomes_somebody_else_by_a_header(api: ServiceApi) -> None:
    for number in range(4):
        ask(api, "/api/things", headers={"X-Forwarded-For": f"192.0.2.{number}"})

    assert ask(api, "/api/things", headers={"X-Forwarded-For": "192.0.2.99"}).status == 429


def test_a_route_s_own_limit_counts_callers_without_a_token(api: ServiceApi) -> None:
    assert [register(api).status for _ in range(3)] == [201, 201, 429]
    assert register(api, source=SCHOOL).status == 201
    assert [register(api, LENA).status for _ in range(4)] == [201] * 4


def test_services_are_not_limited(api: ServiceApi, buckets: FakeBuckets) -> None:
    answers = [ask(api, "/api/mine", service("loans", "things:read")) for _ in range(20)]

    assert {answer.status for answer in answers} == {200}
    assert not set(HEADERS) & answers[0].headers.keys()
    assert buckets.arrivals == {}


def test_who_may_not_come_in_is_not_counted(api: ServiceApi, buckets: FakeBuckets) -> None:
    assert ask(api, "/api/mine").status == 401
    assert ask(api, "/api/staff", ANN).status == 403
    assert ask(api, "/api/things", method="OPTIONS", headers={"Origin": "https://a.example"}).status == 405
    preflight = {"Origin": "https://a.example", "Access-Control-Request-Method": "GET"}
    api(api_event("OPTIONS", "/api/things", headers=preflight), None)
    assert (buckets.reads, buckets.writes) == (0, 0)


def test_a_use_case_counts_what_it_likes(api: ServiceApi) -> None:
    answers = [ask(api, "/api/code", ANN | {"subject": f"U{number}"}) for number in range(6)]

    assert [answer.status for answer in answers] == [200] * 5 + [429]
    assert answers[-1].headers["retry-after"] == "720"
    assert told(answers[-1]) == ("5", "0", "720")


def test_without_the_table_everybody_is_served(api: ServiceApi, buckets: FakeBuckets) -> None:
    buckets.failure = EndpointConnectionError(endpoint_url="http://nowhere")

    answers = [ask(api, "/api/mine", ANN) for _ in range(10)]

    assert {answer.status for answer in answers} == {200}
    assert not set(HEADERS) & answers[0].headers.keys()


def test_pages_of_other_origins_may_read_the_headers(api: ServiceApi) -> None:
    answer = ask(api, "/api/things", headers={"Origin": "https://catalogue.example"})

    exposed = {name.strip().lower() for name in answer.headers["access-control-expose-headers"].split(",")}
    assert {*HEADERS, "retry-after"} <= exposed


def test_the_document_tells_of_limits(api: ServiceApi) -> None:
    document = api.openapi()

    assert document["paths"]["/api/things"]["post"]["x-limit"] == "register"
    refused = document["paths"]["/api/mine"]["get"]["responses"]["429"]
    assert refused["headers"].keys() == {"Retry-After", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"}
    assert refused["headers"].keys() == document["components"]["headers"].keys()


@pytest.mark.parametrize(
    ("limit", "access"),
    [
        ("logni", Access(public=True)),
        ("member", Access(public=True)),
        ("login_account", Access(public=True)),
        ("login", Access(member=True, own="caller")),
    ],
)
def test_a_limit_that_would_never_count_is_a_mistake(api: ServiceApi, limit: str, access: Access) -> None:
    with pytest.raises(ValueError, match="/api/others"):
        api.post("/api/others", access=access, limit=limit)


def test_the_line_tells_what_limits_cost_apart(log: OperatorLog) -> None:
    class Counting(FakeBuckets):
        def read(self, bucket: str) -> int | None:
            current().limit_calls += 1
            current().limit_reads += 0.5
            return super().read(bucket)

    limiter = LeasingRateLimiter(DEFAULTS, Counting(), FixedClock())
    api = ServiceApi(name="tiny", title="Tiny", problems={}, limiter=lambda: limiter)

    @api.get("/api/things", access=Access(public=True))
    def find() -> list[str]:
        current().read_units += 1
        return []

    ask(api, "/api/things")

    (line,) = log.invocations
    assert (line["limit_calls"], line["limit_reads"], line["limit_writes"], line["read_units"]) == (1, 0.5, 0.0, 1.0)
