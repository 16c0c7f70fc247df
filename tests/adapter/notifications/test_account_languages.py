"""The language of a member's account, which senders handle_event of and the member's list is written in."""

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from notifications_service.domain.kinds import Channel
from notifications_service.domain.preferences import Preferences
from tests.fakes.post_office import Post, event

if TYPE_CHECKING:
    from notifications_service.application.ports import Account

pytestmark = pytest.mark.adapter


def told(post: Post, account: "Account") -> None:
    """Something is sent to the member."""
    post.handle_event(event("SessionsRevoked", account.id, reason="password_changed", epoch=1), "c")
    post.work()


def written_in(post: Post, user_id: str) -> str | None:
    """The language of the member's list."""
    post.inbox.page(user_id, 10, None, unread_only=False)
    channel, language = post.templates.asked[-1]
    assert channel is Channel.IN_APP
    return language


def test_the_list_is_in_the_language_that_the_account_named_last(post: Post) -> None:
    ann = post.services.join(language="fr")
    post.handle_event(event("SessionsRevoked", ann.id, reason="password_changed", epoch=1), "c")
    assert written_in(post, ann.id) is None

    post.work()
    assert written_in(post, ann.id) == "fr"
    for language in ("es", None, "en"):
        post.services.accounts[ann.id] = replace(ann, language=language)
        told(post, ann)
        assert written_in(post, ann.id) == language
    post.services.users_down = True
    assert written_in(post, ann.id) == "en"
    post.preferences.stored[ann.id] = Preferences(language="fr-CA")
    assert written_in(post, ann.id) == "fr-CA"
    assert len(post.items(ann.id, "LANGUAGE")) == 1


def test_of_two_senders_the_slower_does_not_undo_what_the_other_heard(post: Post) -> None:
    ann = post.services.join(language="fr")
    post.languages.note(ann.id, None, "es")

    post.languages.note(ann.id, None, "fr")
    post.languages.note(ann.id, "en", None)
    assert post.languages.of(ann.id) == "es"

    def changes_meanwhile() -> None:
        post.languages.note(ann.id, "es", "en")

    post.services.slow = changes_meanwhile
    told(post, ann)
    assert post.languages.of(ann.id) == "en"
    assert len(post.sent()) == 1


def test_nothing_is_noted_of_an_erased_member(post: Post) -> None:
    ann = post.services.join(language="fr")
    told(post, ann)

    post.handle_event(event("MemberErased", ann.id), "c")
    assert post.languages.of(ann.id) is None
    post.languages.note(ann.id, None, "fr")
    assert post.languages.of(ann.id) is None
