"""What the steps of the built-in workflow `interlock-bulk` do: take the runs of a bulk action, one after the other.

Each run is changed and its result written down in one transaction, so that a worker that dies repeats nothing.
May not decide which runs: they were frozen when the action was created.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any, Final

import psycopg
from django.db import DatabaseError, connection, transaction
from django.db.models import Count, Q
from django.db.models.functions import Now
from django.utils import timezone

from workflows import recovery, runs
from workflows.actor import Actor
from workflows.builtin import functions
from workflows.builtin.functions import Here
from workflows.bulk import actions
from workflows.engine.outcomes import StepFailure
from workflows.errors import UnknownObject, WorkflowError
from workflows.models import BulkAction, BulkItem, Run

Json = Any
PORTION: Final = 100  # runs in one step, at most
PORTION_S: Final = 10.0  # and as many as the rate allows in so many seconds
MAX_PORTIONS: Final = 9000  # of the 10,000 items that a map may have
LOOK_EVERY: Final = 10  # runs after which it looks whether too many fail again
# Before so many have ended again, no share of failures says anything.
ENOUGH: Final = 10


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
    rate = action.options.get("rate_per_s")
    wanted = PORTION if rate is None else max(1, min(PORTION, int(rate * PORTION_S)))
    return max(wanted, math.ceil(action.total / MAX_PORTIONS))


def bulk_portion(arguments: Mapping[str, Json], here: Here) -> Json:
    """Take the next runs of the action, at its rate, until the portion is done or somebody pauses it."""
    action = actions.get(arguments["bulk"])
    rate = action.options.get("rate_per_s")
    taken = {"done": 0, "refused": 0}
    began = time.monotonic()
    for number in range(_size(action)):
        if number % LOOK_EVERY == 0 and _too_many_fail_again(action):
            break
        if here.cancelled() or (outcome := _surely_next(action.pk, here.run)) is None:
            break
        taken[outcome] += 1
        if rate is not None:
            _wait_until(began + (number + 1) / rate)
    return taken


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
        outcome, reason = _act(action, item)
        BulkItem.objects.filter(pk=item.pk).update(outcome=outcome, reason=reason, at=Now())
        return outcome


def _act(action: BulkAction, item: BulkItem) -> tuple[str, str]:
    actor, reason = _owner(action), f"{action.reason} (bulk action {action.pk})"
    try:
        with transaction.atomic():
            if action.action == "retry":
                recovery.retry(item.run_id, actor=actor, reason=reason, audited=False)
            else:
                runs.cancel(item.run_id, actor=actor, reason=reason, audited=False)
    except UnknownObject:
        return "refused", "The run was deleted meanwhile."
    except WorkflowError as problem:
        return "refused", problem.message
    return "done", ""


def _owner(action: BulkAction) -> Actor:
    """Return who asked for it; names of people hold no colon."""
    kind, _, name = action.created_by.rpartition(":")
    return Actor(kind=kind or "user", name=name)  # type: ignore[arg-type]  # str(Actor) wrote it


def _too_many_fail_again(action: BulkAction) -> bool:
    """Stop the action where more of its runs have failed again than somebody was ready to accept."""
    limit = action.options.get("stop_above")
    if limit is None or action.action != "retry":
        return False
    done = BulkItem.objects.filter(bulk=action, outcome="done").values("run_id")
    found = Run.objects.filter(pk__in=done, ended_at__isnull=False).aggregate(
        ended=Count("pk"), failed=Count("pk", filter=Q(state="failed"))
    )
    if found["ended"] < ENOUGH or found["failed"] / found["ended"] <= limit:
        return False
    note = (
        f"Stopped by itself: {found['failed']:,} of {found['ended']:,} retried runs failed again, "
        f"more than {limit:.0%}."
    )
    actions.stop_by_itself(action, note=note)
    return True
