"""A deployed stack for tests: started, used and thrown away, never the one `make run` serves.

with LocalStack.start(tmp_path) as stack:
    httpx.get(f"{stack.base_url}/api/books")
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localstack.embedded import deploy, engine, settle, tokens
from localstack.embedded.aws import Aws
from localstack.embedded.layout import TEMPLATE, WorkDir
from localstack.embedded.ports import LOOPBACK, pick_free

if TYPE_CHECKING:
    from library_common.tokens import SigningKey

_STACK_NAME = "smart-library-test"


@dataclass(frozen=True, slots=True)
class LocalStack:
    """One deployed stack.

    base_url: where the API answers, without a slash at the end (straight to the API's stage).
    endpoint_url: where the emulator's AWS services answer.
    outputs: the stack's outputs by name; tables: service → table name;
    functions: logical id → function name.
    """

    base_url: str
    endpoint_url: str
    engine: engine.Engine
    stack_name: str
    outputs: Mapping[str, str]
    tables: Mapping[str, str]
    functions: Mapping[str, str]
    _aws: Aws = field(repr=False)
    _key: SigningKey = field(repr=False)

    @classmethod
    @contextlib.contextmanager
    def start(
        cls,
        work_dir: Path,
        *,
        parameters: Mapping[str, str] | None = None,
        template: Path = TEMPLATE,
    ) -> Iterator[LocalStack]:
        """Starts an emulator of its own on free ports, deploys and yields the stack; stops it at the end.

        ``work_dir`` receives its logs and temporary files. Nothing outlives the block.
        Raises ``Refusal`` when the emulator does not start or the deployment fails.
        """
        work = WorkDir(work_dir)
        port = pick_free()
        process = engine.start_ministack(work, port, persist=False)
        try:
            yield cls._deploy(f"http://{LOOPBACK}:{port}", work, _STACK_NAME, parameters or {}, template)
        finally:
            engine.stop_ministack(process, work)

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
            yield cls._deploy(endpoint_url, WorkDir(work_dir), stack_name, parameters or {}, template)
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
        key = settle.settle(aws, found, deployed, template)
        return cls(
            base_url=deploy.api_address(aws, deployed),
            endpoint_url=endpoint_url,
            engine=found,
            stack_name=stack_name,
            outputs=deployed.outputs,
            tables=deployed.tables,
            functions=deployed.functions,
            _aws=aws,
            _key=key,
        )

    def mint_token(self, subject: str, role: str, *, lifetime: timedelta = timedelta(minutes=15)) -> str:
        """An access token for any subject and role, signed with this stack's key."""
        return tokens.mint(self._key, subject, role, lifetime)

    def client(self, service: str) -> Any:
        """A boto3 client for this stack's endpoint, e.g. ``stack.client("dynamodb")``."""
        return self._aws.client(service)
