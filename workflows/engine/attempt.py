"""One attempt: prepare → act → settle, and the outcome of it.

The step boundary: whatever goes wrong in a step ends here as an outcome, never as a crash of the worker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

import structlog

from providers.errors import ProviderError
from workflows import database, payloads
from workflows.engine import agents, faults, scope, views
from workflows.engine.bundle import Bundle
from workflows.engine.commit import Claim
from workflows.engine.outcomes import (
    Cancelled,
    Failed,
    LeaseLost,
    Outcome,
    Parked,
    Skipped,
    StepError,
    StepFailure,
    Stopped,
    Succeeded,
    Unknown,
)
from workflows.engine.plan import Node
from workflows.engine.port import Cached, Port
from workflows.engine.views import State
from workflows.payloads import clean_text
from workflows.spec import templates
from workflows.spec.step_bodies import AgentBody, MemoryBody
from workflows.spec.workflow import BranchBody, LoopBody, MapBody
from workflows.step_kinds import LEAVES, agent, branch, caching, loop, map_items, memory, tool
from workflows.step_kinds.base import Acted

Json = Any
log = structlog.get_logger()
CONTAINER_S: Final = 300.0


@dataclass
class Attempt:
    """What one attempt works with, and what it has rendered so far."""

    claim: Claim
    bundle: Bundle
    node: Node
    port: Port
    state: State
    input: Json = None


def time_s(claim: Claim, bundle: Bundle, node: Node) -> float:
    """Return the longest that one attempt may take, in seconds."""
    if claim.kind in agent.INNER:
        return agent.limit_s(claim.kind, node.step, bundle)
    kind = LEAVES.get(node.step.kind)
    own = kind.limit_s(node.step, bundle) if kind else CONTAINER_S
    return min(own, node.step.timeout_s) if node.step.timeout_s is not None else own


def perform(trying: Attempt) -> Outcome:
    """Carry out one attempt.

    Raises:
        LeaseLost: the step is not ours any more; nothing may be committed.
        database.AWAY: the same, because nothing can be.
    """
    try:
        return come_to(trying)
    except (LeaseLost, *database.AWAY):
        raise
    except Exception as crash:
        claim = trying.claim
        log.exception("step_crashed", run_id=claim.run, step=claim.path, attempt=claim.number)
        message = f"{type(crash).__name__} in step {claim.path}; the worker's log has the details."
        return Failed(error=StepError(error_class="internal", message=message), input=trying.input)


def come_to(trying: Attempt) -> Outcome:
    """Carry out one attempt; a fault of our own code is raised as it is."""
    try:
        with _failures_named():
            return _act(trying)
    except Cancelled:
        return Stopped()
    except StepFailure as failure:
        error = StepError(error_class=failure.error_class, message=clean_text(failure.message))
        outcome = Failed if failure.outcome_known else Unknown
        return outcome(error=error, input=trying.input, lineage=used(trying))


def rendered(trying: Attempt) -> Json:
    """Render what an attempt would act on, without acting: for the record of one whose worker is gone.

    None where nothing is rendered before the step acts, or where what it was made of cannot be read any more.
    """
    claim, bundle, step = trying.claim, trying.bundle, trying.node.step
    try:
        if claim.kind == agent.CALL:
            return agents.call(claim, bundle, trying.node, trying.state)
        if claim.kind in agent.INNER or step.kind not in LEAVES:
            return None
        sees = views.scope(claim, bundle.plan, bundle.reads(step), trying.state)
        return LEAVES[step.kind].prepare(step, bundle, sees)
    except (StepFailure, templates.TemplateError, LookupError, *payloads.UNREADABLE) as problem:
        log.info("step_input_not_rendered", run_id=claim.run, step=claim.path, problem=type(problem).__name__)
        return None


def used(trying: Attempt) -> Sequence[tuple[str, str]]:
    """Return what a failed attempt had used; nothing where its input could not be made."""
    claim, step = trying.claim, trying.node.step
    if claim.kind == agent.TURN:
        return agents.used(claim, trying.bundle, trying.node, trying.state)
    if trying.input is None:
        return ()
    if claim.kind == agent.CALL:
        return tool.uses(trying.input)
    return LEAVES[step.kind].uses(trying.input) if step.kind in LEAVES else ()


@contextmanager
def _failures_named() -> Iterator[None]:
    """Bring the error families of the layers below to this one's."""
    try:
        yield
    except ProviderError as error:
        if error.error_class == "cancelled":
            raise Cancelled from error
        raise StepFailure(str(error), error_class=error.error_class) from error
    except templates.TemplateError as error:
        raise StepFailure(str(error), error_class="expression") from error


