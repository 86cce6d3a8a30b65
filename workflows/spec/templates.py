"""Evaluate expressions and render templates, natively, within bounds; and say which names they use.

A bare expression (`when`, `over`, `until`) goes to `evaluate`; any JSON value with template strings goes
to `render`: a string that is exactly one `{{ expression }}` (a newline after it does not count) keeps the
expression's type, a string with text around it renders to text, and what was rendered is never parsed again.
May not: do I/O, read a clock, be random, or keep state but the cache of compiled templates.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from jinja2 import TemplateError as JinjaError
from jinja2 import TemplateSyntaxError, UndefinedError, nodes
from jinja2.environment import Template
from jinja2.parser import Parser

from workflows.spec import meter, sandbox
from workflows.spec.meter import RefusedError
from workflows.spec.texts import shortened

MAX_EXPRESSION = 8_000  # characters
MAX_TEMPLATE = 200_000
MAX_CODE = 20_000  # in the brackets of one template
CACHED = 1_024
_BRACKETS = (("{{", "}}"), ("{%", "%}"))

Scope = Mapping[str, Any]


class TemplateError(Exception):
    """An expression or template that cannot be compiled or evaluated."""

    def __init__(self, message: str, expression: str) -> None:
        super().__init__(f"{message} (in {shortened(expression, 120)})")
        self.message = message
        self.expression = expression


@dataclass(frozen=True)
class Names:
    """What an expression names: static paths from the scope's names, e.g. `("steps", "triage", "output")`."""

    paths: frozenset[tuple[str | int, ...]] = frozenset()

    @property
    def roots(self) -> frozenset[str]:
        return frozenset(str(path[0]) for path in self.paths)

    @property
    def steps(self) -> frozenset[str]:
        """Step ids. A step that is only chosen at run time (`steps[x]`) has none; `names_of` refuses it."""
        return frozenset(str(path[1]) for path in self.paths if path[0] == "steps" and len(path) > 1)

    @property
    def chooses_steps(self) -> bool:
        return any(
            path[0] == "steps" and (len(path) == 1 or not isinstance(path[1], str)) for path in self.paths
        )

    def __or__(self, other: Names) -> Names:
        return Names(self.paths | other.paths)


@dataclass(frozen=True)
class _Read:
    tree: nodes.Template
    names: Names
    native: bool


@dataclass(frozen=True)
class _Program:
    template: Template
    native: bool


def evaluate(expression: str, scope: Scope) -> Any:
    """Evaluate a bare expression to a plain JSON value.

    Raises: TemplateError.
    """
    with meter.metered():
        return _run(_program(expression, True), expression, scope)


def render(value: Any, scope: Scope) -> Any:
    """Render every template string in a JSON value (keys are taken as they are).

    Raises: TemplateError.
    """
    with meter.metered():
        return _rendered(value, scope, 0)


def names_of(expression: str) -> Names:
    """The names that a bare expression uses.

    Raises: TemplateError, also for a step that is not named outright, such as `steps[x]`.
    """
    return _checked(_names(expression, True), expression)


def names_in(value: Any) -> Names:
    """The names that all template strings in a JSON value use.

    Raises: TemplateError, as `names_of`.
    """
    names = Names()
    for text in expressions_in(value):
        names |= _checked(_names(text, False), text)
    return names


def roots_in(value: Any) -> frozenset[str]:
    """The first names that all template strings in a JSON value use (a prompt's variables, a tool's fields).

    Raises: TemplateError.
    """
    return frozenset(root for text in expressions_in(value) for root in _names(text, False).roots)


def expressions_in(value: Any) -> tuple[str, ...]:
    """All template strings in a JSON value."""
    return tuple(_strings(value))


def parsed(text: str, *, bare: bool) -> nodes.Template:
    """The syntax of an expression or template that was found right."""
    return _parsed_expression(text) if bare else Parser(sandbox.ENVIRONMENT, text).parse()


def is_template(text: str) -> bool:
    return "{{" in text or "{%" in text or "{#" in text


def code_length(text: str) -> int:
    """How many characters of a text stand between `{{ }}` and `{% %}`."""
    return sum(_between(text, *brackets) for brackets in _BRACKETS)


