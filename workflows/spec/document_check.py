"""What a Provider, Route, Prompt, Tool or Corpus has to hold beyond its shape (pure)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from providers import patterns
from workflows.spec import schema, templates
from workflows.spec.kinds import UNSUPPORTED_APIS, UNSUPPORTED_KEYS, unsupported
from workflows.spec.library import Library
from workflows.spec.places import Path
from workflows.spec.sandbox import SCOPE
from workflows.spec.schema import Problem
from workflows.spec.shapes import TOOL_FORMS
from workflows.spec.templates import TemplateError


def problems(kind: str, body: Mapping[str, Any], library: Library) -> Iterator[Problem]:
    """Check a document whose shape is right."""
    yield from _CHECKS[kind](body, library)


def schema_problems(value: Any, path: Path) -> Iterator[Problem]:
    """Problems of a JSON Schema inside a document; none if there is no schema."""
    if value is not None:
        yield from (((*path, *inner), message) for inner, message in schema.problems_of_schema(value))


def template_texts(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """All template strings inside a value, with their paths."""
    if isinstance(value, str):
        if templates.is_template(value):
            yield path, value
    elif isinstance(value, (list, dict)):
        items: Iterable[tuple[str | int, Any]] = (
            value.items() if isinstance(value, dict) else enumerate(value)
        )
        for key, item in items:
            yield from template_texts(item, (*path, key))


def _provider(body: Mapping[str, Any], _: Library) -> Iterator[Problem]:
    if body["api"] in UNSUPPORTED_APIS:
        yield ("api",), unsupported(f"the api `{body['api']}`")
    seen: set[str] = set()
    for index, model in enumerate(body.get("models", ())):
        if model["name"] in seen:
            yield ("models", index, "name"), f"the model {model['name']!r} is there twice"
        seen.add(model["name"])
    if "rules" in body and body["api"] != "scripted":
        yield ("rules",), "only a provider of the api `scripted` has rules"
    for index, rule in enumerate(body.get("rules", ())):
        try:
            patterns.check(rule.get("match", ""))
        except ValueError as error:
            yield ("rules", index, "match"), str(error)
        if "fault" in rule and len(rule["fault"]) != 1:
            yield ("rules", index, "fault"), "a fault has either `status` or `kind`"


def _route(body: Mapping[str, Any], library: Library) -> Iterator[Problem]:
    for index, target in enumerate(body["targets"]):
        path: Path = ("targets", index) if isinstance(target, str) else ("targets", index, "model")
        problem = library.model_problem(target if isinstance(target, str) else target["model"], embeds=False)
        if problem:
            yield path, problem


def _corpus(body: Mapping[str, Any], library: Library) -> Iterator[Problem]:
    if problem := library.model_problem(body["embedding"], embeds=True):
        yield ("embedding",), problem
    chunk = body.get("chunk", {})
    if chunk.get("overlap", 0) >= chunk.get("tokens", 1_000_000):
        yield ("chunk", "overlap"), "the overlap must be smaller than the chunk"
    for index, source in enumerate(body.get("sources", ())):
        for key in UNSUPPORTED_KEYS["source"] & set(source):
            yield ("sources", index, key), unsupported(f"a source's `{key}`")
        if not source:
            yield ("sources", index), "needs the key `path`"


def _prompt(body: Mapping[str, Any], _: Library) -> Iterator[Problem]:
    variables = body.get("variables", {})
    for name, declared in variables.items():
        yield from schema_problems(declared, ("variables", name))
    yield from schema_problems(body.get("output"), ("output",))
    for index, message in enumerate(body["messages"]):
        key = "insert" if "insert" in message else "content"
        known = set(variables) | (SCOPE if key == "insert" else set())
        for path, text in template_texts(message[key], ("messages", index, key)):
            yield from _unknown_names(path, text, known, "the prompt's variables")
        if key == "insert" and not templates.is_template(message[key]):
            yield ("messages", index, key), "needs an expression in `{{ }}` that gives a list of messages"


def _tool(body: Mapping[str, Any], _: Library) -> Iterator[Problem]:
    forms = [form for form in TOOL_FORMS if form in body]
    if len(forms) != 1:
        yield (), f"a Tool has exactly one of http and python; this one has {' and '.join(forms) or 'none'}"
    yield from schema_problems(body.get("input"), ("input",))
    declared = body.get("input")
    fields = declared.get("properties") if isinstance(declared, dict) else None
    for path, text in template_texts(body.get("http", {}), ("http",)):
        known = set(fields) if isinstance(fields, dict) else None
        yield from _unknown_names(path, text, known, "the tool's input fields")


def _unknown_names(path: Path, text: str, known: set[str] | None, what: str) -> Iterator[Problem]:
    try:
        roots = templates.roots_in(text)
    except TemplateError as error:
        yield path, error.message
        return
    for root in sorted(roots - known) if known is not None else ():
        listed = ", ".join(sorted(known - SCOPE)) if known else ""
        yield path, f"names {root!r}, which is none of {what} ({listed or 'there are none'})"


_CHECKS: Mapping[str, Callable[[Mapping[str, Any], Library], Iterator[Problem]]] = {
    "Provider": _provider,
    "Route": _route,
    "Prompt": _prompt,
    "Tool": _tool,
    "Corpus": _corpus,
}
