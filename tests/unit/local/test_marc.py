"""What becomes of MARC21 records: the real sample, and the warts one at a time."""

import hashlib
import re
import unicodedata
from functools import cache
from pathlib import Path
from typing import Any

import pymarc
import pytest
from pymarc import Field, Indicators, Subfield
from stdnum import isbn as isbn_number

from books_service.schemas import NewBook
from localstack.embedded.layout import SAMPLE_BOOKS
from localstack.embedded.marc import BookRequest, UnusableRecord, read_books, to_book
from localstack.embedded.seed import copies_of

pytestmark = pytest.mark.unit


@cache
def sample() -> dict[str, BookRequest]:
    return {record.control_number: record.book for record in read_books(SAMPLE_BOOKS) if record.book is not None}


def record(*fields: tuple[str, list[tuple[str, str]]], fixed: str = "010101s2001    maua") -> pymarc.Record:
    made = pymarc.Record()
    made.add_field(Field(tag="008", data=fixed.ljust(35) + "eng  "))
    for tag, subfields in fields:
        made.add_field(
            Field(tag=tag, indicators=Indicators("1", "0"), subfields=[Subfield(*pair) for pair in subfields])
        )
    return made


TITLE = ("245", [("a", "A title.")])


def test_the_sample_is_the_published_file() -> None:
    digest = hashlib.sha256(SAMPLE_BOOKS.read_bytes()).hexdigest()

    assert digest in (SAMPLE_BOOKS.parent / "README.md").read_text()


def test_every_sample_record_becomes_a_request_within_the_limits() -> None:
    records = list(read_books(SAMPLE_BOOKS))

    assert len(records) == 500
    assert [(item.control_number, item.reason) for item in records if item.reason is not None] == []
    assert [number for number, book in sample().items() if list(_violations(book))] == []
    assert len(sample()) == 500


def test_the_books_service_takes_every_sample_record() -> None:
    for control_number, book in sample().items():
        taken = NewBook.model_validate({**book, "copies": copies_of(control_number)})

        assert taken.title == book["title"]


def _violations(book: BookRequest) -> list[str]:
    texts = {name: value for name, value in book.items() if isinstance(value, str)}
    limits = {"title": 500, "author": 300, "publisher": 200, "edition": 200, "genre": 60, "description": 4000}
    found = [name for name, text in texts.items() if not text or text != unicodedata.normalize("NFC", text).strip()]
    found += [name for name, text in texts.items() if any(unicodedata.category(char) == "Cc" for char in text)]
    found += [name for name, limit in limits.items() if len(texts.get(name, "")) > limit]
    found += [name for name in ("title", "author") if name not in book]
    if "isbn" in book and not isbn_number.is_valid(book["isbn"]):
        found.append("isbn")
    if not re.fullmatch(r"[a-z]{2,3}", book.get("language", "eng")):
        found.append("language")
    subjects = book.get("subjects", [])
    if len(subjects) > 20 or len(set(subjects)) != len(subjects) or any(len(subject) > 200 for subject in subjects):
        found.append("subjects")
    return found


@pytest.mark.parametrize(
    ("control_number", "expected"),
    [
        (
            "00060662",
            {
                "title": "Astrology & your child: a handbook for parents",
                "author": "Star, Gloria",
                "isbn": "1567186491",
                "published_year": 2000,
                "language": "eng",
                "publisher": "Llewellyn Publications",
                "edition": "1st ed.",
                "subjects": ["Astrology and child development"],
                "genre": "Psychology",
            },
        ),
        # The statement of responsibility stands in the subtitle.
        ("00407723", {"author": "Kilper, Heiderose; Pries, Ludger", "language": "ger"}),
        # The title proper ends in a full stop before its subtitle.
        ("01030948", {"author": "Beals, Z. Charles", "published_year": 1901}),
        # A title in two languages.
        ("00560281", {"title": "Chinbojŏk chayujuŭi ŭi kil = a road to the progressive liberalism"}),
        # "1st ed.." as it came.
        ("00503136", {"edition": "1st ed."}),
        # An editor is named as one.
        ("01003214", {"author": "Gessi, Romolo; Gessi, Felix (editor)"}),
    ],
)
def test_known_records(control_number: str, expected: dict[str, Any]) -> None:
    book = sample()[next(number for number in sample() if number.strip() == control_number)]

    assert {name: book.get(name) for name in expected} == expected


def test_punctuation_between_the_parts_of_a_description_is_gone() -> None:
    for book in sample().values():
        for name in ("title", "author", "publisher", "edition"):
            assert not re.search(r"[\s/:;,=]$", book.get(name, "x")), (name, book)
        assert " / " not in book["title"]
        assert ".:" not in book["title"]


@pytest.mark.parametrize(
    ("subfields", "title"),
    [
        ([("a", "Loans :"), ("b", "a study /"), ("c", "by A. Body.")], "Loans: a study"),
        ([("a", "Loans."), ("n", "Part 2,"), ("p", "Returns /"), ("c", "A. Body.")], "Loans. Part 2, Returns"),
        ([("a", "Leihe ="), ("b", "Loans.")], "Leihe = Loans"),
        ([("a", "Loans in the U.S.A.")], "Loans in the U.S.A."),
        ([("a", "Loans, etc.")], "Loans, etc."),
        ([("a", "To be continued ...")], "To be continued ..."),
        ([("a", "Tab\tand\x1b control /")], "Tab and control"),
        ([("a", "Cafe\u0301.")], "Caf\u00e9"),
    ],
)
def test_title(subfields: list[tuple[str, str]], title: str) -> None:
    assert to_book(record(("245", subfields)))["title"] == title


