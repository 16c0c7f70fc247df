"""Notices in words: built-in templates, fall-back between languages, stored templates and what breaks."""

import time
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from library_common.context import invocation
from notifications_service.adapters.template_renderer import JinjaTemplateRenderer
from notifications_service.application.built_in_templates import LANGUAGES, built_in_text, phrases
from notifications_service.application.ports import Change
from notifications_service.domain import local_formats, text_messages
from notifications_service.domain.kinds import Channel, Kind
from notifications_service.domain.template_data import one_line, several_lines
from notifications_service.domain.templates import (
    FIELDS_OF_PART,
    TEMPLATE_NAMES,
    Part,
    TemplateText,
    fields_of,
    parts_of,
    samples_of,
)
from tests.fakes.notifications import FakeTemplateStore
from tests.support.clock import FixedClock
from tests.support.yardstick import times_slower

pytestmark = pytest.mark.unit

type Notices = list[tuple[Kind, Mapping[str, Any]]]

NAIROBI = ZoneInfo("Africa/Nairobi")


def templates(
    stored: FakeTemplateStore | None = None,
    *,
    language: str = "en",
    clock: FixedClock | None = None,
    zone: ZoneInfo = NAIROBI,
) -> JinjaTemplateRenderer:
    return JinjaTemplateRenderer(
        stored or FakeTemplateStore(),
        library_name="Smart Library",
        default_language=language,
        library_zone=zone,
        monotonic=(clock or FixedClock()).monotonic,
    )


def store(stored: FakeTemplateStore, name: str, language: str, template: TemplateText) -> int:
    """As if it had been checked by rules that were less strict."""
    before = stored.heads([name])[name]
    change = Change(before.version + 1, language, FixedClock().now(), "user:admin", withdrawn=not template)
    stored.add(name, before, change, template)
    return change.version


# -- the built-in templates ------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", TEMPLATE_NAMES)
def test_every_template_is_built_in_whole_and_passes_the_check(name: str, language: str) -> None:
    template = built_in_text(name, language)

    assert template is not None
    assert {part: tuple(text) for part, text in template.items()} == {p: FIELDS_OF_PART[p] for p in parts_of(name)}
    assert templates().check(name, language, template) == []


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", Kind)
def test_a_text_message_is_one_message(kind: Kind, language: str) -> None:
    for month in range(1, 13):
        moments = {field.name: f"2026-{month:02d}-28T12:00:00Z" for field in fields_of(kind) if field.type == "moment"}
        text = templates().render(kind, Channel.SMS, language, {**samples_of(kind), **moments}).text
        assert text_messages.is_gsm(text), text
        assert text_messages.length(text) <= 160


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("channel", Channel)
def test_little_data_is_enough(kind: Kind, channel: Channel, language: str) -> None:
    """Older events say less. Nothing of a template, and no empty place, is left in what members read."""
    rendered = templates().render(kind, channel, language, {"amount": {"amount": "1.00", "currency": "USD"}})

    whole = rendered.subject + rendered.text + (rendered.html or "")
    assert "{" not in whole.replace("{0}", "")
    assert "None" not in whole
    assert "“”" not in whole
    assert "« »" not in whole


@pytest.mark.parametrize(
    ("language", "nobody", "ann"),
    [("en", "Hello there,", "Hello Ann,"), ("fr", "Bonjour à vous,", "Bonjour Ann,"), ("es", "Hola:", "Hola Ann:")],
)
@pytest.mark.parametrize("kind", Kind)
def test_whoever_has_no_name_is_greeted_like_somebody_new(kind: Kind, language: str, nobody: str, ann: str) -> None:
    for name, greeting in (("", nobody), ("Ann", ann)):
        mail = templates().render(kind, Channel.EMAIL, language, {**samples_of(kind), "member_name": name})
        assert mail.text.split("\n")[0] == greeting
        assert f"<p>{greeting}</p>" in (mail.html or "")


def test_an_email_about_a_loan() -> None:
    rendered = templates().render(
        Kind.LOAN_ISSUED,
        Channel.EMAIL,
        "en",
        {"member_name": "Ann Lee", "title": "Kindred", "due_date": "2026-12-05T20:59:59Z"},
    )

    assert rendered.subject == "You borrowed “Kindred”"
    assert rendered.text.startswith("Hello Ann Lee,\n\nYou borrowed Kindred. It is due back on 5 December 2026.")
    assert rendered.html is not None
    assert '<html lang="en">' in rendered.html
    assert "<strong>Kindred</strong>" in rendered.html


