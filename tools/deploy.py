"""Deploys the stacks to the AWS account of the current credentials, one after the other: `make deploy`.

The SAM CLI does the work; it deploys one stack at a time and refuses parameters that a stack does not declare. So this
gives each stack what it declares of the parameters in samconfig.toml and on the command line. A stack that is not
given a parameter keeps the value it has. Stops at the first stack that fails: it is rolled back, and the others are as
they were.
"""

import argparse
import os
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

from localstack.embedded import composition, permissions, template
from localstack.embedded.aws import AccountAws
from localstack.embedded.deploy import require_no_single_stack
from localstack.embedded.errors import Refusal
from localstack.embedded.layout import ROOT, TEMPLATE

BUILT = ROOT / ".aws-sam" / "build"
SAM = ROOT / ".venv-sam" / "bin" / "sam"
SYSTEM = "smart-library"
DEPLOYED = "deploy.json"


def configured(config: Path, environment: str) -> dict[str, str]:
    """`parameter_overrides` of an environment in samconfig.toml: a text or a list of NAME=VALUE."""
    document = tomllib.loads(config.read_text(encoding="utf-8"))
    given = document.get(environment, {}).get("deploy", {}).get("parameters", {}).get("parameter_overrides", "")
    return assignments(shlex.split(given) if isinstance(given, str) else given)


def assignments(words: Sequence[str]) -> dict[str, str]:
    """NAME=VALUE as a mapping. Refuses anything else."""
    wrong = [word for word in words if "=" not in word]
    if wrong:
        raise Refusal(f"Parameters are written NAME=VALUE, not {wrong[0]}.")
    return dict(word.split("=", 1) for word in words)


def command(stack: composition.Stack, own: Mapping[str, str]) -> list[str]:
    """The SAM command that deploys one stack with its own parameters, from the template of `write_template`."""
    arguments = [
        str(SAM), "deploy", "--template-file", str(_folder(stack) / DEPLOYED), "--config-file",
        str(ROOT / "samconfig.toml"), "--stack-name", stack.stack_name(own["System"]),
    ]  # fmt: skip
    # Quoted, since values may hold spaces and JSON; `sam` takes the words apart again.
    return [*arguments, "--parameter-overrides", *(f"{name}={shlex.quote(value)}" for name, value in own.items())]


def write_template(stack: composition.Stack, own: Mapping[str, str]) -> None:
    """Writes what is deployed beside the built template, which names what was built by relative paths."""
    built = template.load(_folder(stack) / "template.yaml")
    (_folder(stack) / DEPLOYED).write_text(template.dump(template.with_parameters(built, own)), encoding="utf-8")


def _folder(stack: composition.Stack) -> Path:
    return BUILT / stack.name.capitalize()


def require_known(given: Mapping[str, str], declared: Sequence[Mapping[str, object]]) -> None:
    """Refuses a parameter that no stack declares: it would be ignored without a word."""
    unknown = [name for name in given if not any(name in parameters for parameters in declared)]
    if unknown:
        raise Refusal(f"No stack has a parameter {unknown[0]}; docs/operations.md lists them.")


def main() -> int:
    """The command line. Returns the exit code of the first `sam deploy` that failed, or 0."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--service", default=os.environ.get("SERVICE"), help="only this stack, such as loans")
    parser.add_argument("--environment", default="default", help="of samconfig.toml")
    parser.add_argument("--parameters", default=os.environ.get("PARAMETERS", ""), help="NAME=VALUE …")
    parser.add_argument("arguments", nargs="*", help="what else `sam deploy` is given, after --")
    options = parser.parse_args()
    try:
        chosen = composition.chosen(TEMPLATE, options.service)
        declared = {stack.name: template.load(stack.template_file)["Parameters"] for stack in chosen}
        words = assignments(shlex.split(options.parameters))
        given = {"System": SYSTEM, **configured(ROOT / "samconfig.toml", options.environment), **words}
        if options.service is None:
            require_known(given, list(declared.values()))
        require_no_single_stack(AccountAws(), given["System"])
        for stack in chosen:
            sys.stderr.write(f"--- {stack.stack_name(given['System'])}\n")
            own = {name: value for name, value in given.items() if name in declared[stack.name]}
            write_template(stack, own)
            finished = subprocess.run(  # noqa: S603 - our own command
                [*command(stack, own), *options.arguments], cwd=ROOT, check=False
            )
            if finished.returncode:
                return finished.returncode
        for function in _restored(given["System"]):
            sys.stderr.write(f"The API may call {function} again: its permission was lost.\n")
    except Refusal as refusal:
        sys.stderr.write(f"{refusal}\n")
        return 1
    return 0


def _restored(system: str) -> list[str]:
    """Puts back permissions that functions lost when they were deleted and made again."""
    (api,) = composition.chosen(TEMPLATE, "api")
    return permissions.restore(AccountAws(), api.stack_name(system), template.load(api.template_file))


if __name__ == "__main__":
    raise SystemExit(main())
