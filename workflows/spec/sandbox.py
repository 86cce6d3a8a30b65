"""The one Jinja2 environment: immutable, sandboxed, strict, and compiled so that the meter sees everything.

Jinja2 parses and compiles. Between the two, `Rewriter` lets only the nodes on its list pass and turns every
access, slice, call, comparison, concatenation and loop into a filter of ours (their names start with a dot,
which no author can write). So compiled code can only read names, call functions of `operations`, `filters`
and `conditions`, branch and loop. The sandbox's own doors (getattr, getitem, call) are shut besides: a node
that slipped through would find nothing. May not: run anything; `templates` does.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NoReturn

from jinja2 import nodes, pass_context
from jinja2.environment import Template
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from workflows.spec import conditions, filters, meter, near, operations
from workflows.spec.meter import RefusedError

MAX_NODE_DEPTH = 40
MAX_LOOPS = 8
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
# The names of a step's scope mean the same everywhere in a workflow; a template cannot set them anew.
SCOPE = frozenset(
    {
        "input",
        "steps",
        "run",
        "environment",
        "session",
        "item",
        "index",
        "turn",
        "previous",
        "loop",
        "range",
        "null",
    }
)
_NEVER = frozenset({"self", "super", "caller", "varargs", "kwargs"})
_ALLOWED: tuple[type[nodes.Node], ...] = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.List, nodes.Tuple,
    nodes.Dict, nodes.Pair, nodes.Keyword, nodes.Filter, nodes.Test, nodes.Compare, nodes.Operand, nodes.And,
    nodes.Or, nodes.Not, nodes.BinExpr, nodes.UnaryExpr, nodes.Concat, nodes.CondExpr, nodes.Getattr,
    nodes.Getitem, nodes.Slice, nodes.Call, nodes.If, nodes.For, nodes.Assign,
)  # fmt: skip


class Environment(ImmutableSandboxedEnvironment):
    """Shut: compiled code of ours never comes to these doors."""

    intercepted_binops = frozenset(ImmutableSandboxedEnvironment.default_binop_table)
    intercepted_unops = frozenset(ImmutableSandboxedEnvironment.default_unop_table)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        return operations.binary(operator, left, right)

    def call_unop(self, context: Context, operator: str, arg: Any) -> Any:
        return operations.unary(operator, arg)

    def getattr(self, obj: Any, attribute: str) -> NoReturn:
        raise SecurityError(f"the attribute {attribute!r} cannot be read")

    def getitem(self, obj: Any, argument: Any) -> NoReturn:
        raise SecurityError(f"the item {argument!r} cannot be read")

    def call(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise SecurityError("a value cannot be called")


@pass_context  # keeps the compiler from computing constants before there is a meter
def _finalize(_: Context, value: Any) -> str:
    return operations.to_text(value)


# What the rewriter puts in place of the language's own operations.
_INTERNAL: Mapping[str, Callable[..., Any]] = {
    ".get": operations.access,
    ".slice": operations.slice_,
    ".concat": operations.concat,
    ".each": operations.each,
    ".compare": operations.compare,
    ".range": lambda bounds: filters.apply("range", lambda values: operations.numbers(*values), bounds),
    ".method": filters.call_method,
}


def _applied(functions: Mapping[str, Callable[..., Any]]) -> dict[str, Callable[..., Any]]:
    return {name: partial(filters.apply, name, function) for name, function in functions.items()}


def _build() -> Environment:
    environment = Environment(
        undefined=operations.Missing,
        optimized=False,  # constants too are computed under the meter
        finalize=_finalize,
        keep_trailing_newline=True,
        cache_size=0,
    )
    environment.globals.clear()
    environment.filters.clear()
    environment.filters.update(_applied(filters.FILTERS))
    environment.filters.update(_INTERNAL)
    environment.tests.clear()
    environment.tests.update(_applied(conditions.TESTS))
    return environment


ENVIRONMENT = _build()


def rewritten(tree: nodes.Template) -> nodes.Template:
    """A parsed template (which is used up) as only our functions can carry it out.

    Raises: RefusedError.
    """
    safe: nodes.Template = Rewriter().visit(tree)
    return safe


def compiled(tree: nodes.Template) -> Template:
    """Compile a template that was rewritten."""
    tree.set_environment(ENVIRONMENT)
    return ENVIRONMENT.from_string(tree)


def label_of(node: nodes.Node) -> str:
    """What the author wrote, for messages."""
    if isinstance(node, nodes.Name):
        return node.name
    if isinstance(node, nodes.Getattr):
        return f"{label_of(node.node)}.{node.attr}"
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const):
        return f"{label_of(node.node)}[{node.arg.value!r}]"
    return "the value"


class Rewriter(NodeTransformer):
    """Refuse what is not on the list; turn the rest into calls that the meter sees."""

    def __init__(self) -> None:
        self._depth = 0
        self._loops = 0

    def get_visitor(self, node: nodes.Node) -> Any:
        return getattr(self, f"rewrite_{type(node).__name__.lower()}", None)

    def visit(self, node: nodes.Node, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(node, _ALLOWED):
            raise RefusedError(f"`{type(node).__name__.lower()}` is not available here")
        self._depth += 1
        if self._depth > MAX_NODE_DEPTH:
            raise RefusedError(
                f"it is nested deeper than {MAX_NODE_DEPTH} levels; compute a part of it in a `set` step"
            )
        try:
            return super().visit(node, *args, **kwargs)
        finally:
            self._depth -= 1

    def rewrite_name(self, node: nodes.Name) -> nodes.Node:
        if not NAME.match(node.name) or node.name.startswith("__") or node.name in _NEVER:
            raise RefusedError(f"the name {node.name!r} is not available here")
        if node.ctx != "load" and node.name in SCOPE:
            raise RefusedError(f"{node.name!r} is a name of the scope and cannot be set")
        return nodes.Const(None, lineno=node.lineno) if node.name == "null" else node

    def rewrite_getattr(self, node: nodes.Getattr) -> nodes.Node:
        if node.attr.startswith("__"):
            raise RefusedError(
                f"{label_of(node)}: names that start with two underscores cannot be read with a dot"
            )
        return _internal(self.visit(node.node), ".get", node.attr, label_of(node.node))

    def rewrite_getitem(self, node: nodes.Getitem) -> nodes.Node:
        label = label_of(node.node)
        value = self.visit(node.node)
        if isinstance(node.arg, nodes.Slice):
            bounds = (node.arg.start, node.arg.stop, node.arg.step)
            return _internal(value, ".slice", *(self.visit(bound) if bound else None for bound in bounds))
        return _internal(value, ".get", self.visit(node.arg), label)

    def rewrite_call(self, node: nodes.Call) -> nodes.Node:
        if node.dyn_args or node.dyn_kwargs:
            raise RefusedError("`*` and `**` arguments are not available here")
        args = [self.visit(argument) for argument in node.args]
        if isinstance(node.node, nodes.Name) and node.node.name == "range" and not node.kwargs:
            return _internal(nodes.List(args), ".range")
        if not isinstance(node.node, nodes.Getattr) or node.node.attr.startswith("_"):
            raise RefusedError(
                f"{label_of(node.node)} cannot be called; there are filters (`value | name`) and `range()`"
            )
        target = node.node
        call = _internal(self.visit(target.node), ".method", target.attr, label_of(target.node), *args)
        call.kwargs = [self.visit(keyword) for keyword in node.kwargs]
        return call

    def rewrite_filter(self, node: nodes.Filter) -> nodes.Node:
        return self._known(node, filters.FILTERS, "filter")

    def rewrite_test(self, node: nodes.Test) -> nodes.Node:
        return self._known(node, conditions.TESTS, "test")

    def _known(self, node: nodes.Filter | nodes.Test, known: Mapping[str, object], what: str) -> nodes.Node:
        if node.dyn_args or node.dyn_kwargs:
            raise RefusedError("`*` and `**` arguments are not available here")
        if node.node is None or node.name not in known:
            meant = near.nearest(node.name, known)
            hint = f"did you mean `{meant}`?" if meant else f"there are: {', '.join(sorted(known))}"
            raise RefusedError(f"there is no {what} `{node.name}` here; {hint}")
        return self.generic_visit(node)

    def rewrite_tuple(self, node: nodes.Tuple) -> nodes.Node:
        visited = self.generic_visit(node)
        return nodes.List(node.items, lineno=node.lineno) if node.ctx == "load" else visited

    def rewrite_compare(self, node: nodes.Compare) -> nodes.Node:
        values = [self.visit(node.expr), *(self.visit(operand.expr) for operand in node.ops)]
        return _internal(nodes.List(values), ".compare", *(operand.op for operand in node.ops))

    def rewrite_concat(self, node: nodes.Concat) -> nodes.Node:
        return _internal(nodes.List([self.visit(part) for part in node.nodes]), ".concat")

    def rewrite_for(self, node: nodes.For) -> nodes.Node:
        if node.recursive or self._loops == MAX_LOOPS:
            raise RefusedError(f"loops can be neither `recursive` nor more than {MAX_LOOPS} in each other")
        self._loops += 1
        self.generic_visit(node)
        self._loops -= 1
        node.iter = _internal(node.iter, ".each")
        return node

    def rewrite_const(self, node: nodes.Const) -> nodes.Node:
        if isinstance(node.value, int):
            meter.integer(node.value)
        if isinstance(node.value, float) and not math.isfinite(node.value):
            raise RefusedError("a number is too large")
        return node


def _internal(value: Any, name: str, *args: Any) -> nodes.Filter:
    given = [argument if isinstance(argument, nodes.Node) else nodes.Const(argument) for argument in args]
    return nodes.Filter(value, name, given, [], None, None, lineno=value.lineno or 1)
