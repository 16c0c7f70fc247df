"""The HTTP edge, through a tiny API of its own: what every service's clients and operators rely on."""

import json
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError
from fastapi import Query, Response
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from library_common.access import Access
from library_common.context import current
from library_common.dynamodb import TransactionBusy
from library_common.http import (
    MAX_BODY_BYTES,
    MAX_FIELD_ERRORS,
    CurrentCaller,
    IdempotencyKey,
    IfMatch,
    ListQuery,
    RequestBody,
    ServiceApi,
    mark_replayed,
    require_version,
    set_etag,
)
from library_common.ids import is_id
from library_common.text import Line
from tests.support.lambda_events import Answer, api_event, call, person, service
from tests.support.operator_log import OperatorLog

pytestmark = pytest.mark.unit

ME = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
THING = {"name": "kettle"}


class Inner(BaseModel):
    colour: Annotated[str, Field(max_length=10)] = "red"


class ThingBody(RequestBody):
    name: Annotated[Line, Field(min_length=1, max_length=20)]
    size: Annotated[int, Field(strict=True, ge=0)] = 0
    inner: Inner | None = None
    tags: tuple[Annotated[Line, Field(max_length=5)], ...] = ()
    notes: dict[str, Annotated[Line, Field(max_length=5)] | Inner] = Field(default_factory=dict)


class ThingsQuery(ListQuery):
    q: Annotated[Line | None, Field(max_length=50)] = None


class Broken(Exception):
    """A domain error with everything one may carry."""

    code = "broken"
    reasons = (("cracked", "It has a crack."), ("cold", "It is cold."))
    errors = (("name", "is worn"),)
    extra = {"since": "yesterday"}  # noqa: RUF012 - as domain errors carry it
    retry_after = 7


class BrokenInTwo(Broken):
    """Covered by its parent in the problem table."""

    code = "broken_in_two"


PUBLIC = Access(public=True)


@pytest.fixture(scope="module")
def api() -> ServiceApi:
    built = ServiceApi(name="tiny", title="Tiny", problems={Broken: 409})
    built.publish_openapi("/api/tiny.json")

    @built.post("/api/things", access=PUBLIC, status=201, raises=[Broken])
    def make(body: ThingBody, response: Response, if_match: IfMatch, key: IdempotencyKey) -> dict[str, Any]:
        set_etag(response, 3)
        mark_replayed(response, key == "again")
        require_version(if_match, 3)
        return {"name": body.name, "size": str(body.size), "key": key}

    @built.get("/api/things", access=PUBLIC)
    def find(query: Annotated[ThingsQuery, Query()], caller: CurrentCaller) -> dict[str, Any]:
        current().read_units += 1.5
        return {"q": query.q, "limit": query.limit, "actor": caller.actor}

    @built.get("/api/members/{user_id}", access=Access(member=True, own="path:user_id", scope="users:read"))
    def member(user_id: str) -> dict[str, str]:
        return {"id": user_id}

    return built


@pytest.fixture
def failing() -> Callable[[Exception], ServiceApi]:
    """An API whose one route raises what it is given."""

    def build(exc: Exception) -> ServiceApi:
        built = ServiceApi(name="tiny", title="Tiny", problems={Broken: 409})

        @built.get("/api/fails", access=PUBLIC, raises=[Broken])
        def fail() -> None:
            raise exc

        return built

    return build


def post(api: ServiceApi, body: object = None, **more: Any) -> Answer:
    return call(api, api_event("POST", "/api/things", body=THING if body is None else body, **more))


def post_raw(api: ServiceApi, raw: str, **more: Any) -> Answer:
    return call(api, api_event("POST", "/api/things", raw_body=raw, **more))


