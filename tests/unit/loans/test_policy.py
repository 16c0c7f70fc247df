"""The loan policy document: refused whole when any part is wrong; the last good one stays in force."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from library_common.context import invocation
from loans_service.adapters.policies import StoredPolicies
from loans_service.domain.errors import PolicyMissing
from loans_service.domain.loan import EMPTY_ACCOUNT, Account, Member
from loans_service.domain.policy import LoanPolicy, LoanRule, borrowing_refusals
from tests.support.clock import NOON
from tests.support.operator_log import reading_the_log

pytestmark = pytest.mark.unit

FALLBACK = {"limit": 5, "period_days": 14}
BAD_DOCUMENTS = [
    "",
    "not json",
    "null",
    "[]",
    "7",
    '{"time_zone": "Mars/Olympus"}',
    '{"time_zone": ""}',
    '{"time_zone": "../etc/passwd"}',
    '{"time_zone": "/etc/localtime"}',
    '{"time_zone": null}',
    '{"timezone": "UTC"}',
    '{"loan_rules": []}',
    '{"loan_rules": null}',
    json.dumps({"loan_rules": [{**FALLBACK, "role": "patron"}]}),
    json.dumps({"loan_rules": [FALLBACK, FALLBACK]}),
    json.dumps({"loan_rules": [FALLBACK, {**FALLBACK, "role": "patron"}, {**FALLBACK, "role": "patron"}]}),
    json.dumps({"loan_rules": [{**FALLBACK, "limit": -1}]}),
    json.dumps({"loan_rules": [{**FALLBACK, "limit": "many"}]}),
    json.dumps({"loan_rules": [{**FALLBACK, "limit": 501}]}),
    json.dumps({"loan_rules": [{**FALLBACK, "period_days": 0}]}),
    json.dumps({"loan_rules": [{**FALLBACK, "period_days": 731}]}),
    json.dumps({"loan_rules": [{**FALLBACK, "renewals": -1}]}),
    json.dumps({"loan_rules": [{**FALLBACK, "perid_days": 7}]}),
    json.dumps({"loan_rules": [{"limit": 5}]}),
    json.dumps({"loan_rules": [FALLBACK] + [{**FALLBACK, "role": f"r{n}"} for n in range(100)]}),
    '{"block_when_overdue_days": -1}',
    '{"cap_at_membership_expiry": "perhaps"}',
    # One good half does not save the other.
    '{"time_zone": "Africa/Nairobi", "block_when_overdue_days": "soon"}',
]


class Parameter:
    """The stored document, and how often it was read."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.reads = 0

    def __call__(self) -> str:
        self.reads += 1
        return self.text


@pytest.mark.parametrize("document", BAD_DOCUMENTS)
def test_a_bad_document_is_refused_whole(document: str) -> None:
    with pytest.raises(ValidationError):
        LoanPolicy.model_validate_json(document)


@pytest.mark.parametrize("document", BAD_DOCUMENTS)
def test_a_bad_document_from_the_start_lends_nothing(document: str) -> None:
    policies = StoredPolicies(Parameter(document))

    for _ in range(2):
        with pytest.raises(PolicyMissing):
            policies.current()


@pytest.mark.parametrize("document", BAD_DOCUMENTS)
def test_after_a_bad_document_the_last_good_one_stays_in_force(document: str) -> None:
    parameter = Parameter('{"block_when_overdue_days": 3}')
    policies = StoredPolicies(parameter)
    good = policies.current()

    parameter.text = document
    assert [policies.current(), policies.current()] == [good, good]

    parameter.text = '{"block_when_overdue_days": 4}'
    assert policies.current().block_when_overdue_days == 4


def test_a_repaired_document_counts_at_once() -> None:
    parameter = Parameter("not json")
    policies = StoredPolicies(parameter)
    with pytest.raises(PolicyMissing):
        policies.current()

    parameter.text = "{}"

    assert policies.current() == LoanPolicy()


