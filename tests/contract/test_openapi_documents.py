"""The OpenAPI documents and the page of problem codes: up to date, complete, and of one style."""

import json
import re
from dataclasses import dataclass
from typing import Any

import pytest
import schemathesis

from library_common.http import RequestBody, ServiceApi
from library_common.problems import PROBLEM_JSON
from tools import openapi_documents, problem_codes, services
from tools.generated import differences

pytestmark = pytest.mark.contract

SERVICES = services.with_module("http")
CODE = re.compile(r"`([a-z0-9_]+)`")
ROLES = {"public", "member", "librarian", "admin"}

each_service = pytest.mark.parametrize("service", SERVICES)


@dataclass(frozen=True)
class Operation:
    """One method of one path in a document."""

    service: str
    method: str
    path: str
    described: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.method.upper()} {self.path}"

    def codes(self, status: str) -> list[str]:
        return CODE.findall(self.described["responses"].get(status, {}).get("description", ""))

    def header(self, name: str) -> bool:
        return any(p["in"] == "header" and p["name"] == name for p in self.described.get("parameters", ()))


def api_of(service: str) -> ServiceApi:
    api = services.module(service, "http").api
    assert isinstance(api, ServiceApi)
    return api


def operations() -> list[Operation]:
    return [
        Operation(service, method, path, described)
        for service in SERVICES
        for path, methods in api_of(service).openapi()["paths"].items()
        for method, described in methods.items()
    ]


each_operation = pytest.mark.parametrize("operation", operations(), ids=str)


# -- the documents --------------------------------------------------------------------------------


def test_the_committed_documents_are_those_the_services_answer() -> None:
    assert differences(openapi_documents.generate(), [openapi_documents.DOCUMENTS]) == [], "run: make openapi"


@each_service
def test_a_document_is_valid_openapi(service: str) -> None:
    document = api_of(service).openapi()

    assert document["openapi"].startswith("3.1.")
    schemathesis.openapi.from_dict(document).validate()


@each_service
def test_a_document_says_which_service_it_is_and_what_that_is_for(service: str) -> None:
    document = api_of(service).openapi()

    assert document["info"]["title"] == f"Smart Library: {service}"
    assert re.fullmatch(r"[A-Z].{40,}[.]", document["info"]["description"])
    assert [server["url"] for server in document["servers"]] == ["/"]


def bodies() -> dict[str, type[RequestBody]]:
    """Every request body, by service and name."""
    for service in SERVICES:
        services.module(service, "http")
    found: dict[str, type[RequestBody]] = {}
    unseen: list[type[RequestBody]] = RequestBody.__subclasses__()
    while unseen:
        model = unseen.pop()
        unseen += model.__subclasses__()
        service = model.__module__.partition("_service.")[0]
        if service in SERVICES:
            found[f"{service} {model.__name__}"] = model
    return found


BODIES = bodies()
EXAMPLES = [
    (name, example) for name, model in BODIES.items() for example in model.model_json_schema().get("examples", ())
]
WRITTEN_MOST = {
    "POST /api/users",
    "POST /api/auth/login",
    "POST /api/books",
    "POST /api/loans",
    "POST /api/returns",
    "POST /api/loans/returns",
    "POST /api/loans/{loan_id}/return",
    "POST /api/notifications/send",
    "PUT /api/notifications/preferences/{user_id}",
}


@pytest.mark.parametrize(("name", "example"), EXAMPLES, ids=[name for name, _ in EXAMPLES])
def test_every_example_is_accepted_by_its_body(name: str, example: dict[str, Any]) -> None:
    taken = BODIES[name].model_validate_json(json.dumps(example))

    assert taken.model_fields_set == example.keys()


def test_what_is_written_most_has_examples() -> None:
    with_examples = set()
    for operation in operations():
        schemas = api_of(operation.service).openapi()["components"]["schemas"]
        taken = operation.described.get("requestBody", {}).get("content", {}).get("application/json", {})
        # What may be left out is a choice between the body and null.
        choices = taken.get("schema", {}).get("anyOf", [taken.get("schema", {})])
        names = [choice["$ref"].rpartition("/")[2] for choice in choices if "$ref" in choice]
        if any(schemas[name].get("examples") for name in names):
            with_examples.add(str(operation))

    assert with_examples >= WRITTEN_MOST


