"""The whole record of one run in plain JSON values: to be kept, or looked at elsewhere. Reads only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from workflows import payloads
from workflows.models import Call, JournalEvent, Run
from workflows.queries import run_page
from workflows.queries.step_rows import StepView, steps_of

Json = Any


def of_run(run: Run) -> dict[str, Json]:
    """Return run, steps with attempts, calls and journal, with every payload in its place; what is gone is null."""
    steps, calls = steps_of(run.id), run_page.calls_of(run.id)
    keys = [run.input_hash, run.output_hash]
    keys += [key for step in steps for key in (step.input_hash, step.output_hash)]
    keys += [key for call in calls for key in (call.request_hash, call.response_hash)]
    values = _Values(payloads.kept(key for key in keys if key is not None))
    paths = {step.id: step.path for step in steps}
    return {
        "run": _run(run, values),
        "steps": [_step(step, values) for step in steps],
        "calls": [_call(call, paths, values) for call in calls],
        "journal": _journal(run.id),
    }


class _Values:
    """Payloads by their hash."""

    def __init__(self, found: Mapping[str, Json]) -> None:
        self.found = found

    def get(self, key: bytes | memoryview | None) -> Json:
        return self.found.get(bytes(key).hex()) if key is not None else None


def _run(run: Run, values: _Values) -> dict[str, Json]:
    return {
        "id": run.id,
        "title": run.title,
        "workflow": run.workflow,
        "release": run.release.number,
        "environment": run.environment_id,
        "manifest": run.release.manifest,
        "snapshots": run.pins,
        "state": run.state,
        "trigger": run.trigger,
        "created_by": run.created_by,
        "error": run.error,
        "input": values.get(run.input_hash),
        "output": values.get(run.output_hash),
        "cost_usd": _text(run.cost_usd),
        "tokens": run.tokens,
        "created_at": _moment(run.created_at),
        "started_at": _moment(run.started_at),
        "ended_at": _moment(run.ended_at),
    }


def _call(call: Call, paths: Mapping[int, str], values: _Values) -> dict[str, Json]:
    return {
        "step": paths.get(call.step_run_id),
        "attempt": call.attempt,
        "provider": call.provider,
        "model_requested": call.model_requested,
        "model_returned": call.model_returned or None,
        "request": values.get(call.request_hash),
        "response": values.get(call.response_hash),
        "finish_reason": call.finish_reason or None,
        "usage": call.usage,
        "cost_usd": _text(call.cost_usd),
        "price_version": call.price_version or None,
        "timing_ms": call.timing_ms,
        "error": call.error,
        "started_at": _moment(call.started_at),
        "ended_at": _moment(call.ended_at),
    }


def _step(step: StepView, values: _Values) -> dict[str, Json]:
    return {
        "path": step.path,
        "kind": step.kind,
        "state": step.state,
        "epoch": step.epoch,
        "error": step.error,
        "input": values.get(step.input_hash),
        "output": values.get(step.output_hash),
        "cost_usd": _text(step.cost_usd),
        "tokens": step.tokens,
        "started_at": _moment(step.started_at),
        "ended_at": _moment(step.ended_at),
        "attempts": [
            {
                "number": each.number,
                "epoch": each.epoch,
                "state": each.state,
                "worker": each.worker,
                "error": each.error,
                "started_at": _moment(each.started_at),
                "ended_at": _moment(each.ended_at),
            }
            for each in step.attempts
        ],
    }


def _journal(run_id: str) -> Sequence[dict[str, Json]]:
    columns = ("seq", "type", "at", "step", "epoch", "attempt", "n", "data")
    rows = JournalEvent.objects.filter(run_id=run_id).order_by("seq").values(*columns)
    return [{**row, "at": _moment(row["at"])} for row in rows]


def _moment(when: datetime | None) -> str | None:
    return when.isoformat().replace("+00:00", "Z") if when else None


def _text(amount: object) -> str | None:
    return None if amount is None else f"{amount:f}"
