"""Documents into the services and their plans out: shared by the API's addresses and the commands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal

from typing_extensions import TypedDict

from console.api.errors import InvalidRequestError
from console.problems import Fault
from workflows import definitions
from workflows.actor import Actor
from workflows.definitions import Applied, Change
from workflows.spec.documents import SourceText
from workflows.spec.places import SpecError

MAX_FAULTS: Final = 200


class ChangeShape(TypedDict):
    """What becomes of one document; `diff` against the newest version, empty where nothing changes."""

    kind: str
    name: str
    action: Literal["create", "new_version", "unchanged"]
    version: int
    diff: str


class PlanShape(TypedDict):
    """What `apply` does, or would do."""

    plan: list[ChangeShape]
    applied: bool


def apply(sources: Sequence[SourceText], *, actor: Actor, dry_run: bool) -> Applied:
    """Check all documents and apply them in one transaction. Raises: InvalidRequestError with every fault."""
    result = definitions.apply(sources, actor=actor, dry_run=dry_run)
    if result.errors:
        raise InvalidRequestError(faults(result.errors))
    return result


def save(kind: str, body: dict[str, Any], *, actor: Actor) -> Change:
    """Apply one document whose kind is known. Raises: InvalidRequestError."""
    result = definitions.save(kind, body, actor=actor)
    if result.errors:
        raise InvalidRequestError(faults(result.errors))
    [change] = result.plan
    return change


def faults(errors: Iterable[SpecError]) -> tuple[Fault, ...]:
    """Write the faults of definitions, each with its file and line."""
    return tuple(
        Fault(path=error.path, message=error.message, file=error.file, line=error.line)
        for error in list(errors)[:MAX_FAULTS]
    )


def plan(result: Applied) -> PlanShape:
    """Write a plan."""
    return PlanShape(plan=[_change(change) for change in result.plan], applied=result.applied)


def _change(change: Change) -> ChangeShape:
    return ChangeShape(
        kind=change.kind, name=change.name, action=change.action, version=change.version, diff=change.diff
    )
