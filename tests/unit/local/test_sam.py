"""`sam local` on a deployed stack: what the SAM CLI is told, without running it."""

import socket
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from localstack.embedded import sam, template
from localstack.embedded.errors import Refusal
from localstack.embedded.layout import ROOT, TEMPLATE
from localstack.embedded.ports import LOOPBACK, pick_free
from localstack.embedded.relay import relay

pytestmark = [pytest.mark.unit, pytest.mark.enable_socket]

DEPLOYED = {
    "BooksFunction": {"TABLE_NAME": "books-1", "AWS_ENDPOINT_URL": "http://127.0.0.1:4566"},
    "LoansFunction": {"TABLE_NAME": "loans-1", "SERVICES_URL_PARAMETER": "/library/services-url"},
}
FILE = Path("environment.json")


# -- the variables --------------------------------------------------------------------------------


def test_functions_get_the_names_they_were_deployed_with_and_the_address_for_containers() -> None:
    assert sam.environment(DEPLOYED, "http://172.17.0.1:4000", "/library/in-containers") == {
        "Parameters": {"AWS_ENDPOINT_URL": "http://172.17.0.1:4000"},
        "BooksFunction": {"TABLE_NAME": "books-1"},
        "LoansFunction": {"TABLE_NAME": "loans-1", "SERVICES_URL_PARAMETER": "/library/in-containers"},
    }


def test_the_template_declares_the_endpoint_and_gives_it_no_value() -> None:
    """SAM hands over declared variables only; anywhere else a value would lead the functions astray."""
    variables = template.load(TEMPLATE)["Globals"]["Function"]["Environment"]["Variables"]

    assert variables["AWS_ENDPOINT_URL"] == {"Ref": "AWS::NoValue"}


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


# -- the template of start-api --------------------------------------------------------------------


def test_start_api_has_one_authorizer_for_all_routes_and_it_needs_no_token() -> None:
    original = template.load(TEMPLATE)

    changed = sam.levelled(original)

    (api,) = template.resources_of(changed, template.API).values()
    chosen = api["Auth"]["Authorizers"][api["Auth"]["DefaultAuthorizer"]]
    assert not chosen["Identity"].get("Headers")
    assert not list(_route_authorizers(changed))
    assert list(_route_authorizers(original)), "the template given was changed"


def _route_authorizers(source: template.Template) -> Iterator[Any]:
    for function in template.resources_of(source, template.FUNCTION).values():
        for event in function.get("Events", {}).values():
            if "Auth" in event["Properties"]:
                yield event["Properties"]["Auth"]


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


# -- the relay ------------------------------------------------------------------------------------


@contextmanager
def _listening() -> Iterator[socket.socket]:
    with socket.create_server((LOOPBACK, 0)) as server:
        server.settimeout(60)
        yield server


def test_bytes_pass_both_ways_and_each_side_sees_the_other_end() -> None:
    with (
        _listening() as server,
        relay(LOOPBACK, server.getsockname()[1]) as port,
        socket.create_connection((LOOPBACK, port), timeout=60) as client,
    ):
        client.sendall(b"question")
        client.shutdown(socket.SHUT_WR)
        upstream, _ = server.accept()
        with upstream:
            assert _all(upstream) == b"question"
            upstream.sendall(b"answer")
        assert _all(client) == b"answer"


def test_where_nobody_listens_the_connection_is_closed() -> None:
    with relay(LOOPBACK, pick_free()) as port, socket.create_connection((LOOPBACK, port), timeout=60) as client:
        assert _all(client) == b""


def test_open_connections_end_with_the_relay() -> None:
    with _listening() as server:
        with relay(LOOPBACK, server.getsockname()[1]) as port:
            client = socket.create_connection((LOOPBACK, port), timeout=60)
            upstream, _ = server.accept()
        with client, upstream:
            assert _all(client) == b""
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((LOOPBACK, port), timeout=60)


def test_an_address_of_another_machine_cannot_be_listened_on() -> None:
    with pytest.raises(OSError, match="bind"), relay("192.0.2.1", 80):
        pass


def _all(connection: socket.socket) -> bytes:
    received = b""
    while chunk := connection.recv(65536):
        received += chunk
    return received
