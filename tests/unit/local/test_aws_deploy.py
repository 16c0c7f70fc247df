"""Which parameters each stack is given by `make deploy`."""

import json
from pathlib import Path

import pytest

from localstack.embedded import composition, template
from localstack.embedded.errors import Refusal
from localstack.embedded.layout import ROOT, TEMPLATE
from tools import deploy

pytestmark = pytest.mark.unit


def test_parameters_are_quoted_for_sam() -> None:
    (stack,) = composition.chosen(TEMPLATE, "users")
    words = deploy.command(stack, {"System": "town", "LibraryName": "The Town's Library"})

    assert words[words.index("--parameter-overrides") + 1 :] == [
        "System=town",
        "LibraryName='The Town'\"'\"'s Library'",
    ]


def test_a_stack_is_called_after_the_system_and_taken_from_its_build() -> None:
    (stack,) = composition.chosen(TEMPLATE, "loans")
    words = deploy.command(stack, {"System": "town"})

    assert words[words.index("--stack-name") + 1] == "town-loans"
    assert words[words.index("--template-file") + 1] == str(ROOT / ".aws-sam" / "build" / "Loans" / "deploy.json")


def test_what_is_deployed_is_what_was_built_and_a_digest_of_the_parameters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (stack,) = composition.chosen(TEMPLATE, "loans")
    monkeypatch.setattr(deploy, "BUILT", tmp_path)
    (tmp_path / "Loans").mkdir()
    built = template.load(stack.template_file)
    (tmp_path / "Loans" / "template.yaml").write_text(template.dump(built), encoding="utf-8")

    deploy.write_template(stack, {"System": "town", "LoanHistoryDays": "90"})

    deployed = template.load(tmp_path / "Loans" / "deploy.json")
    assert deployed["Globals"]["Function"]["Environment"]["Variables"].pop("PARAMETERS_DIGEST")
    assert deployed == json.loads(template.dump(built))


@pytest.mark.parametrize("text", ['"A=1 B=x=y"', '["A=1", "B=x=y"]'])
def test_parameters_may_stand_in_samconfig(tmp_path: Path, text: str) -> None:
    config = tmp_path / "samconfig.toml"
    config.write_text(f"[default.deploy.parameters]\nparameter_overrides = {text}\n")

    assert deploy.configured(config, "default") == {"A": "1", "B": "x=y"}
    assert deploy.configured(config, "other") == {}


def test_what_no_stack_declares_is_refused() -> None:
    with pytest.raises(Refusal, match="No stack has a parameter AdminMail"):
        deploy.require_known({"AdminMail": "a@b.example"}, [{"AdminEmail": {}}])
    with pytest.raises(Refusal, match="NAME=VALUE"):
        deploy.assignments(["AdminEmail"])
