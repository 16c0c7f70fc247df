"""Handing in a one-time code: a try is counted before anything is compared, and what a code proves happens once.

Every way to fail is the same refusal after the same steps, with an account or without: limits, the hold on the
address, one counted try, one comparison, one look at the account.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from library_common.clock import Clock
from users_service.application.password_policy import PasswordPolicy
from users_service.application.ports import (
    Attempts,
    ChangedMeanwhile,
    Codes,
    CodeSpent,
    EmailKey,
    Members,
    Passwords,
)
from users_service.application.telling import envelopes
from users_service.domain.codes import Channel, Code, Purpose
from users_service.domain.decisions import address_proved, recovered, sessions_revoked
from users_service.domain.errors import CodeInvalid, StillChanging
from users_service.domain.membership import Terms
from users_service.domain.model import NOBODY, Change, Member

HANDING_IN = "confirm_account"
"""The limit on codes that are handed in, by address."""

ATTEMPTS = 5


@dataclass(frozen=True)
class CheckCode:
    """Whether a code is the right one for an account."""

    members: Members
    codes: Codes
    passwords: Passwords
    attempts: Attempts
    email_key: EmailKey
    clock: Clock

    def __call__(self, purpose: Purpose, email: str, digits: str) -> tuple[Member, Code]:
        """The account and its code, of which one try is used up. Raises CodeInvalid, TooManyRequests."""
        key = self.email_key(email)
        self.attempts.take(HANDING_IN, key)
        user_id = self.members.holder_of(key) or NOBODY
        code = self.codes.count_try(user_id, purpose, self.clock.now())
        right = self.passwords.matches(digits, code.code_hash if code is not None else None)
        member = self.members.get(user_id)
        if not right or code is None or member is None or not code.proves(member):
            raise CodeInvalid
        return member, code

    def redeem(
        self,
        member: Member,
        code: Code,
        decide: Callable[[Member, datetime], Change],
        *,
        password_hash: str | None = None,
    ) -> None:
        """Uses the code up, together with what `decide` makes of the account and the new password, if any.

        Raises CodeInvalid when somebody else was faster, StillChanging.
        """
        for _ in range(ATTEMPTS):
            now = self.clock.now().replace(microsecond=0)
            change = decide(member, now)
            after = replace(change.member, version=member.version + 1) if change.member != member else member
            told = envelopes(change.happened, now)
            try:
                self.codes.spend(code, after, before=member, password_hash=password_hash, happened=told, now=now)
            except CodeSpent:
                raise CodeInvalid from None
            except ChangedMeanwhile:
                # By somebody editing the account. The code was right and stays so, unless the address is another now.
                present = self.members.get(member.id)
                if present is None or not code.proves(present):
                    raise CodeInvalid from None
                member = present
                continue
            return
        raise StillChanging


@dataclass(frozen=True)
class ResetPassword:
    """A new password for whoever has the code; whatever they are logged in to ends."""

    check: CheckCode
    policy: PasswordPolicy
    terms: Terms

    def __call__(self, email: str, digits: str, new_password: str) -> None:
        """Raises CodeInvalid, TooManyRequests, InvalidFields, StillChanging.

        A suspended or expired member may set a password, too: it says nothing about what they may do then.
        """
        # What the request alone can tell comes first, whether or not there is an account.
        self.policy.check(new_password, name="", email=email, field="new_password")
        member, code = self.check(Purpose.PASSWORD_RESET, email, digits)
        # What depends on the account is refused only after the code was right: sooner it would tell that there is one.
        password = self.policy.check(new_password, name=member.name, email=member.email, field="new_password")
        password_hash = self.check.passwords.hash(password)

        def decide(present: Member, now: datetime) -> Change:
            # Only a code that came by e-mail says something about the address.
            proved = recovered(present, self.terms, now) if code.channel is Channel.EMAIL else Change(present)
            return sessions_revoked(proved, "password_changed")

        self.check.redeem(member, code, decide, password_hash=password_hash)


@dataclass(frozen=True)
class VerifyEmail:
    """Proof that an address is the member's; who was waiting for it becomes active."""

    check: CheckCode
    terms: Terms

    def __call__(self, email: str, digits: str) -> None:
        """Raises CodeInvalid, TooManyRequests, StillChanging."""
        member, code = self.check(Purpose.VERIFY_EMAIL, email, digits)
        self.check.redeem(member, code, lambda present, now: address_proved(present, self.terms, now))
