"""What ``make rotate`` makes of the rotation function's answer."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from localstack.embedded import engine
from localstack.embedded.aws import Aws
from localstack.embedded.errors import Refusal
from localstack.embedded.rotate import rotate
from localstack.embedded.state import StackFile

pytestmark = pytest.mark.unit

OUTCOMES = [
    {"ring": "signing-key", "result": "rotated"},
    {"ring": "service:loans", "result": "refused", "detail": "Too soon.", "not_before": "2026-11-22T10:00:00Z"},
    {"ring": "service:users", "result": "failed", "detail": "It cannot be read."},
]


class Client:
    """Of Lambda, as far as it is asked."""

    def invoke(self, **_: Any) -> dict[str, Any]:
        return {"Payload": io.BytesIO(json.dumps({"outcomes": OUTCOMES}).encode())}


def test_what_was_not_rotated_is_refused_after_the_rest_was_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    known = tmp_path / "stack.json"
    functions = {"RotationFunction": "library-rotation"}
    StackFile("http://here", "http://emulator", "us-east-1", [], {}, functions, "library", {}).write(known)
    monkeypatch.setattr(engine, "identify", lambda _: engine.Engine("ministack", "1"))
    monkeypatch.setattr(Aws, "client", lambda *_: Client())
    lines = rotate(known, ["signing-key"], force=False)

    assert next(lines) == "signing-key: rotated"
    with pytest.raises(Refusal) as refused:
        next(lines)
    assert str(refused.value) == (
        "service:loans: Too soon. Not before 2026-11-22T10:00:00Z.\nservice:users: It cannot be read."
    )