@pytest.mark.parametrize(("zone", "day"), [(NAIROBI, "6 December"), (ZoneInfo("UTC"), "5 December")])
def test_days_are_those_of_the_library(zone: ZoneInfo, day: str) -> None:
    data = {"title": "Kindred", "due_date": "2026-12-05T23:59:59Z"}

    assert day in templates(zone=zone).render(Kind.LOAN_ISSUED, Channel.IN_APP, "en", data).text


def test_words_of_the_library_are_in_the_readers_language() -> None:
    text = templates().render(Kind.MEMBERSHIP_CHANGED, Channel.SMS, "fr", {"new": "suspended"}).text
    assert "suspendue" in text
    unknown = templates().render(Kind.MEMBERSHIP_CHANGED, Channel.SMS, "fr", {"new": "honorary"}).text
    assert "honorary" in unknown


# -- hostile data ---------------------------------------------------------------------------------


def test_a_title_cannot_add_headers_or_markup() -> None:
    title = "Kindred\r\nBcc: everybody@example.org\u2028X: y\x00<script>alert(1)</script>{{ 7*7 }}"
    rendered = templates().render(Kind.LOAN_ISSUED, Channel.EMAIL, "en", {"title": title})

    assert (
        rendered.subject == "You borrowed “Kindred Bcc: everybody@example.org X: y<script>alert(1)</script>{{ 7*7 }}”"
    )
    assert rendered.html is not None
    assert "<script>" not in rendered.html
    assert "&lt;script&gt;" in rendered.html
    assert "{{ 7*7 }}" in rendered.html


OVERRIDE, ISOLATE, END = "\u202e", "\u2068", "\u2069"


@pytest.mark.parametrize("channel", Channel)
@pytest.mark.parametrize("sign", [*"\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"])
def test_a_title_does_not_turn_round_what_comes_after_it(sign: str, channel: Channel) -> None:
    data = {"title": f"Kin{sign}dred", "due_date": "2026-12-05T12:00:00Z"}
    rendered = templates().render(Kind.LOAN_ISSUED, channel, "en", data)
    whole = rendered.subject + rendered.text + (rendered.html or "")
    assert sign not in whole
    assert "Kindred" in whole


def test_only_what_is_isolated_properly_may_be_turned_round() -> None:
    assert one_line(f"a {ISOLATE}b{END} c{END} {ISOLATE}d") == f"a {ISOLATE}b{END} c d"
    assert one_line(f"{ISOLATE}{ISOLATE}a{END}b") == f"{ISOLATE}a{END}b"
    assert one_line(f"{ISOLATE}abc{END}", 4) == "abc"
    assert several_lines(f"{ISOLATE}a\nb{END}\n{ISOLATE}c{END}{OVERRIDE}") == f"a\nb\n{ISOLATE}c{END}"


def test_an_announcement_does_not_turn_round_the_mail() -> None:
    data = {"subject": f"{OVERRIDE}Closed", "message": f"We are{OVERRIDE} back{ISOLATE}\nat nine."}
    rendered = templates().render(Kind.ANNOUNCEMENT, Channel.EMAIL, "en", data)
    assert "We are back\nat nine." in rendered.text
    assert not {OVERRIDE, ISOLATE} & {*rendered.subject, *rendered.text, *(rendered.html or "")}


ENDLESS = ["1e999999999", "-1e999999999", "1E-999999999", "9" * 100_000, Decimal("1e999999999"), "NaN", "sNaN"]


@pytest.mark.parametrize("amount", ENDLESS, ids=lambda amount: str(amount)[:12])
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("channel", Channel)
def test_what_is_stored_as_an_amount_is_never_written_out(channel: Channel, language: str, amount: Any) -> None:
    """From before anybody looked. A number of that many digits would fill the memory."""
    odd = {"amount": amount, "currency": "USD" * 200}
    began = time.process_time()
    alone = templates().render(Kind.FINE_CHARGED, channel, language, {"amount": odd})
    several: Notices = [(Kind.FINE_CHARGED, {"amount": odd}), (Kind.WELCOME, {})]
    together = templates().render_many(several, channel, language)

    assert time.process_time() - began < 2
    assert max(map(len, (alone.subject, alone.text, together.subject, together.text))) < 2000