def test_a_long_title_is_cut_between_words() -> None:
    title = to_book(record(("245", [("a", "word " * 200)])))["title"]

    assert len(title) <= 500
    assert title.endswith("word…")


def test_a_record_without_a_title_says_so() -> None:
    with pytest.raises(UnusableRecord, match="no title"):
        to_book(record(("245", [("c", "somebody")])))


@pytest.mark.parametrize(
    ("fields", "author"),
    [
        ([("100", [("a", "Bird, E. C. F."), ("d", "1930-")])], "Bird, E. C. F."),
        ([("100", [("a", "Hilf, Susanne.")])], "Hilf, Susanne"),
        ([("700", [("a", "Poe, E."), ("e", "ed.")])], "Poe, E. (editor)"),
        ([("100", [("a", "A, B.")]), ("700", [("a", "C, D."), ("e", "ill.")])], "A, B."),
        ([("100", [("a", "A, B.")]), ("700", [("a", "C, D."), ("t", "Another work.")])], "A, B."),
        ([("100", [("a", "A, B.")]), ("710", [("a", "A Sponsor.")])], "A, B."),
        ([("710", [("a", "A Collection."), ("5", "DLC")])], "Author not named"),
        ([("110", [("a", "Poland."), ("b", "Sejm.")])], "Poland. Sejm"),
    ],
)
def test_author(fields: list[tuple[str, list[tuple[str, str]]]], author: str) -> None:
    assert to_book(record(TITLE, *fields))["author"] == author


def test_the_title_page_names_the_author_when_no_entry_does() -> None:
    book = to_book(record(("245", [("a", "A title /"), ("c", "by the Parish Council.")])))

    assert book["author"] == "by the Parish Council"


@pytest.mark.parametrize(
    ("numbers", "isbn"),
    [
        (["0-87779-019-0 (pbk.) :"], None),
        (["0764224700 (cloth : alk. paper)"], "0764224700"),
        (["0764224701", "9780764224706"], "9780764224706"),
        (["(pbk.)"], None),
    ],
)
def test_an_isbn_counts_only_when_its_check_digit_is_right(numbers: list[str], isbn: str | None) -> None:
    fields = [("020", [("a", number)]) for number in numbers]

    assert to_book(record(TITLE, *fields)).get("isbn") == isbn


@pytest.mark.parametrize(
    ("fixed", "printed", "year"),
    [
        ("010101s1999", "c2000.", 1999),
        ("010101m19uu9999", "[1987?]", 1987),
        ("010101s    ", "MCMXC", None),
        ("010101m99999999", "9999", None),
    ],
)
def test_year(fixed: str, printed: str, year: int | None) -> None:
    book = to_book(record(TITLE, ("260", [("c", printed)]), fixed=fixed))

    assert book.get("published_year") == year


def test_an_unknown_publisher_is_left_out() -> None:
    assert "publisher" not in to_book(record(TITLE, ("260", [("a", "[S.l. :"), ("b", "s.n.],")])))


def test_subjects_are_headings_with_their_divisions_once_each() -> None:
    heading = [("a", "Libraries"), ("z", "Kenya"), ("x", "History.")]

    book = to_book(record(TITLE, ("650", heading), ("650", heading), ("653", [("a", "Lending"), ("a", "Desks")])))

    assert book["subjects"] == ["Libraries -- Kenya -- History", "Lending", "Desks"]


def test_a_heading_too_long_loses_its_last_divisions() -> None:
    book = to_book(record(TITLE, ("650", [("a", "A" * 150), ("x", "B" * 40), ("x", "C" * 40)])))

    assert book["subjects"] == ["A" * 150 + " -- " + "B" * 40]


@pytest.mark.parametrize(
    ("fields", "genre"),
    [
        ([("655", [("a", "Suspense fiction.")]), ("050", [("a", "QA76")])], "Suspense fiction"),
        ([("050", [("a", "QA76.9")])], "Mathematics and computing"),
        ([("050", [("a", "KJE945")])], "Law"),
        ([("050", [("a", "MLCS 2001/123")])], None),
        ([("050", [("a", "Microfilm 1234")])], None),
    ],
)
def test_genre(fields: list[tuple[str, list[tuple[str, str]]]], genre: str | None) -> None:
    assert to_book(record(TITLE, *fields)).get("genre") == genre


def test_a_damaged_record_is_reported_and_the_next_one_is_read(tmp_path: Path) -> None:
    good = record(TITLE).as_marc()
    damaged = b"00080nam a22000000a 4500" + b"x" * 55 + b"\x1d"
    path = tmp_path / "mixed.mrc"
    path.write_bytes(damaged + good)

    first, second = read_books(path)

    assert first.book is None
    assert first.reason is not None
    assert first.reason.startswith("not MARC21")
    assert second.book is not None
    assert second.book["title"] == "A title"
