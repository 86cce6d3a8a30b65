"""Start, pause, resume and stop bulk actions: the only writer of their state besides the run that carries them out.

Permission was checked above. What is done to each run: `workflows/bulk/carrying.py`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from workflows import audit, payloads, runs, states
from workflows.actor import Actor
from workflows.builtin import setup
from workflows.bulk import changes, options, previews, selections
from workflows.bulk.options import Options
from workflows.bulk.previews import CARRIER, Asked
from workflows.engine import dispatch
from workflows.errors import Conflict, Invalid, UnknownObject
from workflows.failures import grouping
from workflows.identifiers import new_bulk_id
from workflows.models import BulkAction, BulkItem
from workflows.payloads import clean_text

Json = Any
UNDO_S: Final = 5.0
_BATCH: Final = 2000
_MAX_KEY: Final = 255
# Always part of a request's hash; options that came later only where they are used, so that older keys stay good.
_DIGESTED: Final = frozenset({"rate_per_s", "stop_above", "with_cancelled"})


@dataclass(frozen=True, kw_only=True)
class Order:
    """What somebody asks for. `expected`: how many runs they were shown; more than that are refused."""

    asked: Asked
    reason: str
    options: Options = field(default_factory=Options)
    expected: int | None = None

    def digest(self) -> bytes:
        """Return the hash that tells a repeated request from another one under the same key."""
        told = {
            "action": self.asked.action,
            "selection": selections.as_json(self.asked.selection),
            "reason": self.reason,
            **{name: value for name, value in self.as_options().items() if name in _DIGESTED or value},
        }
        return payloads.digest(told)

    def as_options(self) -> dict[str, Json]:
        """Return what is kept beside the selection: how it is carried out, and what else was asked."""
        change = self.asked.change
        return {
            **asdict(self.options),
            "with_cancelled": self.asked.with_cancelled,
            "above": self.asked.above,
            "deployed": self.asked.deployed,
            "change": change.as_json() if change is not None else None,
        }


@dataclass(frozen=True)
class Started:
    action: BulkAction
    created: bool


def start(order: Order, *, actor: Actor, key: str | None = None, undo_s: float = 0.0) -> Started:
    """Freeze the runs and begin after `undo_s` seconds, until when it can be stopped without a trace on any run.

    Raises:
        Invalid: no reason, options out of bounds, too many runs, a secret in it, or the key named another request
            before.
        Conflict: it applies to no run, or to more than were expected.
    """
    _check(order, key)
    earlier = _earlier(order, key)
    if earlier is not None:
        return Started(earlier, created=False)
    setup.ensure()
    if order.asked.action == "retry":
        grouping.settle()  # before the transaction: the clock must not wait for the groups
    try:
        with transaction.atomic():
            action = _create(order, actor=actor, key=key, undo_s=undo_s)
    except IntegrityError:  # a twin with the same key was faster
        found = _earlier(order, key)
        if found is None:
            raise
        return Started(found, created=False)
    _ring(action)
    return Started(action, created=True)


def _check(order: Order, key: str | None) -> None:
    if not order.reason.strip():
        raise Invalid("A reason is needed; it goes to the audit log.", code="reason_missing")
    order.options.check()
    if (order.asked.action == "fork") != (order.asked.change is not None):
        raise Invalid("A fork says what is different in it, and nothing else does.", code="change_missing")
    if key is not None and (not 1 <= len(key) <= _MAX_KEY or "\0" in key):
        raise Invalid(
            f"The idempotency key has {len(key)} characters; 1 to {_MAX_KEY} are allowed, without NUL.",
            code="idempotency_key_invalid",
        )


def _earlier(order: Order, key: str | None) -> BulkAction | None:
    found = BulkAction.objects.filter(idempotency_key=key).first() if key is not None else None
    if found is not None and bytes(found.request_hash or b"") != order.digest():
        raise Invalid(
            f"This idempotency key started bulk action {found.pk} with another request. Use a new key.",
            code="idempotency_key_reused",
        )
    return found


def _create(order: Order, *, actor: Actor, key: str | None, undo_s: float) -> BulkAction:
    asked, now = order.asked, timezone.now()
    if asked.change is not None:
        changes.check_patch(asked.change, previews.applying(asked))
    found = previews.counted(asked)
    action = BulkAction.objects.create(
        id=new_bulk_id(),
        action=asked.action,
        selection=selections.as_json(asked.selection),
        frozen_at=asked.frozen_at,
        options=order.as_options(),
        preview=_told(found),
        total=0,
        state="waiting",
        reason=clean_text(order.reason.strip(), limit=1000),
        created_by=str(actor),
        created_at=now,
        starts_at=now + timedelta(seconds=undo_s),
        idempotency_key=key,
        request_hash=order.digest(),
    )
    action.total = _freeze(action, asked)
    _check_reach(order, action.total)
    action.run_id = _carrier(action, actor=actor)
    action.save(update_fields=["total", "run_id"])
    told = {"runs": action.total, "selection": action.selection, "frozen_at": asked.frozen_at.isoformat()}
    if asked.change is not None:
        told["change"] = asked.change.as_json()
    audit.record(actor, f"bulk.{asked.action}", "bulk", action.pk, reason=action.reason, data=told)
    return action


def _check_reach(order: Order, total: int) -> None:
    """Never act on more than somebody was shown."""
    verb = order.asked.action
    if not total:
        raise Conflict(f"None of these runs can be {_DONE[verb]} any more.", code="nothing_applies")
    if order.expected is not None and total > order.expected:
        raise Conflict(
            f"{total:,} runs would be {_DONE[verb]} now, more than the {order.expected:,} that were shown. "
            "Nothing was started: look at the new figures.",
            code="reach_grew",
        )


_DONE: Final = {"retry": "retried", "cancel": "cancelled", "fork": "forked"}


def _freeze(action: BulkAction, asked: Asked) -> int:
    """Write down which runs are meant, oldest first, in bounded memory; return how many."""
    total, batch = 0, []
    ids = previews.applying(asked).order_by("created_at", "id").values_list("pk", flat=True)
    for run_id in ids.iterator(chunk_size=_BATCH):
        batch.append(BulkItem(bulk=action, run_id=run_id))
        if len(batch) == _BATCH:
            total += len(BulkItem.objects.bulk_create(batch))
            batch = []
    return total + len(BulkItem.objects.bulk_create(batch))


def _told(found: previews.Preview) -> dict[str, Json]:
    """Keep what the dry run said beside the action."""
    return {
        "matched": found.matched,
        "excluded": [{"verdict": each.verdict, "count": each.count} for each in found.excluded],
        "groups": [asdict(each) for each in found.groups],
        "cost_usd": str(found.cost_usd) if found.cost_usd is not None else None,
    }


def _carrier(action: BulkAction, *, actor: Actor) -> str:
    """Start the run that carries the action out."""
    order = runs.Order(
        workflow=CARRIER,
        input={"bulk": action.pk},
        title=f"{action.action.capitalize()} {action.total:,} runs: {action.reason}"[:300],
        tags=(f"bulk:{action.pk}",),
    )
    return runs.start(order, actor=actor, trigger="bulk").run.pk


def _ring(action: BulkAction) -> None:
    """Ring once more: the first time was inside the transaction, where nobody could see the rows yet."""
    ready = runs.get(action.run_id).steps.filter(state="ready")
    dispatch.ring(list(ready.values_list("pk", flat=True)))


def get(bulk_id: str) -> BulkAction:
    """Return a bulk action. Raises: UnknownObject."""
    found = BulkAction.objects.filter(pk=bulk_id).first() if "\0" not in bulk_id else None
    if found is None:
        raise UnknownObject(f"There is no bulk action {clean_text(bulk_id, limit=40)}.", code="unknown_bulk")
    return found


def pause(bulk_id: str, *, actor: Actor, reason: str = "") -> BulkAction:
    """Touch no further run until it is resumed. Raises: UnknownObject, Conflict."""
    return _move(bulk_id, "paused", actor=actor, reason=reason, note=f"Paused by {actor}.")


def stop(bulk_id: str, *, actor: Actor, reason: str = "") -> BulkAction:
    """Touch no further run, for good. What was done stays done. Raises: UnknownObject, Conflict."""
    return _move(bulk_id, "stopped", actor=actor, reason=reason, note=f"Stopped by {actor}.")


_VERB: Final = {"paused": "pause", "stopped": "stop"}


def _move(bulk_id: str, target: str, *, actor: Actor, reason: str, note: str) -> BulkAction:
    action = get(bulk_id)
    sources = states.sources(states.BULK, target=target)
    with transaction.atomic():
        moved = BulkAction.objects.filter(pk=bulk_id, state__in=sources).update(
            state=target, note=note, ended_at=timezone.now() if target == "stopped" else None
        )
        if not moved:
            action.refresh_from_db()
            raise Conflict(
                f"Bulk action {bulk_id} is {action.state}; only one that is {' or '.join(sorted(sources))} "
                f"can be {target}.",
                code="bulk_state",
            )
        why = clean_text(reason, limit=1000)
        audit.record(actor, f"bulk.{_VERB[target]}", "bulk", bulk_id, reason=why)
    action.refresh_from_db()
    return action


def resume(bulk_id: str, *, actor: Actor, reason: str = "") -> BulkAction:
    """Go on with the runs that are left: also where the run that carried it out was cancelled or failed.

    Raises:
        UnknownObject: no such action.
        Conflict: it is neither paused nor interrupted.
    """
    setup.ensure()
    with transaction.atomic():
        action = BulkAction.objects.select_for_update().filter(pk=get(bulk_id).pk).get()
        if action.state != "paused" and not is_interrupted(action):
            raise Conflict(
                f"Bulk action {bulk_id} is {action.state}; only a paused or interrupted one can be resumed.",
                code="bulk_state",
            )
        action.state, action.note = "running", ""
        if action.items.filter(outcome="done").count() >= options.of(action.options).canary:
            # Whoever goes on has looked at the first runs.
            action.passed_at = action.passed_at or timezone.now()
        action.run_id = _carrier(action, actor=actor)
        action.save(update_fields=["state", "note", "passed_at", "run_id"])
        audit.record(actor, "bulk.resume", "bulk", bulk_id, reason=clean_text(reason, limit=1000))
    _ring(action)
    return action


def is_interrupted(action: BulkAction) -> bool:
    """Say whether it should go on, but the run that carries it out has ended."""
    if action.state not in ("waiting", "running"):
        return False
    return bool(runs.get(action.run_id).ended_at)


def begin(action: BulkAction, *, run_id: str) -> bool:
    """Say whether this carrier may begin, or go on: nobody has stopped the action, and no other carries it."""
    mine = BulkAction.objects.filter(pk=action.pk, run_id=run_id)
    mine.filter(state="waiting").update(state="running")
    return mine.filter(state="running").exists()


def let_pass(action: BulkAction) -> None:
    """Write down that the first runs went well enough for the rest to follow."""
    BulkAction.objects.filter(pk=action.pk, passed_at=None).update(passed_at=timezone.now())


def stop_by_itself(action: BulkAction, *, note: str) -> None:
    """Stop an action whose own rule says so."""
    BulkAction.objects.filter(pk=action.pk, state="running").update(
        state="stopped", note=note, ended_at=timezone.now()
    )


def pause_by_itself(action: BulkAction, *, note: str) -> None:
    """Leave it to a person whether an action goes on."""
    BulkAction.objects.filter(pk=action.pk, state="running").update(state="paused", note=note)


def finish(action: BulkAction, *, run_id: str, now: datetime) -> None:
    """Close an action whose carrier has come to its end; with runs left over it is paused, and says so."""
    left = BulkItem.objects.filter(bulk=action, outcome="pending").count()
    mine = BulkAction.objects.filter(Q(pk=action.pk, state="running", run_id=run_id))
    if left:
        note = f"{left:,} runs were not reached: look at run {run_id}, then resume."
        mine.update(state="paused", note=note)
    else:
        mine.update(state="finished", note="", ended_at=now)
