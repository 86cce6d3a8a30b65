"""What expressions may do with a secret field: pass it on, or put it into a text (pure).

Expressions see the mask of a secret, so that whatever they give may be recorded and shown. To compute with a mask
would give nonsense in silence; where it can be told from the expression alone, it is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, Literal

from jinja2 import nodes

from workflows.spec import templates
from workflows.spec.places import written
from workflows.spec.secret_fields import Marked

Name = tuple[str | int, ...]
# `text`: a template; `list`: a bare expression for a list; `truth`: a bare expression that is asked yes or no.
Use = Literal["text", "list", "truth"]
_DEFAULT: Final = frozenset({"default", "d"})
# What takes its parts in as they are.
_WHOLE: Final = (
    nodes.Template, nodes.Assign, nodes.Output, nodes.List, nodes.Tuple, nodes.Dict, nodes.Pair, nodes.Concat,
)  # fmt: skip
_ABSENT: Final = frozenset({"defined", "undefined", "none"})


def problems(text: str, secrets: Sequence[Marked], use: Use) -> Iterator[str]:
    """What is wrong with a template or expression that is right by itself. `secrets`: as names, `("input", "card")`."""
    tree = templates.parsed(text, bare=use != "text")
    for name in sorted(set(_computed(tree, secrets, passes=use != "truth")), key=str):
        yield (
            f"`{written(name)}` is secret: expressions see a mask in its place, so it can be passed on as it is, "
            "stand in a text, have a `default` or be asked whether it `is defined`; nothing else can be computed"
        )


def named(text: str, secrets: Sequence[Marked]) -> bool:
    """Say whether a template names a secret itself."""
    tree = templates.parsed(text, bare=False)
    return any(_is_secret(path, secrets) for path in _names(tree))


def _names(node: nodes.Node) -> Iterator[Name]:
    path = templates.static_path(node)
    if path is not None:
        yield path
        return
    for child in node.iter_child_nodes():
        yield from _names(child)


def _computed(node: nodes.Node, secrets: Sequence[Marked], *, passes: bool) -> Iterator[Name]:
    """Yield the secrets that something is done with. `passes`: what the node gives goes on as it is."""
    path = templates.static_path(node)
    if path is not None:
        if _is_secret(path, secrets) and not (passes and _is_secret(path, secrets, exactly=True)):
            yield path
        return
    if isinstance(node, nodes.Test) and node.name in _ABSENT:
        return
    for child, goes_on in _parts(node, passes=passes):
        yield from _computed(child, secrets, passes=goes_on)


def _parts(node: nodes.Node, *, passes: bool) -> Iterator[tuple[nodes.Node, bool]]:
    """The nodes inside of one, and whether what each gives goes on as it is."""
    asked: nodes.Node | None = None
    if isinstance(node, nodes.CondExpr | nodes.If):
        asked = node.test
    elif isinstance(node, nodes.For):
        asked = node.iter
    elif not isinstance(node, _WHOLE) and not (isinstance(node, nodes.Filter) and node.name in _DEFAULT):
        passes = False
    for child in node.iter_child_nodes():
        yield child, passes and child is not asked


def _is_secret(path: Name, secrets: Sequence[Marked], *, exactly: bool = False) -> bool:
    """Say whether a name is that of a secret, or reaches into one."""
    return any(
        (len(path) == len(place) if exactly else len(path) >= len(place))
        and all(
            isinstance(key, int) if wanted is None else key == wanted
            for key, wanted in zip(path, place, strict=False)
        )
        for place in secrets
    )
