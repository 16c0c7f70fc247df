"""One-time codes: what is sent to whom, what a code is good for, and that asking and guessing tell nothing."""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from library_common.access import ANONYMOUS
from library_common.context import invocation
from library_common.problems import TooManyRequests
from tests.depth import at_depth
from tests.fakes.users import LIBRARIAN, POLICY, Community, any_version
from tests.support.clock import NOON
from tests.support.interleaving import Interleaver
from users_service.adapters.contacts import email_key
from users_service.application.code_redemption import CheckCode, ResetPassword
from users_service.application.code_sending import Outcome, SendCode, random_digits
from users_service.application.message_templates import MessageTemplates
from users_service.application.ports import Undeliverable
from users_service.application.registration import Registration
from users_service.domain.account_changes import ProfileUpdate
from users_service.domain.codes import LIFETIME, TRIES, Channel, Purpose
from users_service.domain.errors import CodeInvalid
from users_service.domain.membership import Status, Terms
from users_service.domain.model import Member
from users_service.domain.roles import Role

pytestmark = pytest.mark.unit

SECOND = timedelta(seconds=1)
EMAIL = "ann@example.org"
PASSWORD = "another horse battery"
RESET, VERIFY = Purpose.PASSWORD_RESET, Purpose.VERIFY_EMAIL


@pytest.fixture
def ann(community: Community) -> Member:
    member = community.join(email=EMAIL, phone="+441632960001", phone_confirmed=True)
    community.members.hashes[member.id] = "hash of old password"
    return member


def ask(
    community: Community, purpose: Purpose = RESET, email: str = EMAIL, channel: Channel = Channel.EMAIL
) -> list[Outcome]:
    """Asks for a code and has the sender work on it."""
    community.use_cases.ask_for_code(purpose, email, channel)
    return community.deliver_codes()


def fresh_code(community: Community, purpose: Purpose = RESET, channel: Channel = Channel.EMAIL) -> str:
    assert ask(community, purpose, channel=channel) == [Outcome.SENT]
    return community.sent_messages.sent[-1].digits


def wrong(digits: str) -> str:
    return f"{(int(digits) + 1) % 10**6:06}"


def confirm(community: Community, digits: str, email: str = EMAIL) -> None:
    community.use_cases.reset_password(email, digits, PASSWORD)


def verify(community: Community, digits: str, email: str = EMAIL) -> None:
    community.use_cases.verify_email(email, digits)


def refused(act: Callable[..., None], community: Community, digits: str, email: str = EMAIL) -> str:
    with pytest.raises(CodeInvalid) as refusal:
        act(community, digits, email)
    return f"{refusal.value.code}: {refusal.value}"


# -- asking and sending ---------------------------------------------------------------------------


def test_a_code_goes_to_the_address_of_the_account(community: Community, ann: Member) -> None:
    assert ask(community, email="ANN@Example.org") == [Outcome.SENT]

    (message,) = community.mail_to(EMAIL)
    assert message.subject == "Town Library: your code for a new password"
    assert "10 minutes" in message.body
    assert "do nothing" in message.body
    assert len(message.digits) == 6


def test_codes_are_six_digits_of_any_kind() -> None:
    codes = [random_digits() for _ in range(2000)]

    assert all(len(code) == 6 and code.isascii() and code.isdecimal() for code in codes)
    assert len(set(codes)) > 1900
    assert any(code.startswith("0") for code in codes), "leading zeros are kept"


def test_nothing_about_the_account_is_looked_up_while_asking(community: Community, ann: Member) -> None:
    def fail(*_: object) -> None:
        pytest.fail("the account was looked at")

    community.members.holder_of = community.members.get = fail  # type: ignore[method-assign,assignment]

    with invocation("asked-1"):
        for email in (EMAIL, "nobody@example.org"):
            community.use_cases.ask_for_code(RESET, email)

    known, unknown = community.code_requests.waiting
    assert replace(known, id=unknown.id, email_key=unknown.email_key) == unknown
    assert [key for _, key in community.attempts.taken] == [EMAIL, "nobody@example.org"]


