"""One attempt: prepare → act → settle, and the outcome of it.

The step boundary: whatever goes wrong in a step ends here as an outcome, never as a crash of the worker.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import structlog

from providers.errors import ProviderError
from workflows import database, payloads
from workflows.engine import faults, scope, views
from workflows.engine.bundle import Bundle
from workflows.engine.commit import Claim
from workflows.engine.outcomes import (
    Cancelled,
    Failed,
    LeaseLost,
    Outcome,
    Skipped,
    StepError,
    StepFailure,
    Stopped,
    Succeeded,
    Unknown,
)
from workflows.engine.plan import Node
from workflows.engine.port import Port
from workflows.engine.views import Known
from workflows.payloads import clean_text
from workflows.spec import templates
from workflows.spec.workflow import BranchBody, MapBody, ToolBody
from workflows.step_kinds import LEAVES, branch, map_items

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
    known: Known
    input: Json = None


def time_s(bundle: Bundle, node: Node) -> float:
    """Return the longest that one attempt of a step may take, in seconds."""
    kind = LEAVES.get(node.step.kind)
    own = kind.limit_s(node.step, bundle) if kind else CONTAINER_S
    return min(own, node.step.timeout_s) if node.step.timeout_s is not None else own


def is_once(bundle: Bundle, node: Node) -> bool:
    """Say whether a repeated attempt could do something outside twice."""
    return isinstance(node.step.body, ToolBody) and bundle.tools[node.step.body.tool].effect == "once"


def perform(trying: Attempt) -> Outcome:
    """Carry out one attempt.

    Raises:
        LeaseLost: the step is not ours any more; nothing may be committed.
        database.AWAY: the same, because nothing can be.
    """
    try:
        with _failures_named():
            return _act(trying)
    except (LeaseLost, *database.AWAY):
        raise
    except Cancelled:
        return Stopped()
    except StepFailure as failure:
        error = StepError(error_class=failure.error_class, message=clean_text(failure.message))
        outcome = Failed if failure.outcome_known else Unknown
        return outcome(error=error, input=trying.input)
    except Exception as crash:
        claim = trying.claim
        log.exception("step_crashed", run_id=claim.run, step=claim.path, attempt=claim.number)
        message = f"{type(crash).__name__} in step {claim.path}; the worker's log has the details."
        return Failed(error=StepError(error_class="internal", message=message), input=trying.input)


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
    sees = views.scope(claim, bundle.plan, bundle.reads(step), trying.known)
    if step.when is not None and not templates.evaluate(step.when, sees):
        return Skipped()
    if isinstance(step.body, BranchBody):
        return branch.expand(bundle.plan, trying.node, claim.path, sees, frame=claim.item_hash)
    if isinstance(step.body, MapBody):
        return map_items.expand(bundle.plan, trying.node, claim.path, sees, outer=claim.item_hash)
    kind = LEAVES[step.kind]
    trying.input = kind.prepare(step, bundle, sees)
    faults.point("before_act", detail=claim.step_id)
    acted = kind.act(step, bundle, trying.input, trying.port)
    return Succeeded(output=acted.output, input=trying.input, lineage=acted.lineage, data=acted.data)


def _settle(trying: Attempt) -> Outcome:
    """The children of a container have ended: fail with them, or collect what they gave."""
    failing = trying.claim.failing
    if failing:
        return Failed(error=StepError(error_class=failing["class"], message=failing["message"]))
    recorded = payloads.load_one(trying.claim.input_hash)
    if isinstance(trying.node.step.body, BranchBody):
        return branch.settle(recorded)
    return _collect(trying, count=recorded["items"])


def _collect(trying: Attempt, *, count: int) -> Succeeded:
    """Gather what the items of a map gave."""
    claim, node = trying.claim, trying.node
    items: list[dict[str, Mapping[str, Json]]] = [{} for _ in range(count)]
    start = len(claim.path) + 1
    for path, view in views.below(claim.run, f"{claim.path}[").items():
        index, _, _ = path[start:].partition("]")
        items[int(index)][path.rpartition("/")[2]] = view
    return map_items.settle(node, items, _item_scopes(trying, items))


def _item_scopes(trying: Attempt, items: list[dict[str, Mapping[str, Json]]]) -> list[dict[str, Json]]:
    """Return what the map's `output` expression sees of each item; nothing where it has none."""
    claim, plan, body = trying.claim, trying.bundle.plan, trying.node.step.body
    assert isinstance(body, MapBody)
    if body.output is None:
        return []
    inside = {name for name, node in plan.nodes.items() if claim.step_id in node.containers}
    around = views.scope(claim, plan, body.output_reads - inside, trying.known)
    frames = views.item_frames(claim.step)
    return [
        scope.inside(
            around, steps={name: steps.get(name, scope.NEVER_REACHED) for name in inside}, frame=frames[n]
        )
        for n, steps in enumerate(items)
    ]
