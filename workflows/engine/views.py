"""Recorded state, read for expressions: outputs by path, the frames of map items, the run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Protocol

from workflows import database, payloads
from workflows.engine import scope as scopes
from workflows.engine.commit import Claim
from workflows.engine.plan import Plan

Json = Any
View = Mapping[str, Json]  # of a step run: {output, state, error}


class State(Protocol):
    """What is recorded of one run: its rows (`Stored`), or what a replay has come to."""

    def steps(self, paths: Mapping[str, str]) -> dict[str, View]:
        """Return {step id: view} for {step id: path}; a step that has no row was never reached."""
        ...

    def below(self, prefix: str) -> Mapping[str, View]:
        """Return {path: view} of every step run whose path starts with `prefix`."""
        ...

    def frames(self, container: Claim) -> Mapping[int, scopes.Frame | scopes.Turn]:
        """Return what the items of a map, or the turns of a loop, see; by their number."""
        ...

    def value(self, key: str | None) -> Json:
        """Return a payload by its hash in hex; no hash is null."""
        ...

    def given(self, path: str) -> Json:
        """Return the rendered input of a step run."""
        ...

    def spent_usd(self, prefix: str) -> Decimal:
        """Return what the step runs whose path starts with `prefix` have cost so far."""
        ...

    def learn(self, path: str, view: View) -> None:
        """Take in what this attempt is about to commit."""
        ...


@dataclass
class Known:
    """What this worker has committed itself in this slice of one run: no need to read it back."""

    run: str = ""
    steps: dict[str, View] = field(default_factory=dict)

    def of(self, run: str) -> dict[str, View]:
        if self.run != run:
            self.run, self.steps = run, {}
        return self.steps


class Stored:
    """The rows of a run, and what this worker knows of them without reading."""

    def __init__(self, run: str, known: Known) -> None:
        self.run, self.known = run, known

    def steps(self, paths: Mapping[str, str]) -> dict[str, View]:
        known = self.known.of(self.run)
        missing = [path for path in paths.values() if path not in known]
        found = {**known, **_read(self.run, missing)} if missing else known
        return {step_id: found.get(path, scopes.NEVER_REACHED) for step_id, path in paths.items()}

    def below(self, prefix: str) -> dict[str, View]:
        rows = database.fetch_all(
            "SELECT path, state, output_hash, error FROM workflows_steprun "
            "WHERE run_id = $1 AND starts_with(path, $2) AND NOT superseded",
            [self.run, prefix],
        )
        return _views(rows)

    def frames(self, container: Claim) -> dict[int, scopes.Frame | scopes.Turn]:
        rows = database.fetch_all(
            "SELECT DISTINCT item, item_hash FROM workflows_steprun WHERE parent_id = $1 AND NOT superseded",
            [container.step],
        )
        payloads.load(key for _, key in rows)  # one round trip for all of them
        return {item: found for item, key in rows if (found := frame(self, bytes(key).hex())) is not None}

    def value(self, key: str | None) -> Json:
        return payloads.load_one(key)

    def given(self, path: str) -> Json:
        rows = database.fetch_all(
            "SELECT input_hash FROM workflows_steprun WHERE run_id = $1 AND path = $2 AND NOT superseded",
            [self.run, path],
        )
        return payloads.load_one(rows[0][0])

    def spent_usd(self, prefix: str) -> Decimal:
        rows = database.fetch_all(
            "SELECT coalesce(sum(cost_usd), 0) FROM workflows_steprun "
            "WHERE run_id = $1 AND starts_with(path, $2) AND NOT superseded",
            [self.run, prefix],
        )
        return Decimal(rows[0][0])

    def learn(self, path: str, view: View) -> None:
        self.known.of(self.run)[path] = view


def _read(run: str, paths: Iterable[str]) -> dict[str, View]:
    rows = database.fetch_all(
        "SELECT path, state, output_hash, error FROM workflows_steprun "
        "WHERE run_id = $1 AND path = ANY($2) AND NOT superseded",
        [run, list(paths)],
    )
    return _views(rows)


def _views(rows: Iterable[tuple[Any, ...]]) -> dict[str, View]:
    rows = list(rows)
    values = payloads.load(h for _, _, h, _ in rows if h is not None)
    return {
        path: {
            "output": values[bytes(output).hex()] if output is not None else None,
            "state": state,
            "error": database.parsed(error),
        }
        for path, state, output, error in rows
    }


def run_view(claim: Claim, state: State) -> scopes.RunView:
    return scopes.RunView(
        id=claim.run,
        input=state.value(claim.run_input),
        started_at=claim.run_started_at,
        variables=claim.variables,
        session=claim.session,
        error=claim.run_error,
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
        variables=database.parsed(variables),
        session=session,
    )


def frame(state: State, key: str | None) -> scopes.Frame | scopes.Turn | None:
    """Return the frame of a map item or a loop's turn, with those around it."""
    if key is None:
        return None
    value = state.value(key)
    if "turn" in value:
        return scopes.Turn(value["turn"], value["previous"], frame(state, value["outer"]))
    return scopes.Frame(value["name"], value["item"], value["index"], frame(state, value["outer"]))


def scope(claim: Claim, plan: Plan, reads: Iterable[str], state: State) -> dict[str, Json]:
    """Return everything that the expressions of a claimed step can see."""
    paths = {step_id: plan.locate(step_id, at=claim.path) for step_id in reads}
    return scopes.build(run_view(claim, state), steps=state.steps(paths), frame=frame(state, claim.item_hash))


def scope_at_end(run: scopes.RunView, plan: Plan, state: State) -> dict[str, Json]:
    """Return everything that the workflow's `output` can see, once all steps are done."""
    paths = {step_id: plan.locate(step_id, at="") for step_id in plan.definition.output_reads}
    return scopes.build(run, steps=state.steps(paths), frame=None)