@pytest.mark.parametrize(
    ("amount", "written"),
    [("2.5", "USD 2.50"), ("-3", "USD -3.00"), ("1e2", "USD 1e2"), ("", "USD"), (Decimal("2.5"), "USD 2.50")],
)
def test_amounts_are_written_with_cents_and_what_is_none_as_it_stands(amount: Any, written: str) -> None:
    assert local_formats.written_money({"amount": amount, "currency": "USD"}, "en") == written


@given(st.text(max_size=700), st.sampled_from(Kind), st.sampled_from(Channel))
def test_whatever_the_data_there_is_one_line_and_no_markup(text: str, kind: Kind, channel: Channel) -> None:
    data: dict[str, Any] = {
        field.name: {"amount": text, "currency": text} if field.type == "money" else text for field in fields_of(kind)
    }
    rendered = templates().render(kind, channel, text, data)

    assert len(rendered.subject.splitlines()) <= 1
    plain = templates().render(kind, channel, text, samples_of(kind))
    if rendered.html is not None and plain.html is not None:
        assert rendered.html.count("<") <= plain.html.count("<") + 8  # tags around optional fields only
        assert "<script" not in rendered.html
    if channel is Channel.SMS:
        assert len(rendered.text.splitlines()) <= 1


@pytest.mark.parametrize("title", ["A" * 500, "Ünder " * 60, "\\[]{}^~|€" * 30])
def test_a_long_title_is_cut_in_a_text_message(title: str) -> None:
    text = (
        templates()
        .render(Kind.LOAN_DUE_SOON, Channel.SMS, "en", {"title": title, "due_date": "2026-12-05T12:00:00Z"})
        .text
    )
    assert text_messages.length(text) <= 160
    assert "5 December 2026" in text
    assert title[:5] in text


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("subject", ["Closed on Friday", "S" * 200])
@pytest.mark.parametrize("message", ["We paint.\n\nBack on Saturday.", "Line…\n" * 300, "€[]" * 600, "&<>" * 600])
def test_an_announcement_by_text_message_says_what_and_how_it_begins(language: str, subject: str, message: str) -> None:
    data = {"subject": subject, "message": message}

    text = templates().render(Kind.ANNOUNCEMENT, Channel.SMS, language, data).text

    assert text_messages.length(text) <= 160
    assert text.startswith(f"Smart Library: {subject[:12]}")
    assert f" - {text_messages.simpler(message)[:5]}" in text
    if len(subject + message) < 100:
        assert text == f"Smart Library: {subject} - We paint. Back on Saturday."


@pytest.mark.parametrize("name", TEMPLATE_NAMES)
def test_spanish_text_messages_do_without_letters_that_they_lack(name: str) -> None:
    """Leaving out some accents and keeping others reads like mistakes."""
    template = built_in_text(name, "es")
    assert template is not None
    written = [template[Part.SMS]["text"], *([template[Part.MANY]["heading"]] if Part.MANY in template else [])]
    assert [text for text in written if not text_messages.is_gsm(text)] == []
    words = phrases("es")["words"].values()
    assert [word for word in words if not text_messages.is_gsm(word)] == []


OTHER_ALPHABETS = ["红楼梦" * 40, "Война и мир " * 20, "📚🦉" * 30]


@pytest.mark.parametrize("title", OTHER_ALPHABETS)
def test_a_title_of_another_alphabet_is_cut_to_what_one_message_holds_of_it(title: str) -> None:
    text = templates().render(Kind.HOLD_READY, Channel.SMS, "en", {"title": title}).text
    assert title[:5] in text
    assert len(text.encode("utf-16-le")) <= 140
    assert text.endswith("is ready for you.")


@pytest.mark.parametrize("title", [*OTHER_ALPHABETS, "红楼梦", "📚"])
def test_what_matters_more_than_a_title_is_told_in_one_message(title: str) -> None:
    data = {"title": title, "due_date": "2026-12-05T12:00:00Z"}
    text = templates().render(Kind.LOAN_DUE_SOON, Channel.SMS, "en", data).text
    assert text == 'Smart Library: "your item" is due on 5 December 2026. You may be able to renew it.'