def test_asking_is_limited_by_address_with_and_without_an_account(community: Community, ann: Member) -> None:
    for email in (EMAIL, "nobody@example.org"):
        community.attempts.left["reset_account", email] = 1
        community.use_cases.ask_for_code(RESET, email)
        for purpose in Purpose:
            with pytest.raises(TooManyRequests):
                community.use_cases.ask_for_code(purpose, email.upper())

    assert len(community.code_requests.waiting) == 2


def test_nobody_is_written_to_where_there_is_no_account(community: Community) -> None:
    assert ask(community, email="nobody@example.org") == [Outcome.NO_ACCOUNT]
    assert (community.sent_messages.sent, community.codes.kept, community.passwords.hashed) == ([], {}, [])


def test_a_text_message_where_the_member_confirmed_a_number_else_an_e_mail(community: Community, ann: Member) -> None:
    fresh_code(community, channel=Channel.SMS)
    assert community.sent_messages.sent[-1].to == "+441632960001"
    assert len(community.sent_messages.sent[-1].body) <= 160

    for number in (replace(ann, phone=None), replace(ann, phone_confirmed=False)):
        community.members.accounts[ann.id] = number
        fresh_code(community, channel=Channel.SMS)
        assert community.sent_messages.sent[-1].to == EMAIL


def test_no_number_is_written_to_without_end(community: Community, ann: Member) -> None:
    community.attempts.left["text_number", "+441632960001"] = 2

    sent_to = [(fresh_code(community, channel=Channel.SMS), community.sent_messages.sent[-1].to)[1] for _ in range(3)]

    assert sent_to == ["+441632960001", "+441632960001", EMAIL]


def test_an_account_that_is_edited_while_its_code_is_made_gets_one(community: Community, ann: Member) -> None:
    community.use_cases.ask_for_code(RESET, EMAIL)

    def hashed_slowly(password: str) -> str:
        present = community.members.accounts[ann.id]
        if present.version == ann.version:
            community.members.accounts[ann.id] = replace(present, name="New", version=present.version + 1)
        return f"hash of {password}"

    community.passwords.hash = hashed_slowly  # type: ignore[method-assign]

    assert community.deliver_codes() == [Outcome.SENT]


def test_who_is_erased_while_their_code_is_made_gets_none(community: Community, ann: Member) -> None:
    community.use_cases.ask_for_code(RESET, EMAIL)

    def hashed_slowly(password: str) -> str:
        community.members.accounts.pop(ann.id, None)
        community.members.holders.pop(ann.email_key, None)
        return f"hash of {password}"

    community.passwords.hash = hashed_slowly  # type: ignore[method-assign]

    assert community.deliver_codes() == [Outcome.NO_ACCOUNT]
    assert community.sent_messages.sent == []
    assert community.codes.kept == {}


def test_an_address_is_proved_by_e_mail_only(community: Community, ann: Member) -> None:
    assert ask(community, VERIFY, channel=Channel.SMS) == [Outcome.SENT]
    assert community.sent_messages.sent[-1].to == EMAIL
    assert community.sent_messages.sent[-1].subject == "Town Library: confirm your e-mail address"


def test_a_proved_address_is_not_proved_again(community: Community, ann: Member) -> None:
    community.members.accounts[ann.id] = replace(ann, email_verified_at=NOON)

    assert ask(community, VERIFY) == [Outcome.NOTHING_TO_PROVE]
    assert community.sent_messages.sent == []


@pytest.mark.parametrize(("late", "outcome"), [(LIFETIME - SECOND, Outcome.SENT), (LIFETIME, Outcome.TOO_LATE)])
def test_a_request_that_waited_too_long_is_dropped(
    community: Community, ann: Member, late: timedelta, outcome: Outcome
) -> None:
    community.use_cases.ask_for_code(RESET, EMAIL)
    community.clock.advance(late)

    assert community.deliver_codes() == [outcome]
    assert len(community.sent_messages.sent) == (1 if outcome is Outcome.SENT else 0)


def test_a_request_that_comes_again_is_not_answered_again(community: Community, ann: Member) -> None:
    community.use_cases.ask_for_code(RESET, EMAIL)
    request = community.code_requests.waiting[0]
    community.deliver_codes()
    digits = community.sent_messages.sent[-1].digits

    assert community.send_code(request) is Outcome.SUPERSEDED
    confirm(community, digits)
    assert community.send_code(request) is Outcome.SUPERSEDED, "not even when the code has been used"
    assert len(community.sent_messages.sent) == 1


