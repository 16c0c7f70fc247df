"""Fuzzing an API by its own OpenAPI document, whether it runs in this process or is deployed somewhere.

Two kinds of requests per operation: the boundaries of every field (schemathesis' coverage phase), and random ones
(Hypothesis, derandomised). Where ids are drawn, most requests get ones that exist instead, so that the code behind
the id is reached.
"""

import copy
import io
import json
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from requests.adapters import BaseAdapter, HTTPAdapter
from schemathesis import APIOperation, Case, CheckContext, GenerationMode, Response
from schemathesis.checks import not_a_server_error
from schemathesis.core.parameters import ParameterLocation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)
from urllib3 import HTTPHeaderDict, HTTPResponse

from library_common.ids import new_id
from library_common.problems import PROBLEM_JSON
from tests.support.lambda_events import api_event
from tools.openapi_documents import DOCUMENTS

type Handler = Callable[[dict[str, Any], Any], dict[str, Any]]
type Known = Mapping[str, str]
"""Field or parameter name -> a value that names something existing."""

type AnyCase = Case[Any]
type AnyOperation = APIOperation[Any, Any, Any, Any]

HERE = "http://api.test"

PLAUSIBLE: Known = {
    "isbn": "978-0-441-47812-5",
    "phone": "+44 1632 960001",
    "language": "en",
    "cover_url": "https://covers.example.org/1.jpg",
    "if-match": "*",
}
"""For fields of which a schema cannot say what is right, so that hardly any drawn value is."""


def a_problem_is_one_the_operation_documents(ctx: CheckContext, response: Response, case: AnyCase) -> None:
    """Not only the status: `code` is among those the document lists for it."""
    if response.status_code < 400:
        return
    kind = response.headers.get("content-type", ["nothing"])[0]
    assert kind.startswith(PROBLEM_JSON), f"{response.status_code} comes as {kind}"
    document = response.json()
    codes = str(case.operation.definition.raw["responses"].get(str(response.status_code), {}).get("description", ""))
    # These two the gateway gives before an operation is found. A single rule of a policy answers with its own code.
    reasons = [reason["code"] for reason in document.get("reasons") or ()]
    known = document["code"] in {"no_such_route", "method_not_allowed"} or reasons == [document["code"]]
    assert known or f"`{document['code']}`" in codes, f"{response.status_code} {document['code']} is not documented"
    assert document["status"] == response.status_code
    assert document["correlation_id"] == response.headers["x-correlation-id"][0]


CHECKS: list[Any] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
    unsupported_method,
    a_problem_is_one_the_operation_documents,
]
"""Not among them: positive_data_acceptance, because a JSON Schema cannot say all of our rules (an ISBN's check
digit, one of two fields, a visible character, a phone number that exists)."""


@dataclass(frozen=True)
class Target:
    """Where requests go.

    known: what exists there, by the name of the field that names it. either: pairs of fields of which a body takes
    one, which no schema of ours says. checks: what every answer is held to.
    """

    session: requests.Session
    base_url: str
    known: Known = field(default_factory=dict)
    either: Sequence[tuple[str, str]] = ()
    checks: Sequence[Any] = tuple(CHECKS)


def deployed(base_url: str, token: str, known: Known | None = None, either: Sequence[tuple[str, str]] = ()) -> Target:
    """A deployed API, as the caller with this token.

    Without `unsupported_method`: API Gateway answers 404 for a method that a path does not have.
    """
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {token}"
    checks = [check for check in CHECKS if check is not unsupported_method]
    return Target(session, base_url.rstrip("/"), known or {}, either, checks)


def in_process(
    handler: Handler, caller: Mapping[str, str], known: Known, either: Sequence[tuple[str, str]] = ()
) -> Target:
    """A Lambda handler in this process, as this caller (see `tests.support.lambda_events`)."""
    session = requests.Session()
    session.trust_env = False
    session.mount(HERE, _LambdaAdapter(handler, caller))
    return Target(session, HERE, known, either)


# -- operations -----------------------------------------------------------------------------------


def document(service: str) -> dict[str, Any]:
    """The committed OpenAPI document of a service."""
    read: dict[str, Any] = json.loads((DOCUMENTS / f"{service}.json").read_text(encoding="utf-8"))
    return read


def labels(service: str) -> list[str]:
    """Every operation of a service, like `POST /api/users`."""
    return [f"{method.upper()} {path}" for path, methods in document(service)["paths"].items() for method in methods]


def operation(service: str, label: str) -> AnyOperation:
    """One operation as schemathesis knows it."""
    config = schemathesis.Config()
    # Who calls is the target's affair, and what bad tokens get is tested where tokens are.
    config.projects.default.generation.with_security_parameters = False
    schema = schemathesis.openapi.from_dict(document(service), config=config)
    found = schema.find_operation_by_label(label)
    assert found is not None, label
    return found


def access_of(fuzzed: AnyOperation) -> dict[str, Any]:
    declared: dict[str, Any] = fuzzed.definition.raw["x-access"]
    return declared


# -- fuzzing --------------------------------------------------------------------------------------


