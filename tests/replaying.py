"""Hold runs against their records: each that has ended replays alike, and the rebuilt state is that of the tables.

The state: of every step run, superseded ones too, what it got, gave and failed with, and how each attempt ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from workflows import states
from workflows.models import Attempt, Run, StepRun
from workflows.replay import record, verify
from workflows.replay.rebuilt import Step, Tried
from workflows.replay.walk import Walk

# Whether a step run that has not begun is ready yet is no event: it follows from pauses and places, too.
_NOT_BEGUN = frozenset({"pending", "ready"})


def differences(runs: Iterable[Run]) -> list[str]:
    """Return what replays and rebuilt states differ in, a line each; nothing is as it should be."""
    return [line for run in runs for line in (*_replayed(run), *_rebuilt(run))]


def _replayed(run: Run) -> Iterator[str]:
    if run.state not in states.RUN_ENDED:
        return
    found = verify.replay(run.pk)
    if found.verdict != "identical":
        yield f"{run.pk} ({run.workflow}): {found.verdict} {list(found.missing)} {list(found.divergences)}"


def _rebuilt(run: Run) -> Iterator[str]:
    rebuilt = Walk(record.of_run(run)).to()
    if not run.stopping and _settled(run) and rebuilt.state != run.state:
        yield f"{run.pk}: {run.state}, rebuilt {rebuilt.state}"
    if run.state in states.RUN_ENDED and _error(run.error) != _error(rebuilt.error):
        yield f"{run.pk}: failed with {run.error}, rebuilt {rebuilt.error}"
    rows = {(row.path, row.epoch): row for row in run.steps.prefetch_related("attempts")}
    steps = {(step.path, step.epoch): step for step in (*rebuilt.superseded, *rebuilt.steps.values())}
    if set(rows) != set(steps):
        yield f"{run.pk}: steps {sorted(set(rows) ^ set(steps))} are not in both"
    for place in set(rows) & set(steps):
        yield from _step(run, rows[place], steps[place])
        if rows[place].superseded == (rebuilt.steps.get(place[0]) is steps[place]):
            yield f"{run.pk}: {place} is superseded in one alone"


def _settled(run: Run) -> bool:
    """A run that was never started by an attempt is paused or resumed to `queued`; no event says which."""
    return run.started_at is not None


def _step(run: Run, row: StepRun, step: Step) -> Iterator[str]:
    stored = (row.epoch, _word(row.state), _hex(row.input_hash), _hex(row.output_hash), row.kind, row.item)
    rebuilt = (step.epoch, _word(step.state), step.input, step.output, step.kind, step.item)
    if stored != rebuilt:
        yield f"{run.pk} {row.path}: stored {stored}, rebuilt {rebuilt}"
    if _hex(row.item_hash) != step.frame:
        yield f"{run.pk} {row.path}: another frame"
    counted = (row.attempts_made, row.failures, row.losses, _error(row.error))
    told = (len(step.attempts), step.failures, step.losses, _error(step.error or step.failing))
    if counted != told:
        yield f"{run.pk} {row.path}: attempts, failures, losses, error {counted}, rebuilt {told}"
    tried = {attempt.number: _tried(attempt) for attempt in row.attempts.all()}
    if tried != (again := {attempt.number: _tried(attempt) for attempt in step.attempts}):
        yield f"{run.pk} {row.path}: attempts {tried}, rebuilt {again}"


def _tried(attempt: Attempt | Tried) -> tuple[str, str, bool, Any]:
    return (attempt.state, attempt.worker, attempt.ended_at is not None, _error(attempt.error))


def _error(error: Any) -> Any:
    """Events leave out what is null."""
    if isinstance(error, dict):
        return {key: _error(value) for key, value in error.items() if value is not None}
    return error


def _word(state: str) -> str:
    return "not begun" if state in _NOT_BEGUN else state


def _hex(key: bytes | memoryview | None) -> str | None:
    return None if key is None else bytes(key).hex()
