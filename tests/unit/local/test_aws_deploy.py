"""Which parameters each stack is given by `make deploy`."""

from pathlib import Path

import pytest

from localstack.embedded import composition, template
from localstack.embedded.errors import Refusal
from localstack.embedded.layout import ROOT, TEMPLATE
from tools import deploy

pytestmark = pytest.mark.unit


def given_to(name: str, **given: str) -> list[str]:
    """The NAME=VALUE words of the command for a stack."""
    (stack,) = composition.chosen(TEMPLATE, name)
    declared = template.load(stack.template_file)["Parameters"]
    words = deploy.command(stack, declared, {"System": "town", **given})
    return words[words.index("--parameter-overrides") + 1 :]


def test_a_stack_is_given_what_it_declares() -> None:
    assert given_to("loans", LoanHistoryDays="90", MailFrom="a@b.example") == ["System=town", "LoanHistoryDays=90"]
    assert given_to("users", LibraryName="The Town's Library") == [
        "System=town",
        "LibraryName='The Town'\"'\"'s Library'",
    ]


def test_a_stack_is_called_after_the_system_and_taken_from_its_build() -> None:
    (stack,) = composition.chosen(TEMPLATE, "loans")
    words = deploy.command(stack, {}, {"System": "town"})

    assert words[words.index("--stack-name") + 1] == "town-loans"
    assert words[words.index("--template-file") + 1] == str(ROOT / ".aws-sam" / "build" / "Loans" / "template.yaml")


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