def _act(trying: Attempt) -> Outcome:
    claim, bundle, step = trying.claim, trying.bundle, trying.node.step
    if claim.poison:
        raise StepFailure(
            f"Step {claim.path} was lost with its worker {claim.losses} times, at last while it ran alone. "
            "Look at the workers' logs, then retry the run.",
            error_class="poison",
        )
    if claim.settling:
        return _settle(trying)
    if claim.kind in agent.INNER:
        return _inner(trying)
    sees = views.scope(claim, bundle.plan, bundle.reads(step), trying.state)
    if step.when is not None and not templates.evaluate(step.when, sees):
        return Skipped()
    expand = _EXPAND.get(type(step.body))
    if expand is not None:
        return expand(trying, sees)
    kind = LEAVES[step.kind]
    trying.input = kind.prepare(step, bundle, sees)
    key = _cache_key(trying)
    if key is not None and (found := trying.port.cached(key)) is not None:
        return _from_cache(trying, found)
    faults.point("before_act", detail=claim.step_id)
    outcome = _acted(kind.act(step, bundle, trying.input, trying.port), trying)
    if key is not None and step.cache_s is not None and isinstance(outcome, Succeeded):
        return replace(outcome, cache=(key, step.cache_s))
    return outcome


def _cache_key(trying: Attempt) -> str | None:
    claim = trying.claim
    if claim.sealed:
        return None  # the masks of one run mean nothing in another
    return caching.key(
        trying.node.step, trying.bundle, trying.input, environment=claim.environment, pins=claim.pins
    )


def _from_cache(trying: Attempt, found: Cached) -> Succeeded:
    source = {"run": found.run, "step": found.path}
    lineage = [*found.lineage, ("run", found.run)]
    return Succeeded(output=found.output, input=trying.input, lineage=lineage, data={"cached": source})


def _inner(trying: Attempt) -> Outcome:
    """A turn of an agent, or one of its calls of a tool."""
    claim, bundle = trying.claim, trying.bundle
    faults.point("before_act", detail=claim.step_id)
    if claim.kind == agent.TURN:
        return agents.turn(claim, bundle, trying.node, trying.port, trying.state)
    trying.input = agents.call(claim, bundle, trying.node, trying.state)
    return _acted(tool.call(bundle, trying.input, trying.port), trying)


def _branch(trying: Attempt, sees: scope.Names) -> Outcome:
    claim = trying.claim
    return branch.expand(trying.bundle.plan, trying.node, claim.path, sees, frame=claim.item_hash)


def _map(trying: Attempt, sees: scope.Names) -> Outcome:
    claim = trying.claim
    return map_items.expand(trying.bundle.plan, trying.node, claim.path, sees, outer=claim.item_hash)


def _loop(trying: Attempt, sees: scope.Names) -> Outcome:
    return loop.expand(trying.bundle.plan, trying.node, trying.claim.path, outer=trying.claim.item_hash)


def _agent(trying: Attempt, sees: scope.Names) -> Outcome:
    claim = trying.claim
    return agent.expand(trying.node, trying.bundle, claim.path, sees, frame=claim.item_hash)


def _memory(trying: Attempt, sees: scope.Names) -> Outcome:
    """Read or change memory: what is written may depend on what is there, so it is rendered while acting."""
    body = trying.node.step.body
    assert isinstance(body, MemoryBody)
    key = templates.render(body.key, sees)
    asked = {"operation": body.operation, "scope": body.scope, "key": key}
    trying.input = asked
    faults.point("before_act", detail=trying.claim.step_id)

    def value(current: Json) -> Json:
        new = templates.render(body.value, {**sees, "current": current})
        # What it was made of is recorded only where it was looked at: a list of messages is long.
        seen = {"current": current} if "current" in templates.names_in(body.value).roots else {}
        trying.input = {**asked, **seen, "value": new}
        return new

    return _acted(memory.act(body, str(key), trying.port, value), trying)


