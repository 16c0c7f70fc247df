"""Versions of templates: all are kept, one is in use, and of two at once one is refused."""

import pytest

from library_common.versions import VersionConflict
from notifications_service.application.ports import Change, TemplateHead, TemplateStore
from notifications_service.domain.templates import Part, TemplateText
from tests.support.clock import NOON

pytestmark = pytest.mark.adapter

ONE: TemplateText = {Part.SMS: {"text": "one {{ title }}"}}
TWO: TemplateText = {Part.SMS: {"text": "two"}, Part.EMAIL: {"subject": "s", "text": "a\nb", "html": "<p>é</p>"}}


def add(templates: TemplateStore, language: str, text: TemplateText, *, withdrawn: bool = False) -> TemplateHead:
    before = templates.heads(["welcome"])["welcome"]
    templates.add("welcome", before, Change(before.version + 1, language, NOON, "user:A", withdrawn), text)
    return templates.heads(["welcome"])["welcome"]


def test_nothing_is_stored_at_first(templates: TemplateStore) -> None:
    assert templates.heads(["welcome", "digest"]) == {"welcome": TemplateHead(), "digest": TemplateHead()}


def test_each_language_has_the_version_that_counts_and_all_are_kept(templates: TemplateStore) -> None:
    add(templates, "fr", ONE)
    add(templates, "es", TWO)
    newest = add(templates, "fr", TWO)

    assert (newest.version, newest.languages) == (3, {"fr": 3, "es": 2})
    assert [(c.version, c.language, c.at, c.by) for c in newest.changes][-1] == (1, "fr", NOON, "user:A")
    assert templates.text("welcome", "fr", 1) == ONE
    assert templates.text("welcome", "fr", 3) == TWO
    assert templates.heads(["digest"])["digest"] == TemplateHead()


def test_withdrawing_ends_it_in_that_language_and_keeps_the_versions(templates: TemplateStore) -> None:
    add(templates, "fr", ONE)
    add(templates, "es", ONE)
    newest = add(templates, "fr", {}, withdrawn=True)

    assert (newest.version, newest.languages) == (3, {"es": 2})
    assert newest.changes[0].withdrawn
    assert templates.text("welcome", "fr", 1) == ONE
    assert add(templates, "fr", TWO).languages == {"es": 2, "fr": 4}


def test_of_two_at_once_one_is_told_and_nothing_of_it_is_stored(templates: TemplateStore) -> None:
    for before in (templates.heads(["welcome"])["welcome"], add(templates, "fr", ONE)):
        add(templates, "fr", TWO)
        with pytest.raises(VersionConflict):
            templates.add("welcome", before, Change(before.version + 1, "es", NOON, "user:B"), ONE)
        assert set(templates.heads(["welcome"])["welcome"].languages) == {"fr"}


def test_only_the_latest_changes_are_listed(templates: TemplateStore) -> None:
    newest = [add(templates, "fr", ONE) for _ in range(22)][-1]
    assert [change.version for change in newest.changes] == list(range(22, 2, -1))
