"""The documents that a step names (pure): one table for checks, releases and the console."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from workflows.spec.places import Path

# The keys of a step that name a document, by kind of step, and the kind of document.
_KEYS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "prompt": (("prompt", "Prompt"), ("route", "Route")),
    "retrieve": (("retrieve", "Corpus"),),
    "tool": (("tool", "Tool"),),
    "agent": (("agent", "Prompt"), ("route", "Route")),
    "workflow": (("workflow", "Workflow"),),
}
_LISTS: Mapping[str, tuple[tuple[str, str], ...]] = {"agent": (("tools", "Tool"), ("agents", "Prompt"))}


def references(kind: str, step: Mapping[str, Any]) -> Iterator[tuple[Path, str, str]]:
    """Yield (path in the step, kind of document, reference) for what a step names."""
    for key, document in _KEYS.get(kind, ()):
        if isinstance(step.get(key), str):
            yield (key,), document, step[key]
    for key, document in _LISTS.get(kind, ()):
        names = step.get(key)
        for index, name in enumerate(names if isinstance(names, list) else ()):
            if isinstance(name, str):
                yield (key, index), document, name


def steps_of(body: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the steps of a Workflow document as they are written, inner ones and those of `finally` too.

    What has not the shape of a step is passed over: a check of shapes tells about it.
    """
    for key in ("steps", "finally"):
        yield from _within(body.get(key))


def _within(steps: Any) -> Iterator[Mapping[str, Any]]:
    for step in steps if isinstance(steps, list | tuple) else ():
        if not isinstance(step, Mapping):
            continue
        yield step
        for key in ("map", "loop"):
            if isinstance(step.get(key), Mapping):
                yield from _within(step[key].get("steps"))
        cases = step.get("branch")
        for case in cases if isinstance(cases, list | tuple) else ():
            if isinstance(case, Mapping):
                yield from _within(case.get("steps"))


def started_by(kind: str, body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the workflows that a Workflow or Tool document starts, and the tools that may start some, by reference."""
    if kind == "Tool":
        if isinstance(body.get("workflow"), str):
            yield "Workflow", body["workflow"]
        return
    for step in steps_of(body):
        if isinstance(step.get("workflow"), str):
            yield "Workflow", step["workflow"]
        listed = step.get("tools")
        for tool in (step.get("tool"), *(listed if isinstance(listed, list | tuple) else ())):
            if isinstance(tool, str):
                yield "Tool", tool


def split(reference: str) -> tuple[str, int | None]:
    """Return name and version of a reference; no version: the newest."""
    name, _, pin = reference.partition("@")
    return name, int(pin) if pin else None


def pinned(workflow: str, release: int | None) -> str:
    """Return the name under which a manifest holds the release of a child workflow."""
    return workflow if release is None else f"{workflow}#{release}"


def workflow_of(held: str) -> str:
    """Return the workflow's name in what `pinned` gave for a reference."""
    return split(held.partition("#")[0])[0]
