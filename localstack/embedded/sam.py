"""``sam local`` on a deployed system: functions run in containers, on the deployed tables, bus and queues.

SAM knows the templates, but not the names that the deployment gave to tables and queues. This module reads them from
the deployed functions and passes them to SAM in a file, together with an address at which containers reach the
emulator. Sample events are passed on as of today.
"""

from __future__ import annotations

import copy
import json
import os
import platform
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
from botocore.exceptions import BotoCoreError, ClientError

from localstack.embedded import deploy, docker, engine, proxy, template
from localstack.embedded.aws import DUMMY_CREDENTIALS, REGION, Aws
from localstack.embedded.composition import APPLICATION
from localstack.embedded.errors import Refusal
from localstack.embedded.invocations import refreshed
from localstack.embedded.layout import ROOT
from localstack.embedded.ports import LOOPBACK
from localstack.embedded.run import stopping_on_signals
from localstack.embedded.state import StackFile

COMMANDS = ("invoke", "start-api", "start-lambda")

_SAM = ROOT / ".venv-sam" / "bin" / "sam"
_CONFIGURATIONS = ROOT / "samconfig.toml"
_BUILT_TEMPLATE = ROOT / ".aws-sam" / "build" / "template.yaml"
_START_API = "start-api.json"
"""The templates for `start-api` lie beside the built ones, which name what was built by relative paths."""
_OPTIONAL_AUTHORIZER = "OptionalToken"
_DOCKERS_INTERFACE = "docker0"
# How a container calls the machine it runs on, where the engine lives in a virtual machine.
_ENGINES_NAME_FOR_THIS_MACHINE = "host.docker.internal"
_LOOPBACK_NAMES = {"127.0.0.1", "localhost", "::1"}


def run_local(arguments: Sequence[str], stack_file: Path, container_url: str | None) -> int:
    """Runs ``sam local`` with ``arguments`` on the system noted in ``stack_file``. Returns its exit code.

    ``container_url``: where containers reach the emulator; None finds it out. Ctrl-C stops SAM cleanly. Refuses when
    the command, the SAM CLI, a build, Docker or the running system is missing.
    """
    if not arguments or arguments[0] not in COMMANDS:
        raise Refusal(f"Say what to run: make sam-local ARGS='start-api' (one of {', '.join(COMMANDS)}).")
    if not _SAM.exists():
        raise Refusal("The SAM CLI is not installed: run `make sam-cli`.")
    if not _BUILT_TEMPLATE.exists():
        raise Refusal(f"Nothing is built for containers: run `{build_command(platform.machine())}`.")
    docker.require_daemon()
    stack = StackFile.read(stack_file)
    engine.identify(stack.endpoint_url)
    aws = Aws(stack.endpoint_url)
    with (
        _reachable(stack.endpoint_url, container_url) as endpoint,
        _services_url(aws, stack.system, endpoint) as parameter,
        tempfile.TemporaryDirectory() as folder,
    ):
        variables = environment(_deployed_variables(aws, stack), endpoint, parameter)
        environment_file = Path(folder) / "environment.json"
        environment_file.write_text(json.dumps(variables), encoding="utf-8")
        if arguments[0] == "start-api":
            write_start_api_templates(_BUILT_TEMPLATE)
        arguments = refreshed(arguments, Path(folder), datetime.now(UTC))
        sys.stderr.write(f"Functions find {stack.system} at {endpoint}\n")
        return _run(sam_command(arguments, environment_file, platform.machine()))


def build_command(machine: str) -> str:
    """The command that builds for containers on a processor of this name."""
    return f'make sam-build ARGS="--config-env {_configuration(machine)}"'


def sam_command(arguments: Sequence[str], environment_file: Path, machine: str) -> list[str]:
    """The command line. Options in ``arguments`` come last, so they win."""
    subcommand, *rest = arguments
    described_by = ["--template-file", str(_BUILT_TEMPLATE.with_name(_START_API))] if subcommand == "start-api" else []
    return [
        str(_SAM), "local", subcommand, "--config-file", str(_CONFIGURATIONS),
        "--config-env", _configuration(machine), "--region", REGION,
        "--env-vars", str(environment_file), *described_by, *rest,
    ]  # fmt: skip


def write_start_api_templates(built: Path) -> None:
    """Writes the built root template and that of the API once more, as `for_start_api` changes the API."""
    root = template.load(built)
    for application in template.resources_of(root, APPLICATION).values():
        nested = built.parent / application["Location"]
        source = template.load(nested)
        if template.resources_of(source, template.API):
            changed = nested.with_name(_START_API)
            changed.write_text(template.dump(for_start_api(source)), encoding="utf-8")
            application["Location"] = changed.relative_to(built.parent).as_posix()
    built.with_name(_START_API).write_text(template.dump(root), encoding="utf-8")