def fuzz(fuzzed: AnyOperation, target: Target, *, examples: int, boundaries: int = 1) -> int:
    """Sends every so many of the boundaries and `examples` random requests of each kind; answers how many went out.

    boundaries: 1 for all of them, 0 for none.

    Raises schemathesis' FailureGroup with a curl command for the first answer that is not as it should be.
    """
    sent = 0

    def send(case: AnyCase) -> None:
        nonlocal sent
        sent += 1
        case.call_and_validate(base_url=target.base_url, session=target.session, checks=list(target.checks))

    for case in islice(_boundaries(fuzzed), 0, None, boundaries) if boundaries else ():
        send(_with_known(case, target))
    for mode in GenerationMode:
        if not (mode.is_negative and _takes_any_text(fuzzed)):
            _at_random(fuzzed, mode, target, examples, send)
    return sent


def _takes_any_text(fuzzed: AnyOperation) -> bool:
    """Nothing can be wrong with its requests. schemathesis finds that out by hundreds of tries."""
    described = fuzzed.definition.raw
    return "requestBody" not in described and all(
        parameter["in"] == "path" and parameter["schema"].keys() <= {"type", "title"}
        for parameter in described.get("parameters", ())
    )


def _boundaries(fuzzed: AnyOperation) -> Iterator[AnyCase]:
    schema = fuzzed.schema
    yield from schema.iter_coverage_cases(
        fuzzed,
        generation_modes=list(GenerationMode),
        generation_config=schema.config.generation_for(operation=fuzzed),
    )


def _at_random(
    fuzzed: AnyOperation,
    mode: GenerationMode,
    target: Target,
    examples: int,
    send: Callable[[AnyCase], None],
) -> None:
    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=fuzzed.as_strategy(generation_mode=mode), as_drawn=st.integers(0, 2))
    def run(case: AnyCase, as_drawn: int) -> None:
        send(case if as_drawn == 0 else _with_known(case, target))

    # Where any text will do nothing can be wrong.
    with suppress(Unsatisfiable) if mode.is_negative else nullcontext():
        run()


def _with_known(case: AnyCase, target: Target) -> AnyCase:
    """Puts what exists where the case has drawn something, unless being wrong there is its point."""
    fresh = {"idempotency-key": new_id(), "email": f"{new_id()}@example.org"}
    here = {**PLAUSIBLE, **fresh, **target.known}
    meta = case.meta
    for location, container in (
        (ParameterLocation.PATH, case.path_parameters),
        (ParameterLocation.QUERY, case.query),
        (ParameterLocation.HEADER, case.headers),
        (ParameterLocation.BODY, case.body),
    ):
        if not isinstance(container, MutableMapping) or (meta is not None and meta.is_negative_at(location)):
            continue
        for name in set(container) & here.keys():
            if container[name] is not None:
                container[name] = here[name]
        if location is ParameterLocation.QUERY:
            container.pop("cursor", None)  # there is no second page of what was never listed
        if location is ParameterLocation.BODY:
            for one, other in target.either:
                if container.get(one) is not None and container.get(other) is not None:
                    del container[one if len(str(container)) % 2 else other]
    return case


# -- a Lambda handler behind `requests` -----------------------------------------------------------


class _LambdaAdapter(BaseAdapter):
    """Turns a request into API Gateway's event for the handler, and its answer into a response."""

    def __init__(self, handler: Handler, caller: Mapping[str, str]) -> None:
        super().__init__()
        self._handler = handler
        self._caller = dict(caller)

    def send(self, request: requests.PreparedRequest, *_: object, **__: object) -> requests.Response:
        """What `requests` calls."""
        answer = self._handler(self._event(request), None)
        body = (answer.get("body") or "").encode()
        headers = HTTPHeaderDict(answer.get("headers") or {})
        for name, values in (answer.get("multiValueHeaders") or {}).items():
            for value in values:
                headers.add(name, value)
        status = int(answer["statusCode"])
        raw = HTTPResponse(
            body=io.BytesIO(body),
            headers=headers,
            status=status,
            reason=HTTPStatus(status).phrase,
            preload_content=False,
            request_method=request.method,
        )
        # requests' own adapter knows how to make a response of this; it does no I/O here.
        return HTTPAdapter().build_response(request, raw)

    def close(self) -> None:
        """Nothing is open."""

    def _event(self, request: requests.PreparedRequest) -> dict[str, Any]:
        parts = urlsplit(str(request.url))
        headers = {name: _text(value) for name, value in request.headers.items()}
        event = api_event(
            str(request.method),
            parts.path + (f"?{parts.query}" if parts.query else ""),
            caller=self._caller,
            headers=headers,
            raw_body="" if request.body is not None else None,
        )
        if not any(name.lower() == "content-type" for name in headers):
            for kind in ("headers", "multiValueHeaders"):
                event[kind].pop("Content-Type", None)
        if request.body is not None:
            body = request.body.encode() if isinstance(request.body, str) else bytes(request.body)  # type: ignore[arg-type]  # cases are never streams
            event |= {"body": b64encode(body).decode(), "isBase64Encoded": True}
        return copy.deepcopy(event)


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")
