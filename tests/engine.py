"""Drive the engine inside a test: deploy a workflow, start runs, work them off, play the worker that dies."""

from __future__ import annotations

import json
from typing import Any

import yaml

from workflows import database, definitions, payloads, runs
from workflows.actor import Actor
from workflows.definitions import Applied
from workflows.engine import clock, commit, execute
from workflows.models import Definition, DefinitionVersion, Run, StepRun
from workflows.releases import deployments
from workflows.spec.documents import SourceText, content_hash

OPERATOR = Actor(kind="user", name="olga")


def apply(*documents: str) -> Applied:
    """Apply documents, each with its `kind`. They must be right."""
    sources = [SourceText(f"{n}.yaml", text, "yaml") for n, text in enumerate(documents, 1)]
    applied = definitions.apply(sources, actor=OPERATOR)
    assert not applied.errors, "\n".join(str(error) for error in applied.errors)
    return applied


def deploy(workflow: str, *, tools: str = "", prompts: str = "", others: str = "") -> str:
    """Apply a workflow with its documents and deploy it to production, whatever was there; return its name."""
    texts = [_of_kind(kind, text) for kind, text in (("Tool", tools), ("Prompt", prompts)) if text]
    applied = apply(*texts, *([others] if others else []), _of_kind("Workflow", workflow))
    name = applied.plan[-1].name
    for release in applied.releases:
        deployments.deploy(name, environment="production", release=release.number, actor=OPERATOR)
    return name


def _of_kind(kind: str, text: str) -> str:
    return json.dumps({"kind": kind, **yaml.safe_load(text)})


def save(kind: str, text: str) -> None:
    """Save a document without what follows from it: no release, no deployment."""
    body = yaml.safe_load(text)
    definition = Definition.objects.create(kind=kind, name=body["name"], latest_version=1)
    DefinitionVersion.objects.create(
        definition=definition, version=1, content_hash=content_hash(body), body=body, created_by="test"
    )


def start(workflow: str, **given: Any) -> Run:
    return runs.start(runs.Order(workflow=workflow, input=given), actor=OPERATOR, trigger="api").run


def drain() -> int:
    """Work until nothing is ready; return how many attempts that took."""
    made = 0
    while count := execute.work():
        made += count
    return made


def run(workflow: str, **given: Any) -> Run:
    """Start a run and work until nothing is ready."""
    started = start(workflow, **given)
    drain()
    started.refresh_from_db()
    return started


def output(of: Run) -> Any:
    of.refresh_from_db()
    return payloads.load_one(of.output_hash)


def states(of: Run) -> dict[str, str]:
    """Return {path: state} of the current step runs."""
    return dict(StepRun.objects.filter(run=of, superseded=False).values_list("path", "state"))


def claim() -> commit.Claim:
    """Be a worker that takes the next ready row; and may never come back."""
    claimed = commit.claim(worker="test", lease_s=30, idle=True)
    assert claimed is not None, "nothing is ready"
    return claimed


def expire() -> None:
    """Let every lease run out, and the clock notice it."""
    database.fetch_all(
        "UPDATE workflows_steprun SET lease_until = clock_timestamp() - interval '1 second' "
        "WHERE state = 'running' RETURNING id",
        [],
    )
    clock.after_loss(database.call("interlock_expire", 100, 0.0))


def wake() -> None:
    """Make every timer due."""
    database.fetch_all(
        "UPDATE workflows_steprun SET wake_at = clock_timestamp() WHERE wake_at IS NOT NULL RETURNING id", []
    )
    clock.wake()


def check_journal(of: Run) -> None:
    """Hold the journal against invariant 5: gapless chains of n, and the counters of the rows."""
    chains: dict[tuple[Any, Any], list[int]] = {}
    for step, epoch, n in of.journal.order_by("seq").values_list("step", "epoch", "n"):
        chains.setdefault((step, epoch), []).append(n)
    for key, numbers in chains.items():
        assert numbers == list(range(1, len(numbers) + 1)), (key, numbers)
    of.refresh_from_db()
    assert len(chains[None, None]) == of.events
    for path, epoch, events in of.steps.values_list("path", "epoch", "events"):
        assert len(chains.get((path, epoch), [])) == events, path
