"""Verified replay: decide everything in a run again, from its record, and say what comes out differently."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from workflows import payloads, retained, runs, states
from workflows.errors import Conflict
from workflows.models import Run
from workflows.replay import record as records
from workflows.replay.compare import Divergence
from workflows.replay.record import Record
from workflows.replay.walk import Walk

Verdict = Literal["identical", "diverged", "incomplete"]


@dataclass(frozen=True, kw_only=True)
class Replay:
    """What a replay found. `checked`: outcomes decided anew; `children`: the replays of the runs that it started."""

    run: str
    verdict: Verdict
    divergences: Sequence[Divergence]
    missing: Sequence[str]
    checked: int
    events: int
    engine: int
    children: Sequence[Replay] = ()

    def all_of(self) -> Iterator[Replay]:
        """Return this replay and those of all runs below it."""
        yield self
        for child in self.children:
            yield from child.all_of()


def replay(run_id: str) -> Replay:
    """Replay a run that has ended, with the runs that it started. Nothing outside is called, nothing is written.

    Raises:
        UnknownObject: no such run.
        Conflict: it has not ended.
    """
    return _of_run(ended(run_id))


def ended(run_id: str, *, to_be: str = "replayed") -> Run:
    """Return a run that has ended. `to_be`: what it is wanted for. Raises: UnknownObject, Conflict."""
    run = runs.get(run_id)
    if run.state not in states.RUN_ENDED:
        raise Conflict(
            f"Run {run.pk} is {run.state}: it can be {to_be} once it has ended.", code="run_not_ended"
        )
    return run


def _of_run(run: Run) -> Replay:
    if run.archived_at is not None:
        return _incomplete(run, retained.archived(run))
    below = [_of_run(child) for child in run.children.order_by("created_at", "pk")]
    try:
        return of_record(records.of_run(run), below)
    except records.NotKept as problem:
        return _incomplete(run, str(problem), below)


def _incomplete(run: Run, missing: str, below: Sequence[Replay] = ()) -> Replay:
    return Replay(
        run=run.pk,
        verdict="incomplete",
        divergences=(),
        missing=(missing,),
        checked=0,
        events=0,
        engine=1,
        children=tuple(below),
    )


def of_record(record: Record, children: Sequence[Replay] = ()) -> Replay:
    """Replay what is recorded of one run."""
    walk = Walk(record)
    missing: list[str] = []
    try:
        walk.to()
    except payloads.PayloadMissing as gone:  # the run's own input
        missing.append(str(gone))
    missing += walk.missing
    verdicts = {child.verdict for child in children}
    if walk.divergences or "diverged" in verdicts:
        verdict: Verdict = "diverged"
    else:
        verdict = "incomplete" if missing or "incomplete" in verdicts else "identical"
    return Replay(
        run=record.run,
        verdict=verdict,
        divergences=walk.divergences,
        missing=missing,
        checked=walk.checked,
        events=len(record.events),
        engine=record.engine,
        children=tuple(children),
    )
