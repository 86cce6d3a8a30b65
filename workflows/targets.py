"""Where a run is to run, and what: the release asked for, or what is deployed there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from workflows import database, quarantine
from workflows.errors import Conflict, UnknownObject
from workflows.models import Definition, Environment, Release
from workflows.payloads import clean_text
from workflows.releases.traffic import Split
from workflows.spec.rollouts import STICKY


class Order(Protocol):
    """The part of an order that says where."""

    @property
    def workflow(self) -> str: ...
    @property
    def environment(self) -> str: ...
    @property
    def release(self) -> int | None: ...


@dataclass(frozen=True)
class Target:
    """Where a run is to run, and what. `split`: the rollout that may give it another release."""

    environment: Environment
    release: Release
    split: Split | None = None


def of(order: Order) -> Target:
    """Return where a run is to run, and what: the release asked for, or what is deployed there.

    Raises:
        UnknownObject: no such workflow, environment or release.
        Conflict: nothing is deployed there, or the release asked for holds something that is quarantined. What is
            deployed is not asked: it was before the quarantine, and is shown as still live until another one is.
    """
    name = order.workflow
    if order.release is not None:
        environment = _environment(order.environment)
        release = Release.objects.filter(workflow=name, number=order.release).first()
        if release is None:
            raise UnknownObject(f"Workflow {name} has no release {order.release}.", code="unknown_release")
        quarantine.check_clean(
            release,
            refused=f"No run is started on release {order.release} of {name}",
            instead="Start it on a release without it, or release the quarantine.",
        )
        return Target(environment, release)
    found = _deployed(name, order.environment)
    if found is not None:
        return found
    raise _nothing_deployed(name, _environment(order.environment))


def _environment(name: str) -> Environment:
    found = Environment.objects.filter(pk=name).first() if "\x00" not in name else None
    if found is None:
        raise UnknownObject(
            f"There is no environment {clean_text(name, limit=80)}.", code="unknown_environment"
        )
    return found


def _deployed(workflow: str, environment: str) -> Target | None:
    """Return what is deployed there. Past the ORM, which would cost as much as the whole start of a run."""
    if "\x00" in workflow + environment:
        return None
    rows = database.fetch_all(
        """
        SELECT e.name, e.variables, r.id, r.number, o.id, o.weight, o.salt, o.plan ->> 'sticky', c.id, c.number
          FROM workflows_deployment d
          JOIN workflows_environment e ON e.name = d.environment_id
          JOIN workflows_release r ON r.id = d.stable_id
          LEFT JOIN workflows_rollout o
            ON o.workflow = d.workflow AND o.environment_id = d.environment_id AND o.state IN ('running', 'paused')
          LEFT JOIN workflows_release c ON c.id = o.to_release_id
         WHERE d.workflow = $1 AND d.environment_id = $2
        """,
        [workflow, environment],
    )
    if not rows:
        return None
    name, variables, row, number, *rollout = rows[0]
    return Target(
        Environment(name=name, variables=database.parsed(variables)),
        Release(pk=row, workflow=workflow, number=number),
        _split(workflow, rollout),
    )


def _split(workflow: str, rollout: list[Any]) -> Split | None:
    id, weight, salt, sticky, candidate, number = rollout
    if not weight:  # there is none, or it has not begun
        return None
    return Split(
        rollout=id,
        candidate=Release(pk=candidate, workflow=workflow, number=number),
        weight=weight,
        salt=salt,
        sticky=sticky or STICKY,
    )


def _nothing_deployed(name: str, environment: Environment) -> UnknownObject | Conflict:
    if "\x00" in name or not Definition.objects.filter(kind="Workflow", name=name).exists():
        return UnknownObject(
            f"There is no workflow {clean_text(name, limit=80)}. `manage.py export` lists what there is.",
            code="unknown_workflow",
        )
    return Conflict(
        f"Workflow {name} has no release in environment {environment.name}; deploy one first.",
        code="not_deployed",
    )
