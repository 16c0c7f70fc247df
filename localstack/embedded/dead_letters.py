"""``make dead-letters``: lists, shows and redrives dead letters.

It invokes the admin function as API Gateway would, so the code of the endpoint decides what is shown and how messages
move. It needs no token and works while nobody can log in; the right to invoke the function is enough.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from localstack.embedded import deploy, engine
from localstack.embedded.aws import Aws
from localstack.embedded.errors import Refusal
from localstack.embedded.state import StackFile

OPERATOR = {"kind": "person", "subject": "operator", "role": "admin"}
_SHOWN = 10
_SEARCHED = 50
_MOVED = 50


def lines(
    stack_file: Path, queue: str | None, ids: Sequence[str], *, redrive: bool, system: str | None
) -> Iterator[str]:
    """The lines to print. system: a system on AWS, with the environment's credentials; None: that of the stack file."""
    if redrive and queue is None:
        raise Refusal("Name the queue: make dead-letters QUEUE=... REDRIVE=1")
    client, outputs = _on_aws(system) if system else _local(stack_file)
    ask = _Function(client, outputs["AdminFunction"])
    if redrive:
        body: dict[str, Any] = {"message_ids": list(ids)} if ids else {"limit": _MOVED}
        yield from _moved(ask.ask("POST", f"/{queue}/redrive", body=body))
    elif ids:
        yield from _found(ask, [queue] if queue else _fullest_first(ask), set(ids), outputs)
    elif queue is None:
        yield from _overview(ask.ask("GET", ""))
    else:
        found = ask.ask("GET", f"/{queue}", query={"limit": str(_SHOWN)})
        yield from _letters(found, found["items"], outputs, whole=False)


def _local(stack_file: Path) -> tuple[Any, Mapping[str, str]]:
    stack = StackFile.read(stack_file)
    engine.of_known_stack(stack.endpoint_url)
    aws = Aws(stack.endpoint_url)
    return aws.client("lambda"), {**deploy.outputs(aws, stack.system), **stack.functions}


def _on_aws(system: str) -> tuple[Any, Mapping[str, str]]:
    import boto3  # noqa: PLC0415 - only here the environment's credentials are wanted; emulators must not see them

    return boto3.client("lambda"), {"AdminFunction": f"{system}-admin"}


class _Function:
    """The admin function, invoked as API Gateway does."""

    def __init__(self, client: Any, name: str) -> None:
        self._client = client
        self._name = name

    def ask(self, method: str, path: str, *, query: dict[str, str] | None = None, body: object = None) -> Any:
        """The answer's document. Refuses with the detail of an error."""
        answer = self._client.invoke(
            FunctionName=self._name, Payload=json.dumps(_request(method, path, query, body)).encode()
        )
        response = json.loads(answer["Payload"].read())
        if "FunctionError" in answer:
            raise Refusal(f"The admin function failed: {response.get('errorMessage', 'see its log')}")
        document = json.loads(response["body"])
        if response["statusCode"] >= 400:
            raise Refusal(str(document.get("detail")))
        return document


def _request(method: str, path: str, query: dict[str, str] | None, body: object) -> dict[str, Any]:
    whole = f"/api/admin/dead-letters{path}"
    headers = {"Content-Type": "application/json"} if body is not None else {}
    return {
        "resource": "/{proxy+}",
        "path": whole,
        "httpMethod": method,
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": query,
        "multiValueQueryStringParameters": {name: [value] for name, value in query.items()} if query else None,
        "pathParameters": None,
        "stageVariables": None,
        "requestContext": {
            "authorizer": OPERATOR,
            "identity": {"sourceIp": "127.0.0.1"},
            "httpMethod": method,
            "path": whole,
            "stage": "command",
        },
        "body": json.dumps(body) if body is not None else None,
        "isBase64Encoded": False,
    }


def _overview(found: Any) -> Iterator[str]:
    for queue in found["items"]:
        since = f" (since {queue['oldest_sent_at']})" if queue["oldest_sent_at"] else ""
        note = queue["about"] + since if queue["waiting"] else ""
        yield f"{queue['waiting']:>6}  {queue['name']:<28} {note}".rstrip()


def _fullest_first(ask: _Function) -> list[str]:
    """All queues. One that seems empty may hold messages, since SQS's numbers are approximate."""
    queues = sorted(ask.ask("GET", "")["items"], key=lambda queue: int(queue["waiting"]), reverse=True)
    return [queue["name"] for queue in queues]


def _found(ask: _Function, queues: Sequence[str], ids: set[str], outputs: Mapping[str, str]) -> Iterator[str]:
    """The messages with these message or event ids. Refuses when one is in none of the queues."""
    missing, looked_at, known = set(ids), 0, ""
    for queue in queues:
        if not missing:
            break
        found = ask.ask("GET", f"/{queue}", query={"limit": str(_SEARCHED)})
        looked_at += len(found["items"])
        letters = [letter for letter in found["items"] if ids & _ids(letter)]
        missing -= {one for letter in letters for one in _ids(letter)}
        if letters or len(queues) == 1:
            yield from _letters(found, letters, outputs, whole=True)
        if not found["complete"] and found["items"]:
            known += f" {queue} may hold more than was looked at."
    if missing:
        raise Refusal(f"Not among the {looked_at} messages looked at: {', '.join(sorted(missing))}.{known}")


def _ids(letter: Mapping[str, Any]) -> set[str]:
    return {letter[name] for name in ("id", "event_id") if letter[name]}


def _letters(
    found: Any, shown: Sequence[Mapping[str, Any]], outputs: Mapping[str, str], *, whole: bool
) -> Iterator[str]:
    for letter in shown:
        yield f"{letter['id']}  {letter['set_aside_at'] or letter['sent_at'] or ''}".rstrip()
        for name in ("reason", "consumer", "event_type", "event_id", "correlation_id", "received"):
            if letter[name] is not None:
                yield f"    {name + ':':<16}{letter[name]}"
        if found["queue"]["personal"]:
            yield "    body:           withheld, it is about people"
        elif whole:
            yield f"    body:           {letter['body']}"
    queue = found["queue"]
    # `aws sqs` needs the queue's address, for example to delete messages.
    address = f", {outputs[queue['name']]}" if queue["name"] in outputs else ""
    yield f"{len(shown)} of about {queue['waiting']} in {queue['name']}{address}"


def _moved(found: Any) -> Iterator[str]:
    for result in found["results"]:
        event = f"  event_id {result['event_id']}" if result["event_id"] else ""
        yield f"{result['id']}  {result['outcome']}{': ' + result['detail'] if result['detail'] else ''}{event}"
    yield f"{found['moved']} moved from {found['queue']}"
    if missing := [result["id"] for result in found["results"] if result["outcome"] == "not_found"]:
        raise Refusal(f"Not found: {', '.join(missing)}")
