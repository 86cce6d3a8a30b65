"""The reference of the definition language, docs/language.md, from the shapes of documents and steps (pure).

May not: read files. The examples are given to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from workflows.spec import kinds, shapes
from workflows.spec.meanings import DEFAULTS, MEANINGS, OUTPUTS
from workflows.spec.shapes import Shape
from workflows.spec.step_shapes import CASE, COMMON, SIGNAL, STEP_SHAPES

# Keys that every document has; told once.
_EVERY: Final = frozenset({"kind", "name"})
# Parts that a shape leaves open, because they have one of several forms.
_PARTS: Final[Mapping[str, tuple[Shape, ...]]] = {
    "Route.targets": (shapes.TARGET,),
    "Prompt.messages": (shapes.MESSAGE, shapes.INSERT),
    "Environment.rollout.steps": tuple(shapes.ROLLOUT_STEPS.values()),
}
_NAMED: Final[tuple[tuple[Shape, str], ...]] = (
    (shapes.NAME, "name"),
    (shapes.REFERENCE, "reference"),
    (shapes.IDENTIFIER, "identifier"),
    (shapes.MODEL, "`PROVIDER/MODEL`"),
    (shapes.DURATION, "duration"),
    (shapes.MONEY, "amount"),
    (shapes.CREDENTIAL, "`env:NAME` or `secret:NAME`"),
    (shapes.SCHEMA, "JSON Schema"),
    (shapes.TOOL_PYTHON, "`package.module:function`"),
    (shapes.BASE_URL, "address"),
    (SIGNAL, "name of a signal"),
    (CASE, "case"),
)
HEAD: Final = """# The definition language

Generated from `workflows/spec/` and `examples/` by `make docs`; do not edit.
How the parts work together: [engineers.md](engineers.md).

A file holds one or more YAML documents, each with a `kind` and a `name`; `manage.py apply` checks all, says all that
is wrong, and saves all or nothing. An unknown key is an error. Keys in bold have to be there.

