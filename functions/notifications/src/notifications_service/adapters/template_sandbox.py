"""Jinja2 reduced to almost nothing: what a template may contain, and how much work it may do.

Three walls, each enough for most attacks. Before a template is compiled, its parts are checked against a short list:
output, text, if, for, names, attributes, comparisons, and, or, not, a dozen filters; no calls, no arithmetic, only
plain literals. When it runs, names are looked up in plain dictionaries only, never on Python objects; loops go over
lists of at most `MAX_ITEMS`; output stops at `MAX_OUTPUT_BYTES`, and all work, also without output, at `MAX_WORK`.
Underneath is Jinja's own immutable sandbox. Data is never compiled: braces in a title are braces.

Imported when a template is rendered or checked, not before: importing Jinja2 takes a tenth of a second.
"""

from collections.abc import Callable, Mapping
from datetime import tzinfo
from typing import Any

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, nodes, pass_context
from jinja2.exceptions import SecurityError
from jinja2.runtime import LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment

from notifications_service.domain import local_formats
from notifications_service.domain.templates import MAX_ITEMS, MAX_OUTPUT_BYTES, MAX_SOURCE_BYTES

_MAX_DEPTH = 40
_MAX_LOOPS_INSIDE_EACH_OTHER = 2
_MAX_FILTERS_ON_ONE_VALUE = 5

MAX_WORK = 10 * MAX_OUTPUT_BYTES
"""Of one rendering, about in characters that filters read: some hundredths of a second. A digest of fifty notices takes
less than half of it."""

_STEP = 10
"""What the evaluation of one piece of a template, or the call of a filter, weighs in characters."""

_ONLY_LISTS = "\x00only_lists"
"""Put around what a loop goes over; no template can name it."""

_FILTERS = frozenset(
    {
        *("escape", "e", "upper", "lower", "title", "capitalize", "trim", "default", "d", "length", "count", "join"),
        *("date", "time", "money"),
    }
)
_LOOP = frozenset({"first", "last", "index", "length"})

_ALLOWED = frozenset(
    {
        *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.If, nodes.For, nodes.CondExpr),
        *(nodes.Name, nodes.Getattr, nodes.Getitem, nodes.Const, nodes.Filter),
        *(nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not),
    }
)

# What parsing and compiling can end with when somebody tries hard: beyond Jinja's own errors, nesting too deep, numbers
# too long, and what Python says of the code that Jinja made.
_COMPILING_FAILS = (TemplateError, RecursionError, ValueError, OverflowError, MemoryError, SyntaxError)
_RENDERING_FAILS = (TemplateError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError, RecursionError)


class SourceRefused(Exception):
    """A template that may not be used: why, and in which line."""

    def __init__(self, why: str, line: int | None = None) -> None:
        super().__init__(f"line {line}: {why}" if line else why)


class RenderingFailed(Exception):
    """A template could not be filled in with this data."""