@pytest.mark.parametrize("sign", ["红", "Ж", "🦉", "a", "€"])
@pytest.mark.parametrize("kind", [Kind.ANNOUNCEMENT, Kind.ROLE_CHANGED, Kind.FINE_PAID])
def test_nothing_makes_two_messages_of_one(kind: Kind, sign: str) -> None:
    data = {field.name: sign * 500 for field in fields_of(kind) if field.type in {"text", "word", "prose"}}
    stored = FakeTemplateStore()
    store(
        stored, kind, "en", {Part.SMS: {"text": "{{ library_name }} " + "".join(f"{{{{ {name} }}}} " for name in data)}}
    )
    for source in (FakeTemplateStore(), stored):
        text = templates(source).render(kind, Channel.SMS, "en", data).text
        assert text_messages.over(text) <= 0


@pytest.mark.parametrize(
    ("text", "length", "room"),
    [
        ("a" * 161, 161, 160),
        ("€uro", 5, 160),
        ("Война", 5, 70),
        ("红楼梦", 3, 70),
        ("🦉 owl", 6, 70),
        ("👩‍🚀", 5, 70),
        ("€ Ж", 3, 70),
    ],
)
def test_how_long_a_text_message_is(text: str, length: int, room: int) -> None:
    assert (text_messages.length(text), text_messages.room(text)) == (length, room)


@pytest.mark.parametrize("sign", ["Ж", "红"])
def test_a_template_of_another_alphabet_has_less_room(sign: str) -> None:
    def check(length: int) -> list[tuple[str, str]]:
        return templates().check("welcome", "uk", {Part.SMS: {"text": sign * length}})

    assert (check(70), check(71)) == ([], [("sms.text", "is longer than 70 characters")])
    assert templates().check("welcome", "uk", {Part.SMS: {"text": "🦉" * 36}}) != []


def test_accents_a_text_message_does_not_have_are_left_out_and_other_alphabets_kept() -> None:
    assert text_messages.simpler("Está “aquí”…") == 'Esta "aqui"...'
    assert text_messages.simpler("déjà ñ") == "déjà ñ"
    assert text_messages.simpler("\u2068Dune\u2069") == "Dune"
    assert text_messages.simpler("Мастер и Маргарита, está") == "Мастер и Маргарита, está"


# -- several notices in one message ---------------------------------------------------------------


def test_one_visit_is_one_message() -> None:
    loans: Notices = [
        (Kind.LOAN_ISSUED, {"title": title, "member_name": "Ann"}) for title in ("Kindred", "Dawn", "<i>Wild</i>")
    ]
    email = templates().render_many(loans, Channel.EMAIL, "en")
    sms = templates().render_many(loans, Channel.SMS, "en")
    french = templates().render_many(loans, Channel.PUSH, "fr")

    assert email.subject == "You borrowed 3 items"
    assert "Hello Ann," in email.text
    assert "- Kindred\n- Dawn\n- <i>Wild</i>" in email.text
    assert email.html is not None
    assert "<li>&lt;i&gt;Wild&lt;/i&gt;</li>" in email.html
    assert sms.text == "Smart Library: You borrowed 3 items. Details are in your account."
    assert (french.subject, french.text) == ("Vous avez emprunté 3 documents", "Kindred; Dawn; <i>Wild</i>")


def test_several_kinds_are_told_by_kind() -> None:
    notices: Notices = [
        (Kind.LOAN_ISSUED, {"title": "Kindred"}),
        (Kind.FINE_PAID, {"amount": {"amount": "2.00", "currency": "KES"}}),
        (Kind.LOAN_ISSUED, {"title": "Dawn"}),
    ]
    email = templates().render_many(notices, Channel.EMAIL, "en")

    assert email.subject == "Smart Library: 3 messages for you"
    assert "You borrowed 2 items\n- Kindred\n- Dawn\n\nWe received a payment\n- KES 2.00" in email.text


def test_a_single_notice_is_no_digest() -> None:
    data = samples_of(Kind.HOLD_READY)
    one = templates().render_many([(Kind.HOLD_READY, data)], Channel.EMAIL, "en")
    assert one == templates().render(Kind.HOLD_READY, Channel.EMAIL, "en", data)


@pytest.mark.parametrize("title", ["Kindred", "战争与和平" * 100, "&" * 500])
def test_a_digest_of_very_many_says_how_many_more(title: str) -> None:
    notices: Notices = [(Kind.LOAN_RETURNED, {"title": title}) for _ in range(400)]
    email = templates().render_many(notices, Channel.EMAIL, "en")
    sms = templates().render_many(notices, Channel.SMS, "en")

    assert email.subject == "You returned 400 items"
    told = email.text.count("\n- ") - 1
    assert 1 <= told < 50
    assert f"\n- and {400 - told} more\n" in email.text
    assert text_messages.length(sms.text) <= 160


