"""What a MARC21 bibliographic record becomes as a title of this library's catalogue.

Field numbers are those of the MARC21 bibliographic format; the punctuation taken away is that of
ISBD, which catalogue cards carried between the parts of a description.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pymarc
from stdnum import isbn as isbn_number

type BookRequest = dict[str, Any]
"""The body of POST /api/books, without ``copies``."""

_TITLE_LIMIT = 500
_AUTHOR_LIMIT = 300
_SUBJECT_LIMIT = 200
_SUBJECTS_LIMIT = 20
_DESCRIPTION_LIMIT = 4000
_NAME_LIMIT = 200
_GENRE_LIMIT = 60
_AUTHORS_NAMED = 4

# ISO 639-2 codes that name no language: "undetermined", "no linguistic content", and blanks.
_NO_LANGUAGE = {"und", "zxx", "|||"}

# Ends of text where a full stop belongs to the word.
_ABBREVIATIONS = {
    "assoc", "aufl", "b.c", "bros", "co", "corp", "dept", "dr", "ed", "eds", "esq", "etc", "fl", "inc",
    "jr", "ltd", "mrs", "no", "ph.d", "pt", "rev", "sr", "st", "ste", "vol",
}  # fmt: skip

# Added entries are named as authors unless the relator says that they made something else.
_NOT_AUTHORS = ("former owner", "publisher", "ill", "tr", "printer", "book", "engr", "donor", "recipient")
_EDITORS = ("ed", "comp", "editor", "compiler")

# Library of Congress Classification: the longest matching letters win.
_CLASS_GENRES = {
    "A": "General works",
    "B": "Philosophy",
    "BF": "Psychology",
    "BL": "Religion",
    "BM": "Religion",
    "BP": "Religion",
    "BQ": "Religion",
    "BR": "Religion",
    "BS": "Religion",
    "BT": "Religion",
    "BV": "Religion",
    "BX": "Religion",
    "C": "History",
    "CS": "Genealogy",
    "CT": "Biography",
    "D": "History",
    "E": "History",
    "F": "History",
    "G": "Geography",
    "GN": "Anthropology",
    "GR": "Folklore",
    "GV": "Sports and recreation",
    "H": "Social sciences",
    "HB": "Economics",
    "HC": "Economics",
    "HD": "Economics",
    "HE": "Economics",
    "HF": "Business",
    "HG": "Finance",
    "HJ": "Finance",
    "J": "Politics",
    "K": "Law",
    "L": "Education",
    "M": "Music",
    "N": "Art",
    "NA": "Architecture",
    "P": "Language and linguistics",
    "PA": "Classics",
    "PG": "Slavic literature",
    "PJ": "Middle Eastern literature",
    "PK": "Indo-Iranian literature",
    "PL": "Asian and African literature",
    "PN": "Literature",
    "PQ": "Romance literature",
    "PR": "English literature",
    "PS": "American literature",
    "PT": "Germanic literature",
    "PZ": "Fiction",
    "Q": "Science",
    "QA": "Mathematics and computing",
    "QB": "Astronomy",
    "QC": "Physics",
    "QD": "Chemistry",
    "QE": "Geology",
    "QH": "Biology",
    "QK": "Botany",
    "QL": "Zoology",
    "QM": "Biology",
    "QP": "Biology",
    "QR": "Biology",
    "R": "Medicine",
    "S": "Agriculture",
    "T": "Technology",
    "TR": "Photography",
    "TT": "Crafts",
    "TX": "Home economics",
    "U": "Military science",
    "V": "Naval science",
    "Z": "Books and libraries",
}


class UnusableRecord(Exception):
    """The record gives no valid request; the message says why."""


@dataclass(frozen=True, slots=True)
class Mapped:
    """One record of a file. Exactly one of ``book`` and ``reason`` is there.

    control_number: the record's own number (001), or its place in the file when it has none.
    """

    control_number: str
    book: BookRequest | None
    reason: str | None


def read_books(path: Path) -> Iterator[Mapped]:
    """Every record of a MARC21 file in its order, mapped or with the reason why it cannot be."""
    with path.open("rb") as file:
        reader = pymarc.MARCReader(file, to_unicode=True, force_utf8=True)
        for position, record in enumerate(reader, start=1):
            if record is None:
                yield Mapped(f"record {position}", None, f"not MARC21: {reader.current_exception}")
                continue
            control = record.get_fields("001")
            number = (control[0].data or "").strip() if control else ""
            try:
                yield Mapped(number or f"record {position}", to_book(record), None)
            except UnusableRecord as error:
                yield Mapped(number or f"record {position}", None, str(error))


def to_book(record: pymarc.Record) -> BookRequest:
    """The request for one record; what the record does not say is left out.

    Raises UnusableRecord when it has no title.
    """
    found: dict[str, object] = {
        "title": _title(record),
        "author": _author(record),
        "isbn": _isbn(record),
        "published_year": _year(record),
        "language": _language(record),
        "publisher": _publisher(record),
        "edition": _edition(record),
        "subjects": _subjects(record),
        "genre": _genre(record),
        "description": _description(record),
    }
    return {name: value for name, value in found.items() if value not in (None, "", [])}


def _title(record: pymarc.Record) -> str:
    for field in record.get_fields("245"):
        text = ""
        # In the record's order: $n and $p name a part and may stand before or after the subtitle.
        for code, value in _subfields(field, "abnp"):
            if code == "b" and text and not text.endswith("="):
                text = f"{_without_final_stop(_trim(text, ' /:;,'))}: {value}"
            else:
                text = f"{text} {value}".lstrip()
        if not field.get_subfields("c"):
            # The statement of responsibility, typed into the subtitle.
            text = text.split(" / ")[0]
        title = _without_final_stop(_trim(text, " /:;,="))
        if title:
            return _shorten(title, _TITLE_LIMIT)
    raise UnusableRecord("it has no title (245)")


def _author(record: pymarc.Record) -> str:
    """The main entry and further authors, in the catalogue's form "Surname, Forename"; the title page's
    statement of responsibility when no name is traced."""
    names: dict[str, None] = {}
    for tag in ("100", "110", "111", "700", "710", "711"):
        for field in record.get_fields(tag):
            if tag.startswith("7") and not _is_further_author(field, already_named=bool(names)):
                continue
            name = _name(field)
            if name:
                names.setdefault(name)
    author = ""
    for name in list(names)[:_AUTHORS_NAMED]:
        joined = f"{author}; {name}" if author else name
        if len(joined) > _AUTHOR_LIMIT:
            break
        author = joined
    if not author:
        statements = (
            _trim(value, " /:;,") for field in record.get_fields("245") for _, value in _subfields(field, "c")
        )
        author = _shorten(_without_final_stop(next(statements, "")), _AUTHOR_LIMIT)
    return author or "Author not named"


def _is_further_author(field: pymarc.Field, *, already_named: bool) -> bool:
    # $t makes the entry a work, $5 ties it to one library's copy.
    if field.get_subfields("t", "5"):
        return False
    # A body is the author only of what has no other: else it is a sponsor or a series.
    if field.tag != "700" and already_named:
        return False
    relators = [_trim(value, " .,").lower() for _, value in _subfields(field, "e")]
    return not any(relator.startswith(_NOT_AUTHORS) for relator in relators)


def _name(field: pymarc.Field) -> str:
    # $b numbers a king or names a body's department; $c ("Mrs.", "of Assisi") and dates are left out.
    parts = [_without_final_stop(_trim(value, " ,;")) for _, value in _subfields(field, "ab")]
    name = " ".join(parts) if field.tag.endswith("00") else ". ".join(parts)
    relators = [_trim(value, " .,").lower() for _, value in _subfields(field, "e")]
    if name and any(relator in _EDITORS for relator in relators):
        name += " (editor)"
    return name


def _isbn(record: pymarc.Record) -> str | None:
    for field in record.get_fields("020"):
        for _, value in _subfields(field, "a"):
            number = isbn_number.compact(value.split("(")[0].split()[0]) if value.split("(")[0].split() else ""
            if len(number) == 9:
                number = "0" + number  # an SBN, from before 1970
            # Printed wrongly now and then; a number whose check digit does not fit identifies nothing. 979-0 is music.
            if isbn_number.is_valid(number) and not number.startswith("9790"):
                return str(number)
    return None


def _year(record: pymarc.Record) -> int | None:
    this_year = datetime.now(UTC).year
    fixed = _fixed_field(record)[7:11]
    printed = [value for field in record.get_fields("264", "260") for _, value in _subfields(field, "c")]
    for text in (fixed, *printed):
        for digits in re.findall(r"(?<!\d)\d{4}(?!\d)", text):
            # "9999" stands for "still being published".
            if 1000 <= int(digits) <= this_year + 1:
                return int(digits)
    return None


def _language(record: pymarc.Record) -> str | None:
    code = _fixed_field(record)[35:38].lower()
    return code if re.fullmatch(r"[a-z]{3}", code) and code not in _NO_LANGUAGE else None


def _fixed_field(record: pymarc.Record) -> str:
    return next((field.data or "" for field in record.get_fields("008")), "")


def _publisher(record: pymarc.Record) -> str | None:
    for field in record.get_fields("264", "260"):
        for _, value in _subfields(field, "b"):
            name = _trim(_unbracketed(value), " ,:;")
            # "s.n." (sine nomine): the publisher is not known.
            if name and not re.match(r"s\. ?n\.?$", name, re.IGNORECASE):
                return _shorten(name, _NAME_LIMIT)
    return None


def _edition(record: pymarc.Record) -> str | None:
    for field in record.get_fields("250"):
        for _, value in _subfields(field, "a"):
            edition = re.sub(r"(?<!\.)\.\.$", ".", _trim(_unbracketed(value), " /=:;,"))
            if edition:
                return _shorten(edition, _NAME_LIMIT)
    return None


def _subjects(record: pymarc.Record) -> list[str]:
    found: dict[str, None] = {}
    for field in record.get_fields("600", "610", "611", "630", "650", "651"):
        heading = _without_final_stop(" ".join(_trim(value, " ") for _, value in _subfields(field, "abcdqtnp")))
        divisions = [_without_final_stop(_trim(value, " ,;")) for _, value in _subfields(field, "vxyz")]
        _add_subject(found, [heading, *divisions])
    for field in record.get_fields("653"):
        for _, value in _subfields(field, "a"):
            _add_subject(found, [_without_final_stop(_trim(value, " ,;"))])
    return list(found)[:_SUBJECTS_LIMIT]


def _add_subject(found: dict[str, None], parts: list[str]) -> None:
    parts = [part for part in parts if part]
    # A heading that is too long loses its last divisions, not the end of a word.
    while parts and len(" -- ".join(parts)) > _SUBJECT_LIMIT:
        parts.pop()
    if parts:
        found.setdefault(" -- ".join(parts))


def _genre(record: pymarc.Record) -> str | None:
    for field in record.get_fields("655"):
        for _, value in _subfields(field, "a"):
            genre = _without_final_stop(_trim(value, " ,;"))
            if genre:
                return _shorten(genre, _GENRE_LIMIT)
    for field in record.get_fields("050"):
        for _, value in _subfields(field, "a"):
            # A class is one to three letters before a number; "MLCS 2001/123" is a shelf, not a class.
            match = re.match(r"([A-Z]{1,3})\s*\d", value)
            letters = match.group(1) if match else ""
            while letters:
                if letters in _CLASS_GENRES:
                    return _CLASS_GENRES[letters]
                letters = letters[:-1]
    return None


def _description(record: pymarc.Record) -> str | None:
    texts = [value for field in record.get_fields("520") for _, value in _subfields(field, "ab")]
    return _shorten(" ".join(texts), _DESCRIPTION_LIMIT) or None


def _subfields(field: pymarc.Field, codes: str) -> Iterator[tuple[str, str]]:
    """Code and clean text of the subfields with one of ``codes``, in the record's order."""
    for subfield in field.subfields:
        if subfield.code in codes:
            text = _clean(subfield.value)
            if text:
                yield subfield.code, text