class _Environment(ImmutableSandboxedEnvironment):
    """Looks names up in dictionaries, and in what a loop says of itself; nowhere else."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, LoopContext) and attribute in _LOOP:
            return getattr(obj, attribute)
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, dict) and isinstance(argument, str) and argument in obj:
            return obj[argument]
        return self.undefined(obj=obj, name=str(argument))

    def is_safe_callable(self, obj: Any) -> bool:  # noqa: ARG002 - Jinja's signature
        return False


class Sandbox:
    """Templates for one kind of output. Compiled ones are kept by whoever compiled them."""

    def __init__(self, *, html: bool) -> None:
        self._environment = _Environment(autoescape=html, undefined=StrictUndefined, keep_trailing_newline=False)
        kept = {name: self._environment.filters[name] for name in _FILTERS if name in self._environment.filters}
        self._environment.filters = {
            **{name: _counted(filter_) for name, filter_ in kept.items()},
            **_OWN_FILTERS,
            _ONLY_LISTS: _turns,
        }
        self._environment.globals = {}
        self._environment.tests = {}

    def compiled(self, source: str, names: frozenset[str]) -> "Compiled":
        """A template that uses no other names than these. Raises SourceRefused."""
        if len(source.encode("utf-8", "surrogatepass")) > MAX_SOURCE_BYTES:
            raise SourceRefused(f"longer than {MAX_SOURCE_BYTES // 1024} KB")
        try:
            tree = self._environment.parse(source)
            _Check(names).of(tree)
            code = self._environment.compile(tree)
        except TemplateSyntaxError as exc:
            raise SourceRefused(exc.message or "is no template", exc.lineno) from exc
        except _COMPILING_FAILS as exc:
            raise SourceRefused("is too complicated") from exc
        return Compiled(self._environment, code)


class Compiled:
    """A checked template."""

    def __init__(self, environment: _Environment, code: Any) -> None:
        self._template = environment.template_class.from_code(environment, code, {})

    def render(self, data: Mapping[str, Any], *, language: str, zone: tzinfo) -> str:
        """Raises RenderingFailed."""
        pieces: list[str] = []
        size = 0
        try:
            for piece in self._template.generate({**data, _READER: _Reader(language, zone)}):
                size += len(piece.encode("utf-8", "surrogatepass"))
                if size > MAX_OUTPUT_BYTES:
                    raise RenderingFailed(f"longer than {MAX_OUTPUT_BYTES // 1024} KB")
                pieces.append(piece)
        except _RENDERING_FAILS as exc:
            # Their messages may quote what was to be shown.
            raise RenderingFailed(_reason(exc)) from exc
        return "".join(pieces)


# -- the check ------------------------------------------------------------------------------------


class _Check:
    """Walks a parsed template and refuses whatever is not on the list."""

    def __init__(self, names: frozenset[str]) -> None:
        self._names = names

    def of(self, tree: nodes.Template) -> None:
        """Raises SourceRefused. Marks what loops go over, for the check at run time."""
        self._visit(tree, self._names, depth=0, loops=0)

    def _visit(self, node: nodes.Node, names: frozenset[str], *, depth: int, loops: int) -> None:
        line = node.lineno
        if depth > _MAX_DEPTH:
            raise SourceRefused("is nested too deep", line)
        if type(node) not in _ALLOWED:
            raise SourceRefused(f"{_WORDS.get(type(node), type(node).__name__)} is not allowed here", line)
        match node:
            case nodes.Name():
                self._name(node, names)
            case nodes.Getattr(attr=attribute):
                _plain_name(attribute, line)
            case nodes.Getitem(arg=argument):
                if not (isinstance(argument, nodes.Const) and isinstance(argument.value, str)):
                    raise SourceRefused("an item is taken by a name in quotes", line)
                _plain_name(argument.value, line)
            case nodes.Filter():
                _filter(node)
            case nodes.Const(value=value) if not isinstance(value, str | bool | int | None):
                raise SourceRefused("numbers are whole ones", line)
            case nodes.For():
                self._for(node, names, depth=depth, loops=loops)
                return
        for child in node.iter_child_nodes():
            self._visit(child, names, depth=depth + 1, loops=loops)

    def _name(self, node: nodes.Name, names: frozenset[str]) -> None:
        _plain_name(node.name, node.lineno)
        if node.ctx != "load":
            raise SourceRefused("nothing can be set", node.lineno)
        if node.name not in names:
            raise SourceRefused(f"there is no {node.name!r} in this template", node.lineno)

    def _for(self, node: nodes.For, names: frozenset[str], *, depth: int, loops: int) -> None:
        if loops >= _MAX_LOOPS_INSIDE_EACH_OTHER:
            raise SourceRefused("a loop inside of a loop inside of a loop is not allowed here", node.lineno)
        if node.recursive or not isinstance(node.target, nodes.Name):
            raise SourceRefused("a loop has one name and does not call itself", node.lineno)
        _plain_name(node.target.name, node.lineno)
        if not isinstance(node.iter, nodes.Name | nodes.Getattr | nodes.Getitem):
            raise SourceRefused("a loop goes over a list that the template is given", node.lineno)
        if node.target.name == "loop":
            raise SourceRefused("the name 'loop' is taken", node.lineno)
        self._visit(node.iter, names, depth=depth + 1, loops=loops)
        inside = names | {node.target.name, "loop"}
        for child in (*([node.test] if node.test else []), *node.body):
            self._visit(child, inside, depth=depth + 1, loops=loops + 1)
        for child in node.else_:
            self._visit(child, names, depth=depth + 1, loops=loops)
        size = nodes.Const(sum(1 for _ in node.find_all(nodes.Node)))
        node.iter = nodes.Filter(node.iter, _ONLY_LISTS, [size], [], None, None, lineno=node.lineno)


def _plain_name(name: str, line: int) -> None:
    if name.startswith("_") or not name.isidentifier() or not name.isascii():
        raise SourceRefused(f"{name[:40]!r} is no name of data", line)


def _filter(node: nodes.Filter) -> None:
    if node.node is None or node.name not in _FILTERS:
        raise SourceRefused(f"there is no filter {node.name[:40]!r}", node.lineno)
    if node.dyn_args is not None or node.dyn_kwargs is not None or node.kwargs:
        raise SourceRefused("a filter takes plain values", node.lineno)
    if not all(isinstance(argument, nodes.Const | nodes.Name) for argument in node.args):
        raise SourceRefused("a filter takes plain values", node.lineno)
    value: nodes.Expr | None = node.node
    filters = 1
    while isinstance(value, nodes.Filter):
        value, filters = value.node, filters + 1
    if filters > _MAX_FILTERS_ON_ONE_VALUE:
        raise SourceRefused(f"a value goes through {_MAX_FILTERS_ON_ONE_VALUE} filters at most", node.lineno)
    if len(node.args) > _ARGUMENTS.get(node.name, 0):
        raise SourceRefused(f"the filter {node.name!r} takes fewer values", node.lineno)


_ARGUMENTS = {"default": 2, "d": 2, "join": 1}
_WORDS: Mapping[type[nodes.Node], str] = {
    nodes.Call: "a call",
    nodes.Macro: "a macro",
    nodes.CallBlock: "a call",
    nodes.Include: "include",
    nodes.Import: "import",
    nodes.FromImport: "import",
    nodes.Extends: "extends",
    nodes.Block: "a block",
    nodes.Assign: "set",
    nodes.AssignBlock: "set",
    nodes.With: "with",
    nodes.FilterBlock: "a filter block",
    nodes.Test: "a test with 'is'",
    nodes.Slice: "a slice",
    nodes.List: "a list",
    nodes.Tuple: "a tuple",
    nodes.Dict: "a dictionary",
    nodes.Concat: "joining with ~",
    nodes.Scope: "autoescape",
    **dict.fromkeys(
        (nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Pow, nodes.Neg, nodes.Pos),
        "arithmetic",
    ),
}


# -- filters --------------------------------------------------------------------------------------

_READER = "\x00reader"
"""Where the context says for whom a date is written, and what was done so far; no template can name it."""


class _Reader:
    def __init__(self, language: str, zone: tzinfo) -> None:
        self.language = language
        self.zone = zone
        self.work = 0

    def does(self, work: int) -> None:
        """Raises SecurityError when it gets too much."""
        self.work += _STEP + work
        if self.work > MAX_WORK:
            raise SecurityError("takes too much work")


def _counted(filter_: Callable[..., Any]) -> Callable[..., Any]:
    """A filter of Jinja's whose work counts."""

    @pass_context
    def counted(context: Any, value: Any, *arguments: Any) -> Any:
        context[_READER].does(len(value) if isinstance(value, str) else 0)
        return filter_(value, *arguments)

    return counted


