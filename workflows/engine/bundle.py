"""A release, loaded: the plan of its workflow and every document it resolves to, ready for use.

A release never changes, so a process loads it once. Provider documents are operational and no part of it: the
newest versions count, and a process looks for them anew every two seconds, and with each release new to it: what
was applied together is seen together.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from providers.config import Provider, Route
from workflows import database, payloads
from workflows.engine import plan as plans
from workflows.spec import references
from workflows.spec import workflow as workflow_spec
from workflows.spec.step_bodies import AgentBody, PromptBody
from workflows.spec.workflow import StepDef
from workflows.spec.workflow_check import insert_names
from workflows.tools.config import Tool

PROVIDERS_FOR_S: Final = 2.0
KINDS: Final = {"prompts": "Prompt", "routes": "Route", "tools": "Tool", "corpora": "Corpus"}


@dataclass(frozen=True)
class Bundle:
    release: int
    plan: plans.Plan
    prompts: Mapping[str, Mapping[str, Any]]
    routes: Mapping[str, Route]
    tools: Mapping[str, Tool]
    corpora: Mapping[str, Mapping[str, Any]]
    children: Mapping[str, int]  # the rows of the releases that it starts, by what `references.pinned` gives
    inserts: Mapping[str, frozenset[str]]  # by prompt: the steps that its `insert` messages name
    versions: Mapping[str, int]  # "prompts/triage" → 3, for lineage

    def reads(self, step: StepDef) -> frozenset[str]:
        """Return the steps whose recorded state a step's expressions name, those in its prompt included."""
        if isinstance(step.body, PromptBody):
            return step.reads | self.inserts[step.body.prompt]
        if isinstance(step.body, AgentBody):
            speakers = (step.body.prompt, *step.body.agents)
            return step.reads.union(*(self.inserts[ref] for ref in speakers))
        return step.reads

    def child(self, workflow: str, release: int | None = None) -> Bundle:
        """Return the release that a step starts as a child run."""
        return load(self.children[references.pinned(workflow, release)])

    def all_corpora(self) -> frozenset[str]:
        """Return the names of the corpora that a run reads, its child runs included."""
        own = {ref.split("@")[0] for ref in self.corpora}
        return frozenset(own).union(*(load(row).all_corpora() for row in self.children.values()))


@lru_cache(maxsize=256)
def load(release: int) -> Bundle:
    """Return the bundle of a release by its row id."""
    forget_providers()
    found, own = database.fetch_all(
        "SELECT manifest, documents_hash FROM workflows_release WHERE id = $1", [release]
    )[0]
    manifest, given = database.parsed(found), payloads.load_one(own) or {}
    documents = {
        group: _documents(kind, manifest.get(group, {}), given.get(group, {}))
        for group, kind in KINDS.items()
    }
    name, version = manifest["workflow"]
    definition = workflow_spec.parse(_documents("Workflow", {name: version}, given.get("workflow", {}))[name])
    return Bundle(
        release=release,
        plan=plans.build(definition),
        prompts=documents["prompts"],
        routes={ref: Route.from_document(body) for ref, body in documents["routes"].items()},
        tools={ref: Tool.from_document(body) for ref, body in documents["tools"].items()},
        corpora=documents["corpora"],
        children=_releases(manifest.get("workflows", {}), given.get("releases", {})),
        inserts={
            ref: frozenset(step for names in insert_names(body) for step in names.steps)
            for ref, body in documents["prompts"].items()
        },
        versions={
            f"{group}/{ref}": number for group in KINDS for ref, number in manifest.get(group, {}).items()
        },
    )


def _releases(numbers: Mapping[str, int], owners: Mapping[str, str]) -> dict[str, int]:
    """Return the rows of the releases of child workflows, by the reference that names them.

    `owners`: whose they are where they are no workflow's own.
    """
    if not numbers:
        return {}
    names = [owners.get(ref, references.workflow_of(ref)) for ref in numbers]
    rows = database.fetch_all(
        """
        SELECT wanted.ref, r.id FROM workflows_release r
          JOIN unnest($1::text[], $2::text[], $3::int[]) AS wanted(ref, workflow, number)
            ON wanted.workflow = r.workflow AND wanted.number = r.number
        """,
        [list(numbers), names, list(numbers.values())],
    )
    return dict(rows)


def _documents(kind: str, all_versions: Mapping[str, int], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the bodies of exact versions by the reference that names them (`triage`, `triage@3`).

    `given`: bodies that stand in for versions.
    """
    versions = {ref: version for ref, version in all_versions.items() if ref not in given}
    if not versions:
        return {ref: given[ref] for ref in all_versions}
    rows = database.fetch_all(
        """
        SELECT d.name, v.version, v.body
          FROM workflows_definitionversion v JOIN workflows_definition d ON d.id = v.definition_id
          JOIN unnest($2::text[], $3::int[]) AS wanted(name, version)
            ON wanted.name = d.name AND wanted.version = v.version
         WHERE d.kind = $1
        """,
        [kind, [ref.split("@")[0] for ref in versions], list(versions.values())],
    )
    found = {(name, version): database.parsed(body) for name, version, body in rows}
    return {
        ref: given[ref] if ref in given else found[ref.split("@")[0], version]
        for ref, version in all_versions.items()
    }


class _Providers:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.until = 0.0
        self.known: Mapping[str, Provider] = {}

    def newest(self) -> Mapping[str, Provider]:
        with self.lock:
            if time.monotonic() >= self.until:
                rows = database.fetch_all(
                    """
                    SELECT d.name, v.version, v.body
                      FROM workflows_definition d
                      JOIN workflows_definitionversion v
                        ON v.definition_id = d.id AND v.version = d.latest_version
                     WHERE d.kind = 'Provider' AND d.archived_at IS NULL
                    """,
                    [],
                )
                self.known = {
                    n: Provider.from_document(database.parsed(body), version=v) for n, v, body in rows
                }
                self.until = time.monotonic() + PROVIDERS_FOR_S
            return self.known


_providers = _Providers()


def providers() -> Mapping[str, Provider]:
    """Return the newest version of every provider document, by name."""
    return _providers.newest()


def forget_providers() -> None:
    """Look for provider documents anew at the next call."""
    with _providers.lock:  # a look that began before must not count as a newer one
        _providers.until = 0.0
