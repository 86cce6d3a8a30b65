"""What a document refers to, and which exact versions a workflow resolves to (pure).

May not: look into the database; what is saved is passed in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from workflows.spec.workflow import kind_of

Json = Any
# Groups of a release's manifest, by the kind of document in them.
GROUPS: Mapping[str, str] = {"Prompt": "prompts", "Route": "routes", "Tool": "tools", "Corpus": "corpora"}
# The keys of a step that name a document.
_STEP_KEYS: Mapping[str, str] = {"prompt": "Prompt", "route": "Route", "tool": "Tool", "retrieve": "Corpus"}


def references(kind: str, body: Mapping[str, Json]) -> frozenset[tuple[str, str]]:
    """The documents that a document names: pairs of kind and reference (`triage`, `triage@3`)."""
    if kind == "Workflow":
        return frozenset(pair for step in _steps(body["steps"]) for pair in _of_step(step))
    if kind == "Route":
        targets = (target if isinstance(target, str) else target["model"] for target in body["targets"])
        return frozenset(("Provider", target.partition("/")[0]) for target in targets)
    return frozenset({("Provider", body["embedding"].partition("/")[0])} if kind == "Corpus" else ())


def manifest(
    body: Mapping[str, Json], *, version: int, latest: Mapping[tuple[str, str], int]
) -> dict[str, Json]:
    """The exact versions that a workflow resolves to; `latest` gives the newest version by kind and name."""
    found: dict[str, Json] = {"workflow": [body["name"], version], **{group: {} for group in GROUPS.values()}}
    for kind, reference in sorted(references("Workflow", body)):
        name, _, pin = reference.partition("@")
        found[GROUPS[kind]][reference] = int(pin) if pin else latest[kind, name]
    return found


def _steps(steps: Sequence[Mapping[str, Json]]) -> Iterator[Mapping[str, Json]]:
    for step in steps:
        yield step
        kind = kind_of(step)
        if kind in ("map", "loop"):
            yield from _steps(step[kind]["steps"])
        elif kind == "branch":
            for case in step[kind]:
                yield from _steps(case["steps"])


def _of_step(step: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
    for key, kind in _STEP_KEYS.items():
        if key in step:
            yield kind, step[key]
