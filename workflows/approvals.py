"""Approvals: what people are asked, and their decisions. The engine asks; this is the only writer of decisions.

Whether somebody may decide at all was checked above; whether they belong to the group that is asked is checked here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from django.db import transaction
from django.db.models import QuerySet

from workflows import audit, database, sealing
from workflows.actor import Actor
from workflows.engine import dispatch, hints
from workflows.errors import Conflict, Invalid, Refused, UnknownObject
from workflows.models import Approval
from workflows.payloads import Batch, clean_text
from workflows.spec import schema

Json = Any
MAX_COMMENT: Final = 4_000
OUTCOMES: Final = {
    "approved": "approved",
    "rejected": "rejected",
    "timed_out": "closed, because its time ran out",
    "cancelled": "closed, because its run stopped",
}


def open_ones() -> QuerySet[Approval]:
    """Return the approvals that wait for a decision, the newest first."""
    return Approval.objects.filter(closed_at__isnull=True).order_by("-id")


def get(approval: int) -> Approval:
    """Return an approval. Raises: UnknownObject."""
    found = Approval.objects.select_related("run", "step_run").filter(pk=approval).first()
    if found is None:
        raise UnknownObject(f"There is no approval {approval}.", code="unknown_approval")
    return found


def decide(
    approval: int,
    *,
    approved: bool,
    actor: Actor,
    groups: Collection[str] | None,
    fields: Mapping[str, Json] | None = None,
    comment: str = "",
) -> Approval:
    """Decide, once: the step goes on with it.

    `groups`: those of the person; None: whoever may decide anything. `fields`: what was filled in.

    Raises:
        UnknownObject: no such approval.
        Refused: it asks a group that the person does not belong to.
        Invalid: the fields do not fit the form.
        Conflict: it was decided or closed before; the message says by whom. Or the run's secrets cannot be read.
    """
    asked = get(approval)
    _check_group(asked, groups)
    veil = sealing.of_run(asked.run)
    given = veil.scrub(_fields(asked, fields, approved=approved))
    batch, text = Batch(), clean_text(veil.scrub(comment), limit=MAX_COMMENT)
    answer = batch.add({"approved": approved, "by": str(actor), "comment": text, "fields": given})
    outcome = "approved" if approved else "rejected"
    done = database.call("interlock_decide", approval, outcome, str(actor), text, answer, *batch.columns())
    if not done["decided"]:
        raise _too_late(approval, done)
    told = {"step": asked.path, "fields": given}
    audit.record(actor, f"approval.{outcome}", "run", asked.run_id, reason=text, data=told)
    transaction.on_commit(lambda: dispatch.ring(done["ready"]), robust=True)
    transaction.on_commit(lambda: hints.tell(asked.run_id), robust=True)
    return get(approval)


def _check_group(asked: Approval, groups: Collection[str] | None) -> None:
    if asked.group and groups is not None and asked.group not in groups:
        raise Refused(
            f"Approval {asked.pk} asks the group {asked.group}; you do not belong to it.", code="not_in_group"
        )


def _fields(asked: Approval, fields: Mapping[str, Json] | None, *, approved: bool) -> Mapping[str, Json]:
    """Return what was filled in; a rejection needs nothing."""
    given = dict(fields or {})
    if asked.fields is None:
        if given:
            raise Invalid(f"Approval {asked.pk} has no form to fill in.", code="input_invalid")
        return {}
    if not approved and not given:
        return {}
    problems = schema.errors({"type": "object", **asked.fields}, given)
    if problems:
        raise Invalid(
            f"What was filled in does not fit the form of approval {asked.pk}.",
            code="input_invalid",
            errors=tuple(problems),
        )
    return given


def _too_late(approval: int, done: Mapping[str, Json]) -> Conflict:
    if not done["outcome"]:
        return Conflict(
            f"Approval {approval} does not wait any more: its run went another way.", code="approval_closed"
        )
    by = f" by {done['by']}" if done["by"] else ""
    return Conflict(
        f"Approval {approval} was {OUTCOMES[done['outcome']]}{by} before your decision came; nothing was changed.",
        code="approval_closed",
    )
