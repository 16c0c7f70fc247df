"""Books for the contract tests: with a title, with the title of the samples, and with all its events."""

import books_service.bootstrap
import books_service.http
from books_service.adapters.dynamodb import DynamoCatalogue
from books_service.application.titles import TitleChange
from books_service.bootstrap import compose
from books_service.domain.stock import CopyStatus
from books_service.domain.title import Metadata
from library_common import aws
from library_common.clock import SystemClock
from library_common.dynamodb import Table
from library_common.ids import new_id
from tests.contract.filled_services import Running
from tests.contract.in_process import InProcess
from tests.fakes.users import any_version
from tests.support.clock import FixedClock
from tests.support.shared_api import api_on
from tools import sample_events as samples


def running(stack: InProcess) -> Running:
    """The books service with one title, some copies of which are lent."""
    catalogue = DynamoCatalogue(Table(stack.refs["BooksTable"], aws.dynamodb))
    use_cases = compose(catalogue, clock=SystemClock())
    title = use_cases.titles.add(Metadata(title="The Dispossessed", author="Ursula K. Le Guin"), 3)
    loan_id = new_id()
    held = use_cases.reservations.reserve(title.id, loan_id)
    known = {"book_id": title.id, "barcode": held.barcode, "loan_id": loan_id}
    return Running(api_on(books_service.http.build, use_cases), known)


def fill_for_samples(stack: InProcess) -> None:
    """Adds the title of the samples, with its copy on loan."""
    catalogue = DynamoCatalogue(Table(stack.refs["BooksTable"], aws.dynamodb))
    books = books_service.bootstrap.compose(catalogue, clock=SystemClock(), new_book_id=lambda: samples.BOOK)
    books.titles.add(Metadata(title="The Left Hand of Darkness", author="Ursula K. Le Guin"), 2)
    books.copies.add(samples.BOOK, count=1, barcode=samples.BARCODE)
    books.reservations.reserve(samples.BOOK, samples.LOAN, samples.BARCODE)


def emit_every_event(stack: InProcess) -> None:
    """Makes the service emit events of every type."""
    books = compose(DynamoCatalogue(Table(stack.refs["BooksTable"], aws.dynamodb)), clock=FixedClock())
    book_id = books.titles.add(Metadata(title="T" * 300, author="A. Writer", isbn="9780441478125"), 2).id
    books.titles.change(book_id, TitleChange({"genre": "novel"}, 3), any_version)
    loan_id = new_id()
    books.reservations.reserve(book_id, loan_id)
    books.reservations.release(book_id, loan_id, damaged=True)
    added, _ = books.copies.add(book_id, count=1, shelf="A1")
    barcode = added[0].barcode
    books.copies.edit(book_id, barcode, {"status": CopyStatus.LOST}, any_version)
    books.copies.correct_availability(book_id, 1, any_version)
    books.titles.archive(book_id)
    books.titles.restore(book_id)
    books.titles.add(Metadata(title="Without", author="Copies", genre="novel"), 0)