def assert_problem(answer: Answer, status: int, code: str) -> None:
    assert (answer.status, answer.json["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["status"] == status
    assert answer.json["type"] == f"/docs/problems#{code}"
    assert answer.json["title"]
    assert answer.json["detail"]
    assert answer.json["correlation_id"] == answer.headers["x-correlation-id"]
    assert answer.json["instance"].startswith("/api/")


# -- bodies ---------------------------------------------------------------------------------------


def test_a_good_request_is_answered(api: ServiceApi) -> None:
    answer = post(api)

    assert answer.status == 201
    assert answer.json == {"name": "kettle", "size": "0", "key": None}
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["etag"] == 'W/"3"'
    assert "idempotency-replayed" not in answer.headers


@pytest.mark.parametrize("raw", ["{", '{"name":}', "kettle", "{'name': 'kettle'}", "\x00", '{"name": "kettle"}}'])
def test_malformed_json_is_400(api: ServiceApi, raw: str) -> None:
    assert_problem(post_raw(api, raw), 400, "malformed_json")


def test_bytes_that_are_no_text_are_400(api: ServiceApi) -> None:
    event = {**api_event("POST", "/api/things", raw_body="eyJuYW1lIjoi/yJ9"), "isBase64Encoded": True}

    assert_problem(call(api, event), 400, "malformed_json")


@pytest.mark.parametrize("depth", [900, 5_000, 60_000])
@pytest.mark.parametrize("template", ["{}", '{{"name": {}}}', '{{"name": "a", "tags": {}}}'])
def test_deep_nesting_is_refused(api: ServiceApi, depth: int, template: str) -> None:
    answer = post_raw(api, template.format("[" * depth + "]" * depth))

    assert answer.status in {400, 422}
    assert_problem(answer, answer.status, answer.json["code"])


def test_numbers_without_end_are_refused_and_long_ones_read_exactly(api: ServiceApi) -> None:
    assert_problem(post_raw(api, '{"name":"a","size":' + "9" * 10_000 + "}"), 400, "malformed_json")
    assert post_raw(api, '{"name":"a","size":' + "9" * 400 + "}").json["size"] == "9" * 400


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ([], ["body"]),
        ("text", ["body"]),
        ({}, ["name"]),
        ({"name": None}, ["name"]),
        ({"name": 7}, ["name"]),
        ({"name": ""}, ["name"]),
        ({"name": "x" * 21}, ["name"]),
        ({"name": "a\x00"}, ["name"]),
        ({"name": "\ud800"}, ["name"]),
        ({"name": "\u200b"}, ["name"]),
        ({"name": "a", "size": "3"}, ["size"]),
        ({"name": "a", "size": 1.5}, ["size"]),
        ({"name": "a", "size": True}, ["size"]),
        ({"name": "a", "size": -1}, ["size"]),
        ({"name": "a", "colour": "red"}, ["colour"]),
        ({"name": "a", "inner": {"colour": "x" * 11}}, ["inner.colour"]),
        ({"name": "a", "tags": ["ok", "too long"]}, ["tags.1"]),
        ({"size": "3", "nmae": "a"}, ["name", "nmae", "size"]),
        ({"name": "a", "notes": {"a": {"colour": "x" * 11}}}, ["notes.a", "notes.a.colour"]),
        ({"name": "a", "notes": {"Inner": "x" * 6}}, ["notes.Inner", "notes.Inner"]),
    ],
)
def test_wrong_types_and_unknown_fields_are_422_and_named(api: ServiceApi, body: object, fields: list[str]) -> None:
    answer = post(api, body)

    assert_problem(answer, 422, "invalid_request")
    assert sorted(error["field"] for error in answer.json["errors"]) == fields
    assert all(error["message"] for error in answer.json["errors"])


def test_what_was_refused_is_not_echoed(api: ServiceApi) -> None:
    answer = post(api, {"name": "a", "size": "my secret"})

    assert "my secret" not in json.dumps(answer.json)


def test_an_absent_body_is_422(api: ServiceApi) -> None:
    assert_problem(call(api, api_event("POST", "/api/things")), 422, "invalid_request")