def test_requests_in_the_wrong_order_leave_the_newest_code(community: Community, ann: Member) -> None:
    community.use_cases.ask_for_code(RESET, EMAIL)
    community.use_cases.ask_for_code(RESET, EMAIL)
    first, second = sorted(community.code_requests.waiting, key=lambda request: request.id)

    assert (community.send_code(second), community.send_code(first)) == (Outcome.SENT, Outcome.SUPERSEDED)
    confirm(community, community.sent_messages.sent[-1].digits)


def test_a_message_that_cannot_be_handed_over_is_tried_again_with_a_new_code(community: Community, ann: Member) -> None:
    community.sent_messages.failures.append(ConnectionError("SES is down"))
    community.use_cases.ask_for_code(RESET, EMAIL)
    request = community.code_requests.waiting[0]

    with pytest.raises(ConnectionError):
        community.deliver_codes()
    assert community.send_code(request) is Outcome.SENT
    confirm(community, community.sent_messages.sent[-1].digits)


def test_an_address_nothing_can_be_delivered_to_is_given_up_at_once(community: Community, ann: Member) -> None:
    community.sent_messages.failures.append(Undeliverable())

    assert ask(community) == [Outcome.UNDELIVERABLE]


def test_neither_code_nor_address_show_in_what_is_printed(community: Community, ann: Member) -> None:
    community.use_cases.ask_for_code(RESET, EMAIL)
    shown = repr(community.code_requests.waiting)
    community.deliver_codes()
    digits = community.sent_messages.sent[-1].digits
    shown += repr(community.codes.kept)

    for secret in (EMAIL, digits, "hash of"):
        assert secret not in shown


# -- a new password -------------------------------------------------------------------------------


def test_a_new_password_ends_all_sessions_and_proves_the_address(community: Community, ann: Member) -> None:
    confirm(community, fresh_code(community))

    account = community.members.accounts[ann.id]
    assert community.members.hashes[ann.id] == f"hash of {PASSWORD}"
    assert (account.session_epoch, account.version, account.email_verified_at) == (1, 2, NOON)
    assert community.told == [("SessionsRevoked", {"user_id": ann.id, "reason": "password_changed", "epoch": 1})]


def test_a_text_message_proves_no_address(community: Community, ann: Member) -> None:
    community.members.accounts[ann.id] = replace(ann, stored_status=Status.PENDING)

    confirm(community, fresh_code(community, channel=Channel.SMS))

    account = community.members.accounts[ann.id]
    assert (account.email_verified_at, account.stored_status) == (None, Status.PENDING)
    assert community.members.hashes[ann.id] == f"hash of {PASSWORD}"


@pytest.mark.parametrize(
    "act", [lambda world: confirm(world, fresh_code(world)), lambda world: verify(world, fresh_code(world, VERIFY))]
)
def test_whoever_reads_the_mailbox_is_rid_of_numbers_set_before(
    community: Community, ann: Member, act: Callable[[Community], None]
) -> None:
    """Somebody may have registered another's address, with a password and a number of their own."""
    assert ann.phone_confirmed

    act(community)

    assert not community.members.accounts[ann.id].phone_confirmed
    fresh_code(community, channel=Channel.SMS)
    assert community.sent_messages.sent[-1].to == EMAIL


def test_a_pending_member_with_a_new_password_is_active(community: Community, ann: Member) -> None:
    community.members.accounts[ann.id] = replace(ann, stored_status=Status.PENDING)

    confirm(community, fresh_code(community))

    assert community.members.accounts[ann.id].stored_status is Status.ACTIVE
    assert [kind for kind, _ in community.told] == ["MemberStatusChanged", "SessionsRevoked"]


@pytest.mark.parametrize("status", [Status.SUSPENDED, Status.EXPIRED])
def test_whoever_may_not_borrow_may_have_a_password_and_stays_what_they_are(
    community: Community, ann: Member, status: Status
) -> None:
    community.members.accounts[ann.id] = replace(ann, stored_status=status, status_reason="lost card")

    confirm(community, fresh_code(community))

    account = community.members.accounts[ann.id]
    assert (account.stored_status, account.status_reason) == (status, "lost card")


