"""Where a run is to run, and what: the release asked for, or what is deployed there."""

from __future__ import annotations

import json
from typing import Protocol

from workflows import database
from workflows.errors import Conflict, UnknownObject
from workflows.models import Definition, Environment, Release
from workflows.payloads import clean_text


class Order(Protocol):
    """The part of an order that says where."""

    @property
    def workflow(self) -> str: ...
    @property
    def environment(self) -> str: ...
    @property
    def release(self) -> int | None: ...


def of(order: Order) -> tuple[Environment, Release]:
    """Return where a run is to run, and what: the release asked for, or what is deployed there."""
    name = order.workflow
    if order.release is not None:
        environment = _environment(order.environment)
        release = Release.objects.filter(workflow=name, number=order.release).first()
        if release is None:
            raise UnknownObject(f"Workflow {name} has no release {order.release}.", code="unknown_release")
        return environment, release
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


def _deployed(workflow: str, environment: str) -> tuple[Environment, Release] | None:
    """Return what is deployed there. Past the ORM, which would cost as much as the whole start of a run."""
    if "\x00" in workflow + environment:
        return None
    rows = database.fetch_all(
        """
        SELECT e.name, e.variables, r.id, r.number FROM workflows_deployment d
          JOIN workflows_environment e ON e.name = d.environment_id
          JOIN workflows_release r ON r.id = d.stable_id
         WHERE d.workflow = $1 AND d.environment_id = $2
        """,
        [workflow, environment],
    )
    if not rows:
        return None
    name, variables, row, number = rows[0]
    variables = json.loads(variables) if isinstance(variables, str) else variables
    return Environment(name=name, variables=variables), Release(pk=row, workflow=workflow, number=number)


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