@pytest.mark.parametrize("key", ["\ud800", "\x00", pytest.param("x" * 100_000, id="a name without end")])
def test_field_names_may_be_anything(api: ServiceApi, key: str) -> None:
    answer = post(api, {"name": "a", key: 1})

    assert_problem(answer, 422, "invalid_request")
    assert all(len(error["field"]) <= 200 for error in answer.json["errors"])


def test_an_answer_names_some_of_very_many_refused_fields(api: ServiceApi) -> None:
    answer = post(api, {f"k{number}": 1 for number in range(10_000)})

    assert_problem(answer, 422, "invalid_request")
    assert len(answer.json["errors"]) == MAX_FIELD_ERRORS + 1
    assert answer.json["errors"][-1] == {"field": "body", "message": "has 9951 more invalid fields"}


def test_256_kib_are_read_and_one_byte_more_is_413(api: ServiceApi) -> None:
    frame = len(b'{"name":""}')

    fits = post_raw(api, f'{{"name":"{"x" * (MAX_BODY_BYTES - frame)}"}}')
    too_large = post_raw(api, f'{{"name":"{"x" * (MAX_BODY_BYTES - frame + 1)}"}}')

    assert_problem(fits, 422, "invalid_request")
    assert_problem(too_large, 413, "too_large")


def test_size_is_counted_in_bytes(api: ServiceApi) -> None:
    assert_problem(post_raw(api, f'{{"name":"{"é" * (MAX_BODY_BYTES // 2)}"}}'), 413, "too_large")


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/xml", "", "application/jsonx", "json", "text/+json"]
)
def test_another_content_type_is_415(api: ServiceApi, content_type: str) -> None:
    assert_problem(post(api, headers={"Content-Type": content_type}), 415, "not_json")


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "APPLICATION/JSON", "application/merge-patch+json"]
)
def test_json_has_several_content_types(api: ServiceApi, content_type: str) -> None:
    assert post(api, headers={"Content-Type": content_type}).status == 201


def test_text_that_no_answer_can_carry_is_refused_wherever_it_stands(api: ServiceApi) -> None:
    in_body = api_event("POST", "/api/things", raw_body='{"name": "\ud800"}')
    in_query = {**api_event("GET", "/api/things"), "multiValueQueryStringParameters": {"q": ["\ud800"]}}
    in_name = {**api_event("GET", "/api/things"), "multiValueQueryStringParameters": {"\ud800": ["q"]}}
    in_header = api_event("GET", "/api/things", headers={"If-Match": "\ud800"})
    for event in (in_body, in_query, in_name, in_header):
        assert_problem(call(api, event), 422, "invalid_request")

    in_path = {**api_event("GET", "/api/x"), "path": "/api/things/\ud800"}
    assert_problem(call(api, in_path), 404, "no_such_route")


def test_base64_that_is_none_is_refused(api: ServiceApi) -> None:
    event = {**api_event("POST", "/api/things", raw_body="a"), "isBase64Encoded": True}

    assert_problem(call(api, event), 422, "invalid_request")


@given(st.text(st.characters(categories=None, exclude_categories=()), max_size=60))
def test_any_body_is_answered(api: ServiceApi, raw: str) -> None:
    answer = post_raw(api, raw)

    assert answer.status in {400, 422}
    assert answer.json["code"] in {"malformed_json", "invalid_request"}


# -- queries and paths ----------------------------------------------------------------------------


def test_a_query_is_decoded(api: ServiceApi) -> None:
    assert call(api, api_event("GET", "/api/things?q=caf%C3%A9%20%26%20co&limit=7")).json == {
        "q": "café & co",
        "limit": 7,
        "actor": "anonymous",
    }


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=ten", "limit"),
        ("limit=1.5", "limit"),
        pytest.param(f"limit={'9' * 5000}", "limit", id="a limit without end"),
        ("limti=5", "limti"),
        pytest.param(f"cursor={'x' * 4001}", "cursor", id="a cursor without end"),
        ("q=%00", "q"),
    ],
)
def test_a_query_is_checked(api: ServiceApi, query: str, field: str) -> None:
    answer = call(api, api_event("GET", f"/api/things?{query}"))

    assert_problem(answer, 422, "invalid_request")
    assert [error["field"] for error in answer.json["errors"]] == [field]


