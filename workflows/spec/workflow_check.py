"""What a Workflow has to hold beyond its shape: references and expressions (pure)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from workflows.spec import near, schema, scopes, secret_fields, secret_uses, step_rules, templates
from workflows.spec.document_check import schema_problems, template_texts
from workflows.spec.library import Library
from workflows.spec.places import Path
from workflows.spec.references import references, started_by
from workflows.spec.sandbox import SCOPE
from workflows.spec.schema import Problem
from workflows.spec.scopes import Placed, Scopes
from workflows.spec.shape_check import StepNode
from workflows.spec.templates import Names, TemplateError
from workflows.spec.workflow import rendered

ROOTS = frozenset({"input", "steps", "run", "environment", "session"})
RUN_FIELDS = frozenset({"id", "started_at", "error"})
STEP_FIELDS = ("output", "state", "error")
MAX_STEPS = 1_000
# Kinds whose output has the same keys whatever happens.
_OUTPUTS: Mapping[str, frozenset[str]] = {
    "retrieve": frozenset({"snapshot", "chunks"}),
    "branch": frozenset({"case"}),
    "loop": frozenset({"turns", "last"}),
    "approval": frozenset({"approved", "by", "comment", "fields"}),
    "wait": frozenset({"signal", "payload"}),
    "memory": frozenset({"value", "version"}),
}


class WorkflowCheck:
    """Checks one workflow document against the library."""

    def __init__(
        self,
        body: Mapping[str, Any],
        steps: tuple[StepNode, ...],
        last: tuple[StepNode, ...],
        library: Library,
    ) -> None:
        self.body = body
        self.library = library
        self.secrets = tuple(("input", *place) for place in secret_fields.marked(body.get("input")))
        self.count = _count(steps) + _count(last)
        self.scopes: Scopes = scopes.place(steps, last) if self.count <= MAX_STEPS else Scopes()

    def problems(self) -> Iterator[Problem]:
        if self.count > MAX_STEPS:
            yield ("steps",), f"has {self.count:,} steps; at most {MAX_STEPS:,} are allowed"
            return
        yield from self.scopes.problems
        yield from schema_problems(self.body.get("input"), ("input",), keeps_secrets=True)
        for key in ("session", "concurrency", "output"):
            visible = self.scopes.end if key == "output" else frozenset[str]()
            for path, text in template_texts(self.body.get(key), (key,)):
                yield from self._text(path, text, Placed(_NOWHERE, visible, frozenset()))
                yield from self._no_secret(key, path, text)
        for placed in self.scopes.placed:
            if placed.node.sound:
                yield from self._step(placed)

    def _step(self, placed: Placed) -> Iterator[Problem]:
        node = placed.node
        for path, text in _bare(node):
            yield from self._expression(path, text, placed)
        for keys, value in rendered(node.body, node.kind):
            for path, text in template_texts(value, (*node.path, *keys)):
                yield from self._text(path, text, placed)
        if node.kind in ("map", "loop"):
            yield from self._behind(placed)
        yield from self._references(placed)
        yield from step_rules.problems(node)

    def _behind(self, placed: Placed) -> Iterator[Problem]:
        """What a map's `output` and a loop's `until` name: their inner steps too."""
        node = placed.node
        known = self.scopes.ends.get(node.path, frozenset())
        end = Placed(node, known, frozenset(), (*placed.loops, node))
        for path, text in template_texts(node.body[node.kind].get("output"), (*node.path, "map", "output")):
            yield from self._text(path, text, end)
        if "until" in node.body[node.kind]:
            yield from self._expression((*node.path, "loop", "until"), node.body["loop"]["until"], end)

    def _text(self, path: Path, text: str, placed: Placed) -> Iterator[Problem]:
        try:
            names = templates.names_in(text)
        except TemplateError as error:
            yield path, error.message
            return
        yield from self._names(path, names, placed)
        yield from self._computed(path, text, "text")

    def _expression(self, path: Path, text: str, placed: Placed) -> Iterator[Problem]:
        try:
            names = templates.names_of(text)
        except TemplateError as error:
            yield path, error.message
            return
        yield from self._names(path, names, placed)
        yield from self._computed(path, text, "list" if path[-2:] == ("map", "over") else "truth")

    def _computed(self, path: Path, text: str, use: secret_uses.Use) -> Iterator[Problem]:
        """What a text that is right by itself does with secrets."""
        if self.secrets:
            yield from ((path, told) for told in secret_uses.problems(text, self.secrets, use))

    def _no_secret(self, key: str, path: Path, text: str) -> Iterator[Problem]:
        """A secret's mask is another one in each run: no two would ever share a session or a place."""
        with suppress(TemplateError):  # told above
            if key != "output" and self.secrets and secret_uses.named(text, self.secrets):
                yield path, f"names a secret field; no secret can be (a part of) the key of a `{key}`"

    def _names(self, path: Path, names: Names, placed: Placed) -> Iterator[Problem]:
        for name in sorted(names.paths, key=str):
            if problem := self._name(name, placed):
                yield path, problem

    def _name(self, name: tuple[str | int, ...], placed: Placed) -> str | None:
        """What is wrong with a name such as `("steps", "triage", "output")`."""
        root = str(name[0])
        known = ROOTS.union(*map(_own_names, placed.loops))
        if placed.node.kind == "memory":
            known |= {"current"}
        if root not in known:
            if root in ("item", "index"):
                return f"`{root}` is only there inside a `map`"
            if root in ("turn", "previous"):
                return f"`{root}` is only there inside a `loop`"
            meant = near.meant(root, known)
            return f"there is no name {root!r} here{meant or f'; there are: {_list(known)}'}"
        if root == "steps":
            return self._step_name(str(name[1]), name[2:], placed)
        if root == "input" and len(name) > 1:
            return _input_name(self.body.get("input"), name[1])
        if root == "run" and len(name) > 1 and name[1] not in RUN_FIELDS:
            return f"`run` has {_list(RUN_FIELDS)}, not {name[1]!r}"
        return None

    def _step_name(self, id: str, rest: tuple[str | int, ...], placed: Placed) -> str | None:
        named = self.scopes.by_id.get(id)
        if named is None:
            return f"there is no step {id!r}{near.meant(id, self.scopes.by_id)}"
        if id not in placed.visible:
            return _not_visible(id, named, placed)
        if not rest:
            return None
        if rest[0] not in STEP_FIELDS:
            return f"a step has {', '.join(STEP_FIELDS)}, not {rest[0]!r}: write steps.{id}.output"
        keys = self._output_keys(named.node)
        if rest[0] == "output" and len(rest) > 1 and keys is not None and rest[1] not in keys:
            return f"the output of the step {id!r} has no key {rest[1]!r}; it has: {_list(keys)}"
        return None

    def _output_keys(self, node: StepNode) -> frozenset[str] | None:
        """The keys of the step's output, where its document already tells."""
        if node.kind == "set" and isinstance(node.body["set"], dict):
            return frozenset(node.body["set"])
        if node.kind == "prompt" and "output" not in node.body and isinstance(node.body["prompt"], str):
            prompt = self.library.body("Prompt", node.body["prompt"])
            return frozenset({"text"}) if prompt is not None and "output" not in prompt else None
        return _OUTPUTS.get(node.kind)

    def _references(self, placed: Placed) -> Iterator[Problem]:
        node = placed.node
        for path, kind, reference in references(node.kind, node.body):
            if problem := self.library.problem(kind, reference):
                yield (*node.path, *path), problem
            elif kind in ("Workflow", "Tool") and (circle := self._circle(kind, reference)):
                yield (*node.path, *path), f"workflows start each other in a circle: {' → '.join(circle)}"
        if node.kind in ("prompt", "agent"):
            yield from schema_problems(node.body.get("output"), (*node.path, "output"))
            yield from self._variables(placed)
        if node.kind in ("tool", "workflow"):
            yield from self._input_of(node)
        if node.kind == "tool" and "cache" in node.body:
            tool = self.library.body("Tool", node.body["tool"])
            if tool is not None and tool.get("effect", "once") != "read":
                told = f"the Tool {node.body['tool']!r} has an effect; only those that `read` can be cached"
                yield (*node.path, "cache"), told

    def _circle(self, kind: str, reference: str) -> tuple[str, ...] | None:
        """The workflows on the way from this one, through a document that it names, back to itself."""
        here = str(self.body.get("name"))
        ways: list[tuple[str, str, tuple[str, ...]]] = [(kind, reference, (here,))]
        seen: set[tuple[str, str]] = set()
        while ways:
            kind, reference, way = ways.pop()
            name = reference.partition("@")[0]
            if (kind, name) == ("Workflow", here):
                return (*way, here)
            body = self.library.body(kind, name)
            if body is None or (kind, name) in seen:
                continue
            seen.add((kind, name))
            further = (*way, name) if kind == "Workflow" else way
            ways += [(k, r, further) for k, r in started_by(kind, body)]
        return None

    def _variables(self, placed: Placed) -> Iterator[Problem]:
        node = placed.node
        name = node.body[node.kind]
        prompt = self.library.body("Prompt", name)
        if prompt is None:
            return
        variables, given = _mapping(prompt.get("variables")), _mapping(node.body.get("with"))
        for each in given.keys() - variables.keys():
            yield (*node.path, "with", each), f"the Prompt {name!r} has no variable {each!r}"
        for each in variables.keys() - given.keys():
            if not (isinstance(variables[each], dict) and "default" in variables[each]):
                yield (*node.path, "with"), f"the Prompt {name!r} needs the variable {each!r}"
        yield from self._secret_variables(placed, prompt, given)
        for names in insert_names(prompt):
            for problem in self._names((*node.path, node.kind), names, placed):
                yield problem[0], f"{problem[1]} (in an `insert` of the Prompt)"

    def _secret_variables(
        self, placed: Placed, prompt: Mapping[str, Any], given: Mapping[str, Any]
    ) -> Iterator[Problem]:
        """What a prompt does with the variables that are given a secret."""
        node = placed.node
        for name, text in given.items() if self.secrets else ():
            with suppress(TemplateError):  # told where it stands
                if not (isinstance(text, str) and secret_uses.named(text, self.secrets)):
                    continue
                for _, content in template_texts(prompt.get("messages"), ()):
                    for told in secret_uses.problems(content, [(name,)], "text"):
                        yield (*node.path, "with", name), f"{told} (in the Prompt {node.body[node.kind]!r})"

    def _input_of(self, node: StepNode) -> Iterator[Problem]:
        """What is given to a tool or a child workflow, against its input schema."""
        kind, name = node.kind.capitalize(), node.body[node.kind]
        document = self.library.body(kind, name)
        declared = document.get("input") if document else None
        if not isinstance(declared, dict) or schema.problems_of_schema(declared):
            return
        given = _mapping(node.body.get("with"))
        for place, text in secret_fields.texts(given, secret_fields.marked(declared)).items():
            if not templates.is_template(text):
                yield (
                    (*node.path, "with", *place),
                    "is a secret field, and would stand in this document in clear",
                )
        properties = declared.get("properties", {})
        for each in declared.get("required", ()):
            if each not in given:
                yield (*node.path, "with"), f"the {kind} {name!r} needs {each!r}"
        if declared.get("additionalProperties") is False:
            for each in given.keys() - properties.keys():
                yield (*node.path, "with", each), f"the {kind} {name!r} takes no {each!r}"


