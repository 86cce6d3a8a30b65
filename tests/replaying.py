"""Hold runs against their records: each that has ended replays alike, and the rebuilt state is that of the tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from workflows import states
from workflows.models import Run, StepRun
from workflows.replay import record, verify
from workflows.replay.rebuilt import Rebuilt, Step
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
    rows = {row.path: row for row in run.steps.filter(superseded=False)}
    if set(rows) != set(rebuilt.steps):
        yield f"{run.pk}: steps {sorted(set(rows) ^ set(rebuilt.steps))} are not in both"
    for path in set(rows) & set(rebuilt.steps):
        yield from _step(run, rows[path], rebuilt.steps[path])
    yield from _earlier(run, rebuilt)


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
    if row.attempts_made != sum(1 for _ in step.attempts):
        yield f"{run.pk} {row.path}: {row.attempts_made} attempts, rebuilt {len(step.attempts)}"


def _earlier(run: Run, rebuilt: Rebuilt) -> Iterator[str]:
    stored = sorted(run.steps.filter(superseded=True).values_list("path", "epoch"))
    if stored != sorted((step.path, step.epoch) for step in rebuilt.superseded):
        yield f"{run.pk}: other superseded step runs"


def _word(state: str) -> str:
    return "not begun" if state in _NOT_BEGUN else state


def _hex(key: bytes | memoryview | None) -> str | None:
    return None if key is None else bytes(key).hex()
