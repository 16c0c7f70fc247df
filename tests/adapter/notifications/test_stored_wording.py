"""Versions of wordings: all are kept, one counts, and of two at once one is told."""

import pytest

from notifications_service.application.wording_ports import Change, Newest, StoredWording, TemplateChanged
from notifications_service.domain.template_parts import Part, Wording
from tests.support.clock import NOON

pytestmark = pytest.mark.adapter

ONE: Wording = {Part.SMS: {"text": "one {{ title }}"}}
TWO: Wording = {Part.SMS: {"text": "two"}, Part.EMAIL: {"subject": "s", "text": "a\nb", "html": "<p>é</p>"}}


def add(wording: StoredWording, language: str, text: Wording, *, withdrawn: bool = False) -> Newest:
    before = wording.newest(["welcome"])["welcome"]
    wording.add("welcome", before, Change(before.version + 1, language, NOON, "user:A", withdrawn), text)
    return wording.newest(["welcome"])["welcome"]


def test_nothing_is_stored_at_first(wording: StoredWording) -> None:
    assert wording.newest(["welcome", "digest"]) == {"welcome": Newest(), "digest": Newest()}


def test_each_language_has_the_version_that_counts_and_all_are_kept(wording: StoredWording) -> None:
    add(wording, "fr", ONE)
    add(wording, "es", TWO)
    newest = add(wording, "fr", TWO)

    assert (newest.version, newest.languages) == (3, {"fr": 3, "es": 2})
    assert [(c.version, c.language, c.at, c.by) for c in newest.changes][-1] == (1, "fr", NOON, "user:A")
    assert wording.wording("welcome", "fr", 1) == ONE
    assert wording.wording("welcome", "fr", 3) == TWO
    assert wording.newest(["digest"])["digest"] == Newest()


def test_withdrawing_ends_it_in_that_language_and_keeps_the_versions(wording: StoredWording) -> None:
    add(wording, "fr", ONE)
    add(wording, "es", ONE)
    newest = add(wording, "fr", {}, withdrawn=True)

    assert (newest.version, newest.languages) == (3, {"es": 2})
    assert newest.changes[0].withdrawn
    assert wording.wording("welcome", "fr", 1) == ONE
    assert add(wording, "fr", TWO).languages == {"es": 2, "fr": 4}


def test_of_two_at_once_one_is_told_and_nothing_of_it_is_stored(wording: StoredWording) -> None:
    for before in (wording.newest(["welcome"])["welcome"], add(wording, "fr", ONE)):
        add(wording, "fr", TWO)
        with pytest.raises(TemplateChanged):
            wording.add("welcome", before, Change(before.version + 1, "es", NOON, "user:B"), ONE)
        assert set(wording.newest(["welcome"])["welcome"].languages) == {"fr"}


def test_only_the_latest_changes_are_listed(wording: StoredWording) -> None:
    newest = [add(wording, "fr", ONE) for _ in range(22)][-1]
    assert [change.version for change in newest.changes] == list(range(22, 2, -1))
