"""From the outcome of an attempt to the change that is committed: what follows, by `decide`, made ready to write."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workflows.engine import decide, views
from workflows.engine.attempt import Attempt
from workflows.engine.commit import Change
from workflows.engine.outcomes import (
    Expanded,
    Failed,
    Outcome,
    Parked,
    Skipped,
    StepError,
    Stopped,
    Succeeded,
    Unknown,
)
from workflows.engine.plan import Node, Plan
from workflows.engine.port import Spent
from workflows.payloads import Batch, clean_text
from workflows.spec import templates
from workflows.step_kinds import agent, conversation

Json = Any


def of(trying: Attempt, outcome: Outcome, spent: Spent) -> Change:
    """Return the change that an outcome makes."""
    batch = Batch()
    common: dict[str, Any] = {"batch": batch, "cost_usd": spent.cost_usd, "tokens": spent.tokens}
    match outcome:
        case Succeeded():
            given = None if outcome.input is None else batch.add(outcome.input)
            common |= {"input": given, "data": outcome.data, "lineage": outcome.lineage}
            common["cache"] = outcome.cache
            return _done(trying, "succeeded", outcome.output, {**common, "children": outcome.beside})
        case Skipped():
            common["data"] = outcome.data
            return _done(trying, "skipped", None, common)
        case Expanded():
            given = batch.add(outcome.input)
            common |= {"input": given, "data": outcome.data, "wake_s": outcome.wake_s}
            return Change(outcome="expanded", children=outcome.children, **common)
        case Parked():
            return _parked(outcome, common)
        case Stopped():
            return Change(outcome="cancelled", **common)
        case Failed() | Unknown():
            common["input"] = None if outcome.input is None else batch.add(outcome.input)
            common |= {"error": outcome.error.as_json(), "lineage": outcome.lineage}
            if isinstance(outcome, Unknown):
                return Change(outcome="unknown", **common)
            return _failed(trying, outcome.error, common)


def _parked(outcome: Parked, common: Mapping[str, Any]) -> Change:
    batch: Batch = common["batch"]
    child = outcome.child
    if child is not None:
        child = {**child, "input": batch.add(outcome.child_input)}
    return Change(
        outcome="parked",
        input=batch.add(outcome.input),
        data={"reason": outcome.reason, **outcome.data},
        reason=outcome.reason,
        wake_s=outcome.wake_s,
        wake_at=outcome.wake_at,
        awaits=outcome.awaits,
        approval=outcome.approval,
        child=child,
        **common,
    )


def _done(trying: Attempt, outcome: str, value: Json, written: Mapping[str, Any]) -> Change:
    """A step is done: release what needs it, let the next item of its map go, end the run if it was the last."""
    plan, node, claim = trying.bundle.plan, trying.node, trying.claim
    batch: Batch = written["batch"]
    output = batch.add(value) if outcome == "succeeded" else None
    view = {"output": value, "state": outcome, "error": None}
    if outcome == "failed":
        view["error"] = written["error"]
    trying.state.learn(claim.path, view)
    next_ones = after(node, claim.kind, claim.path)
    if claim.kind in agent.INNER:
        return Change(outcome=outcome, output=output, successors=next_ones, **written)
    ends = decide.ends_run(plan, node)
    end, fails = _end(trying, batch) if ends else (None, None)
    return Change(
        outcome=outcome,
        output=output,
        successors=next_ones,
        next_item=decide.next_item_gate(plan, node),
        ends=ends and fails is None,
        end=end,
        fails=fails,
        **written,
    )


def after(node: Node, kind: str, path: str) -> list[str]:
    """Return the paths of the step runs that wait for this one."""
    if kind == agent.CALL:
        return [conversation.after_call(path)]
    return [] if kind == agent.TURN else decide.successors(node, path)


def _end(trying: Attempt, batch: Batch) -> tuple[str | None, Mapping[str, Json] | None]:
    """Compute the run's output; a run whose output cannot be computed fails."""
    plan = trying.bundle.plan
    try:
        sees = views.scope(trying.claim, plan, plan.definition.output_reads, trying.state)
        return batch.add(templates.render(plan.definition.output, sees)), None
    except templates.TemplateError as problem:
        return None, {"scope": "run", "error": output_error(problem)}


def output_error(problem: templates.TemplateError) -> dict[str, Json]:
    """Return the run's error when its output cannot be computed."""
    message = clean_text(f"The workflow's output could not be computed: {problem}")
    return {"class": "expression", "message": message, "step": None}


def _failed(trying: Attempt, error: StepError, written: Mapping[str, Any]) -> Change:
    """A step failed: once more, or as far up as somebody takes it."""
    plan, node, claim = trying.bundle.plan, trying.node, trying.claim
    policy = None if claim.settling or claim.kind == agent.CALL else node.step.retry
    delay = decide.retry_delay_s(
        policy, error, failures=claim.failures + 1, seed=f"{claim.run}:{claim.path}:{claim.epoch}"
    )
    if delay is not None:
        # What it used is told once, by the attempt that ends it.
        return Change(outcome="retry", wake_s=delay, **{**written, "lineage": ()})
    fails = failing(plan, node, claim.kind, claim.path, error.as_json())
    if fails is None:
        return _done(trying, "failed", None, written)
    return Change(outcome="failed", fails=fails, **written)


def failing(
    plan: Plan, node: Node, kind: str, path: str, error: Mapping[str, Json]
) -> dict[str, Json] | None:
    """Return how far up a final failure goes, as `interlock_commit` takes it. None: the step itself takes it."""
    if kind == agent.CALL:  # the model is told, and decides what to do about it
        return None
    if kind == agent.TURN:
        agent_path = conversation.located(path)[0]
        return {"scope": "container", "container": agent_path, "prefix": f"{agent_path}/", "error": error}
    absorbed = decide.absorb(plan, node, path)
    if absorbed is None:
        return None
    return {
        "scope": absorbed.scope,
        "container": absorbed.container,
        "prefix": absorbed.prefix,
        "error": {**error, "step": path},
    }
