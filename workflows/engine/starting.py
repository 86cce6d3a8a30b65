"""What a new run is made of, ready for `interlock_start`: its first step runs, pins, session, place and deadline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from workflows.engine import decide
from workflows.engine.bundle import Bundle
from workflows.engine.outcomes import Child
from workflows.payloads import clean_text
from workflows.spec import templates

Json = Any
# Recorded with each run. It rises when the same definition and record would lead to other decisions than before; what
# a run of an older engine meant then stays in the code, chosen by this number.
VERSION: Final = 1


@dataclass(frozen=True, kw_only=True)
class Given:
    """What a run gets from whoever starts it. `pins`: {corpus: snapshot}; `priority`: its number."""

    id: str
    input: Json
    environment: str
    variables: Mapping[str, Json]
    pins: Mapping[str, int]
    priority: int
    trigger: str
    created_by: str
    session: str | None = None
    title: str = ""
    tags: tuple[str, ...] = ()
    deadline_s: float | None = None
    deadline_at: str | None = None  # no later than this, whatever its own says
    parent: str | None = None
    parent_path: str | None = None
    tree_path: str | None = None
    fork: Mapping[str, Json] | None = None


def document(loaded: Bundle, given: Given) -> dict[str, Json]:
    """Return what `interlock_start` takes, but for the hash of the input and the idempotency key.

    Raises:
        TemplateError: the session or the concurrency key could not be computed from the input.
    """
    definition = loaded.plan.definition
    session = _session(loaded, given)
    place = definition.concurrency
    return {
        "id": given.id,
        "workflow": definition.name,
        "environment": given.environment,
        "release": loaded.release,
        "title": clean_text(given.title, limit=300),
        "trigger": given.trigger,
        "created_by": given.created_by,
        "session": session,
        "tags": [clean_text(tag, limit=100) for tag in given.tags],
        "priority": given.priority,
        "pins": dict(given.pins),
        "variables": dict(given.variables),
        "parent": given.parent,
        "parent_path": given.parent_path,
        "tree_path": given.tree_path,
        "fork": given.fork,
        "deadline_s": given.deadline_s or definition.deadline_s,
        "deadline_at": given.deadline_at,
        "closing": "pending" if loaded.plan.last.steps else "",
        "concurrency_key": None if place is None else _text(place.key, given, session),
        "concurrency_limit": None if place is None else place.limit,
        "engine": VERSION,
        "steps": [_row(child) for child in decide.children(loaded.plan, loaded.plan.top, prefix="")],
    }


def sticky(loaded: Bundle, given: Given, expression: str) -> str:
    """Return what a run is kept to one release by; the run itself where the expression gives nothing.

    An expression that does not fit the input must not keep a run from being started.
    """
    try:
        return _text(expression, given, _session(loaded, given)) or given.id
    except templates.TemplateError:
        return given.id


def _session(loaded: Bundle, given: Given) -> str | None:
    """Return the run's session: the one given wins over the document's expression."""
    if given.session is not None:
        return clean_text(given.session, limit=300)
    expression = loaded.plan.definition.session
    return None if expression is None else _text(expression, given, None)


def _text(template: str, given: Given, session: str | None) -> str | None:
    sees = {
        "input": given.input,
        "run": {"id": given.id},
        "environment": given.variables,
        "session": {"id": session},
    }
    value = templates.render(template, sees)
    return None if value is None else clean_text(str(value), limit=300)


def _row(child: Child) -> Mapping[str, Json]:
    return {
        "path": child.path,
        "step_id": child.step_id,
        "kind": child.kind,
        "ordinal": child.ordinal,
        "waiting_on": child.waiting_on,
    }
