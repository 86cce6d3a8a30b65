"""Runs to act on in bulk: failed through a provider outage that can be mended, in small and in large numbers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import connection
from django.db.models import Model
from django.utils import timezone

from tests import engine
from workflows.bulk import actions, options, previews, selections
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
    for number, run in enumerate(made):
        Run.objects.filter(pk=run.pk).update(title=f"Outage question {number}")
        run.refresh_from_db()
        assert run.state == "failed", run.state
    return made


MIDDLE = "name: middle\nsteps: [{id: call, workflow: asking, with: {text: hello}}]\n"
TOP = "name: top\nsteps: [{id: call, workflow: middle}]\n"


def fail_below(count: int) -> list[Run]:
    """Return runs that failed in a child run of a child run, because the provider was down."""
    outage(0)
    for workflow in (MIDDLE, TOP):
        engine.deploy(workflow)
    return [engine.run("top") for _ in range(count)]


NOTE = """
kind: Tool
name: note
input: {type: object}
http: {method: POST, url: "http://127.0.0.1:9/note"}
effect: idempotent
timeout: 5s
"""
INNER = "name: inner\nsteps: [{id: note, tool: note, with: {}, retry: {attempts: 1}}]\n"
OUTER = "name: outer\nsteps: [{id: call, workflow: inner}]\n"


def note_below() -> Run:
    """Return a run that failed in a child run, at the call of a tool with an effect."""
    engine.apply(NOTE)
    for workflow in (INNER, OUTER):
        engine.deploy(workflow)
    return engine.run("outer")


def mend() -> None:
    """Bring the provider back."""
    engine.apply(UP)
    bundle.forget_providers()


def many_failed(count: int, *, ago_s: float = 3600) -> None:
    """Multiply one failed run of the workflow `asking`: these are written and never ran."""
    [first] = outage(1)
    start = timezone.now() - timedelta(seconds=ago_s)
    Run.objects.filter(pk=first.pk).update(created_at=start, started_at=start, ended_at=start)
    number = "'r_f' || lpad(n::text, 12, '0')"
    _multiply(
        Run,
        count,
        of=first.pk,
        id=number,
        title="'Question ' || lpad(n::text, 5, '0')",
        created_at="created_at + n * interval '100 milliseconds'",
        idempotency_key="NULL",
    )
    _multiply(StepRun, count, of=first.pk, id=f"nextval('{_SEQUENCE}')", run_id=number)
    Run.objects.filter(pk=first.pk).delete()


_SEQUENCE = "workflows_steprun_id_seq"


def _multiply(model: type[Model], count: int, *, of: str, **changed: str) -> None:
    """Insert `count` copies of the rows of a run, with some columns computed from `n`."""
    columns = [field.column for field in model._meta.concrete_fields]
    values = ", ".join(changed.get(str(column), f'"{column}"') for column in columns)
    names = ", ".join(f'"{column}"' for column in columns)
    key = "id" if model is Run else "run_id"
    table = model._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({names}) SELECT {values} FROM {table}, generate_series(0, %s) n "  # noqa: S608
            f"WHERE {table}.{key} = %s",
            [count - 1, of],
        )


def asked(action: previews.Action = "retry", *, selection: Any = None, **more: Any) -> previews.Asked:
    """Return what would be asked now: for all runs, unless said."""
    chosen = selection or selections.Matching(RunFilter())
    return previews.Asked(action=action, selection=chosen, frozen_at=timezone.now(), **more)


def start(action: previews.Action = "retry", *, selection: Any = None, **pace: Any) -> BulkAction:
    """Start a bulk action, on all runs unless said; it is carried out by `engine.drain()` or a worker."""
    order = actions.Order(
        asked=asked(action, selection=selection), reason="key renewed", options=options.Options(**pace)
    )
    return actions.start(order, actor=engine.OPERATOR).action


def carried(action: BulkAction) -> None:
    """Carry an action out to its end, however often it waits; what it started or led on goes on meanwhile."""
    for _ in range(60):
        engine.drain()
        if Run.objects.get(pk=action.run_id).ended_at is not None:
            return
        engine.wake()
    raise AssertionError("The action does not come to its end.")
