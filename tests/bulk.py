"""Runs to act on in bulk: failed through a provider outage that can be mended, in small and in large numbers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from tests import engine, factories
from workflows.bulk import actions, previews, selections
from workflows.engine import bundle
from workflows.models import BulkAction, Run, StepRun
from workflows.queries.run_list import RunFilter

PROVIDER = """
kind: Provider
name: fake
api: scripted
models: [{{name: m, context_tokens: 8000, price: {{input: 1, output: 2}}}}]
rules: [{rule}]
"""
DOWN = PROVIDER.format(rule='{match: ".*", fault: {status: 401}}')
UP = PROVIDER.format(rule='{match: ".*", reply: "fine"}')
OTHERS = """
kind: Route
name: chat
targets: [fake/m]
---
kind: Prompt
name: ask
variables: {text: {type: string}}
messages: [{role: user, content: "{{ text }}"}]
"""
ASKING = """
name: asking
input: {type: object}
steps:
  - {id: before, set: {a: 1}}
  - {id: ask, prompt: ask, route: chat, with: {text: "{{ input.text }}"}}
output: {text: "{{ steps.ask.output.text }}"}
"""


def outage(count: int) -> list[Run]:
    """Return runs that failed because the provider was down. `mend()` brings it back."""
    bundle.forget_providers()
    engine.deploy(ASKING, others=DOWN + "---" + OTHERS)
    made = [engine.start("asking", text=f"question {number}") for number in range(count)]
    engine.drain()
    for run in made:
        run.refresh_from_db()
        assert run.state == "failed", run.state
    return made


def mend() -> None:
    """Bring the provider back."""
    engine.apply(UP)
    bundle.forget_providers()


def many_failed(count: int, *, state: str = "failed", ago_s: float = 3600) -> None:
    """Add a lot of failed runs of the workflow `asking`, which are written and never ran."""
    engine.deploy(ASKING, others=DOWN + "---" + OTHERS)
    release = factories.Release.objects.get(workflow="asking")
    key, start = factories.payload({"text": "hello"}), timezone.now() - timedelta(seconds=ago_s)
    error = {"class": "auth", "message": "401: no such key", "step": "ask"}
    runs = [_failed(number, release, key, start, state=state, error=error) for number in range(count)]
    Run.objects.bulk_create(runs, batch_size=2000)
    StepRun.objects.bulk_create([step for run in runs for step in _steps(run, key, error)], batch_size=2000)


def _failed(number: int, release: Any, key: bytes, start: datetime, *, state: str, error: Any) -> Run:
    created = start + timedelta(milliseconds=100 * number)
    return Run(
        id=f"r_f{number:012d}",
        workflow="asking",
        environment_id="production",
        release=release,
        state=state,
        title=f"Question {number:05d}",
        trigger="api",
        created_by="token:load",
        input_hash=key,
        events=1,
        created_at=created,
        started_at=created,
        ended_at=created + timedelta(seconds=2),
        error=error if state == "failed" else None,
    )


def _steps(run: Run, key: bytes, error: Any) -> Sequence[StepRun]:
    told = {"class": error["class"], "message": error["message"]}
    rows = (("before", "set", "succeeded", None), ("ask", "prompt", run.state, told))
    return [
        StepRun(
            run=run,
            path=path,
            step_id=path,
            kind=kind,
            ordinal=ordinal,
            state=state,
            error=problem,
            output_hash=key,
            attempts_made=1,
            events=0,
            ended_at=run.ended_at,
        )
        for ordinal, (path, kind, state, problem) in enumerate(rows)
    ]


def asked(action: previews.Action = "retry", *, selection: Any = None, **more: Any) -> previews.Asked:
    """Return what would be asked now: for all runs, unless said."""
    chosen = selection or selections.Matching(RunFilter())
    return previews.Asked(action=action, selection=chosen, frozen_at=timezone.now(), **more)


def start(action: previews.Action = "retry", *, selection: Any = None, **options: Any) -> BulkAction:
    """Start a bulk action, on all runs unless said; it is carried out by `engine.drain()` or a worker."""
    order = actions.Order(
        asked=asked(action, selection=selection), reason="key renewed", options=actions.Options(**options)
    )
    return actions.start(order, actor=engine.OPERATOR).action
