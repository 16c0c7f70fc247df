"""What the engine's saved state is stripped of before it starts again."""

import json
from pathlib import Path

import pytest

from localstack.embedded.engine import _forget_stream_positions
from localstack.embedded.layout import WorkDir

pytestmark = pytest.mark.unit


def test_stream_consumers_begin_anew_and_nothing_else_changes(tmp_path: Path) -> None:
    work = WorkDir(tmp_path)
    work.state.mkdir(parents=True)
    kept = {"functions": {"f": 1}, "dynamodb_stream_positions": {"scoped": True, "data": {"a": 13365}}}
    saved = work.state / "lambda.json"
    saved.write_text(json.dumps({"format": 1, "payload": kept}))

    _forget_stream_positions(work)

    kept["dynamodb_stream_positions"] = {"scoped": True, "data": {}}
    assert json.loads(saved.read_text()) == {"format": 1, "payload": kept}


@pytest.mark.parametrize("content", [None, "", "{", "[]", "{}", '{"payload": {}}', '{"payload": []}'])
def test_other_state_is_left_alone(tmp_path: Path, content: str | None) -> None:
    work = WorkDir(tmp_path)
    work.state.mkdir(parents=True)
    if content is not None:
        (work.state / "lambda.json").write_text(content)

    _forget_stream_positions(work)

    assert content is None or (work.state / "lambda.json").read_text() == content