def test_a_bad_document_is_an_operators_business_once() -> None:
    policies = StoredPolicies(parameter := Parameter("{}"))
    policies.current()
    parameter.text = '{"time_zone": "Mars/Olympus"}'

    with reading_the_log() as log, invocation() as running:
        for _ in range(3):
            policies.current()

    (line,) = log.lines
    assert (line["level"], line["message"]) == ("ERROR", "loan policy refused")
    assert "Mars/Olympus" in json.dumps(line["problems"])
    assert running.counts == {"LoanPolicyRefused": 1}


def test_the_same_text_is_not_parsed_again() -> None:
    policies = StoredPolicies(parameter := Parameter("{}"))

    assert policies.current() is policies.current()
    assert parameter.reads == 2


def test_a_document_without_a_zone_goes_by_the_librarys() -> None:
    policies = StoredPolicies(parameter := Parameter("{}"), "Africa/Nairobi")
    assert policies.current().time_zone == "Africa/Nairobi"

    parameter.text = '{"time_zone": "UTC"}'
    assert policies.current().time_zone == "UTC"


def test_a_zone_of_the_library_that_does_not_exist_lends_nothing() -> None:
    with pytest.raises(PolicyMissing):
        StoredPolicies(Parameter("{}"), "Mars/Olympus").current()


def test_an_empty_document_means_the_defaults() -> None:
    policy = LoanPolicy.model_validate_json("{}")

    rules: dict[str, tuple[int, int, int]] = {}
    for role in ("student", "faculty", "patron", "librarian", "admin", "visitor"):
        rule = policy.rule_for(role)
        rules[role] = (rule.limit, rule.period_days, rule.renewals)
    assert rules == {
        "student": (3, 14, 2),
        "faculty": (10, 28, 2),
        "patron": (5, 14, 2),
        "librarian": (10, 14, 2),
        "admin": (5, 14, 2),
        "visitor": (5, 14, 2),
    }
    assert policy.block_when_overdue_days == 14
    assert policy.cap_at_membership_expiry


def test_the_rule_of_a_role_beats_the_fallback_wherever_it_stands() -> None:
    patrons, others = LoanRule(role="patron", limit=1, period_days=7), LoanRule(limit=9, period_days=90)

    for rules in ((patrons, others), (others, patrons)):
        policy = LoanPolicy(loan_rules=rules)
        assert policy.rule_for("patron") is patrons
        assert policy.rule_for("faculty") is others


# -- who may borrow -------------------------------------------------------------------------------


def refusals(policy: LoanPolicy, account: Account = EMPTY_ACCOUNT, **of_member: Any) -> list[str]:
    member = Member(**{"id": "M", "role": "patron", "status": "active", "expires_at": None, **of_member})
    return [code for code, sentence in borrowing_refusals(policy, member, account, NOON) if sentence]


def test_an_active_member_may_borrow() -> None:
    assert refusals(LoanPolicy()) == []


@pytest.mark.parametrize("status", ["suspended", "pending", "expired", "closed", "", "ACTIVE"])
def test_only_an_active_member_may_borrow(status: str) -> None:
    assert refusals(LoanPolicy(), status=status) == ["member_not_active"]


def test_a_membership_ends_at_its_very_instant() -> None:
    assert refusals(LoanPolicy(), expires_at=NOON) == ["member_not_active"]
    assert refusals(LoanPolicy(), expires_at=NOON.replace(second=1)) == []


def test_a_limit_of_none_lends_none() -> None:
    assert refusals(LoanPolicy(loan_rules=(LoanRule(limit=0, period_days=1),))) == ["loan_limit_reached"]


def test_a_limit_lowered_below_what_a_member_has_refuses_until_they_return_some() -> None:
    account = Account(open={str(n): NOON.replace(year=2027) for n in range(5)})

    assert refusals(LoanPolicy(loan_rules=(LoanRule(limit=3, period_days=1),)), account) == ["loan_limit_reached"]


@pytest.mark.parametrize(("blocks_after", "refused"), [(4, ["overdue_too_long"]), (5, []), (6, [])])
def test_a_loan_blocks_when_it_is_overdue_by_more_than_so_many_days(blocks_after: int, refused: list[str]) -> None:
    account = Account(open={"L": NOON.replace(day=16)})

    assert refusals(LoanPolicy(block_when_overdue_days=blocks_after), account) == refused
