"""One-time codes, their queue and the messages with them, in memory."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from library_common.events import Envelope
from library_common.versions import VersionConflict
from users_service.application.ports import CodeSpent, Superseded
from users_service.domain.codes import TRIES, AddressNotice, Code, CodeRequest, Purpose
from users_service.domain.model import Member

if TYPE_CHECKING:
    from tests.fakes.users import FakeMembers


@dataclass
class FakeCodes:
    """Implements `Codes` beside the accounts of `members`."""

    members: "FakeMembers"
    kept: dict[tuple[str, Purpose], Code] = field(default_factory=dict)
    sent: set[str] = field(default_factory=set)

    def keep(self, code: Code, member: Member) -> None:
        self.members.require_still(member)
        present = self.kept.get((code.user_id, code.purpose))
        if present is not None:
            newer = present.request_id > code.request_id
            if newer or (present.request_id == code.request_id and code.request_id in self.sent):
                raise Superseded
        self.kept[code.user_id, code.purpose] = code

    def mark_sent(self, code: Code) -> None:
        present = self.kept.get((code.user_id, code.purpose))
        if present is not None and present.request_id == code.request_id:
            self.sent.add(code.request_id)

    def count_try(self, user_id: str, purpose: Purpose, now: datetime) -> Code | None:
        code = self.kept.get((user_id, purpose))
        if code is None or code.code_hash is None or code.tries >= TRIES or code.expires_at <= now:
            return None
        counted = replace(code, tries=code.tries + 1)
        self.kept[user_id, purpose] = counted
        return counted

    def spend(
        self,
        code: Code,
        member: Member,
        *,
        before: Member,
        password_hash: str | None,
        happened: Sequence[Envelope],
        now: datetime,
    ) -> None:
        self.members.let_others_go_first()
        present = self.kept.get((code.user_id, code.purpose))
        if present is None or present.code_hash is None or present.code_hash != code.code_hash:
            raise CodeSpent
        if member != before:
            account = self.members.accounts.get(member.id)
            if account is None or account.version != before.version:
                raise VersionConflict
            self.members.accounts[member.id] = member
            self.members.published.extend(happened)
        self.kept[code.user_id, code.purpose] = replace(present, code_hash=None)
        if password_hash is not None:
            self.members.hashes[member.id] = password_hash


@dataclass
class FakeCodeRequests:
    """Implements `CodeRequests`. `down`: the queue does not answer."""

    waiting: list[CodeRequest] = field(default_factory=list)
    notices: list[AddressNotice] = field(default_factory=list)
    down: bool = False

    def put(self, request: CodeRequest) -> None:
        if self.down:
            raise ConnectionError("no queue")
        self.waiting.append(request)

    def put_notice(self, notice: AddressNotice) -> None:
        if self.down:
            raise ConnectionError("no queue")
        self.notices.append(notice)


@dataclass(frozen=True)
class Sent:
    """A message that went out."""

    to: str
    subject: str
    body: str

    @property
    def digits(self) -> str:
        """The code in it."""
        found = re.findall(r"(?<!\d)\d{6}(?!\d)", self.body)
        assert len(found) == 1, self.body
        return str(found[0])


@dataclass
class FakeMessageSender:
    """Implements `MessageSender`. `failures`: raised one after the other instead of sending."""

    sent: list[Sent] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)

    def email(self, to: str, subject: str, body: str) -> None:
        self._send(Sent(to, subject, body))

    def text(self, phone: str, body: str) -> None:
        self._send(Sent(phone, "", body))

    def _send(self, message: Sent) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.sent.append(message)