@pytest.mark.parametrize("path", ["/api/things", "/api/things/", "/api/things///"])
def test_a_trailing_slash_changes_nothing(api: ServiceApi, path: str) -> None:
    assert call(api, api_event("GET", path)).status == 200


@pytest.mark.parametrize("path", ["/", "//", "/api", "/api/thing", "/api/things/x", "/API/things", "/api/%00"])
def test_nothing_else_is_there(api: ServiceApi, path: str) -> None:
    answer = call(api, api_event("GET", path))

    assert (answer.status, answer.json["code"]) == (404, "no_such_route")


def test_another_method_is_405(api: ServiceApi) -> None:
    assert_problem(call(api, api_event("DELETE", "/api/things")), 405, "method_not_allowed")


# -- headers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ['W/"3"', '"3"', ' W/"3" ', 'W/"2", W/"3"', '"3","4"', "*", 'W/"03"'])
def test_if_match_lets_the_right_version_through(api: ServiceApi, value: str) -> None:
    assert post(api, headers={"If-Match": value}).status == 201


@pytest.mark.parametrize("value", ['W/"2"', '"4"', 'W/"1", "2"', f'"{"3" * 190}"', '"30"'])
def test_if_match_stops_any_other_version(api: ServiceApi, value: str) -> None:
    assert_problem(post(api, headers={"If-Match": value}), 412, "stale_version")


@pytest.mark.parametrize(
    "value", ["3", "W/3", '"', '""', 'W/""', '"3', 'w/"3"', '"three"', '"-3"', '"²"', "", ",", '"3",']
)
def test_a_malformed_if_match_is_400(api: ServiceApi, value: str) -> None:
    assert_problem(post(api, headers={"If-Match": value}), 400, "malformed_header")


def test_a_header_without_end_is_422(api: ServiceApi) -> None:
    answer = post(api, headers={"If-Match": "1" * 201})

    assert_problem(answer, 422, "invalid_request")
    assert answer.json["errors"][0]["field"] == "if-match"


@pytest.mark.parametrize("key", ["k", "x" * 128, "4f1d-~!", "user:1/order:2"])
def test_an_idempotency_key_is_visible_ascii(api: ServiceApi, key: str) -> None:
    assert post(api, headers={"Idempotency-Key": key}).json["key"] == key


@pytest.mark.parametrize("key", ["", "a b", "a\tb", "ключ", "é", "\x7f\x80"])
def test_anything_else_is_no_idempotency_key(api: ServiceApi, key: str) -> None:
    assert_problem(post(api, headers={"Idempotency-Key": key}), 400, "malformed_header")


def test_a_replay_says_so(api: ServiceApi) -> None:
    assert post(api, headers={"Idempotency-Key": "again"}).headers["idempotency-replayed"] == "true"


@pytest.mark.parametrize("header", ["X-Correlation-Id", "x-correlation-id", "X-CORRELATION-ID"])
def test_a_correlation_id_is_taken_over_and_given_back(api: ServiceApi, header: str, log: OperatorLog) -> None:
    answer = post(api, headers={header: "order-7:a.b_c"})

    assert answer.headers["x-correlation-id"] == "order-7:a.b_c"
    assert log.invocations[0]["correlation_id"] == "order-7:a.b_c"


@pytest.mark.parametrize("offered", [None, "", "-a", "a b", "a\nb", "x" * 65, "é", "${jndi}", '"'])
def test_a_correlation_id_that_is_not_safe_to_log_is_replaced(api: ServiceApi, offered: str | None) -> None:
    answer = post(api, headers={} if offered is None else {"X-Correlation-Id": offered})

    assert is_id(answer.headers["x-correlation-id"])