# -- languages ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "default", "wanted"),
    [
        ("fr-CA", "en", "Vous"),
        ("fr", "en", "Vous"),
        ("FR-ca", "en", "Vous"),
        ("de-AT", "es", "Te has"),
        (None, "es", "Te has"),
        ("de", "sw", "You"),
        ("not a language", "en", "You"),
        ("../../etc", "en", "You"),
    ],
)
def test_the_nearest_language(asked: str | None, default: str, wanted: str) -> None:
    rendered = templates(language=default).render(Kind.LOAN_ISSUED, Channel.EMAIL, asked, {"title": "Kindred"})
    assert rendered.subject.startswith(wanted)


def test_fall_back_is_by_part_and_a_stored_region_comes_first() -> None:
    stored = FakeTemplateStore()
    store(stored, "loan_issued", "fr-CA", {Part.SMS: {"text": "Emprunté : {{ title }}"}})
    render = templates(stored).render

    assert render(Kind.LOAN_ISSUED, Channel.SMS, "fr-CA", {"title": "Kindred"}).text == "Emprunté : Kindred"
    assert "vous avez emprunté" in render(Kind.LOAN_ISSUED, Channel.SMS, "fr", {"title": "Kindred"}).text
    assert render(Kind.LOAN_ISSUED, Channel.EMAIL, "fr-CA", {"title": "Kindred"}).subject.startswith("Vous")


# -- stored templates ------------------------------------------------------------------------------


def test_a_stored_template_counts_within_a_minute_and_so_does_its_end() -> None:
    stored, clock = FakeTemplateStore(), FixedClock()
    using = templates(stored, clock=clock)

    def heading() -> str:
        return using.render(Kind.WELCOME, Channel.IN_APP, "en", {}).subject

    assert heading() == "Welcome to Smart Library"
    store(stored, "welcome", "en", {Part.SHORT: {"heading": "Karibu!", "text": "x"}})
    clock.advance(timedelta(seconds=60))
    assert heading() == "Karibu!"
    store(stored, "welcome", "en", {})
    clock.advance(timedelta(seconds=60))
    assert heading() == "Welcome to Smart Library"


def test_what_is_stored_is_looked_up_once_a_minute() -> None:
    stored, clock = FakeTemplateStore(), FixedClock()
    using = templates(stored, clock=clock)
    for kind in Kind:
        using.render(kind, Channel.EMAIL, "en", samples_of(kind))
    assert stored.asked == 1


@pytest.mark.parametrize(
    "broken", ["{{ title.upper() }}", "{{ gone }}", "{{ title", "{% for c in title %}x{% endfor %}", "{{ title.x }}"]
)
def test_a_stored_template_that_breaks_gives_channel_to_the_built_in_one(
    broken: str, caplog: pytest.LogCaptureFixture
) -> None:
    stored = FakeTemplateStore()
    version = store(stored, "loan_issued", "fr", {Part.SHORT: {"heading": broken, "text": "x"}})

    with invocation() as running:
        rendered = templates(stored).render(Kind.LOAN_ISSUED, Channel.IN_APP, "fr", {"title": "Secret Diary"})

    assert rendered.subject == "Vous avez emprunté « Secret Diary »"
    assert running.counts == {"StoredTemplateFailed template=loan_issued": 1}
    told = vars(caplog.records[-1])
    assert (told["template"], told["language"], told["version"]) == ("loan_issued", "fr", version)
    assert "Secret Diary" not in str(told)


def test_a_stored_digest_that_burns_time_gives_channel_to_the_built_in_one() -> None:
    work = "{% for g in groups %}{% for h in groups %}{% if " + "==".join(
        ["groups | join('" + "x" * 60 + "') | title"] * 90
    )
    burning = work + " %}{% endif %}{% endfor %}{% endfor %}"
    stored = FakeTemplateStore()
    version = store(stored, "digest", "en", {Part.EMAIL: {"subject": "x", "text": burning + "."}})
    assert templates().check("digest", "en", stored.text("digest", "en", version)) == []
    notices: Notices = [(kind, samples_of(kind)) for kind in Kind for _ in range(3)]

    started = time.process_time()
    email = templates(stored).render_many(notices, Channel.EMAIL, "en")

    assert time.process_time() - started < times_slower()
    assert email.subject == f"Smart Library: {len(notices)} messages for you"