def test_a_code_works_once(community: Community, ann: Member) -> None:
    digits = fresh_code(community)
    confirm(community, digits)

    refused(confirm, community, digits)
    assert community.members.accounts[ann.id].session_epoch == 1


def test_of_two_who_hand_in_the_same_code_at_once_one_succeeds(community: Community, ann: Member) -> None:
    digits = fresh_code(community)
    community.members.meanwhile.append(lambda: confirm(community, digits))

    refused(confirm, community, digits)
    assert community.members.accounts[ann.id].session_epoch == 1


def test_a_code_for_one_thing_is_none_for_another(community: Community, ann: Member) -> None:
    digits = fresh_code(community)
    refused(verify, community, digits)
    digits = fresh_code(community, VERIFY)
    if community.codes.kept[ann.id, RESET].code_hash != f"hash of {digits}":
        refused(confirm, community, digits)


def test_a_new_code_takes_the_place_of_the_one_before(community: Community, ann: Member) -> None:
    first = fresh_code(community)
    second = fresh_code(community)

    if first != second:
        refused(confirm, community, first)
    confirm(community, second)


@pytest.mark.parametrize(("later", "works"), [(LIFETIME - SECOND, True), (LIFETIME, False)])
def test_a_code_is_valid_for_ten_minutes(community: Community, ann: Member, later: timedelta, works: bool) -> None:
    digits = fresh_code(community)
    community.clock.advance(later)

    if works:
        confirm(community, digits)
    else:
        refused(confirm, community, digits)


def test_a_code_sent_to_an_address_that_is_another_now_proves_nothing(community: Community, ann: Member) -> None:
    codes = {purpose: fresh_code(community, purpose) for purpose in Purpose}
    update = ProfileUpdate({"email": "new@example.org"}, {})
    community.use_cases.edit_profile(ann.id, update, caller=LIBRARIAN, accept=any_version)

    refused(verify, community, codes[VERIFY], "new@example.org")
    refused(confirm, community, codes[RESET], "new@example.org")
    assert community.members.accounts[ann.id].email_verified_at is None
    assert community.members.hashes[ann.id] == "hash of old password"


@pytest.mark.parametrize("purpose", list(Purpose))
def test_an_address_changed_at_the_last_moment_proves_nothing(
    community: Community, ann: Member, purpose: Purpose
) -> None:
    digits = fresh_code(community, purpose)
    update = ProfileUpdate({"email": "new@example.org"}, {})
    community.members.meanwhile.append(
        lambda: community.use_cases.edit_profile(ann.id, update, caller=LIBRARIAN, accept=any_version)
    )

    refused(confirm if purpose is RESET else verify, community, digits)
    assert community.members.accounts[ann.id].email_verified_at is None


def test_an_account_edited_meanwhile_keeps_the_edit(community: Community, ann: Member) -> None:
    digits = fresh_code(community)
    update = ProfileUpdate({"name": "Ann Young"}, {})
    community.members.meanwhile.append(
        lambda: community.use_cases.edit_profile(ann.id, update, caller=LIBRARIAN, accept=any_version)
    )

    confirm(community, digits)

    account = community.members.accounts[ann.id]
    assert (account.name, account.session_epoch, account.version) == ("Ann Young", 1, 3)


# -- a verified address ---------------------------------------------------------------------------


def test_a_pending_member_is_active_once_the_address_is_proved(community: Community, ann: Member) -> None:
    community.members.accounts[ann.id] = replace(ann, stored_status=Status.PENDING)

    verify(community, fresh_code(community, VERIFY))

    account = community.members.accounts[ann.id]
    assert (account.stored_status, account.email_verified_at, account.session_epoch) == (Status.ACTIVE, NOON, 0)
    assert community.told == [("MemberStatusChanged", {"user_id": ann.id, "old": "pending", "new": "active"})]


def test_a_membership_that_ran_out_while_it_waited_begins_anew(community: Community, ann: Member) -> None:
    community.members.accounts[ann.id] = replace(ann, stored_status=Status.PENDING, expires_at=NOON - SECOND)

    verify(community, fresh_code(community, VERIFY))

    assert community.use_cases.read(ann.id).status is Status.ACTIVE


