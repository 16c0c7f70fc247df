"""``make rotate``: asks the deployed rotation function to rotate keys."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from localstack.embedded import engine
from localstack.embedded.aws import Aws
from localstack.embedded.errors import Refusal
from localstack.embedded.state import StackFile


def rotate(stack_file: Path, rings: Sequence[str], *, force: bool) -> Iterator[str]:
    """A line for each rotated ring. Refuses at the end when a ring was not rotated, with the reason."""
    stack = StackFile.read(stack_file)
    engine.of_known_stack(stack.endpoint_url)
    answer = (
        Aws(stack.endpoint_url)
        .client("lambda")
        .invoke(
            FunctionName=stack.functions["RotationFunction"],
            Payload=json.dumps({"rotate": list(rings), "force": force}).encode(),
        )
    )
    document = json.loads(answer["Payload"].read())
    if "FunctionError" in answer:
        raise Refusal(f"The rotation failed: {document.get('errorMessage', 'see its log')}")
    refused = []
    for outcome in document["outcomes"]:
        if outcome["result"] in {"refused", "failed"}:
            until = f" Not before {outcome['not_before']}." if "not_before" in outcome else ""
            refused.append(f"{outcome['ring']}: {outcome['detail']}{until}")
        else:
            yield f"{outcome['ring']}: {outcome['result']}"
    if refused:
        raise Refusal("\n".join(refused))
