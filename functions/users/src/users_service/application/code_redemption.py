"""Redeeming a one-time code: a try is counted before anything is compared, and a code takes effect once.

Every failure is the same refusal after the same steps, with an account or without: the limit, the reservation of the
address, one counted try, one comparison, one read of the account.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from library_common.clock import Clock
from library_common.versions import VersionConflict
from users_service.application.account_changes import Decide
from users_service.application.envelopes import envelopes
from users_service.application.password_policy import PasswordPolicy
from users_service.application.ports import Attempts, Codes, CodeSpent, EmailKey, Members, Passwords
from users_service.domain.account_changes import address_proved, recovered, sessions_revoked
from users_service.domain.codes import Channel, Code, Purpose
from users_service.domain.errors import CodeInvalid, StillChanging
from users_service.domain.membership import Terms
from users_service.domain.model import NOBODY, Change, Member

REDEEM_LIMIT = "confirm_account"
"""The limit on tries to redeem a code, by address."""

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
        self.attempts.take(REDEEM_LIMIT, key)
        user_id = self.members.holder_of(key) or NOBODY
        code = self.codes.count_try(user_id, purpose, self.clock.now())
        right = self.passwords.matches(digits, code.code_hash if code is not None else None)
        member = self.members.get(user_id)
        if not right or code is None or member is None or not code.proves(member):
            raise CodeInvalid
        return member, code

    def redeem(self, member: Member, code: Code, decide: Decide, *, password_hash: str | None = None) -> None:
        """Uses the code up, together with what `decide` makes of the account and the new password, if any.

        Raises CodeInvalid when somebody else was faster, UnknownValue, StillChanging.
        """
        for _ in range(ATTEMPTS):
            now = self.clock.now().replace(microsecond=0)
            member.require_known_values()
            change = decide(member, now)
            after = replace(change.member, version=member.version + 1) if change.member != member else member
            happened = envelopes(change.happened, now)
            try:
                self.codes.spend(code, after, before=member, password_hash=password_hash, happened=happened, now=now)
            except CodeSpent:
                raise CodeInvalid from None
            except VersionConflict:
                # Somebody changed the account. The code is still right, unless the account has another address now.
                present = self.members.get(member.id)
                if present is None or not code.proves(present):
                    raise CodeInvalid from None
                member = present
                continue
            return
        raise StillChanging


@dataclass(frozen=True)
class ResetPassword:
    """A new password for whoever has the code; all sessions of the account end."""

    check: CheckCode
    policy: PasswordPolicy
    terms: Terms

    def __call__(self, email: str, digits: str, new_password: str) -> None:
        """Raises CodeInvalid, TooManyRequests, InvalidFields, UnknownValue, StillChanging.

        Suspended and expired members may set a password, too: it does not change what they may do.
        """
        # First what depends on the request alone, with and without an account.
        self.policy.check(new_password, name="", email=email, field="new_password")
        member, code = self.check(Purpose.PASSWORD_RESET, email, digits)
        # What depends on the account comes only after a right code: before, it would tell that there is an account.
        password = self.policy.check(new_password, name=member.name, email=member.email, field="new_password")
        password_hash = self.check.passwords.hash(password)

        def decide(present: Member, now: datetime) -> Change:
            # Only a code that came by e-mail proves the address.
            proved = recovered(present, self.terms, now) if code.channel == Channel.EMAIL else Change(present)
            return sessions_revoked(proved, "password_changed")

        self.check.redeem(member, code, decide, password_hash=password_hash)


@dataclass(frozen=True)
class VerifyEmail:
    """Proves that an address is the member's; a pending account becomes active."""

    check: CheckCode
    terms: Terms

    def __call__(self, email: str, digits: str) -> None:
        """Raises CodeInvalid, TooManyRequests, UnknownValue, StillChanging."""
        member, code = self.check(Purpose.VERIFY_EMAIL, email, digits)
        self.check.redeem(member, code, lambda present, now: address_proved(present, self.terms, now))