@pytest.mark.parametrize("status", [Status.ACTIVE, Status.SUSPENDED, Status.EXPIRED])
def test_proving_an_address_changes_no_other_status(community: Community, ann: Member, status: Status) -> None:
    community.members.accounts[ann.id] = replace(ann, stored_status=status)

    verify(community, fresh_code(community, VERIFY))

    account = community.members.accounts[ann.id]
    assert (account.stored_status, account.email_verified_at) == (status, NOON)
    assert community.told == []


def test_a_right_code_for_an_address_proved_meanwhile_is_fine(community: Community, ann: Member) -> None:
    digits = fresh_code(community, VERIFY)
    confirm(community, fresh_code(community))
    version = community.members.accounts[ann.id].version

    verify(community, digits)

    assert community.members.accounts[ann.id].version == version
    refused(verify, community, digits)


# -- registering and moving -----------------------------------------------------------------------


def register(community: Community, **more: Any) -> None:
    wanted = Registration(name="Bob", email="bob@example.org", role=Role.PATRON)
    community.use_cases.register(wanted, **{"caller": ANONYMOUS, "ticket": None, **more})


def test_whoever_registers_themselves_is_sent_a_code() -> None:
    community = Community(terms=Terms(starts_as=Status.PENDING, days=365))
    register(community)
    (member,) = community.members.accounts.values()
    assert member.stored_status is Status.PENDING

    assert community.deliver_codes() == [Outcome.SENT]
    verify(community, community.mail_to("bob@example.org")[-1].digits, "bob@example.org")

    assert community.members.accounts[member.id].stored_status is Status.ACTIVE


def test_whom_staff_register_is_active_at_once_and_sent_nothing() -> None:
    community = Community(terms=Terms(starts_as=Status.PENDING, days=365))
    register(community, caller=LIBRARIAN)

    (member,) = community.members.accounts.values()
    assert (member.stored_status, community.code_requests.waiting) == (Status.ACTIVE, [])
    assert community.told[0][1]["status"] == "active"


def test_a_registration_stands_without_the_queue(community: Community) -> None:
    community.code_requests.down = True
    register(community)
    assert len(community.members.accounts) == 1


def test_another_address_is_to_be_proved_anew(community: Community, ann: Member) -> None:
    community.members.accounts[ann.id] = replace(ann, email_verified_at=NOON)

    def edit(**fields: str) -> None:
        community.use_cases.edit_profile(ann.id, ProfileUpdate(fields, {}), caller=LIBRARIAN, accept=any_version)

    edit(name="Ann Young")
    edit(email="ANN@example.org")
    assert community.code_requests.waiting == [], "the same address, written differently"

    edit(email="new@example.org")
    assert community.deliver_codes() == [Outcome.SENT]
    verify(community, community.mail_to("new@example.org")[-1].digits, "new@example.org")
    assert community.members.accounts[ann.id].email_verified_at == NOON

    community.code_requests.down = True
    edit(email="newest@example.org")
    assert community.members.accounts[ann.id].email == "newest@example.org"


def test_nobody_fills_the_mailbox_of_another_by_giving_their_address(community: Community, ann: Member) -> None:
    """Neither with codes nor with notices."""
    community.attempts.left["reset_account", "victim@example.org"] = 2
    community.attempts.left["notice_account", "victim@example.org"] = 1
    for number in range(5):
        for email in ("victim@example.org", f"own{number}@example.org"):
            community.use_cases.edit_profile(
                ann.id, ProfileUpdate({"email": email}, {}), caller=LIBRARIAN, accept=any_version
            )

    asked = [request.email_key for request in community.code_requests.waiting]
    told = [notice.email for notice in community.code_requests.notices]
    assert (asked.count("victim@example.org"), told.count("victim@example.org")) == (2, 1)
    assert community.members.accounts[ann.id].email == "own4@example.org", "and the changes stand"


# -- guessing -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("purpose", "act"), [(RESET, confirm), (VERIFY, verify)])
def test_five_wrong_guesses_use_a_code_up(
    community: Community, ann: Member, purpose: Purpose, act: Callable[..., None]
) -> None:
    digits = fresh_code(community, purpose)
    for _ in range(TRIES):
        refused(act, community, wrong(digits))

    refused(act, community, digits)
    assert community.members.hashes[ann.id] == "hash of old password"
    assert community.members.accounts[ann.id].version == 1