def test_two_requests_have_two_correlation_ids(api: ServiceApi) -> None:
    assert len({post(api).headers["x-correlation-id"] for _ in range(2)}) == 2


# -- who may --------------------------------------------------------------------------------------


def test_a_route_lets_in_whom_it_declares(api: ServiceApi) -> None:
    mine, others = f"/api/members/{ME}", "/api/members/01BX5ZZKBKACTAV9WEVGEMMVRZ"

    assert call(api, api_event("GET", mine, caller=person(ME))).status == 200
    assert call(api, api_event("GET", mine, caller=service("loans", "users:read"))).status == 200
    nobody = call(api, api_event("GET", mine))
    assert_problem(nobody, 401, "not_authenticated")
    assert nobody.headers["www-authenticate"] == "Bearer"
    assert_problem(call(api, api_event("GET", others, caller=person(ME))), 404, "not_found")
    assert_problem(call(api, api_event("GET", mine, caller=service("loans", "users:list"))), 403, "not_allowed")


# -- what goes wrong ------------------------------------------------------------------------------


def fails(api: ServiceApi) -> Answer:
    return call(api, api_event("GET", "/api/fails"))


@pytest.mark.parametrize(("error", "code"), [(Broken("It broke."), "broken"), (BrokenInTwo("Snap."), "broken_in_two")])
def test_a_domain_error_is_answered_with_all_it_carries(
    failing: Callable[[Exception], ServiceApi], error: Exception, code: str
) -> None:
    answer = fails(failing(error))

    assert_problem(answer, 409, code)
    assert answer.headers["retry-after"] == "7"
    assert answer.json["reasons"][1] == {"code": "cold", "detail": "It is cold."}
    assert answer.json["errors"] == [{"field": "name", "message": "is worn"}]
    assert answer.json["since"] == "yesterday"
    assert answer.json["detail"] == str(error)


def test_an_unexpected_failure_is_500_and_logged_whole_but_not_told(
    failing: Callable[[Exception], ServiceApi], log: OperatorLog
) -> None:
    answer = fails(failing(RuntimeError("the key is under the mat")))

    assert_problem(answer, 500, "internal_error")
    assert "mat" not in json.dumps(answer.json)
    (failure,) = (line for line in log.lines if line["level"] == "ERROR")
    assert "RuntimeError: the key is under the mat" in failure["exception"]
    assert failure["correlation_id"] == answer.headers["x-correlation-id"]
    assert [line["status"] for line in log.invocations] == [500]


@pytest.mark.parametrize(
    "failure",
    [
        EndpointConnectionError(endpoint_url="https://dynamodb.test"),
        ReadTimeoutError(endpoint_url="https://dynamodb.test"),
        ClientError({"Error": {"Code": "ProvisionedThroughputExceededException"}}, "PutItem"),
        ClientError({"Error": {"Code": "InternalServerError"}}, "PutItem"),
        TransactionBusy("transaction"),
    ],
)
def test_storage_that_is_busy_or_away_is_503_with_a_time_to_come_back(
    failing: Callable[[Exception], ServiceApi], failure: Exception, log: OperatorLog
) -> None:
    answer = fails(failing(failure))

    assert_problem(answer, 503, "service_unavailable")
    assert int(answer.headers["retry-after"]) > 0
    assert [line["level"] for line in log.lines].count("ERROR") == 1


def test_a_mistake_of_ours_towards_storage_is_500(failing: Callable[[Exception], ServiceApi]) -> None:
    mistake = ClientError({"Error": {"Code": "ValidationException"}}, "PutItem")

    assert_problem(fails(failing(mistake)), 500, "internal_error")


def test_an_error_nobody_gave_a_status_is_found_when_the_api_is_built(
    failing: Callable[[Exception], ServiceApi],
) -> None:
    built = failing(RuntimeError())

    with pytest.raises(KeyError, match="ValueError has no HTTP status"):
        built.get("/api/more", access=PUBLIC, raises=[ValueError])(lambda: None)


