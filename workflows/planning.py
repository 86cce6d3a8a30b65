"""What applying documents would do, to be looked at first; and then doing exactly what was looked at.

Permission was checked above. May not: know forms or pages, or write anything itself; `definitions` does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from django.db import transaction

from workflows import definitions, saved
from workflows.actor import Actor
from workflows.definitions import Applied
from workflows.errors import Conflict
from workflows.models import Definition
from workflows.spec.documents import SourceText

MAX_REASON = 1_000  # characters


def plan(sources: Sequence[SourceText], *, actor: Actor) -> Applied:
    """Say what applying would do, all faults at once; nothing is changed."""
    return definitions.apply(sources, actor=actor, dry_run=True)


def mark(planned: Applied) -> str:
    """Name a plan: another one, even of the same documents, has another name."""
    lines = [f"{each.kind} {each.name} {each.action} {each.version}" for each in planned.plan]
    lines += [f"release {each.workflow} {each.number}" for each in planned.releases]
    lines += [
        f"deploy {workflow} {number} {environment}" for workflow, number, environment in planned.deployed
    ]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def carry_out(sources: Sequence[SourceText], *, actor: Actor, seen: str, reason: str = "") -> Applied:
    """Apply documents if that does what the plan named `seen` said; errors are returned, as by `apply`.

    Raises:
        Conflict: somebody changed definitions meanwhile, so it would do something else; nothing was changed.
    """
    with transaction.atomic():
        saved.one_writer_at_a_time()
        done = definitions.apply(sources, actor=actor, reason=reason[:MAX_REASON])
        if done.errors:
            return done
        if mark(done) != seen:
            raise Conflict(
                "Definitions were changed since this plan was made, so it would do something else now.",
                code="plan_changed",
            )
    return done


def newest(kind: str, name: str) -> int:
    """Return the newest version of a definition; 0 where there is none, or only an archived one."""
    found = Definition.objects.filter(kind=kind, name=name, archived_at=None)
    return found.values_list("latest_version", flat=True).first() or 0
