"""How long a refused login takes, with the real bcrypt: no shorter without an account than with one."""

import time
from statistics import median

import pytest

from tests.fakes.codes import FakeCodes
from tests.fakes.users import FakeMembers, FakeSessions, a_member, use_cases_on
from users_service.adapters.passwords import BcryptPasswords
from users_service.domain.errors import InvalidCredentials

pytestmark = pytest.mark.unit

ROUNDS = 8
"""Some 15 ms a comparison: far more than everything else a login does here, and quick enough to try often."""
TRIES = 15


def test_a_login_without_an_account_takes_as_long_as_one_with_a_wrong_password() -> None:
    passwords, members = BcryptPasswords(ROUNDS), FakeMembers()
    for email, stored in (("ann@example.com", passwords.hash("correct horse")), ("bare@example.com", None)):
        member = a_member(email=email)
        members.accounts[member.id] = member
        members.holders[member.email_key] = member.id
        if stored is not None:
            members.hashes[member.id] = stored
    login = use_cases_on(members, FakeSessions(members), FakeCodes(members), passwords=passwords).login
    attempts = {
        "wrong password": ("ann@example.com", "wrong horse"),
        "longer than 72 bytes": ("ann@example.com", "x" * 200),
        "no account": ("nobody@example.com", "wrong horse"),
        "no password set": ("bare@example.com", "wrong horse"),
        "no address at all": ("nobody", "wrong horse"),
    }
    took: dict[str, list[float]] = {what: [] for what in attempts}
    # Processor time of this thread, in turns: what else the machine does meanwhile counts little, and for all alike.
    for _ in range(TRIES):
        for what, (email, password) in attempts.items():
            started = time.thread_time()
            with pytest.raises(InvalidCredentials):
                login(email, password)
            took[what].append(time.thread_time() - started)

    medians = {what: median(times) for what, times in took.items()}
    slowest, fastest = max(medians.values()), min(medians.values())
    # Without the decoy the ratio would be in the hundreds.
    assert slowest / fastest < 2, medians


def test_the_decoy_costs_what_the_real_ones_cost() -> None:
    passwords = BcryptPasswords(ROUNDS)
    stored = passwords.hash("correct horse")

    assert stored.split("$")[2] == f"{ROUNDS:02}"
    assert passwords.matches("correct horse", stored)
    assert not passwords.matches("correct horse", None)
    assert not passwords.matches("x" * 73, passwords.hash("x" * 72)), "what bcrypt does not see counts, too"
