"""Writes docs/problems.md: every code a problem document of the API can carry.

The `type` of a problem document links to this page (`/docs/problems#<code>`). The codes come from the table from
error type to HTTP status in each service's `http.py`, the errors of library_common, the reasons that rules return,
and the gateway responses of the template. The meaning is the error's docstring or, without one, the text it is
raised with.
"""

import ast
import inspect
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

from localstack.embedded.layout import COMMON_LAYER
from tools import services
from tools.api_template import GATEWAY_ERRORS
from tools.generated import Files, command

PAGE = services.ROOT / "docs" / "problems.md"
GATEWAY = "gateway"
EVERY_SERVICE = "all"

_INTRODUCTION = """\
# Problems

All errors that the API can answer. Each error is an [RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)
document of type `application/problem+json`. Programs should use `code`, which does not change;
`detail` is a sentence for people. When several rules refuse at once, `reasons` lists each with its
own code. The column *services* says who answers it: *all* is every service, *gateway* is API
Gateway before it calls a service.

This page is generated: `make openapi`.
"""


@dataclass
class Problem:
    """One code and where it comes from."""

    code: str
    statuses: set[int] = field(default_factory=set)
    meaning: str = ""
    services: set[str] = field(default_factory=set)

    def add(self, status: int, meaning: str, service: str) -> None:
        """Adds a place this code comes from. The first meaning is kept."""
        self.statuses.add(status)
        self.meaning = self.meaning or meaning
        if EVERY_SERVICE not in self.services or service == GATEWAY:
            self.services.add(service)


class Catalogue:
    """All problems by code."""

    def __init__(self) -> None:
        self.problems: dict[str, Problem] = {}

    def of(self, code: str) -> Problem:
        return self.problems.setdefault(code, Problem(code))


def collect() -> Catalogue:
    """The codes of all services, of library_common and of the gateway."""
    services.make_importable()
    catalogue = Catalogue()
    _add_common(catalogue)
    for service in services.with_module("http"):
        _add_service(catalogue, service)
    _add_gateway(catalogue)
    return catalogue


def generate() -> Files:
    """The page."""
    rows = [_row(problem) for _, problem in sorted(collect().problems.items())]
    table = ["| code | status | meaning | services |", "|---|---|---|---|", *rows]
    return {PAGE: _INTRODUCTION + "\n" + "\n".join(table) + "\n"}


def _row(problem: Problem) -> str:
    statuses = ", ".join(f"{status} {HTTPStatus(status).phrase}" for status in sorted(problem.statuses))
    # `type` links to this anchor.
    cells = (
        f'<a id="{problem.code}"></a>`{problem.code}`',
        statuses,
        problem.meaning.replace("|", r"\|"),
        ", ".join(sorted(problem.services)),
    )
    return "| " + " | ".join(cells) + " |"


# -- where codes come from ------------------------------------------------------------------------


def _add_common(catalogue: Catalogue) -> None:
    from library_common import access, problems  # noqa: PLC0415 - importable only once the path is set

    sentences = _sentences(COMMON_LAYER.rglob("*.py"))
    base = problems.ProblemError
    catalogue.of(base.code).add(base.status, sentences[base.code], EVERY_SERVICE)
    for module in (problems, access):
        for error in vars(module).values():
            if isinstance(error, type) and issubclass(error, base) and error.code != base.code:
                catalogue.of(error.code).add(error.status, _meaning(error, sentences), EVERY_SERVICE)


def _add_service(catalogue: Catalogue, service: str) -> None:
    http = services.module(service, "http")
    sources = list(services.package_folder(service).rglob("*.py"))
    sentences = _sentences(sources)
    table: Mapping[type[Exception], int] = http.PROBLEMS
    for error, status in table.items():
        catalogue.of(str(getattr(error, "code", ""))).add(status, _meaning(error, sentences), service)
        if "reasons" in inspect.signature(error.__init__).parameters:
            for code, sentence in _reasons(sources).items():
                catalogue.of(code).add(status, sentence, service)


def _add_gateway(catalogue: Catalogue) -> None:
    for error in GATEWAY_ERRORS.values():
        catalogue.of(error.code).add(error.status, error.detail, GATEWAY)


# -- what they mean -------------------------------------------------------------------------------


def _meaning(error: type, sentences: Mapping[str, str]) -> str:
    own = error.__dict__.get("__doc__")
    if own:
        return _plain(inspect.cleandoc(own).split("\n\n")[0])
    return sentences.get(error.__name__, "")


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


def _sentences(paths: Iterable[Path]) -> dict[str, str]:
    """Error type -> its text: the default, or all texts it is raised with.

    For an answer written with `code="…", detail="…"` instead of an exception, the code stands for the type.
    """
    defaults: dict[str, str] = {}
    raised: dict[str, list[str]] = {}
    for path in sorted(paths):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                if sentence := _default(node):
                    defaults[node.name] = sentence
            elif isinstance(node, ast.Call):
                name, said = _said(node)
                if said and said not in raised.setdefault(name, []):
                    raised[name].append(said)
    return {name: " ".join(sentences) for name, sentences in raised.items()} | defaults


def _said(call: ast.Call) -> tuple[str, str | None]:
    given = {keyword.arg: _text(keyword.value) for keyword in call.keywords}
    if given.get("code") and given.get("detail"):
        return str(given["code"]), given["detail"]
    return ast.unparse(call.func).rpartition(".")[2], _text(call.args[0]) if call.args else None


def _default(declared: ast.ClassDef) -> str | None:
    """The sentence of an error: `detail = "…"` of its class, or of its constructor `super().__init__("…")` or
    `detail: str = "…"`.
    """
    for node in ast.walk(declared):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "detail":
            return _text(node.value)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "super().__init__" and node.args:
            given = node.args[:1]
        elif isinstance(node, ast.arguments):
            given = node.defaults
        else:
            continue
        for value in given:
            if sentence := _text(value):
                return sentence
    return None


def _reasons(paths: Iterable[Path]) -> dict[str, str]:
    """Code -> texts of the `(code, text)` pairs that the rules of a domain yield or return."""
    found: dict[str, list[str]] = {}
    for path in sorted(paths):
        if path.parent.name != "domain":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Yield | ast.Return) and isinstance(node.value, ast.Tuple):
                texts = [_text(element) for element in node.value.elts]
                if len(texts) == 2 and texts[0] and texts[1] and re.fullmatch(r"[a-z]+(_[a-z]+)+", texts[0]):
                    found.setdefault(texts[0], []).append(texts[1])
    return {code: " ".join(sentences) for code, sentences in found.items()}


def _text(node: ast.expr) -> str | None:
    """A string in the source, with `…` for inserted values."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
    return None


if __name__ == "__main__":
    raise SystemExit(command(__doc__.splitlines()[0], generate, [], "make openapi"))
