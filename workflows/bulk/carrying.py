"""What the steps of the built-in workflow `interlock-bulk` do: take the runs of a bulk action, one after the other.

Each run is changed and its result written down in one transaction, so that a worker that dies repeats nothing.
May not decide which runs: they were frozen when the action was created.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

import psycopg
from django.db import DatabaseError, connection, transaction
from django.db.models import Count
from django.db.models.functions import Now
from django.utils import timezone

from workflows import recovery, runs
from workflows.actor import Actor
from workflows.builtin import functions
from workflows.builtin.functions import Here
from workflows.bulk import actions, changes, judging, options
from workflows.bulk.judging import Leave
from workflows.engine.outcomes import StepFailure
from workflows.errors import UnknownObject, WorkflowError
from workflows.models import BulkAction, BulkItem, Deployment, Run

Json = Any
PORTION: Final = 100  # runs in one step, at most
PORTION_S: Final = 10.0  # and as many as the rate allows in so many seconds
MAX_PORTIONS: Final = 9000  # of the 10,000 items that a map may have


def register() -> None:
    """Make the functions known to the tools of built-in workflows."""
    for function in (bulk_open, bulk_portion, bulk_close):
        functions.register(function.__name__, function)


def bulk_open(arguments: Mapping[str, Json], here: Here) -> Json:
    """Wait out the time in which it can be undone, then say how many portions there are."""
    action = actions.get(arguments["bulk"])
    left_s = (action.starts_at - timezone.now()).total_seconds()
    if left_s > 0:
        connection.close()
        time.sleep(min(left_s, actions.UNDO_S))
    if not actions.begin(action, run_id=here.run):
        return {"portions": []}
    pending = BulkItem.objects.filter(bulk=action, outcome="pending").count()
    return {"portions": list(range(math.ceil(pending / _size(action))))}


def _size(action: BulkAction) -> int:
    """Return how many runs one portion takes: few enough to be short, many enough for a map to hold them all."""
    rate = options.of(action.options).rate_per_s
    wanted = PORTION if rate is None else max(1, min(PORTION, int(rate * PORTION_S)))
    return max(wanted, math.ceil(action.total / MAX_PORTIONS))


def bulk_portion(arguments: Mapping[str, Json], here: Here) -> Json:
    """Take the next runs of the action, at its rate, until the portion is done or somebody pauses it.

    Where runs have to end before further ones begin, `again_s` says after how many seconds to go on; 0: it is done.
    """
    action = actions.get(arguments["bulk"])
    rate = options.of(action.options).rate_per_s
    done = {"taken": int(arguments.get("taken") or 0), "again_s": 0.0}
    began, before, leave = time.monotonic(), done["taken"], Leave()
    while done["taken"] < _size(action):
        if not leave.runs:
            action.refresh_from_db()
            waited_s = float(arguments.get("waited_s") or 0) if done["taken"] == before else 0.0
            leave = judging.leave(action, waited_s=waited_s)
        if not leave.runs:
            return {**done, "again_s": leave.again_s}
        if here.cancelled() or _surely_next(action.pk, here.run) is None:
            break
        done["taken"] += 1
        leave = replace(leave, runs=leave.runs - 1)
        if rate is not None:
            _wait_until(began + (done["taken"] - before) / rate)
    return done


def bulk_close(arguments: Mapping[str, Json], here: Here) -> Json:
    """Close the action, and sum up what became of its runs."""
    action = actions.get(arguments["bulk"])
    actions.finish(action, run_id=here.run, now=timezone.now())
    found = action.items.order_by().values("outcome").annotate(count=Count("pk"))
    counts = {row["outcome"]: row["count"] for row in found}
    told = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(counts.items()))
    return {"summary": f"{action.action.capitalize()}: {told or 'nothing to do'}", **counts}


def _wait_until(moment: float) -> None:
    left_s = moment - time.monotonic()
    if left_s > 0:
        connection.close()  # back to the pool: no connection is held over a wait
        time.sleep(left_s)


def _surely_next(bulk_id: str, run_id: str) -> str | None:
    """Take the next run; what two transactions do to each other is tried again.

    Raises: StepFailure, when the database does not answer.
    """
    for wait_s in (0.02, 0.2, None):
        try:
            return _next(bulk_id, run_id)
        except (DatabaseError, psycopg.Error) as error:
            if wait_s is None:
                told = f"The database did not answer: {type(error).__name__}. Nothing was done twice."
                raise StepFailure(told, error_class="database_away") from error
            connection.close()
            time.sleep(wait_s)
    raise AssertionError("unreachable")


def _next(bulk_id: str, run_id: str) -> str | None:
    """Act on the next run and write down what became of it; None when nothing is to be done any more.

    The action's row is held meanwhile: once `pause` or `stop` has returned, no further run is touched, and a
    carrier that was taken for dead does nothing beside its successor.
    """
    with transaction.atomic():
        action = BulkAction.objects.select_for_update(no_key=True).get(pk=bulk_id)
        if action.state != "running" or action.run_id != run_id:
            return None
        item = BulkItem.objects.filter(bulk=action, outcome="pending").order_by("id").first()
        if item is None:
            return None
        item.outcome, item.reason = _act(action, item)
        item.at = Now()
        item.save(update_fields=["outcome", "reason", "made", "at"])
        return item.outcome


def _act(action: BulkAction, item: BulkItem) -> tuple[str, str]:
    actor, reason = _owner(action), f"{action.reason} (bulk action {action.pk})"
    try:
        with transaction.atomic():
            _ACTS[action.action](action, item, actor, reason)
    except UnknownObject as problem:
        gone = not Run.objects.filter(pk=item.run_id).exists()
        return "refused", "The run was deleted meanwhile." if gone else problem.message
    except WorkflowError as problem:
        return "refused", _with_places(problem)
    return "done", ""


def _with_places(problem: WorkflowError) -> str:
    """Say where it does not fit, too: nobody sees a form here."""
    places = "; ".join(f"{path}: {message}" for path, message in getattr(problem, "errors", ())[:3])
    return f"{problem.message} {places}".strip()


def _retry(action: BulkAction, item: BulkItem, actor: Actor, reason: str) -> None:
    release = _deployed(item.run_id) if action.options.get("deployed") else None
    recovery.retry(item.run_id, actor=actor, reason=reason, release=release, audited=False)


def _deployed(run_id: str) -> int | None:
    """Return the release that is live where the run ran; None: it is the run's own, or there is none."""
    run = runs.get(run_id)
    live = Deployment.objects.filter(workflow=run.workflow, environment=run.environment_id)
    found = live.exclude(stable=run.release_id).select_related("stable").first()
    return found.stable.number if found is not None else None


def _cancel(action: BulkAction, item: BulkItem, actor: Actor, reason: str) -> None:
    runs.cancel(item.run_id, actor=actor, reason=reason, audited=False)


def _fork(action: BulkAction, item: BulkItem, actor: Actor, reason: str) -> None:
    change = changes.from_json(action.options["change"])
    item.made = changes.fork(item.run_id, change, actor=actor, reason=reason).pk


_ACTS: Final[Mapping[str, Callable[[BulkAction, BulkItem, Actor, str], None]]] = {
    "retry": _retry,
    "cancel": _cancel,
    "fork": _fork,
}


def _owner(action: BulkAction) -> Actor:
    """Return who asked for it; names of people hold no colon."""
    kind, _, name = action.created_by.rpartition(":")
    return Actor(kind=kind or "user", name=name)  # type: ignore[arg-type]  # str(Actor) wrote it
