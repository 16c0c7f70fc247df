"""A deployed system for tests: started, used and removed. It is never the one that `make run` serves.

with LocalStack.start(tmp_path) as stack:
    httpx.get(f"{stack.base_url}/api/books")
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localstack.embedded import complete_deployment, deploy, engine, mail, proxy_process, sample, tokens
from localstack.embedded.aws import Aws
from localstack.embedded.errors import Refusal
from localstack.embedded.layout import SAMPLE_BOOKS, TEMPLATE, WorkDir
from localstack.embedded.ports import LOOPBACK, is_free, pick_free
from localstack.embedded.processes import StartedProcess
from localstack.embedded.state import Account

if TYPE_CHECKING:
    from library_common.tokens import SigningKey

_SYSTEM = "smart-library-test"


@dataclass(frozen=True, slots=True)
class LocalStack:
    """One deployed system.

    base_url: the API's address for its users, without a slash at the end.
    stage_url: the API's stage, as services call it.
    endpoint_url: where the emulator's AWS services answer.
    system: what its stacks are named after.
    outputs: the stacks' outputs, and physical ids by logical id; tables: service → table name;
    functions: logical id → function name. accounts: the demo accounts, when seeded.
    """

    base_url: str
    stage_url: str
    endpoint_url: str
    engine: engine.Engine
    system: str
    outputs: Mapping[str, str]
    tables: Mapping[str, str]
    functions: Mapping[str, str]
    parameters: Mapping[str, str]
    build: Path
    _aws: Aws = field(repr=False)
    accounts: Sequence[Account] = ()

    @classmethod
    @contextlib.contextmanager
    def start(
        cls,
        work_dir: Path,
        *,
        seed: bool = False,
        parameters: Mapping[str, str] | None = None,
        template: Path = TEMPLATE,
        environment: Mapping[str, str] | None = None,
    ) -> Iterator[LocalStack]:
        """Starts an emulator on free ports, deploys the system and yields it. Stops the emulator at the end.

        ``work_dir``: for logs and temporary files. Nothing outlives the block.
        ``seed``: whether to add the demo accounts and sample titles of `make run` (ten seconds more).
        ``environment``: variables for the emulator and all functions, such as AWS_ENDPOINT_URL_SES.
        Raises ``Refusal`` when the emulator does not start or the deployment fails.
        """
        work = WorkDir(work_dir)
        process, port = _start_somewhere(work, environment or {})
        try:
            given = {**({"AdminEmail": sample.ADMINISTRATOR.email} if seed else {}), **(parameters or {})}
            stack = cls._deploy(f"http://{LOOPBACK}:{port}", work, _SYSTEM, given, template)
            with stack._behind_proxy(work) as served:
                yield served._seeded() if seed else served
        finally:
            engine.stop_ministack(process, work, grace_seconds=0)

    def _seeded(self) -> LocalStack:
        data = sample.ensure(self._aws, self.system, self.base_url, self.messages, SAMPLE_BOOKS, lambda *_: None)
        return replace(self, accounts=data.accounts)

    @contextlib.contextmanager
    def _behind_proxy(self, work: WorkDir) -> Iterator[LocalStack]:
        """The same system behind a proxy, as with `make run`."""
        port = pick_free()
        proxy = proxy_process.start_proxy(work, port, self.stage_url)
        try:
            proxy_process.wait_until_open(proxy, port, work)
            yield replace(self, base_url=f"http://{LOOPBACK}:{port}")
        finally:
            proxy.stop(grace_seconds=10)

    @classmethod
    @contextlib.contextmanager
    def attach(
        cls,
        endpoint_url: str,
        work_dir: Path,
        *,
        parameters: Mapping[str, str] | None = None,
        template: Path = TEMPLATE,
    ) -> Iterator[LocalStack]:
        """Deploys a system with a unique name to a running emulator. Removes it at the end."""
        system = f"{_SYSTEM}-{secrets.token_hex(4)}"
        try:
            work = WorkDir(work_dir)
            stack = cls._deploy(endpoint_url, work, system, parameters or {}, template)
            with stack._behind_proxy(work) as served:
                yield served
        finally:
            deploy.remove(Aws(endpoint_url), template, system)

    @classmethod
    def _deploy(
        cls,
        endpoint_url: str,
        work: WorkDir,
        system: str,
        parameters: Mapping[str, str],
        template: Path,
    ) -> LocalStack:
        aws = Aws(endpoint_url)
        found = engine.identify(endpoint_url)
        deployed = deploy.deploy(aws, found, template, work.build, system, parameters)
        complete_deployment.complete(aws, found, deployed, template)
        return cls(
            base_url=deploy.api_address(aws, deployed),
            stage_url=deploy.api_address(aws, deployed),
            endpoint_url=endpoint_url,
            engine=found,
            system=system,
            outputs=deployed.outputs,
            tables=deployed.tables,
            functions=deployed.functions,
            parameters=parameters,
            build=work.build,
            _aws=aws,
        )

    def deploy(self, service: str | None = None, *, template: Path = TEMPLATE, **parameters: str) -> frozenset[str]:
        """Deploys all stacks or one again. Parameters that are not given stay as they were. Returns the changed stacks.

        Raises ``Refusal`` when a stack is rolled back.
        """
        given = {**self.parameters, **parameters}
        deployed = deploy.deploy(self._aws, self.engine, template, self.build, self.system, given, service=service)
        complete_deployment.complete(self._aws, self.engine, deployed, template)
        return deployed.changed

    def mint_token(
        self, subject: str, role: str, *, lifetime: timedelta = timedelta(minutes=15), epoch: int = 0
    ) -> str:
        """An access token for any subject and role, signed with the system's current key."""
        return tokens.mint(self._key(), subject, role, lifetime, epoch)

    def _key(self) -> SigningKey:
        return tokens.signing_key(self._aws, self.system)

    def messages(self, to: str | None = None) -> list[mail.Message]:
        """The sent e-mails and text messages. `to`: only to this address or phone number."""
        return mail.messages(self.endpoint_url, self.engine.name, to)

    def client(self, service: str) -> Any:
        """A boto3 client for the emulator, e.g. ``stack.client("dynamodb")``."""
        return self._aws.client(service)


def _start_somewhere(work: WorkDir, environment: Mapping[str, str]) -> tuple[StartedProcess, int]:
    """Starts an emulator on a free port. Tries another port when the first one was taken meanwhile."""
    while True:
        port = pick_free()
        try:
            return engine.start_ministack(work, port, persist=False, environment=environment), port
        except Refusal:
            if is_free(port):
                raise
