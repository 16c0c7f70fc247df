"""The commands of ``python -m localstack.embedded``: run, stop, token, rotate, deploy and more (``--help``).

Settings are options or, for ``make``, environment variables of the same name.
"""

import argparse
import os
import sys
from pathlib import Path

from localstack.embedded.errors import Refusal
from localstack.embedded.layout import LOCAL

_DEFAULT_PORT = 8080


def main() -> int:
    """Runs one command and returns its exit code. A refusal is printed to standard error."""
    try:
        return _command(_parser().parse_args())
    except Refusal as refusal:
        sys.stderr.write(f"{refusal}\n")
        return 1
    except KeyboardInterrupt:
        return 130


def _command(arguments: argparse.Namespace) -> int:  # noqa: PLR0912 - one branch per command
    # Imported here because importing boto3 takes longer than `stop` takes to run.
    from localstack.embedded import run  # noqa: PLC0415

    match arguments.command:
        case "run":
            run.run(
                _port(arguments.port, "PORT") or _DEFAULT_PORT,
                _port(arguments.endpoint_port, "ENDPOINT_PORT"),
                detach=arguments.detach,
            )
        case "stop":
            sys.stdout.write("stopped, state is kept\n" if run.stop() else "nothing is running\n")
        case "reset":
            run.reset()
            sys.stdout.write("all local state is deleted\n")
        case "token":
            sys.stdout.write(run.fresh_token(arguments.email, arguments.role, arguments.stack_file) + "\n")
        case "rotate":
            from localstack.embedded import rotate  # noqa: PLC0415

            for line in rotate.rotate(arguments.stack_file, arguments.what, force=arguments.force):
                sys.stdout.write(f"{line}\n")
        case "analytics-rebuild":
            from localstack.embedded import rebuild_analytics  # noqa: PLC0415

            for line in rebuild_analytics.rebuild(arguments.stack_file, arguments.action, force=arguments.force):
                sys.stdout.write(f"{line}\n")
        case "logs":
            from localstack.embedded import logs  # noqa: PLC0415

            sys.stdout.writelines(f"{line}\n" for line in logs.lines(arguments.stack_file, arguments.id))
        case "mail":
            from localstack.embedded import mail  # noqa: PLC0415

            sys.stdout.writelines(f"{line}\n" for line in mail.lines(arguments.stack_file, arguments.email))
        case "dead-letters":
            from localstack.embedded import dead_letters  # noqa: PLC0415

            listed = dead_letters.lines(
                arguments.stack_file,
                arguments.queue,
                arguments.id,
                redrive=arguments.redrive,
                system=arguments.system,
            )
            sys.stdout.writelines(f"{line}\n" for line in listed)
        case "deploy":
            if not arguments.endpoint_url:
                raise Refusal("Name the emulator: make deploy-local AWS_ENDPOINT_URL=http://127.0.0.1:4566")
            stack_file = None if arguments.no_stack_file else arguments.stack_file
            run.deploy_to(arguments.endpoint_url, stack_file, service=arguments.service)
        case "docker":
            from localstack.embedded import docker  # noqa: PLC0415

            docker.require_daemon()
        case "sam-local":
            from localstack.embedded import sam  # noqa: PLC0415

            return sam.run_local(arguments.arguments, arguments.stack_file, arguments.container_url)
    return 0


