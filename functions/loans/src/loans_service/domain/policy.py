"""Loan policy: the settings of `docs/loan-policy.md`, the rules that read them, and due dates.

Day loans end at 23:59:59 of a day in the library's time zone, whatever the server's; so a
daylight-saving change moves the instant, never the calendar date.
"""

from collections.abc import Iterator
from datetime import datetime, time, timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from loans_service.domain.loan import Account, Loan, Member

type Reasons = Iterator[tuple[str, str]]
"""Why something is refused: the code and the sentence of each reason."""

END_OF_DAY = time(23, 59, 59, fold=1)
"""Where clocks go back at midnight, this time comes twice. The day ends with the second one (`fold`)."""


class LoanRule(BaseModel):
    """What members with a role may do. `role` None is the fallback for all other roles."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    role: str | None = None
    limit: Annotated[int, Field(ge=0, le=500)]
    period_days: Annotated[int, Field(ge=1, le=730)]
    renewals: Annotated[int, Field(ge=0, le=100)] = 2


_DEFAULT_RULES = (
    LoanRule(role="student", limit=3, period_days=14),
    LoanRule(role="faculty", limit=10, period_days=28),
    LoanRule(role="patron", limit=5, period_days=14),
    LoanRule(role="librarian", limit=10, period_days=14),
    LoanRule(role=None, limit=5, period_days=14),
)


class LoanPolicy(BaseModel):
    """The library's lending policy. Refused as a whole if any part is wrong."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    time_zone: str = "UTC"
    loan_rules: Annotated[tuple[LoanRule, ...], Field(min_length=1, max_length=100)] = _DEFAULT_RULES
    cap_at_membership_expiry: bool = True
    block_when_overdue_days: Annotated[int, Field(ge=0, le=3650)] = 14
    self_return: Literal["allowed", "desk"] = "allowed"
    loans_per_hour: Annotated[int, Field(ge=1, le=1000)] = 30

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ValueError, OSError, KeyError) as exc:
            # ZoneInfoNotFoundError is a KeyError; names that are no paths raise the others.
            raise ValueError(f"unknown time zone {name!r}") from exc
        return name

    @model_validator(mode="after")
    def _one_fallback_and_no_duplicates(self) -> "LoanPolicy":
        roles = [rule.role for rule in self.loan_rules]
        if roles.count(None) != 1:
            raise ValueError("loan_rules needs exactly one rule without a role, the fallback")
        if len(set(roles)) != len(roles):
            raise ValueError("loan_rules names a role twice")
        return self

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)

    def rule_for(self, role: str) -> LoanRule:
        """The rule of this role, or the fallback."""
        rules = {rule.role: rule for rule in self.loan_rules}
        return rules.get(role) or rules[None]

    def due_date(self, member: Member, start: datetime) -> datetime:
        """When a loan is due that starts (or is extended from) at `start`."""
        day = start.astimezone(self.zone).date() + timedelta(days=self.rule_for(member.role).period_days)
        due = datetime.combine(day, END_OF_DAY, tzinfo=self.zone).astimezone(start.tzinfo)
        if self.cap_at_membership_expiry and member.expires_at is not None:
            return min(due, member.expires_at)
        return due


def borrowing_refusals(policy: LoanPolicy, member: Member, account: Account, now: datetime) -> Reasons:
    """Every reason why `member` may not borrow one more now."""
    yield from standing_refusals(policy, member, account, now)
    limit = policy.rule_for(member.role).limit
    if account.places_taken >= limit:
        yield limit_reached(limit)


def standing_refusals(policy: LoanPolicy, member: Member, account: Account, now: datetime) -> Reasons:
    """Reasons that lie in the member's standing, for borrowing and renewing alike."""
    if member.status != "active":
        yield "member_not_active", f"The membership is {member.status}."
    elif member.expires_at is not None and member.expires_at <= now:
        yield "member_not_active", "The membership has expired."
    overdue = account.longest_overdue(now)
    if overdue > timedelta(days=policy.block_when_overdue_days):
        yield "overdue_too_long", f"A loan is overdue by more than {policy.block_when_overdue_days} days."


def limit_reached(limit: int) -> tuple[str, str]:
    return "loan_limit_reached", f"The limit of {limit} open loans is reached."


def hourly_limit_reached(limit: int, free_at: datetime) -> tuple[str, str]:
    minute = free_at.replace(second=0, microsecond=0) + timedelta(minutes=1)
    sentence = f"Members may open {limit} loans an hour. Try again at {minute:%H:%M} UTC, or ask at the desk."
    return "hourly_limit_reached", sentence


def renewal_refusals(policy: LoanPolicy, member: Member, account: Account, loan: Loan, now: datetime) -> Reasons:
    """Every reason why `loan` may not be renewed now."""
    yield from standing_refusals(policy, member, account, now)
    allowed = policy.rule_for(member.role).renewals
    if loan.extensions >= allowed:
        yield "renewal_limit_reached", f"It has been renewed {loan.extensions} times; {allowed} are allowed."
    if renewed_due_date(policy, member, loan, now) <= loan.due_at:
        yield "renewal_not_later", "The new due date would not be later than the present one."


def renewed_due_date(policy: LoanPolicy, member: Member, loan: Loan, now: datetime) -> datetime:
    """Counted from the due date, or from today when already overdue."""
    return policy.due_date(member, now if loan.is_overdue(now) else loan.due_at)