def _between(text: str, opening: str, closing: str) -> int:
    total = at = 0
    while (start := text.find(opening, at)) >= 0:
        end = text.find(closing, start + 2)
        at = end + 2 if end >= 0 else len(text)
        total += at - start
    return total


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        if is_template(value):
            yield value
    elif isinstance(value, (list, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _strings(item)


def _checked(names: Names, text: str) -> Names:
    if names.chooses_steps:
        raise TemplateError("a step has to be named outright, as in steps.ID.output", text)
    return names


def _rendered(value: Any, scope: Scope, depth: int) -> Any:
    if depth > meter.MAX_DEPTH:
        raise TemplateError(f"the value is nested deeper than {meter.MAX_DEPTH} levels", "")
    if isinstance(value, str):
        return _run(_program(value, False), value, scope) if is_template(value) else value
    if isinstance(value, list):
        return [_rendered(item, scope, depth + 1) for item in value]
    if isinstance(value, dict):
        return {key: _rendered(item, scope, depth + 1) for key, item in value.items()}
    return value


def _run(program: _Program, text: str, scope: Scope) -> Any:
    counter = meter.current()
    try:
        context = program.template.new_context(dict(scope))
        pieces = []
        for piece in program.template.root_render_func(context):
            counter.output(len(piece))
            pieces.append(piece)
        if program.native:
            return meter.plain(context.vars["result"], meter=counter, pay=counter.output)
        return "".join(pieces)
    except UndefinedError as error:
        raise TemplateError(str(error), text) from error
    except (RefusedError, JinjaError, TypeError, ValueError, ArithmeticError) as error:
        raise TemplateError(str(error), text) from error
    except RecursionError as error:
        raise TemplateError("it is nested too deeply", text) from error


@lru_cache(maxsize=CACHED)
def _program(text: str, bare: bool) -> _Program:
    read = _read(text, bare)
    try:
        return _Program(sandbox.compiled(read.tree), read.native)
    except (JinjaError, SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise TemplateError("it is nested too deeply", text) from error


@lru_cache(maxsize=CACHED)
def _names(text: str, bare: bool) -> Names:
    return _read(text, bare).names


def _read(text: str, bare: bool) -> _Read:
    """Parse an expression or template and check all of it that can be checked without values."""
    most = MAX_EXPRESSION if bare else MAX_TEMPLATE
    if len(text) > most:
        raise TemplateError(f"it has {len(text):,} characters; {most:,} are allowed", text)
    if not bare and code_length(text) > MAX_CODE:
        raise TemplateError(f"it has more than {MAX_CODE:,} characters of expressions", text)
    if bare and text.lstrip().startswith(("{{", "{%")):
        raise TemplateError("a bare expression is needed here, without `{{ }}`", text)
    try:
        tree = _parsed_expression(text) if bare else Parser(sandbox.ENVIRONMENT, text).parse()
        only = None if bare else _only_expression(tree)
        tree = tree if only is None else _result(only)
        names = Names(frozenset(_paths(tree, frozenset(_stored(tree)))))
        return _Read(sandbox.rewritten(tree), names, bare or only is not None)
    except TemplateSyntaxError as error:
        place = "" if bare or error.lineno <= 1 else f" in line {error.lineno} of the text"
        raise TemplateError(f"{_plain_words(error.message or 'it cannot be read')}{place}", text) from error
    except (RefusedError, JinjaError, ValueError, OverflowError) as error:
        raise TemplateError(str(error), text) from error
    except (RecursionError, MemoryError) as error:
        raise TemplateError("it is nested too deeply", text) from error


def _plain_words(message: str) -> str:
    message = message.replace("end of print statement", "the end of the expression")
    return message.replace("unexpected 'end of template'", "it ends too early").rstrip(".")


def _parsed_expression(text: str) -> nodes.Template:
    parser = Parser(sandbox.ENVIRONMENT, text, state="variable")
    expression = parser.parse_expression()
    if not parser.stream.eos:
        raise TemplateSyntaxError(f"there is more after the expression: {parser.stream.current}", 1)
    return _result(expression)


def _result(expression: nodes.Expr) -> nodes.Template:
    target = nodes.Name("result", "store", lineno=1)
    return nodes.Template([nodes.Assign(target, expression, lineno=1)], lineno=1)


def _only_expression(tree: nodes.Template) -> nodes.Expr | None:
    """The expression of a template that is nothing else."""
    if len(tree.body) != 1 or not isinstance(tree.body[0], nodes.Output):
        return None
    parts = tree.body[0].nodes
    if len(parts) == 2 and isinstance(parts[1], nodes.TemplateData) and parts[1].data == "\n":
        parts = parts[:1]
    return parts[0] if len(parts) == 1 and not isinstance(parts[0], nodes.TemplateData) else None


def _stored(tree: nodes.Template) -> Iterator[str]:
    yield "loop"
    for name in tree.find_all(nodes.Name):
        if name.ctx != "load":
            yield name.name


def _paths(node: nodes.Node, local: frozenset[str]) -> Iterator[tuple[str | int, ...]]:
    path = static_path(node)
    if path is not None:
        if path[0] not in local and path not in (("range",), ("null",)):
            yield path
        return
    for child in node.iter_child_nodes():
        yield from _paths(child, local)


def static_path(node: nodes.Node) -> tuple[str | int, ...] | None:
    """The static path that a node spells, from a name on; None if it is not one."""
    if isinstance(node, nodes.Name):
        return (node.name,) if node.ctx == "load" else None
    if isinstance(node, nodes.Getattr):
        base = static_path(node.node)
        return None if base is None else (*base, node.attr)
    if (
        isinstance(node, nodes.Getitem)
        and isinstance(node.arg, nodes.Const)
        and isinstance(node.arg.value, (str, int))
    ):
        base = static_path(node.node)
        return None if base is None else (*base, node.arg.value)
    return None
