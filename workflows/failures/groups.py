"""Look after a group of failures: who has it, what is known, and that it is done with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from django.db import transaction
from django.utils import timezone

from workflows import audit
from workflows.actor import Actor
from workflows.errors import Conflict, Invalid, UnknownObject
from workflows.models import ErrorGroup
from workflows.payloads import clean_text

Json = Any
STATES: Final = ("open", "resolved")
_MAX_NOTE: Final = 2000
_SAID: Final = ("assigned_to", "note", "state", "resolved_at", "resolved_by")


@dataclass(frozen=True, kw_only=True)
class Change:
    """What is to be different; None leaves a thing as it is, an empty text takes it away."""

    assigned_to: str | None = None
    note: str | None = None
    state: str | None = None


def get(group_id: int) -> ErrorGroup:
    """Return a group. Raises: UnknownObject."""
    found = ErrorGroup.objects.filter(pk=group_id).first()
    if found is None:
        raise UnknownObject(f"There is no error group {group_id}.", code="unknown_error_group")
    return found


def change(group_id: int, asked: Change, *, actor: Actor, base: int | None = None) -> ErrorGroup:
    """Assign a group, note something, resolve or open it. A failure after it was resolved opens it again.

    `base` is the revision that the change began on; without it, what somebody else said meanwhile is overwritten.

    Raises:
        UnknownObject: no such group.
        Invalid: there is no such state.
        Conflict: somebody else changed it meanwhile to something else; nothing was changed.
    """
    if asked.state is not None and asked.state not in STATES:
        raise Invalid(f"A group is {' or '.join(STATES)}.", code="unknown_state")
    get(group_id)
    with transaction.atomic():
        group = ErrorGroup.objects.select_for_update(no_key=True).get(pk=group_id)
        told = _apply(group, asked, actor)
        if told:
            _check(group, base)
            group.revision, group.changed_at, group.changed_by = (
                group.revision + 1,
                timezone.now(),
                str(actor),
            )
            group.save(update_fields=[*_SAID, "revision", "changed_at", "changed_by"])
            audit.record(actor, "error_group.change", "error_group", str(group_id), data=told)
    return group


def _check(group: ErrorGroup, base: int | None) -> None:
    """Refuse to overwrite what somebody else said since `base`. Raises: Conflict."""
    if base is not None and base != group.revision:
        raise Conflict(
            f"{group.changed_by or 'Nobody'} changed error group {group.pk} meanwhile: it is at revision "
            f"{group.revision}, your change began on {base}. Nothing was changed.",
            code="changed_meanwhile",
        )


def _apply(group: ErrorGroup, asked: Change, actor: Actor) -> dict[str, Json]:
    """Change the row in memory; return what is different."""
    told: dict[str, Json] = {}
    assigned = None if asked.assigned_to is None else clean_text(asked.assigned_to.strip(), limit=200)
    note = None if asked.note is None else clean_text(asked.note.strip(), limit=_MAX_NOTE)
    if assigned is not None and assigned != group.assigned_to:
        group.assigned_to = told["assigned_to"] = assigned
    if note is not None and note != group.note:
        group.note = told["note"] = note
    if asked.state is not None and asked.state != group.state:
        group.state = told["state"] = asked.state
        group.resolved_at = timezone.now() if asked.state == "resolved" else None
        group.resolved_by = str(actor) if asked.state == "resolved" else ""
    return told