# What its step holds → what is done with it: containers lay out their steps; memory needs the scope while it acts.
_EXPAND: Final[Mapping[type, Callable[[Attempt, scope.Names], Outcome]]] = {
    BranchBody: _branch,
    MapBody: _map,
    LoopBody: _loop,
    AgentBody: _agent,
    MemoryBody: _memory,
}


def _acted(acted: Acted | Parked, trying: Attempt) -> Outcome:
    if isinstance(acted, Parked):
        return acted
    return Succeeded(output=acted.output, input=trying.input, lineage=acted.lineage, data=acted.data)


def _settle(trying: Attempt) -> Outcome:
    """What the step waits for has come, or its children have ended: fail with them, or take in what they gave."""
    failing = trying.claim.failing
    if failing:
        return Failed(error=StepError(error_class=failing["class"], message=failing["message"]))
    recorded = trying.state.value(trying.claim.input_hash)
    step = trying.node.step
    if trying.claim.kind == agent.CALL:
        trying.input = recorded
        return _acted(tool.take_in(trying.bundle, recorded, trying.port), trying)
    if isinstance(step.body, AgentBody):
        return agent.settle(trying.state.below(f"{trying.claim.path}/turn["))
    if isinstance(step.body, BranchBody):
        return branch.settle(recorded)
    if isinstance(step.body, LoopBody):
        return _next_turn(trying, turn=recorded["turn"])
    kind = LEAVES.get(step.kind)
    if kind is not None and kind.settle is not None:
        trying.input = recorded
        return _acted(kind.settle(step, trying.bundle, recorded, trying.port), trying)
    return _collect(trying, count=recorded["items"])


def _collect(trying: Attempt, *, count: int) -> Succeeded:
    """Gather what the items of a map gave."""
    claim, node = trying.claim, trying.node
    items: list[dict[str, Mapping[str, Json]]] = [{} for _ in range(count)]
    start = len(claim.path) + 1
    for path, view in trying.state.below(f"{claim.path}[").items():
        index, _, _ = path[start:].partition("]")
        items[int(index)][path.rpartition("/")[2]] = view
    return map_items.settle(node, items, _item_scopes(trying, items))


def _next_turn(trying: Attempt, *, turn: int) -> Outcome:
    """A turn of a loop has ended."""
    claim, node, plan = trying.claim, trying.node, trying.bundle.plan
    below = trying.state.below(f"{claim.path}[{turn}]/")
    steps = {path.rpartition("/")[2]: view for path, view in below.items()}
    inside = _inside(trying)
    around = views.scope(claim, plan, loop.loop_body(node).until_reads - inside, trying.state)
    frame = trying.state.frames(claim)[turn]
    seen = {name: steps.get(name, scope.NEVER_REACHED) for name in inside}
    sees = scope.inside(around, steps=seen, frame=frame)
    return loop.settle(plan, node, claim.path, turn=turn, steps=steps, scope=sees, outer=claim.item_hash)


def _inside(trying: Attempt) -> set[str]:
    """Return the ids of the steps inside a container."""
    return {
        name for name, node in trying.bundle.plan.nodes.items() if trying.claim.step_id in node.containers
    }


def _item_scopes(trying: Attempt, items: list[dict[str, Mapping[str, Json]]]) -> list[dict[str, Json]]:
    """Return what the map's `output` expression sees of each item; nothing where it has none."""
    claim, plan, body = trying.claim, trying.bundle.plan, trying.node.step.body
    assert isinstance(body, MapBody)
    if body.output is None:
        return []
    inside = _inside(trying)
    around = views.scope(claim, plan, body.output_reads - inside, trying.state)
    frames = trying.state.frames(claim)
    return [
        scope.inside(
            around, steps={name: steps.get(name, scope.NEVER_REACHED) for name in inside}, frame=frames[n]
        )
        for n, steps in enumerate(items)
    ]