def _clean(text: str) -> str:
    """One line of NFC text: control characters and the marks for "skip in sorting" are gone."""
    kept = "".join(" " if unicodedata.category(char) in {"Cc", "Cs"} else char for char in text)
    return " ".join(unicodedata.normalize("NFC", kept).split())


def _trim(text: str, characters: str) -> str:
    return text.strip().rstrip(characters).lstrip(" ")


def _unbracketed(text: str) -> str:
    """Without the square brackets that mark what the cataloguer supplied."""
    return text.replace("[", "").replace("]", "")


def _without_final_stop(text: str) -> str:
    """Drops a sentence's full stop but keeps that of an initial, an abbreviation or an ellipsis."""
    if not text.endswith(".") or text.endswith(".."):
        return text
    last = re.split(r"[\s\-(]", text[:-1])[-1].lower()
    kept = len(last) <= 1 or last in _ABBREVIATIONS or re.fullmatch(r"(\w\.)+\w", last) is not None
    return text if kept else text[:-1].rstrip()


def _shorten(text: str, limit: int) -> str:
    """At most ``limit`` characters, cut between words."""
    if len(text) <= limit:
        return text
    return _join_words(text.split(" "), limit - 1) + "…"


def _join_words(words: Iterable[str], limit: int) -> str:
    kept = ""
    for word in words:
        longer = f"{kept} {word}" if kept else word
        if len(longer) > limit:
            break
        kept = longer
    return kept
