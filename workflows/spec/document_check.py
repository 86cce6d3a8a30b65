"""What a document of any kind but Workflow has to hold beyond its shape (pure)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from providers import patterns
from workflows.spec import cron, durations, near, rollouts, schema, secret_fields, templates
from workflows.spec.kinds import EVENTS, UNSUPPORTED_APIS, UNSUPPORTED_KEYS, unsupported
from workflows.spec.library import Library
from workflows.spec.places import Path
from workflows.spec.sandbox import SCOPE
from workflows.spec.schema import Problem
from workflows.spec.shapes import TOOL_FORMS
from workflows.spec.templates import TemplateError


def problems(kind: str, body: Mapping[str, Any], library: Library) -> Iterator[Problem]:
    """Check a document whose shape is right."""
    yield from _CHECKS[kind](body, library)


def schema_problems(value: Any, path: Path, *, keeps_secrets: bool = False) -> Iterator[Problem]:
    """Problems of a JSON Schema inside a document; none if there is no schema.

    `keeps_secrets`: it is that of a workflow's input, the one place where `x-secret` has an effect.
    """
    if value is None:
        return
    yield from (((*path, *inner), message) for inner, message in schema.problems_of_schema(value))
    if keeps_secrets:
        yield from secret_fields.problems(value, path)
    else:
        yield from secret_fields.misplaced(value, path)


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


def _tool(body: Mapping[str, Any], library: Library) -> Iterator[Problem]:
    forms = [form for form in TOOL_FORMS if form in body]
    if len(forms) != 1:
        yield (
            (),
            f"a Tool has exactly one of http, python, mcp and workflow; this one has {' and '.join(forms) or 'none'}",
        )
    if "workflow" in body and (problem := library.problem("Workflow", body["workflow"])):
        yield ("workflow",), problem
    yield from schema_problems(body.get("input"), ("input",))
    yield from schema_problems(body.get("output"), ("output",))
    declared = body.get("input")
    fields = declared.get("properties") if isinstance(declared, dict) else None
    for key in ("http", "mcp"):
        for path, text in template_texts(body.get(key, {}), (key,)):
            known = set(fields) if isinstance(fields, dict) else None
            yield from _unknown_names(path, text, known, "the tool's input fields")
    if "mcp" in body:
        yield from _mcp(body)


def _mcp(body: Mapping[str, Any]) -> Iterator[Problem]:
    server = body["mcp"]["server"]
    if ("url" in server) == ("command" in server):
        given = "both" if "url" in server else "neither"
        yield ("mcp", "server"), f"a server has exactly one of `url` and `command`; this one has {given}"
    for key in ("headers", "credential"):
        if key in server and "url" not in server:
            yield ("mcp", "server", key), "only a server with a `url` is sent this"
    if templates.is_template(server.get("url", "")):
        yield ("mcp", "server", "url"), "the address of a server is written out; no input can choose it"
    if "input" not in body:
        yield (
            (),
            "a Tool with `mcp` needs the key `input`: models are told it, and arguments are held against it; "
            "the server's own list of tools has it as `inputSchema`",
        )


def _environment(body: Mapping[str, Any], _: Library) -> Iterator[Problem]:
    for path, message in rollouts.problems(body["rollout"]) if "rollout" in body else ():
        yield ("rollout", *path), message


MAX_CATCH_UP_S = 7 * 86_400


def _schedule(body: Mapping[str, Any], library: Library) -> Iterator[Problem]:
    if problem := cron.problem(body["cron"]):
        yield ("cron",), problem
    if "timezone" in body and (problem := cron.zone_problem(body["timezone"])):
        yield ("timezone",), problem
    if durations.seconds(body.get("catch_up", "0s")) > MAX_CATCH_UP_S:
        yield ("catch_up",), "at most 7d: what is older than a week is not caught up by itself"
    if problem := library.problem("Workflow", body["workflow"]):
        yield ("workflow",), problem
        return
    workflow = library.body("Workflow", body["workflow"]) or {}
    declared = workflow.get("input", {})
    try:
        found = schema.problems_of_value(declared, body.get("input", {}))
    except schema.SchemaError:
        return  # told where the schema stands
    for path, message in found:
        yield ("input", *path), f"{message} (the input of workflow {body['workflow']})"
    for path in secret_fields.texts(body.get("input", {}), secret_fields.marked(declared)):
        yield (
            ("input", *path),
            f"is a secret field of workflow {body['workflow']}; a Schedule is stored in clear and cannot hold its "
            "value: let what holds it start the runs through the API",
        )


def _webhook(body: Mapping[str, Any], _: Library) -> Iterator[Problem]:
    doubled = {pattern for pattern in body["events"] if body["events"].count(pattern) > 1}
    for pattern in sorted(doubled):
        yield ("events",), f"{pattern!r} is there twice"
    for index, pattern in enumerate(body["events"]):
        family, _, event = pattern.partition(".")
        known = EVENTS.get(family)
        if known is None and pattern != "*":
            yield ("events", index), f"there are no events {family!r}; there are {', '.join(EVENTS)}, and *"
        elif known and event not in (*known, "*"):
            yield ("events", index), f"there is no event {pattern!r}{near.meant(event, known)}"


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
    "Environment": _environment,
    "Schedule": _schedule,
    "Webhook": _webhook,
}