def for_start_api(source: template.Template) -> template.Template:
    """The API's template with the optional authorizer on every route, and `Cors` in place of preflight operations.

    ``sam local start-api`` takes the authorizer of any one method of a path for all its methods, a different one at
    each start. With the optional one a call without a token reaches the function, which refuses it as the gateway
    would. And it answers preflight requests only where `Cors` asks for it: it has no MOCK integrations.
    """
    changed = copy.deepcopy(source)
    for api in template.resources_of(changed, template.API).values():
        for operations in api["DefinitionBody"]["paths"].values():
            preflight = operations.pop("options", None)
            if preflight is not None:
                api["Cors"] = _cors(preflight)
            for operation in operations.values():
                operation["security"] = [{_OPTIONAL_AUTHORIZER: []}]
    return changed


def _cors(preflight: Mapping[str, Any]) -> dict[str, Any]:
    """SAM's `Cors` with the headers that a preflight operation answers."""
    (answer,) = preflight["x-amazon-apigateway-integration"]["responses"].values()
    headers = {name.rpartition(".Access-Control-")[2]: value for name, value in answer["responseParameters"].items()}
    return {name.replace("-", ""): value for name, value in headers.items()}


def environment(
    deployed: Mapping[str, Mapping[str, str]], endpoint: str, services_url_parameter: str
) -> dict[str, dict[str, str]]:
    """The content of the ``--env-vars`` file: each function's deployed variables, and the endpoint for all functions.

    Functions find other services through ``services_url_parameter``: the address in the parameter they were deployed
    with may not be reachable from a container.
    """
    functions = {}
    for logical_id, variables in deployed.items():
        own = {name: value for name, value in variables.items() if name != "AWS_ENDPOINT_URL"}
        if "SERVICES_URL_PARAMETER" in own:
            own["SERVICES_URL_PARAMETER"] = services_url_parameter
        functions[logical_id] = own
    return {"Parameters": {"AWS_ENDPOINT_URL": endpoint}, **functions}


def _configuration(machine: str) -> str:
    """The environment in samconfig.toml for a processor: the template's default is arm64."""
    return "local" if machine.lower() in {"x86_64", "amd64"} else "default"


def _deployed_variables(aws: Aws, stack: StackFile) -> dict[str, dict[str, str]]:
    """Logical id of a function → the variables it was deployed with."""
    found = {}
    for logical_id, name in stack.functions.items():
        configuration = aws.lambda_.get_function_configuration(FunctionName=name)
        found[logical_id] = dict(configuration.get("Environment", {}).get("Variables", {}))
    return found


@contextmanager
def _services_url(aws: Aws, system: str, endpoint: str) -> Iterator[str]:
    """The name of a parameter that holds, for the length of the block, the API's address for containers."""
    outputs = deploy.outputs(aws, system)
    # Its own name: another `sam local` may run at the same time, with another proxy.
    name = f"/{system}/services-url-in-containers/{os.getpid()}"
    address = f"{endpoint}/_aws/execute-api/{outputs['ApiId']}/{outputs['ApiStage']}"
    aws.ssm.put_parameter(Name=name, Value=address, Type="String", Overwrite=True)
    try:
        yield name
    finally:
        # The emulator may have been stopped meanwhile.
        with suppress(BotoCoreError, ClientError):
            aws.ssm.delete_parameter(Name=name)


@contextmanager
def _reachable(endpoint_url: str, container_url: str | None) -> Iterator[str]:
    """Where containers reach the emulator for the length of the block, without a slash at the end."""
    address = urlsplit(endpoint_url)
    if container_url or address.hostname not in _LOOPBACK_NAMES:
        yield (container_url or endpoint_url).rstrip("/")
        return
    bridge = _bridge_address()
    name = bridge or _ENGINES_NAME_FOR_THIS_MACHINE
    # The emulator itself answers only who calls it by a loopback address.
    with proxy.serving(endpoint_url.rstrip("/"), host=bridge or LOOPBACK, name=name) as port:
        yield f"http://{name}:{port}"


def _bridge_address() -> str | None:
    """This machine's address on the network of Docker's containers; None where Docker does not run on it directly."""
    addresses = psutil.net_if_addrs().get(_DOCKERS_INTERFACE, [])
    return next((address.address for address in addresses if address.family == socket.AF_INET), None)


def _run(command: Sequence[str]) -> int:
    # The developer's credentials and profile must not get into a container. None are needed.
    own = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    env = own | DUMMY_CREDENTIALS | {"SAM_CLI_TELEMETRY": "0"}
    # Its own session: Ctrl-C reaches SAM once, from here, and never while it cleans up.
    with stopping_on_signals(), subprocess.Popen(command, cwd=ROOT, env=env, start_new_session=True) as sam:
        try:
            return sam.wait()
        except KeyboardInterrupt:
            sam.send_signal(signal.SIGINT)
            return sam.wait()