@pass_context
def _date(context: Any, moment: object) -> str:
    reader = context[_READER]
    reader.does(len(text := str(moment)))
    return local_formats.written_date(text, reader.language, reader.zone)


@pass_context
def _time(context: Any, moment: object) -> str:
    reader = context[_READER]
    reader.does(len(text := str(moment)))
    return local_formats.written_time(text, reader.language, reader.zone)


@pass_context
def _money(context: Any, money: object) -> str:
    reader = context[_READER]
    reader.does(len(str(money)))
    return local_formats.written_money(money if isinstance(money, dict) else str(money), reader.language)


@pass_context
def _join(context: Any, items: object, between: object = "") -> str:
    # Of lists only: text joined with itself, and that with itself again, would fill any memory.
    pieces, glue = [str(item) for item in _only_lists(items)], str(between)
    size = sum(map(len, pieces)) + len(glue) * (len(pieces) - 1)
    if size > MAX_OUTPUT_BYTES:
        raise SecurityError(f"joins to more than {MAX_OUTPUT_BYTES // 1024} KB")
    context[_READER].does(size)
    return glue.join(pieces)


@pass_context
def _turns(context: Any, items: object, pieces_of_a_turn: int) -> list[Any]:
    """What a loop goes over. All its turns count before the first."""
    turns = _only_lists(items)
    context[_READER].does(len(turns) * pieces_of_a_turn * _STEP)
    return turns


_OWN_FILTERS = {"date": _date, "time": _time, "money": _money, "join": _join}


def _only_lists(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise SecurityError("a loop goes over a list")
    if len(value) > MAX_ITEMS:
        raise SecurityError(f"a loop goes over {MAX_ITEMS} items at most")
    return value


def _reason(exc: Exception) -> str:
    if isinstance(exc, TemplateSyntaxError | SecurityError):
        return str(exc.message)
    return "uses a value that is not there, or not as what it is"
