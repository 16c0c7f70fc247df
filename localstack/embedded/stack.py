"""A deployed stack for tests: started, used and thrown away, never the one `make run` serves.

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

from localstack.embedded import deploy, engine, front, mail, sample, settle, tokens
from localstack.embedded.aws import Aws
from localstack.embedded.errors import Refusal
from localstack.embedded.layout import SAMPLE_BOOKS, TEMPLATE, WorkDir
from localstack.embedded.ports import LOOPBACK, is_free, pick_free
from localstack.embedded.processes import StartedProcess
from localstack.embedded.state import Account

if TYPE_CHECKING:
    from library_common.tokens import SigningKey

_STACK_NAME = "smart-library-test"


@dataclass(frozen=True, slots=True)
class LocalStack:
    """One deployed stack.

    base_url: where the API answers, without a slash at the end, as its users see it.
    stage_url: the API's stage itself, as services see it.
    endpoint_url: where the emulator's AWS services answer.
    outputs: the stack's outputs by name; tables: service → table name;
    functions: logical id → function name. accounts: the demo accounts, when seeded.
    """

    base_url: str
    stage_url: str
    endpoint_url: str
    engine: engine.Engine
    stack_name: str
    outputs: Mapping[str, str]
    tables: Mapping[str, str]
    functions: Mapping[str, str]
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
        """Starts an emulator of its own on free ports, deploys and yields the stack; stops it at the end.

        ``work_dir`` receives its logs and temporary files. Nothing outlives the block.
        ``seed``: whether it holds the demo accounts and sample titles of `make run` (ten seconds more).
        ``environment``: variables for the emulator and all functions, such as AWS_ENDPOINT_URL_SES.
        Raises ``Refusal`` when the emulator does not start or the deployment fails.
        """
        work = WorkDir(work_dir)
        process, port = _start_somewhere(work, environment or {})
        try:
            given = {**({"AdminEmail": sample.ADMINISTRATOR.email} if seed else {}), **(parameters or {})}
            stack = cls._deploy(f"http://{LOOPBACK}:{port}", work, _STACK_NAME, given, template)
            with stack._fronted(work) as fronted:
                yield fronted._seeded() if seed else fronted
        finally:
            engine.stop_ministack(process, work, patience=0)

    def _seeded(self) -> LocalStack:
        data = sample.ensure(self._aws, self.stack_name, self.base_url, self.messages, SAMPLE_BOOKS, lambda *_: None)
        return replace(self, accounts=data.accounts)

    @contextlib.contextmanager
    def _fronted(self, work: WorkDir) -> Iterator[LocalStack]:
        """The same stack, behind a proxy of its own as `make run` has one."""
        port = pick_free()
        proxy = front.start_proxy(work, port, self.stage_url)
        try:
            front.wait_until_open(proxy, port, work)
            yield replace(self, base_url=f"http://{LOOPBACK}:{port}")
        finally:
            proxy.stop(patience=10)

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
        """Deploys under a name of its own to an emulator that is running already; removes it at the end."""
        stack_name = f"{_STACK_NAME}-{secrets.token_hex(4)}"
        try:
            work = WorkDir(work_dir)
            stack = cls._deploy(endpoint_url, work, stack_name, parameters or {}, template)
            with stack._fronted(work) as fronted:
                yield fronted
        finally:
            deploy.remove(Aws(endpoint_url), stack_name)

    @classmethod
    def _deploy(
        cls,
        endpoint_url: str,
        work: WorkDir,
        stack_name: str,
        parameters: Mapping[str, str],
        template: Path,
    ) -> LocalStack:
        aws = Aws(endpoint_url)
        found = engine.identify(endpoint_url)
        deployed = deploy.deploy(aws, found, template, work.build, stack_name, parameters)
        settle.settle(aws, found, deployed, template)
        return cls(
            base_url=deploy.api_address(aws, deployed),
            stage_url=deploy.api_address(aws, deployed),
            endpoint_url=endpoint_url,
            engine=found,
            stack_name=stack_name,
            outputs=deployed.outputs,
            tables=deployed.tables,
            functions=deployed.functions,
            _aws=aws,
        )

    def mint_token(
        self, subject: str, role: str, *, lifetime: timedelta = timedelta(minutes=15), epoch: int = 0
    ) -> str:
        """An access token for any subject and role, signed with the key that signs in this stack now."""
        return tokens.mint(self._key(), subject, role, lifetime, epoch)

    def _key(self) -> SigningKey:
        return tokens.signing_key(self._aws, self.outputs["TokenSigningKeySecret"])

    def messages(self, to: str | None = None) -> list[mail.Message]:
        """The e-mails and text messages that were sent; `to`: only to this address or phone number."""
        return mail.messages(self.endpoint_url, self.engine.name, to)

    def client(self, service: str) -> Any:
        """A boto3 client for this stack's endpoint, e.g. ``stack.client("dynamodb")``."""
        return self._aws.client(service)


def _start_somewhere(work: WorkDir, environment: Mapping[str, str]) -> tuple[StartedProcess, int]:
    """An emulator on a free port; another port when somebody else took the first one meanwhile."""
    while True:
        port = pick_free()
        try:
            return engine.start_ministack(work, port, persist=False, environment=environment), port
        except Refusal:
            if is_free(port):
                raise