def test_the_fifth_guess_may_be_the_right_one(community: Community, ann: Member) -> None:
    digits = fresh_code(community)
    for _ in range(TRIES - 1):
        refused(confirm, community, wrong(digits))
    confirm(community, digits)


def test_guessing_is_limited_by_address_beyond_any_code(community: Community, ann: Member) -> None:
    for email in (EMAIL, "nobody@example.org"):
        community.attempts.left["confirm_account", email] = 1
        refused(confirm, community, "000000", email)
        for act in (confirm, verify):
            with pytest.raises(TooManyRequests):
                act(community, "000000", email)


class Stepping:
    """A port before every call of which others may come in between."""

    def __init__(self, port: Any, step: Callable[[], None]) -> None:
        self._port, self._step = port, step

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)

        def stepped(*args: Any, **kwargs: Any) -> Any:
            self._step()
            return method(*args, **kwargs)

        return stepped


@pytest.mark.parametrize("seed", range(at_depth(quick=6, full=25)))
def test_guesses_at_the_same_time_are_not_more_than_five(seed: int) -> None:
    community = Community()
    ann = community.join(email=EMAIL)
    digits = fresh_code(community)
    interleaver = Interleaver(random.Random(seed))
    members, codes, passwords = (
        cast("Any", Stepping(port, interleaver.step))
        for port in (community.members, community.codes, community.passwords)
    )
    reset = ResetPassword(
        CheckCode(members, codes, passwords, community.attempts, email_key, community.clock),
        POLICY,
        community.terms,
    )
    outcomes: list[str] = []

    def guess(text: str) -> None:
        try:
            reset(EMAIL, text, PASSWORD)
        except CodeInvalid:
            outcomes.append("refused")
        else:
            outcomes.append("done")

    guesses = [*([wrong(digits)] * 8), *([digits] * 3)]
    interleaver.run([lambda text=text: guess(text) for text in guesses])  # type: ignore[misc]

    compared = [stored for stored in community.passwords.compared if stored is not None]
    assert len(compared) <= TRIES
    assert len(community.passwords.compared) == len(guesses), "and yet all were given the same work"
    assert outcomes.count("done") <= 1
    assert community.members.accounts[ann.id].session_epoch == outcomes.count("done")


@dataclass
class Tally:
    """What became of one code."""

    compared: int = 0
    worked: int = 0


@settings(max_examples=at_depth(quick=15, full=150))
@given(
    st.lists(st.sampled_from(["ask", "ask late", "wrong", "right", "oldest", "redeliver", "wait", "edit"]), max_size=40)
)
def test_whatever_is_done_a_code_is_compared_five_times_and_works_once(steps: list[str]) -> None:
    community = Community()
    ann = community.join(email=EMAIL)
    # A salt makes every code's hash its own, as bcrypt does.
    numbers = iter(range(100_000, 999_999, 7))
    community.send_code = replace(community.send_code, digits=lambda: str(next(numbers)))
    tallies: dict[str, Tally] = {}
    asked: list[Any] = []

    def hand_in(digits: str) -> None:
        before = len(community.passwords.compared)
        try:
            confirm(community, digits)
        except CodeInvalid:
            worked = 0
        else:
            worked = 1
            tallies.setdefault(digits, Tally()).worked += 1
        (stored,) = community.passwords.compared[before:]
        if stored is not None:
            tallies.setdefault(stored.removeprefix("hash of "), Tally()).compared += 1
        assert not worked or stored == f"hash of {digits}"

    for step in steps:
        sent = [message.digits for message in community.sent_messages.sent]
        if step.startswith("ask"):
            community.use_cases.ask_for_code(RESET, EMAIL)
            asked += community.code_requests.waiting
            if step == "ask":
                community.deliver_codes()
        elif step == "redeliver":
            for request in asked:
                community.send_code(request)
        elif step == "wait":
            community.clock.advance(timedelta(minutes=4))
        elif step == "edit":
            update = ProfileUpdate({"name": f"Ann {len(asked)}"}, {})
            community.use_cases.edit_profile(ann.id, update, caller=LIBRARIAN, accept=any_version)
        else:
            hand_in({"wrong": "000000", "right": [*sent, "000001"][-1], "oldest": [*sent, "000001"][0]}[step])

    assert all(tally.compared <= TRIES and tally.worked <= 1 for tally in tallies.values()), tallies
    assert community.members.accounts[ann.id].session_epoch == sum(tally.worked for tally in tallies.values())