# -- pages of other origins -----------------------------------------------------------------------


@pytest.mark.parametrize("url", ["/api/things", "/api/nothing", "/api/things?limit=0"])
def test_pages_may_read_every_answer_refusals_too(api: ServiceApi, url: str) -> None:
    answer = call(api, api_event("GET", url, headers={"Origin": "https://library.test"}))

    assert answer.headers["access-control-allow-origin"] == "*"
    assert "etag" in answer.headers["access-control-expose-headers"].lower()


def test_only_pages_of_the_origin_in_the_settings_may_read_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORS_ALLOW_ORIGIN", "https://desk.test")
    built = ServiceApi(name="tiny", title="Tiny", problems={})

    for origin in ("https://desk.test", "https://evil.test"):
        answer = call(built, api_event("GET", "/api/nothing", headers={"Origin": origin}))
        assert answer.headers["access-control-allow-origin"] == "https://desk.test"
        assert answer.headers["vary"] == "Origin"


# -- the log --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "status", "route", "code"),
    [
        (api_event("POST", "/api/things", body=THING, caller=person(ME)), 201, "POST /api/things", None),
        (api_event("POST", "/api/things", body={}, caller=person(ME)), 422, "POST /api/things", "invalid_request"),
        (api_event("GET", "/api/no", caller=person(ME)), 404, "GET (unrouted)", "no_such_route"),
        (
            api_event("GET", "/api/members/01BX5ZZKBKACTAV9WEVGEMMVRZ", caller=person(ME)),
            404,
            "GET /api/members/{user_id}",
            "not_found",
        ),
    ],
)
def test_an_invocation_leaves_one_line(
    api: ServiceApi, event: dict[str, Any], status: int, route: str, code: str | None, log: OperatorLog
) -> None:
    call(api, event)

    (line,) = log.lines
    assert line["message"] == "invocation"
    assert (line["status"], line["route"], line.get("error_code")) == (status, route, code)
    assert line["actor"] == f"user:{ME}"
    assert line["duration_ms"] >= 0


def test_the_line_tells_what_the_storage_cost(api: ServiceApi, log: OperatorLog) -> None:
    call(api, api_event("GET", "/api/things"))

    assert log.invocations[0]["read_units"] == 1.5


@pytest.mark.parametrize("size", [1, "wrong"])
def test_the_log_has_no_personal_data(
    api: ServiceApi, size: object, log: OperatorLog, capsys: pytest.CaptureFixture[str]
) -> None:
    body = {"name": "Ann Lee", "size": size, "ann@example.org": "ann@example.org"}
    call(api, api_event("POST", "/api/things?q=Ann%20Lee", body=body, headers={"Authorization": "Bearer abc.def"}))

    for text in (log.text, capsys.readouterr().out):
        assert not [told for told in ("Ann", "example.org", "abc.def") if told in text]


def test_refusals_are_told_by_their_code_and_no_metric(
    api: ServiceApi, log: OperatorLog, capsys: pytest.CaptureFixture[str]
) -> None:
    post(api, {})

    assert [line["error_code"] for line in log.invocations] == ["invalid_request"]
    assert "_aws" not in capsys.readouterr().out


# -- the document ---------------------------------------------------------------------------------


def test_the_document_tells_every_refusal_of_a_route(api: ServiceApi) -> None:
    document = call(api, api_event("GET", "/api/tiny.json")).json

    make = document["paths"]["/api/things"]["post"]
    assert set(make["responses"]) >= {"201", "400", "409", "413", "415", "422", "429", "500", "503"}
    assert "`broken`" in make["responses"]["409"]["description"]
    assert "security" not in make
    member = document["paths"]["/api/members/{user_id}"]["get"]
    assert member["x-access"] == {"member": True, "own": "path:user_id", "scope": "users:read"}
    assert member["security"] == [{"bearer": []}]
    assert set(member["responses"]) >= {"200", "401", "403", "404"}
