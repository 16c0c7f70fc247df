"""Which stacks there are, and in which order they are deployed."""

from pathlib import Path

import pytest

from localstack.embedded import composition
from localstack.embedded.errors import Refusal
from localstack.embedded.layout import ROOT, TEMPLATE

pytestmark = pytest.mark.unit


def root(folder: Path, *resources: str) -> Path:
    path = folder / "template.yaml"
    path.write_text("Resources:\n" + "".join(f"  {resource}\n" for resource in resources))
    return path


def application(name: str, *depends_on: str) -> str:
    after = f"DependsOn: [{', '.join(depends_on)}], " if depends_on else ""
    location = f"Properties: {{Location: functions/{name.lower()}/template.yaml}}"
    return f"{name}: {{Type: AWS::Serverless::Application, {after}{location}}}"


def names(path: Path) -> list[str]:
    return [stack.name for stack in composition.stacks(path)]


def test_a_stack_is_called_after_its_system_and_its_own_name(tmp_path: Path) -> None:
    (stack,) = composition.stacks(root(tmp_path, application("Loans")))

    assert stack == composition.Stack("loans", tmp_path / "functions" / "loans" / "template.yaml")
    assert stack.stack_name("smart-library") == "smart-library-loans"


def test_each_stack_comes_after_those_it_depends_on(tmp_path: Path) -> None:
    path = root(
        tmp_path,
        application("Api", "Admin"),
        application("Admin", "Users", "Books"),
        application("Users", "Platform"),
        application("Books", "Platform"),
        application("Platform"),
    )

    assert names(path) == ["platform", "users", "books", "admin", "api"], "and those of one rank as they are written"


def test_a_single_dependency_may_be_written_without_a_list(tmp_path: Path) -> None:
    path = root(tmp_path, application("Users", "Platform").replace("[Platform]", "Platform"), application("Platform"))

    assert names(path) == ["platform", "users"]


@pytest.mark.parametrize(
    ("resources", "sentence"),
    [
        (
            ["Queue: {Type: AWS::SQS::Queue}"],
            r"^template.yaml may hold only AWS::Serverless::Application, but Queue is a AWS::SQS::Queue\.$",
        ),
        (["Nothing: {Properties: {}}"], r"Nothing is a resource without a type\.$"),
        (
            [application("Users", "Loans"), application("Loans", "Users")],
            r"^template.yaml has stacks that wait for each other: .*(Users, Loans|Loans, Users)",
        ),
        ([application("Users", "Users")], "wait for each other: Users"),
        ([application("Users", "Platform")], r"^template.yaml has no stack Platform, but Users depends on it\.$"),
    ],
)
def test_what_cannot_be_deployed_is_refused_in_a_sentence(tmp_path: Path, resources: list[str], sentence: str) -> None:
    with pytest.raises(Refusal, match=sentence):
        composition.stacks(root(tmp_path, *resources))


def test_one_stack_is_chosen_by_its_name(tmp_path: Path) -> None:
    path = root(tmp_path, application("Users", "Platform"), application("Platform"))

    assert [stack.name for stack in composition.chosen(path, None)] == ["platform", "users"]
    assert [stack.name for stack in composition.chosen(path, "Users")] == ["users"]
    with pytest.raises(Refusal, match=r"^There is no stack fines\. There are: platform, users\.$"):
        composition.chosen(path, "fines")


def test_the_systems_own_stacks_begin_with_the_platform_and_end_with_the_api() -> None:
    found = composition.stacks(TEMPLATE)

    assert [found[0].name, found[-2].name, found[-1].name] == ["platform", "admin", "api"]
    services = {stack.template_file for stack in found} - {found[0].template_file, found[-1].template_file}
    assert services == set((ROOT / "functions").glob("*/template.yaml"))