def _parser() -> argparse.ArgumentParser:
    environment = os.environ.get
    parser = argparse.ArgumentParser(prog="python -m localstack.embedded", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    stack_file = Path(environment("STACK_FILE") or LOCAL.stack_file)

    run = commands.add_parser("run", help="start the whole system")
    run.add_argument("--port", default=environment("PORT"), help="public address of the API (8080)")
    run.add_argument("--endpoint-port", default=environment("ENDPOINT_PORT"), help="AWS services (4566)")
    run.add_argument(
        "--detach",
        action="store_true",
        default=environment("DETACH", "") not in {"", "0"},
        help="return when it is ready",
    )
    commands.add_parser("stop", help="stop it; its state is kept")
    commands.add_parser("reset", help="stop it and delete its state")

    token = commands.add_parser("token", help="print a fresh access token of a demo account")
    token.add_argument("--email", default=environment("EMAIL"))
    token.add_argument("--role", default=environment("ROLE"))
    token.add_argument("--stack-file", type=Path, default=stack_file, help="file about the stack")

    rotate = commands.add_parser("rotate", help="rotate a key of a deployed stack")
    rotate.add_argument(
        "--what",
        nargs="+",
        default=(environment("WHAT") or "signing-key").split(),
        help="signing-key or service:<name>, one or more",
    )
    rotate.add_argument(
        "--force",
        action="store_true",
        default=environment("FORCE", "") not in {"", "0"},
        help="somebody else may know the key: replace all keys of its ring at once",
    )
    rotate.add_argument("--stack-file", type=Path, default=stack_file, help="file about the stack")

    rebuild = commands.add_parser("analytics-rebuild", help="rebuild the statistics of a deployed stack")
    rebuild.add_argument(
        "action",
        nargs="?",
        choices=["status", "begin", "replay", "finish", "revert", "abandon", "clean"],
        default=environment("ACTION") or "status",
        help="in this order: begin, replay, finish, clean (docs/operations.md)",
    )
    rebuild.add_argument(
        "--force",
        action="store_true",
        default=environment("FORCE", "") not in {"", "0"},
        help="begin without an archive; finish with fewer events than before",
    )
    rebuild.add_argument("--stack-file", type=Path, default=stack_file, help="file about the stack")

    logs = commands.add_parser("logs", help="log lines of a request, from all functions")
    logs.add_argument("--id", default=environment("ID"), help="its correlation id; without it the last 50 invocations")
    logs.add_argument("--stack-file", type=Path, default=stack_file, help="file about the stack")

    mail = commands.add_parser("mail", help="e-mails and text messages that were sent")
    mail.add_argument("--email", default=environment("EMAIL"), help="only to this address (or phone number)")
    mail.add_argument("--stack-file", type=Path, default=stack_file, help="file about the stack")

    letters = commands.add_parser("dead-letters", help="dead letters: list, show, redrive")
    letters.add_argument("--queue", default=environment("QUEUE"), help="one queue; without it all of them")
    letters.add_argument(
        "--id",
        nargs="+",
        default=(environment("ID") or "").split(),
        help="only these messages (or events), with their bodies; searched for in all queues if none is named",
    )
    letters.add_argument(
        "--redrive",
        action="store_true",
        default=environment("REDRIVE", "") not in {"", "0"},
        help="send them back to where they came from",
    )
    letters.add_argument("--system", default=environment("SYSTEM"), help="name of a system on AWS")
    letters.add_argument("--stack-file", type=Path, default=stack_file, help="file about the stack")

    deploy = commands.add_parser("deploy", help="deploy to an emulator that is running already")
    deploy.add_argument("--endpoint-url", default=environment("AWS_ENDPOINT_URL"))
    deploy.add_argument("--stack-file", type=Path, default=stack_file, help="file to write about the stack")
    deploy.add_argument("--service", default=environment("SERVICE"), help="only this stack, such as loans")
    deploy.add_argument(
        "--no-stack-file",
        action="store_true",
        default=environment("NO_STACK_FILE", "") not in {"", "0"},
        help="write no stack file",
    )

    commands.add_parser("docker", help="check that Docker answers, for sam-local; prints nothing if it does")
    sam = commands.add_parser("sam-local", help="run functions in containers, on a deployed system")
    sam.add_argument("--stack-file", type=Path, default=stack_file, help="file about the stack")
    sam.add_argument(
        "--container-url",
        default=environment("CONTAINER_ENDPOINT_URL"),
        help="where containers reach the emulator (default: found out)",
    )
    sam.add_argument("arguments", nargs=argparse.REMAINDER, help="arguments of `sam local`: start-api, invoke ...")
    return parser


def _port(text: str | None, setting: str) -> int | None:
    if not text:
        return None
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise Refusal(f"{setting}={text} is not a port: choose a number from 1 to 65535.")
    return int(text)