# -- finding out who has an account ---------------------------------------------------------------


class Noting:
    """A port whose calls are noted, without what they were about."""

    def __init__(self, port: Any, calls: list[str]) -> None:
        self._port, self._calls = port, calls

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)

        def noted(*args: Any, **kwargs: Any) -> Any:
            self._calls.append(name)
            return method(*args, **kwargs)

        return noted


def no_account(community: Community) -> tuple[str, str]:
    return "nobody@example.org", "123456"


def no_code(community: Community) -> tuple[str, str]:
    community.join(email="bob@example.org")
    return "bob@example.org", "123456"


def wrong_code(community: Community) -> tuple[str, str]:
    return EMAIL, wrong(fresh_code(community))


def expired_code(community: Community) -> tuple[str, str]:
    digits = fresh_code(community)
    community.clock.advance(LIFETIME)
    return EMAIL, digits


def used_code(community: Community) -> tuple[str, str]:
    digits = fresh_code(community)
    confirm(community, digits)
    return EMAIL, digits


def guessed_out(community: Community) -> tuple[str, str]:
    digits = fresh_code(community)
    for _ in range(TRIES):
        refused(confirm, community, wrong(digits))
    return EMAIL, digits


def code_of_another_address(community: Community) -> tuple[str, str]:
    digits = fresh_code(community)
    (user_id,) = community.members.accounts
    update = ProfileUpdate({"email": "new@example.org"}, {})
    community.use_cases.edit_profile(user_id, update, caller=LIBRARIAN, accept=any_version)
    return "new@example.org", digits


FAILURES = [no_account, no_code, wrong_code, expired_code, used_code, guessed_out, code_of_another_address]


def test_every_failure_is_the_same_refusal_after_the_same_work(community: Community, ann: Member) -> None:
    """The same sentence, and the same calls in the same order: what an answer takes does not tell either."""
    seen: dict[str, tuple[str, list[str]]] = {}
    for failure in FAILURES:
        world = Community()
        world.join(email=EMAIL)
        email, digits = failure(world)
        calls: list[str] = []
        members, codes, passwords, attempts = (
            cast("Any", Noting(port, calls)) for port in (world.members, world.codes, world.passwords, world.attempts)
        )
        reset = ResetPassword(
            CheckCode(members, codes, passwords, attempts, email_key, world.clock),
            POLICY,
            world.terms,
        )
        with pytest.raises(CodeInvalid) as refusal:
            reset(email, digits, PASSWORD)
        seen[failure.__name__] = (f"{refusal.value.code} {refusal.value}", calls)

    expected = (
        "code_invalid The code is wrong or no longer valid. Ask for a new one.",
        ["take", "holder_of", "count_try", "matches", "get"],
    )
    assert seen == dict.fromkeys(seen, expected)


def test_the_sender_is_told_apart_by_nobody_who_asks(community: Community, ann: Member) -> None:
    """What it does takes longer for an account, but nobody waits for it: the request was answered before."""
    for email in (EMAIL, "nobody@example.org"):
        community.use_cases.ask_for_code(RESET, email)
    assert community.passwords.hashed == []
    assert community.deliver_codes() == [Outcome.SENT, Outcome.NO_ACCOUNT]


def test_messages_hold_nothing_of_whoever_asked_or_is_asked_for(community: Community) -> None:
    """No name, no phrase of a stranger's can be put into somebody's mailbox."""
    community.join(name="Win a prize at evil.example", email=EMAIL)
    fresh_code(community)
    fresh_code(community, VERIFY)

    for message in community.sent_messages.sent:
        assert "evil" not in message.subject + message.body
        assert "\n" not in message.subject
    sender: SendCode = community.send_code
    assert sender.templates == MessageTemplates("Town Library")
