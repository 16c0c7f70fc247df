"""What a template can do: next to nothing. Known ways out of template sandboxes are refused or stay text."""

import time
from datetime import UTC
from typing import Any

import pytest

from notifications_service.adapters.template_sandbox import RenderingFailed, Sandbox, SourceRefused
from tests.support.yardstick import times_slower

pytestmark = pytest.mark.unit

NAMES = frozenset({"title", "due_date", "amount", "groups", "count"})
DATA: dict[str, Any] = {
    "title": "The Left Hand of Darkness",
    "due_date": "2026-12-05T20:59:59Z",
    "amount": {"amount": "2.5", "currency": "USD"},
    "groups": [{"heading": "Loans", "lines": ["one", "two"]}, {"heading": "Holds", "lines": ["three"]}],
    "count": 2,
}


def shown(source: str, *, html: bool = False, language: str = "en", **data: Any) -> str:
    template = Sandbox(html=html).compiled(source, NAMES)
    return template.render({**DATA, **data}, language=language, zone=UTC)


# -- what it can do -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("{{ title }}", "The Left Hand of Darkness"),
        ("{{ title | upper }}", "THE LEFT HAND OF DARKNESS"),
        ("{{ title | lower | capitalize | trim }}", "The left hand of darkness"),
        ("{{ '' | default('nothing', true) }}", "nothing"),
        ("{{ due_date | date }}, {{ due_date | time }}", "5 December 2026, 20:59"),
        ("{{ amount | money }}", "USD 2.50"),
        ("{{ amount.currency }} {{ amount['amount'] }}", "USD 2.5"),
        ("{% if count == 1 %}one{% elif count > 1 and not count >= 3 %}two{% else %}many{% endif %}", "two"),
        ("{{ 'several' if count > 1 else 'one' }}", "several"),
        (
            "{% for g in groups %}{{ loop.index }}. {{ g.heading }}: {{ g.lines | join(', ') }}; {% endfor %}",
            "1. Loans: one, two; 2. Holds: three; ",
        ),
        ("{% for g in groups if g.heading == 'Holds' %}{{ g.lines | length }}{% else %}none{% endfor %}", "1"),
        ("{% if 'Hand' in title %}yes{% endif %}", "yes"),
        ("{# a remark #}{% raw %}{{ 7 }}{% endraw %}", "{{ 7 }}"),
    ],
)
def test_what_templates_are_for(source: str, wanted: str) -> None:
    assert shown(source) == wanted


@pytest.mark.parametrize(
    ("language", "date", "time", "money"),
    [
        ("en", "1 December 2026", "09:05", "USD 2.50"),
        ("fr-CA", "1er décembre 2026", "09 h 05", "2,50 USD"),
        ("es", "1 de diciembre de 2026", "09:05", "2,50 USD"),
        ("sw", "2026-12-01", "09:05", "USD 2.50"),
    ],
)
def test_dates_and_money_in_the_readers_language(language: str, date: str, time: str, money: str) -> None:
    source = "{{ due_date | date }}|{{ due_date | time }}|{{ amount | money }}"
    assert shown(source, language=language, due_date="2026-12-01T09:05:00Z") == f"{date}|{time}|{money}"


def test_what_is_no_date_stays_what_it_is() -> None:
    assert shown("{{ due_date | date }}", due_date="soon") == "soon"
    assert shown("{{ due_date | date }}", due_date="") == ""


# -- what data cannot do --------------------------------------------------------------------------

HOSTILE_DATA = [
    "{{ 7*7 }}",
    "{% for x in range(9) %}{% endfor %}",
    "{% include '/etc/passwd' %}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{# gone #}",
    "${7*7} #{7*7} <%= 7*7 %>",
    "%(title)s {title} {0.__class__}",
]


@pytest.mark.parametrize("data", HOSTILE_DATA)
def test_braces_in_data_are_braces(data: str) -> None:
    assert shown("{{ title }}", title=data) == data
    assert shown("{% for g in groups %}{{ g.heading }}{% endfor %}", groups=[{"heading": data, "lines": []}]) == data


@pytest.mark.parametrize("source", ["{{ title }}", "{{ title | title }}", "{{ title | default('x') | trim }}"])
def test_markup_in_data_is_text(source: str) -> None:
    out = shown(source, html=True, title="<script>alert(1)</script><img src=x onerror=alert(1)> \"'&")
    assert not set("<>\"'") & set(out)
    assert shown("{{ title | escape }}", html=True, title="<b>") == "&lt;b&gt;"


# -- what stored templates cannot do --------------------------------------------------------------