| type | is |
|---|---|
| name | lower-case letters, digits, hyphens, at most 63 |
| identifier | the same with underscores instead of hyphens |
| reference | the name of a document, or `NAME@3` for one version of it |
| duration | `500ms`, `30s`, `10m`, `2h`, `7d` |
| amount | USD, as a number or as text: `'0.25'` |
| expression | bare, [as described](engineers.md#expressions-and-templates): `steps.a.output.n > 3` |
| template | text with `{{ expressions }}` in it; one that is a single `{{ expression }}` keeps its type |
"""


def keys() -> Iterator[str]:
    """Yield every key of the language, by the name under which its meaning stands."""
    for kind, shape in shapes.DOCUMENTS.items():
        yield kind
        yield from (name for name, _, _ in _rows(kind, shape, leave_out=_EVERY))
    yield from (name for name, _, _ in _rows("step", _object(COMMON)))
    for kind, shape in STEP_SHAPES.items():
        yield f"step.{kind}"
        yield from (name for name, _, _ in _rows(f"step.{kind}", shape, leave_out=frozenset(COMMON)))


def as_markdown(examples: Mapping[str, str]) -> str:
    """Return the page. `examples`: {name: text}; one stands with the kind that its name begins with."""
    left = dict(examples)
    parts = [HEAD, "## Documents\n"]
    for kind, shape in shapes.DOCUMENTS.items():
        flag = " *(not in this version)*" if kind in kinds.UNSUPPORTED_DOCUMENTS else ""
        parts.append(f"### {kind}\n\n{MEANINGS.get(kind, '–')}{flag}\n")
        parts.append(_table(_rows(kind, shape, leave_out=_EVERY), cut=len(kind) + 1))
        parts += _examples(left, kind.lower()) if kind.lower() not in STEP_SHAPES else []
    parts += ["## Steps\n", "A step has an `id`, exactly one of the kinds below, and any of these:\n"]
    parts.append(_table(_rows("step", _object(COMMON, "id")), cut=len("step.")))
    for kind, shape in STEP_SHAPES.items():
        flag = " *(not in this version)*" if kind in kinds.UNSUPPORTED_STEPS else ""
        parts.append(f"### `{kind}`\n\n{MEANINGS.get(f'step.{kind}', '–')}{flag}\n")
        rows = _rows(f"step.{kind}", shape, leave_out=frozenset(COMMON))
        parts.append(_table(rows, cut=len(f"step.{kind}.")))
        parts.append(f"**Output**: {OUTPUTS.get(kind, '–')}.\n")
        parts += _examples(left, kind)
    if left:
        parts += ["## More examples\n", *_examples(left, "")]
    return "\n".join(parts)


def _examples(left: dict[str, str], prefix: str) -> list[str]:
    """Return those whose names begin so, and take them out."""
    names = [name for name in sorted(left) if name.split("_")[0] == prefix or not prefix]
    return [f"```yaml\n{left.pop(name)}```\n" for name in names]


def _object(properties: Mapping[str, Shape], required: str = "") -> Shape:
    return {"type": "object", "properties": properties, "required": required.split()}


def _rows(
    name: str, shape: Shape, *, leave_out: frozenset[str] = frozenset()
) -> Iterator[tuple[str, Shape, bool]]:
    """Yield (name, shape, required) of every key below a shape, each before those inside it."""
    for key, inner in shape.get("properties", {}).items():
        if key in leave_out:
            continue
        below = f"{name}.{key}"
        yield below, inner, key in shape.get("required", ())
        yield from _rows(below, inner)
        named = inner.get("additionalProperties")
        if isinstance(named, dict) and "properties" in named:
            yield from _rows(f"{below}.NAME", named)
        if "items" in inner:
            for part in _PARTS.get(below, (inner["items"],)):
                yield from _rows(f"{below}[]", part)


def _table(rows: Iterator[tuple[str, Shape, bool]], *, cut: int) -> str:
    lines = ["| key | type | default | meaning |", "|---|---|---|---|"]
    for name, shape, required in rows:
        key = f"**`{name[cut:]}`**" if required else f"`{name[cut:]}`"
        default = f"`{DEFAULTS[name]}`" if name in DEFAULTS else ""
        flag = "*not in this version*; " if _is_unsupported(name) else ""
        lines.append(f"| {key} | {_type(shape, name)} | {default} | {flag}{MEANINGS.get(name, '–')} |")
    return "\n".join(lines) + "\n"


def _is_unsupported(name: str) -> bool:
    whole, _, key = name.rpartition(".")
    where = "source" if whole == "Corpus.sources[]" else whole
    return key in kinds.UNSUPPORTED_KEYS.get(where, frozenset())


def _type(shape: Shape, name: str) -> str:
    if name in _EXPRESSIONS:
        return "expression"
    for known, word in _NAMED:
        if shape == known:
            return word
    if "enum" in shape:
        return (
            " \\| ".join(f"`{option}`" for option in shape["enum"])
            if len(shape["enum"]) < 9
            else "one of many"
        )
    called = _TYPES.get(str(shape.get("type")))
    return "anything" if called is None else called(shape)


def _number(shape: Shape) -> str:
    low, high = shape.get("minimum"), shape.get("maximum")
    kind = "whole number" if shape["type"] == "integer" else "number"
    if high is not None and high < 1_000_000_000:
        return f"{kind}, {low:,} to {high:,}"
    return kind if low is None else f"{kind}, from {low}"


def _list(shape: Shape) -> str:
    items = shape.get("items")
    if not items or items.get("type") == "object":
        return "list"
    inner = _type(items, "")
    return f"list of {inner}" if inner != "anything" else "list"


_TYPES: Final[Mapping[str, Callable[[Shape], str]]] = {
    "string": lambda shape: "text",
    "boolean": lambda shape: "true or false",
    "integer": _number,
    "number": _number,
    "array": _list,
    "object": lambda shape: "mapping",
    "null": lambda shape: "nothing",
}
_EXPRESSIONS: Final = frozenset(
    {"step.when", "step.map.map.over", "step.branch.branch[].when", "step.loop.loop.until"}
)
