"""Drive the engine inside a test: deploy a workflow, start runs, work them off, play the worker that dies."""

from __future__ import annotations

import uuid
from typing import Any

import yaml
from django.utils import timezone

from workflows import database, payloads, runs
from workflows.actor import Actor
from workflows.engine import clock, commit, execute
from workflows.models import Definition, DefinitionVersion, Deployment, Environment, Release, Run, StepRun

OPERATOR = Actor(kind="user", name="olga")


def save(kind: str, text: str) -> tuple[str, int]:
    """Save one document as a new version of its name."""
    body = yaml.safe_load(text)
    definition, _ = Definition.objects.get_or_create(kind=kind, name=body["name"])
    definition.latest_version += 1
    definition.save()
    DefinitionVersion.objects.create(
        definition=definition,
        version=definition.latest_version,
        content_hash=payloads.digest(body).hex(),
        body=body,
        created_by="test",
    )
    return definition.name, definition.latest_version


def deploy(workflow: str, **documents: str) -> str:
    """Save a workflow with its documents (`prompts=`, `routes=`, `tools=`) and deploy it to production."""
    kinds = {"prompts": "Prompt", "routes": "Route", "tools": "Tool", "corpora": "Corpus"}
    manifest: dict[str, Any] = {group: {} for group in kinds}
    for group, texts in documents.items():
        for text in texts.split("\n---\n"):
            name, version = save(kinds[group], text)
            manifest[group][name] = version
    name, version = save("Workflow", workflow)
    manifest["workflow"] = [name, version]
    release = Release.objects.create(
        workflow=name, number=version, content_hash=uuid.uuid4().hex, manifest=manifest, created_by="test"
    )
    environment, _ = Environment.objects.get_or_create(name="production")
    Deployment.objects.update_or_create(
        workflow=name,
        environment=environment,
        defaults={"stable": release, "deployed_at": timezone.now(), "deployed_by": "test"},
    )
    return name


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
