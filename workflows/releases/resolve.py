"""What a document refers to, and which exact versions a workflow resolves to (pure).

May not: look into the database; what is saved is passed in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from workflows.spec import references as step_references
from workflows.spec.workflow import kind_of

Json = Any
# Groups of a release's manifest, by the kind of document in them.
GROUPS: Mapping[str, str] = {
    "Prompt": "prompts",
    "Route": "routes",
    "Tool": "tools",
    "Corpus": "corpora",
    "Workflow": "workflows",
}


def references(kind: str, body: Mapping[str, Json]) -> frozenset[tuple[str, str]]:
    """The documents that a document names: pairs of kind and reference (`triage`, `triage@3`)."""
    if kind == "Workflow":
        return frozenset(pair for step in step_references.steps_of(body) for pair in _of_step(step))
    if kind == "Tool":
        return frozenset({("Workflow", body["workflow"])} if "workflow" in body else ())
    if kind == "Route":
        targets = (target if isinstance(target, str) else target["model"] for target in body["targets"])
        return frozenset(("Provider", target.partition("/")[0]) for target in targets)
    if kind == "Schedule":
        return frozenset({("Workflow", body["workflow"])})
    return frozenset({("Provider", body["embedding"].partition("/")[0])} if kind == "Corpus" else ())


def manifest(
    body: Mapping[str, Json],
    *,
    version: int,
    latest: Mapping[tuple[str, str], int],
    bodies: Callable[[str, str, int], Mapping[str, Json]],
    releases: Callable[[str, int | None], int],
) -> dict[str, Json]:
    """The exact versions that a workflow resolves to, and the releases of the workflows that it starts.

    `latest` gives the newest version by kind and name; `bodies` a document by kind, name and version; `releases`
    the newest release of a workflow, or of one version of it.
    """
    found: dict[str, Json] = {"workflow": [body["name"], version], **{group: {} for group in GROUPS.values()}}
    named = set(references("Workflow", body))
    for kind, reference in sorted(named):
        name, pin = step_references.split(reference)
        if kind != "Workflow":
            number = pin or latest[kind, name]
            found[GROUPS[kind]][reference] = number
            if kind == "Tool":
                named |= references("Tool", bodies("Tool", name, number))
    for reference in sorted(reference for kind, reference in named if kind == "Workflow"):
        found["workflows"][reference] = releases(*step_references.split(reference))
    for step in step_references.steps_of(body):
        if "workflow" in step and "release" in step:
            found["workflows"][step_references.pinned(step["workflow"], step["release"])] = step["release"]
    if not found["workflows"]:
        del found["workflows"]
    return found


@dataclass(frozen=True)
class Difference:
    """A document that two releases hold in other versions; None: one of them does not hold it."""

    kind: str
    name: str
    before: int | None
    after: int | None


def differences(before: Mapping[str, Json], after: Mapping[str, Json]) -> tuple[Difference, ...]:
    """Say how two manifests differ, the workflow itself first."""
    name = after["workflow"][0]
    pairs = [("Workflow", name, before["workflow"][1], after["workflow"][1])]
    for kind, group in GROUPS.items():
        old, new = before.get(group, {}), after.get(group, {})
        pairs += [(kind, ref, old.get(ref), new.get(ref)) for ref in sorted({*old, *new})]
    return tuple(Difference(*pair) for pair in pairs if pair[2] != pair[3])


def _of_step(step: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
    for _, kind, reference in step_references.references(kind_of(step), step):
        yield kind, reference
