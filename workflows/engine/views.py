"""Recorded state, read for expressions: outputs by path, the frames of map items, the run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from workflows import database, payloads
from workflows.engine import scope as scopes
from workflows.engine.commit import Claim
from workflows.engine.plan import Plan

Json = Any


@dataclass
class Known:
    """What this worker has committed itself in this slice of one run: no need to read it back."""

    run: str = ""
    steps: dict[str, dict[str, Json]] = field(default_factory=dict)

    def of(self, run: str) -> dict[str, dict[str, Json]]:
        if self.run != run:
            self.run, self.steps = run, {}
        return self.steps


def run_view(claim: Claim) -> scopes.RunView:
    return scopes.RunView(
        id=claim.run,
        input=payloads.load_one(claim.run_input),
        started_at=claim.run_started_at,
        variables=claim.variables,
        session=claim.session,
    )


def run_by_id(run: str) -> scopes.RunView:
    """Return a run as expressions see it, outside of any attempt."""
    key, started_at, variables, session = database.fetch_all(
        "SELECT input_hash, to_jsonb(coalesce(started_at, created_at)) #>> '{}', variables, session "
        "FROM workflows_run WHERE id = $1",
        [run],
    )[0]
    return scopes.RunView(
        id=run,
        input=payloads.load_one(key),
        started_at=started_at,
        variables=json.loads(variables) if isinstance(variables, str) else variables,
        session=session,
    )


def steps(run: str, paths: Mapping[str, str], known: Mapping[str, Mapping[str, Json]]) -> dict[str, Json]:
    """Return {step id: {output, state, error}} for {step id: path}."""
    missing = [path for path in paths.values() if path not in known]
    found = {**known, **_read(run, missing)} if missing else known
    return {step_id: found.get(path, scopes.NEVER_REACHED) for step_id, path in paths.items()}


def _read(run: str, paths: Iterable[str]) -> dict[str, dict[str, Json]]:
    rows = database.fetch_all(
        "SELECT path, state, output_hash, error FROM workflows_steprun "
        "WHERE run_id = $1 AND path = ANY($2) AND NOT superseded",
        [run, list(paths)],
    )
    return _views(rows)


def below(run: str, prefix: str) -> dict[str, dict[str, Json]]:
    """Return {path: {output, state, error}} of every step run whose path starts with `prefix`."""
    rows = database.fetch_all(
        "SELECT path, state, output_hash, error FROM workflows_steprun "
        "WHERE run_id = $1 AND starts_with(path, $2) AND NOT superseded",
        [run, prefix],
    )
    return _views(rows)


def _views(rows: Iterable[tuple[Any, ...]]) -> dict[str, dict[str, Json]]:
    rows = list(rows)
    values = payloads.load(h for _, _, h, _ in rows if h is not None)
    return {
        path: {
            "output": values[bytes(output).hex()] if output is not None else None,
            "state": state,
            "error": json.loads(error) if isinstance(error, str) else error,
        }
        for path, state, output, error in rows
    }


def frame(key: str | None) -> scopes.Frame | None:
    """Return the frame of a map item, with those around it."""
    if key is None:
        return None
    value = payloads.load_one(key)
    return scopes.Frame(value["name"], value["item"], value["index"], frame(value["outer"]))


def item_frames(map_step: int) -> dict[int, scopes.Frame]:
    """Return the frames of a map's items by index. `map_step`: the row id of the map."""
    rows = database.fetch_all(
        "SELECT DISTINCT item, item_hash FROM workflows_steprun WHERE parent_id = $1 AND NOT superseded",
        [map_step],
    )
    payloads.load(key for _, key in rows)  # one round trip for all of them
    return {item: found for item, key in rows if (found := frame(bytes(key).hex())) is not None}


def scope(claim: Claim, plan: Plan, reads: Iterable[str], known: Known) -> dict[str, Json]:
    """Return everything that the expressions of a claimed step can see."""
    paths = {step_id: plan.locate(step_id, at=claim.path) for step_id in reads}
    return scopes.build(
        run_view(claim),
        steps=steps(claim.run, paths, known.of(claim.run)),
        frame=frame(claim.item_hash),
    )


def scope_at_end(run: str, plan: Plan) -> dict[str, Json]:
    """Return everything that the workflow's `output` can see, once all steps are done."""
    paths = {step_id: plan.locate(step_id, at="") for step_id in plan.definition.output_reads}
    return scopes.build(run_by_id(run), steps=steps(run, paths, {}), frame=None)
