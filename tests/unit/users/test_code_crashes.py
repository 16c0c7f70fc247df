"""Death at every step of the code sender and of handing a code in: before and after every call to the outside.

A first run that nothing happens to counts the calls, and then every one of them kills its process twice, once before
it had its effect and once after. Then comes what comes in life: the queue delivers the request again, the member
tries the code again or asks for a new one.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from tests.fakes.users import POLICY, Community
from tests.support.mortality import Mortal, Mortality, ProcessDied
from users_service.adapters.contacts import email_key
from users_service.application.code_redemption import CheckCode, ResetPassword, VerifyEmail
from users_service.application.code_sending import SendCode
from users_service.domain.codes import TRIES, CodeRequest, Purpose
from users_service.domain.errors import CodeInvalid
from users_service.domain.membership import Status

pytestmark = pytest.mark.unit

EMAIL = "ann@example.org"
PASSWORD = "another horse battery"


@dataclass
class World:
    """A member who waits for their address to be proved, and a request for a code of theirs."""

    purpose: Purpose
    community: Community = field(default_factory=Community)
    request: CodeRequest = field(init=False)
    ann: str = field(init=False)

    def __post_init__(self) -> None:
        self.ann = self.community.join(email=EMAIL, stored_status=Status.PENDING).id
        self.community.use_cases.ask_for_code(self.purpose, EMAIL)
        (self.request,) = self.community.code_requests.waiting

    def sender(self, mortality: Mortality) -> SendCode:
        there = self.community

        def mortal(port: object) -> Any:
            return cast("Any", Mortal(port, mortality))

        return replace(
            there.send_code,
            members=mortal(there.members),
            codes=mortal(there.codes),
            passwords=mortal(there.passwords),
            sender=mortal(there.sent_messages),
        )

    def redeem(self, digits: str, mortality: Mortality | None = None) -> None:
        """In a process of its own, which may die."""
        there, fate = self.community, mortality or Mortality()
        members, codes, passwords, attempts = (
            cast("Any", Mortal(port, fate)) for port in (there.members, there.codes, there.passwords, there.attempts)
        )
        check = CheckCode(members, codes, passwords, attempts, email_key, there.clock)
        if self.purpose is Purpose.PASSWORD_RESET:
            ResetPassword(check, POLICY, there.terms)(EMAIL, digits, PASSWORD)
        else:
            VerifyEmail(check, there.terms)(EMAIL, digits)

    @property
    def done(self) -> bool:
        """Whether the code had its effect: the whole of it, or this fails."""
        account = self.community.members.accounts[self.ann]
        proved = account.email_verified_at is not None
        told = [kind for kind, _ in self.community.told]
        assert (account.stored_status is Status.ACTIVE) == proved
        if self.purpose is Purpose.PASSWORD_RESET:
            assert (self.ann in self.community.members.hashes) == proved
            assert account.session_epoch == int(proved)
            assert told == (["MemberStatusChanged", "SessionsRevoked"] if proved else [])
        else:
            assert told == (["MemberStatusChanged"] if proved else [])
        return proved


def deaths_of(act: Callable[[World, Mortality], object]) -> list[Any]:
    """Every call of the act, before and after, for both purposes."""
    found = []
    for purpose in Purpose:
        counted = Mortality()
        act(World(purpose), counted)
        found += [
            pytest.param(purpose, number, after, id=f"{purpose.value}-{'after' if after else 'before'}-{number}-{name}")
            for number, name in enumerate(counted.calls, start=1)
            for after in (False, True)
        ]
    return found


def sending(world: World, mortality: Mortality) -> None:
    world.sender(mortality)(world.request)


def redeeming(world: World, mortality: Mortality) -> None:
    sending(world, Mortality())
    world.redeem(world.community.sent_messages.sent[-1].digits, mortality)


@pytest.mark.parametrize(("purpose", "number", "after"), deaths_of(sending))
def test_a_sender_that_dies_leaves_a_code_that_works_or_none(purpose: Purpose, number: int, after: bool) -> None:
    world = World(purpose)
    with pytest.raises(ProcessDied):
        sending(world, Mortality(number, after))

    for _ in range(2):  # the queue delivers it again, and once too often
        sending(world, Mortality())

    sent = world.community.sent_messages.sent
    assert 1 <= len(sent) <= 2, "twice only where nobody could know that it had been sent"
    world.redeem(sent[-1].digits)
    assert world.done
    for message in sent:
        with pytest.raises(CodeInvalid):
            world.redeem(message.digits)


@pytest.mark.parametrize(("purpose", "number", "after"), deaths_of(redeeming))
def test_a_code_whose_process_dies_had_its_effect_or_works_still(purpose: Purpose, number: int, after: bool) -> None:
    world = World(purpose)
    with pytest.raises(ProcessDied):
        redeeming(world, Mortality(number, after))

    digits = world.community.sent_messages.sent[-1].digits
    if world.done:
        with pytest.raises(CodeInvalid):
            world.redeem(digits)
    else:
        world.redeem(digits)
    assert world.done


@pytest.mark.parametrize("purpose", list(Purpose))
def test_deaths_do_not_give_more_guesses(purpose: Purpose) -> None:
    """Dying is no way to guess on: the try is counted before anything is compared."""
    world = World(purpose)
    sending(world, Mortality())
    digits = world.community.sent_messages.sent[-1].digits
    counted = Mortality()
    with pytest.raises(CodeInvalid):
        World(purpose).redeem("000000", counted)
    comparing = counted.calls.index("matches") + 1
    for _ in range(TRIES):
        with pytest.raises(ProcessDied):
            world.redeem(digits, Mortality(comparing))

    with pytest.raises(CodeInvalid):
        world.redeem(digits)


def test_the_steps_are_those_that_are_meant() -> None:
    """Were a port called without passing through here, its deaths would be missing unnoticed."""
    names = {str(param.id).rsplit("-", 1)[1] for param in [*deaths_of(sending), *deaths_of(redeeming)]}

    assert names == {
        "holder_of", "get", "hash", "keep", "email", "mark_sent", "take", "count_try", "matches", "spend",
    }  # fmt: skip
