"""`sam local` on a deployed stack: what the SAM CLI is told, without running it."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from localstack.embedded import composition, sam, template
from localstack.embedded.errors import Refusal
from localstack.embedded.layout import ROOT, TEMPLATE

pytestmark = pytest.mark.unit

DEPLOYED = {
    "BooksFunction": {"TABLE_NAME": "books-1", "AWS_ENDPOINT_URL": "http://127.0.0.1:4566"},
    "LoansFunction": {"TABLE_NAME": "loans-1", "SERVICES_URL_PARAMETER": "/library/services-url"},
}
FILE = Path("environment.json")
STACKS = composition.stacks(TEMPLATE)


# -- the variables --------------------------------------------------------------------------------


def test_functions_get_the_names_they_were_deployed_with_and_the_address_for_containers() -> None:
    assert sam.environment(DEPLOYED, "http://172.17.0.1:4000", "/library/in-containers") == {
        "Parameters": {"AWS_ENDPOINT_URL": "http://172.17.0.1:4000"},
        "BooksFunction": {"TABLE_NAME": "books-1"},
        "LoansFunction": {"TABLE_NAME": "loans-1", "SERVICES_URL_PARAMETER": "/library/in-containers"},
    }


@pytest.mark.parametrize("stack", [stack for stack in STACKS if stack.name != "api"], ids=lambda stack: stack.name)
def test_every_stack_declares_the_endpoint_and_gives_it_no_value(stack: composition.Stack) -> None:
    """SAM passes on declared variables only. A value would lead functions astray everywhere else."""
    variables = template.load(stack.template_file)["Globals"]["Function"]["Environment"]["Variables"]

    assert variables["AWS_ENDPOINT_URL"] == {"Ref": "AWS::NoValue"}


def test_functions_of_all_stacks_have_names_of_their_own() -> None:
    """SAM takes `invoke BooksFunction`, and the variables of it, for whichever stack's function is called so."""
    names = [
        name
        for stack in STACKS
        for name in template.resources_of(template.load(stack.template_file), template.FUNCTION)
    ]

    assert len(names) > 20
    assert len(set(names)) == len(names)


# -- the command ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("machine", "configuration"),
    [("x86_64", "local"), ("AMD64", "local"), ("arm64", "default"), ("aarch64", "default")],
)
def test_the_configuration_follows_the_processor(machine: str, configuration: str) -> None:
    command = sam.sam_command(["invoke", "BooksFunction"], FILE, machine)

    assert command[command.index("--config-env") + 1] == configuration
    assert f"--config-env {configuration}" in sam.build_command(machine)


def test_options_given_come_last_and_so_win() -> None:
    command = sam.sam_command(["start-api", "--region", "eu-west-1"], FILE, "arm64")

    assert command[1:3] == ["local", "start-api"]
    assert command[-2:] == ["--region", "eu-west-1"]


@pytest.mark.parametrize("arguments", [[], ["generate-event"], ["--help"]])
def test_what_is_no_command_is_refused_with_those_there_are(arguments: list[str]) -> None:
    with pytest.raises(Refusal, match="invoke, start-api, start-lambda"):
        sam.run_local(arguments, FILE, None)


# -- the templates of start-api -------------------------------------------------------------------


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """What `sam build` makes of the templates, as far as `start-api` is concerned."""
    root = template.load(TEMPLATE)
    for name, application in template.resources_of(root, composition.APPLICATION).items():
        nested = tmp_path / name / "template.yaml"
        nested.parent.mkdir()
        nested.write_text(template.dump(template.load(TEMPLATE.parent / application["Location"])))
        application["Location"] = f"{name}/template.yaml"
    (tmp_path / "template.yaml").write_text(template.dump(root))
    return tmp_path / "template.yaml"


def the_api(path: Path) -> dict[str, Any]:
    (api,) = template.resources_of(template.load(path), template.API).values()
    return api


def test_start_api_has_one_authorizer_for_all_routes_and_it_needs_no_token(built: Path) -> None:
    sam.write_start_api_templates(built)

    changed, original = (the_api(built.parent / "Api" / name) for name in ("start-api.json", "template.yaml"))
    operations = [
        operation for operations in changed["DefinitionBody"]["paths"].values() for operation in operations.values()
    ]
    assert operations
    assert all(operation["security"] == [{"OptionalToken": []}] for operation in operations)
    scheme = changed["DefinitionBody"]["components"]["securitySchemes"]["OptionalToken"]
    assert "identitySource" not in scheme["x-amazon-apigateway-authorizer"]
    needed = [
        operation.get("security")
        for operations in original["DefinitionBody"]["paths"].values()
        for operation in operations.values()
    ]
    assert [{"Token": []}] in needed, "the built template was changed"


def test_start_api_answers_preflight_requests_as_the_api_does(built: Path) -> None:
    """SAM has no MOCK integrations, which answer them elsewhere."""
    sam.write_start_api_templates(built)

    changed = the_api(built.parent / "Api" / "start-api.json")
    assert not [path for path, operations in changed["DefinitionBody"]["paths"].items() if "options" in operations]
    assert changed["Cors"] == {
        "AllowOrigin": {"Fn::Sub": "'${CorsAllowOrigin}'"},
        "AllowMethods": "'GET, POST, PUT, PATCH, DELETE'",
        "AllowHeaders": "'Authorization, Content-Type, Idempotency-Key, If-Match, X-Correlation-Id'",
        "MaxAge": "'600'",
    }


def test_start_api_takes_every_other_stack_as_it_was_built(built: Path) -> None:
    sam.write_start_api_templates(built)

    before, after = (
        template.resources_of(template.load(built.with_name(name)), composition.APPLICATION)
        for name in ("template.yaml", "start-api.json")
    )
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"Api"}
    assert after["Api"]["Location"] == "Api/start-api.json"
    command = sam.sam_command(["start-api"], FILE, "arm64")
    assert Path(command[command.index("--template-file") + 1]).name == "start-api.json"
    assert "--template-file" not in sam.sam_command(["invoke", "BooksFunction"], FILE, "arm64")


# -- samconfig.toml -------------------------------------------------------------------------------


def test_samconfig_overrides_parameters_the_template_has_with_values_it_allows() -> None:
    parameters = template.load(TEMPLATE)["Parameters"]
    seen = 0

    for environment in _samconfig().values():
        for command in environment.values():
            for assignment in command["parameters"].get("parameter_overrides", "").split():
                name, _, value = assignment.partition("=")
                assert value in parameters[name].get("AllowedValues", [value])
                seen += 1

    assert seen


def test_the_local_configuration_builds_and_runs_for_the_same_processor() -> None:
    local = _samconfig()["local"]

    for command in ("build", "local_invoke", "local_start_api", "local_start_lambda"):
        assert local[command]["parameters"]["parameter_overrides"] == "Architecture=x86_64", command


def _samconfig() -> dict[str, dict[str, Any]]:
    document = tomllib.loads((ROOT / "samconfig.toml").read_text())
    return {name: commands for name, commands in document.items() if isinstance(commands, dict)}