ESCAPES = [
    # Python from a string.
    "{{ ''.__class__ }}",
    "{{ ''['__class__'] }}",
    "{{ title['__cl' 'ass__'] }}",
    "{{ title|attr('__class__') }}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ ''.__class__.__base__.__subclasses__()[59]('/etc/passwd').read() }}",
    "{{ title['\\x5f\\x5fclass\\x5f\\x5f'] }}",
    "{{ (title|list)[0] }}",
    "{{ title.format(title) }}",
    "{{ '{0.__class__}'.format(title) }}",
    "{{ '%s' % title }}",
    "{{ title.format_map(groups) }}",
    "{{ groups.append(1) }}",
    # Jinja's own things.
    "{{ self }}",
    "{{ self.__init__.__globals__ }}",
    "{{ self._TemplateReference__context.cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ joiner.__init__.__globals__ }}",
    "{{ namespace.__init__.__globals__.os }}",
    "{{ lipsum.__globals__['os'].popen('id').read() }}",
    "{{ lipsum() }}",
    "{{ range(10) }}",
    "{{ dict(a=1) }}",
    "{{ config }}",
    "{{ request.application.__globals__ }}",
    "{{ url_for.__globals__ }}",
    "{{ get_flashed_messages }}",
    "{{ caller() }}",
    "{{ varargs }}",
    "{{ environment }}",
    "{{ context }}",
    "{{ loop }}",
    "{{ True.real }}{{ undefined_name }}",
    # Statements beyond if and for.
    "{% set x = title %}",
    "{% set x %}text{% endset %}",
    "{% macro m() %}{% endmacro %}",
    "{% call m() %}{% endcall %}",
    "{% include 'x' %}",
    "{% import 'x' as x %}",
    "{% from 'x' import y %}",
    "{% extends 'x' %}",
    "{% block b %}{% endblock %}",
    "{% with a = title %}{{ a }}{% endwith %}",
    "{% filter upper %}x{% endfilter %}",
    "{% autoescape false %}{{ title }}{% endautoescape %}",
    "{% do title %}",
    "{% trans %}x{% endtrans %}",
    "{% debug %}",
    "{% for a in groups recursive %}{{ loop(a) }}{% endfor %}",
    "{% for a, b in groups %}{% endfor %}",
    "{% for loop in groups %}{% endfor %}",
    "{% for __builtins__ in groups %}{% endfor %}",
    "{% for x in [1, 2] %}{% endfor %}",
    "{% for x in title|upper %}{% endfor %}",
    "{% for x in (groups if count else groups) %}{% endfor %}",
    "{% for a in groups %}{% for b in a.lines %}{% for c in groups %}{% endfor %}{% endfor %}{% endfor %}",
    "{% for a in groups %}{% set x = a %}{% endfor %}",
    "{% for a in groups %}{% endfor %}{{ a }}",
    # Work without end.
    "{{ 'x' * 1000000000 }}",
    "{{ 2 ** 999999999 }}",
    "{{ title ~ title }}",
    "{{ 1 + 1 }}",
    "{{ -count }}",
    "{{ title[0:1] }}",
    "{{ title[0] }}",
    "{{ title[title] }}",
    "{{ [title] }}",
    "{{ (title, title) }}",
    "{{ {'a': title} }}",
    "{{ 1.5 }}",
    # Filters that are not on the list, or with what they do not take.
    "{{ title | safe }}",
    "{{ groups | map(attribute='__class__') }}",
    "{{ groups | sort(attribute='x') }}",
    "{{ title | replace('a', 'b') }}",
    "{{ title | format(1) }}",
    "{{ groups | tojson }}",
    "{{ groups | list }}",
    "{{ groups | random }}",
    "{{ title | center(100000000) }}",
    "{{ groups | join(attribute='__class__') }}",
    "{{ groups | join(', ', '__class__') }}",
    "{{ title | default(*groups) }}",
    "{{ title | default(**amount) }}",
    "{{ title | default(title.x) }}",
    "{{ title is defined }}",
    "{{ title is callable }}",
    # Not a template.
    "{{ title",
    "{% if title %}",
    "{% endfor %}",
    "{{ title }",
    "{{ }}",
    "{% %}",
    "{{ title | }}",
    "{{ " + "(" * 4000 + "title" + ")" * 4000 + " }}",
    "{{ " + "not " * 2000 + "title }}",
    "{{ title" + " | upper" * 1000 + " }}",
    "{{ title" + " | upper" * 6 + " }}",
    "{% if title | upper | upper | upper | upper | upper | upper %}x{% endif %}",
    "{% if " + "title and " * 900 + "title %}{% endif %}",
    "{{ " + "9" * 9000 + " }}",
    "{% if count %}" * 300 + "{% endif %}" * 300,
    "x" * 10_241,
    "é" * 5_121,
]


@pytest.mark.parametrize("source", ESCAPES, ids=lambda source: source[:60])
@pytest.mark.parametrize("html", [False, True])
def test_is_refused(source: str, html: bool) -> None:
    with pytest.raises(SourceRefused):
        Sandbox(html=html).compiled(source, NAMES)