def _own_names(node: StepNode) -> frozenset[str]:
    """The names that a map or loop gives to the steps inside it."""
    if node.kind == "loop":
        return frozenset({"turn", "previous"})
    return frozenset({"item", "index", str(node.body["map"].get("as", "item"))})


def _count(steps: tuple[StepNode, ...]) -> int:
    return sum(1 + sum(_count(inner) for inner in step.inner) for step in steps)


_NOWHERE = StepNode((), {}, "", True)


def insert_names(prompt: Mapping[str, Any]) -> Iterator[Names]:
    """The names of the step's scope that a prompt's `insert` messages use (its variables left out).

    Raises: nothing; an expression that is wrong is told where the prompt is checked.
    """
    variables = _mapping(prompt.get("variables"))
    messages = prompt.get("messages", ())
    for message in messages if isinstance(messages, list) else ():
        if not isinstance(message, dict) or not isinstance(message.get("insert"), str):
            continue
        try:
            names = templates.names_in(message["insert"])
        except TemplateError:
            continue
        yield Names(frozenset(path for path in names.paths if path[0] in SCOPE and path[0] not in variables))


def _bare(node: StepNode) -> Iterator[tuple[Path, str]]:
    if "when" in node.body:
        yield (*node.path, "when"), node.body["when"]
    if node.kind == "map":
        yield (*node.path, "map", "over"), node.body["map"]["over"]
    if node.kind == "branch":
        for index, case in enumerate(node.body["branch"]):
            if "when" in case:
                yield (*node.path, "branch", index, "when"), case["when"]


def _not_visible(id: str, named: Placed, placed: Placed) -> str:
    if placed.node.id == id:
        return f"the step {id!r} cannot name itself"
    around = [node for node in named.loops if node not in placed.loops]
    if around:
        outer = around[0]
        return f"the step {id!r} is inside the {outer.kind} {outer.id!r}; only steps inside it can name it"
    if placed.node is _NOWHERE:
        return f"the step {id!r} cannot be named here"
    hint = f"; add it to `needs` of {placed.node.id!r}" if id in placed.siblings else ""
    return f"the step {id!r} is not needed by this one, not even through others{hint}"


def _input_name(declared: Any, name: str | int) -> str | None:
    """What is wrong with `input.NAME`, if the input's schema is closed, so that it can tell."""
    if not isinstance(declared, dict) or declared.get("additionalProperties") is not False:
        return None
    properties = declared.get("properties", {})
    if declared.get("patternProperties") or not isinstance(properties, dict) or name in properties:
        return None
    return f"the input has no key {name!r}; its schema has: {_list(properties)}"


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(names: Any) -> str:
    return ", ".join(sorted(names)) or "none"