@each_service
def test_operation_ids_are_unique(service: str) -> None:
    ids = [operation.described["operationId"] for operation in operations() if operation.service == service]

    assert len(ids) == len(set(ids))


@each_operation
def test_an_operation_says_what_it_does_and_who_may_call_it(operation: Operation) -> None:
    access = operation.described["x-access"]

    assert access, "nobody could call it"
    assert access.keys() <= ROLES | {"own", "scope"}
    assert ("own" in access) == access.get("member", False), "own things are a member's"
    place, _, name = access.get("own", "").partition(":")
    assert place != "path" or f"{{{name}}}" in operation.path
    assert place != "query" or name in [p["name"] for p in operation.described["parameters"] if p["in"] == "query"]
    assert bool(operation.described.get("security")) != bool(access.get("public"))
    assert operation.described.get("description"), "its endpoint has a docstring"


@each_operation
def test_an_operation_documents_its_problems(operation: Operation) -> None:
    responses = operation.described["responses"]
    successes = [status for status in responses if status.startswith("2")]
    assert len(successes) == 1

    for status in responses.keys() - set(successes):
        assert responses[status]["content"].keys() == {PROBLEM_JSON}, status
        schema = responses[status]["content"][PROBLEM_JSON]["schema"]
        assert schema == {"$ref": "#/components/schemas/Problem"}, status
        assert operation.codes(status), f"{status} says no code"
    # What can befall every request.
    assert {"429", "500", "503"} <= responses.keys()


@each_operation
def test_what_an_operation_takes_shows_in_what_it_can_refuse(operation: Operation) -> None:
    body = "requestBody" in operation.described

    assert operation.header("if-match") <= ("stale_version" in operation.codes("412"))
    assert operation.header("idempotency-key") <= ("idempotency_key_reused" in operation.codes("422"))
    assert body <= {"400", "413", "415", "422"}.issubset(operation.described["responses"])
    assert bool(operation.described.get("security")) <= ("not_authenticated" in operation.codes("401"))


@each_service
def test_every_refusal_of_a_domain_has_a_status_and_is_documented_somewhere(service: str) -> None:
    """Otherwise it would come out as a 500, or as a surprise."""
    api = api_of(service)
    errors = vars(services.module(service, "domain.errors")).values()
    refusals = [e for e in errors if isinstance(e, type) and issubclass(e, Exception) and not e.__subclasses__()]
    assert refusals

    documented = {
        (status, code)
        for operation in operations()
        if operation.service == service
        for status in operation.described["responses"]
        for code in operation.codes(status)
    }
    stated = {(str(api.problems.status_of(e)), str(getattr(e, "code", ""))): e.__name__ for e in refusals}
    assert {name for key, name in stated.items() if key not in documented} == set()


# -- the page of problem codes --------------------------------------------------------------------


def test_the_page_of_problem_codes_is_up_to_date() -> None:
    assert differences(problem_codes.generate(), []) == [], "run: make openapi"


def page() -> dict[str, str]:
    """Code -> its row, as committed."""
    rows = problem_codes.PAGE.read_text(encoding="utf-8").splitlines()
    return {found.group(1): row for row in rows if (found := re.match(r'\| <a id="([a-z0-9_]+)"></a>`\1` \|', row))}


@each_operation
def test_the_page_has_every_documented_code(operation: Operation) -> None:
    rows = page()
    for status in operation.described["responses"]:
        for code in operation.codes(status):
            assert code in rows, code
            assert status in rows[code], f"{code} with {status}"


def test_the_page_has_the_reasons_of_the_loan_policy() -> None:
    reasons = {"member_not_active", "overdue_too_long", "loan_limit_reached", "renewal_limit_reached"}
    assert reasons <= page().keys()


def test_every_row_says_what_the_code_means_and_who_answers_it() -> None:
    for code, row in page().items():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]]
        assert len(cells) == 4, row
        assert all(cells), row
        assert len(cells[2]) > 10, code