def test_a_refusal_says_where() -> None:
    with pytest.raises(SourceRefused, match=r"^line 3: a call is not allowed here$"):
        Sandbox(html=False).compiled("{{ title }}\n\n{{ title.upper() }}", NAMES)
    with pytest.raises(SourceRefused, match=r"^line 2: there is no 'author' in this template$"):
        Sandbox(html=False).compiled("{{ title }}\n{{ author }}", NAMES)


@pytest.mark.parametrize(
    ("source", "data"),
    [
        ("{{ title.upper }}", {}),
        ("{{ title['upper'] }}", {}),
        ("{{ groups.append }}", {}),
        ("{{ amount.items }}", {}),
        ("{{ amount.keys }}", {}),
        ("{% for g in groups %}{{ loop.cycle }}{% endfor %}", {}),
        ("{% for g in groups %}{{ loop.changed }}{% endfor %}", {}),
        ("{% for letter in title %}x{% endfor %}", {}),
        ("{% for name in amount %}x{% endfor %}", {}),
        ("{% for g in groups %}{% for x in g.heading %}x{% endfor %}{% endfor %}", {}),
        ("{% for g in groups %}x{% endfor %}", {"groups": [{}] * 51}),
        ("{{ title | join(title) | join(title) }}", {"title": "x" * 2000}),
        ("{{ title | join(', ') }}", {}),
        ("{% for g in groups %}{% for h in groups %}{{ title }}{% endfor %}{% endfor %}", {"groups": [{}] * 50}),
        ("{{ title }}", {"title": "é" * 10_241}),
        ("{% if count > title %}x{% endif %}", {}),
    ],
)
def test_fails_when_it_runs(source: str, data: dict[str, Any]) -> None:
    """It gets past the check, and then finds nothing but dictionaries, short loops and little room."""
    template = Sandbox(html=False).compiled(source, NAMES)
    with pytest.raises(RenderingFailed):
        template.render({**DATA, **data}, language="en", zone=UTC)


GLUE = "x" * 9000
LOOPS = "{% for g in groups %}{% for h in groups %}{% if BODY %}x{% endif %}{% endfor %}{% endfor %}"


@pytest.mark.parametrize(
    "source",
    [
        # What comes of it is thrown away, so no bound on output stops it.
        LOOPS.replace("BODY", f"groups | join('{GLUE}') | title | title | title | title == 'x'"),
        LOOPS.replace("BODY", " or ".join(["message | title | title | title | title | title == 'x'"] * 30)),
        LOOPS.replace("BODY", "==".join(["g.a"] * 2000)),
        LOOPS.replace("BODY", "==".join(["'' | d(message) | title"] * 350)),
        LOOPS.replace("BODY", " or ".join(["message | escape | title == 'x'"] * 30)),
        LOOPS.replace("BODY", "==".join(["groups | join | length"] * 400)),
        "{% if " + "==".join(["message | title | title | title | title | title"] * 190) + " %}x{% endif %}",
        "{% for g in groups %}{% if " + "==".join(["amount | money"] * 600) + " %}x{% endif %}{% endfor %}",
        "{% for g in groups %}{% for l in g.lines %}{% if "
        + "==".join(["l|date"] * 1200)
        + " %}x{% endif %}{% endfor %}"
        "{% endfor %}",
    ],
    ids=lambda source: source[:100],
)
@pytest.mark.parametrize("html", [False, True])
def test_work_that_nobody_sees_ends_soon(source: str, html: bool) -> None:
    data = {
        **DATA,
        "groups": [{"heading": "h", "lines": ["2026-12-05T20:59:59Z"] * 50, "a": "b"}] * 50,
        "message": "word " * 400,
    }
    template = Sandbox(html=html).compiled(source, NAMES | {"message"})
    started = time.process_time()
    with pytest.raises(RenderingFailed):
        template.render(data, language="en", zone=UTC)
    assert time.process_time() - started < times_slower()


def test_a_full_digest_is_not_too_much_work() -> None:
    source = (
        "{% for g in groups %}<h2>{{ loop.index }}: {{ g.heading | trim | upper }}</h2>{% for l in g.lines %}"
        "{% if l %}<li class='{% if loop.first %}first{% else %}next{% endif %}'>{{ l | trim | capitalize }}</li>"
        "{% endif %}{% endfor %}{% endfor %}"
    )
    groups = [{"heading": "x" * 60, "lines": ["y" * 90] * 4} for _ in range(17)]
    assert shown(source, html=True, groups=groups).count("<li") == 68


def test_no_template_changes_its_data() -> None:
    before = repr(DATA)
    shown("{% for g in groups %}{{ g.lines | join }}{{ amount | money }}{% endfor %}")
    assert repr(DATA) == before
