"""A session's tokens under any sequence of uses, reuses, logouts and account changes: at most one is ever good."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from library_common.access import Caller
from library_common.access import Role as CallerRole
from tests.depth import at_depth
from tests.fakes.users import Community
from users_service.domain.errors import RefreshTokenInvalid
from users_service.domain.sessions import RefreshToken

pytestmark = pytest.mark.unit

EMAIL, PASSWORD = "ann@example.com", "correct horse"


class Sessions(RuleBasedStateMachine):
    """The model: per session the one token that is good, or None once it ended."""

    tokens = Bundle("tokens")

    def __init__(self) -> None:
        super().__init__()
        self.community = Community()
        self.ann = self.community.join(email=EMAIL, password=PASSWORD)
        self.good: dict[str, str | None] = {}
        self.handed_out: list[str] = []

    def _present(self, token: str) -> str:
        """What presenting a token must do, and does. Answers the next token, or the same one when refused."""
        session = token.partition(".")[0]
        if self.good[session] != token:
            with pytest.raises(RefreshTokenInvalid):
                self.community.use_cases.refresh(token)
            self.good[session] = None
            return token
        following = self.community.use_cases.refresh(token).refresh_token
        assert following not in self.handed_out
        self.good[session] = following
        self.handed_out.append(following)
        return following

    @rule(target=tokens)
    def log_in(self) -> str:
        token = self.community.use_cases.login(EMAIL, PASSWORD).refresh_token
        self.good[token.split(".")[0]] = token
        self.handed_out.append(token)
        return token

    @rule(target=tokens, token=tokens)
    def refresh(self, token: str) -> str:
        return self._present(token)

    @rule(target=tokens, token=tokens)
    def refresh_while_another_does(self, token: str) -> str:
        """Both read the session before either writes."""
        session = token.partition(".")[0]
        if self.good[session] != token:
            return self._present(token)
        winners: list[str] = []
        refresh = self.community.use_cases.refresh
        self.community.members.meanwhile.append(lambda: winners.append(refresh(token).refresh_token))
        with pytest.raises(RefreshTokenInvalid):
            refresh(token)
        assert len(winners) == 1
        self.handed_out += winners
        self.good[session] = None
        return winners[0]

    @rule(token=tokens)
    def log_out(self, token: str) -> None:
        session = token.partition(".")[0]
        caller = Caller(kind="person", id=self.ann.id, role=CallerRole.PATRON, session=session)
        self.community.use_cases.logout(caller)
        self.good[session] = None

    @rule()
    def end_all(self) -> None:
        present = self.community.members.accounts[self.ann.id]
        self.community.members.accounts[self.ann.id] = replace(
            present, version=present.version + 1, session_epoch=present.session_epoch + 1
        )
        self.good = dict.fromkeys(self.good)

    @rule()
    def edit(self) -> None:
        present = self.community.members.accounts[self.ann.id]
        self.community.members.accounts[self.ann.id] = replace(present, version=present.version + 1)

    @rule(days=st.integers(1, 31))
    def wait(self, days: int) -> None:
        self.community.clock.advance(timedelta(days=days))
        now = self.community.clock.now()
        for session, kept in self.community.sessions.kept.items():
            if kept.expires_at <= now:
                self.good[session] = None

    @invariant()
    def stored_is_no_token(self) -> None:
        stored = repr([vars(kept) for kept in self.community.sessions.kept.values()])
        assert not any(token.split(".")[1] in stored for token in self.handed_out)

    @invariant()
    def at_most_one_is_accepted(self) -> None:
        account = self.community.members.accounts[self.ann.id]
        now = self.community.clock.now()
        for session, kept in self.community.sessions.kept.items():
            known = [token for token in self.handed_out if token.startswith(f"{session}.")]
            accepted = {
                token
                for token in known
                if (parsed := RefreshToken.parse(token)) is not None
                and kept.accepts(parsed)
                and not kept.is_over(now)
                and kept.epoch >= account.session_epoch
            }
            good = self.good[session]
            assert accepted == ({good} if good is not None else set())


TestSessions = Sessions.TestCase
TestSessions.settings = settings(max_examples=at_depth(quick=12, full=40), stateful_step_count=25)
