"""Random definitions, random interleavings: what comes out is what the language says, whatever crashes.

Invariants 1, 2, 4, 5 and 8 of the engine, against the real statements. More examples, drawn anew each time:

    RANDOM_EXAMPLES=2000 .venv/bin/python -m pytest tests/db/engine/test_random_definitions.py
"""

from __future__ import annotations

import os
import uuid
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from django.db.models import Q
from hypothesis import HealthCheck, Phase, given, note
from hypothesis import settings as profile
from hypothesis import strategies as st
from pytest_django import Settings

from tests import replaying
from tests.definitions import documents, drawing, record, reference
from tests.definitions.faulty import MOVES, WORKERS, Stage
from tests.definitions.parts import Step, Workflow, walk
from tests.engine import OPERATOR, apply, output
from workflows import runs
from workflows.models import Run, StepRun

EXAMPLES = int(os.environ.get("RANDOM_EXAMPLES", "0"))
PROFILE = profile(
    max_examples=EXAMPLES or 25,
    derandomize=not EXAMPLES,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.generate, Phase.shrink),
)


def moved(seed: int, length: int) -> list[tuple[str, int]]:
    random = Random(seed)
    return [(random.choice(MOVES), random.randrange(WORKERS)) for _ in range(length)]


MOVED = st.builds(moved, st.integers(0, 2**32), st.integers(0, 80 if EXAMPLES else 40))


@pytest.fixture(autouse=True)
def _tools(settings: Settings) -> None:
    settings.TOOL_PYTHON = ["tests.definitions.functions:*"]
    settings.SLICE_S = 0.0  # one attempt for each bell


@pytest.mark.timeout(3600 if EXAMPLES else 300)
@pytest.mark.tampers  # each example is held against its record by itself
@PROFILE
@given(
    drawn=drawing.workflows(widest=4 if EXAMPLES else 3, depth=3 if EXAMPLES else 2),
    n=st.integers(0, 20),
    moves=MOVED,
)
def test_a_run_gives_what_the_language_says_whatever_crashes(
    drawn: Workflow, n: int, moves: list[tuple[str, int]], tmp_path: Path
) -> None:
    workflow = applied(drawn, folder=tmp_path)
    expected = reference.expected(workflow, n=n)
    note(f"expected: {expected}")
    quiet, stormy = (start(workflow, n=n, key=key) for key in ("quiet", "stormy"))
    play(quiet, workflow, [])
    play(stormy, workflow, moves)
    for run in (quiet, stormy):
        found = {"state": run.state, "output": output(run), "error": run.error}
        assert expected.allows(**found), found
        assert start(workflow, n=n, key="quiet" if run is quiet else "stormy").pk == run.pk
        check(run, workflow)


def applied(drawn: Workflow, *, folder: Path) -> Workflow:
    """Give the workflow names of its own, and apply its documents."""
    mark = uuid.uuid4().hex[:8]
    child = f"child-{mark}"
    workflow = Workflow(
        name=f"main-{mark}",
        steps=renamed(drawn.steps, child),
        at_end=renamed(drawn.at_end, child),
        children=tuple(replace(each, name=child) for each in drawn.children),
    )
    texts = documents.written(workflow, folder=folder)
    for text in texts:
        note(text)
    apply(*texts)
    return workflow


def renamed(steps: tuple[Step, ...], child: str) -> tuple[Step, ...]:
    """Let the steps that run a child name this one."""
    return tuple(
        replace(
            step,
            child=child if step.child else "",
            scopes=tuple(renamed(scope, child) for scope in step.scopes),
        )
        for step in steps
    )


def start(workflow: Workflow, *, n: int, key: str) -> Run:
    order = runs.Order(workflow=workflow.name, input={"n": n})
    return runs.start(order, actor=OPERATOR, trigger="api", idempotency_key=key).run


def play(run: Run, workflow: Workflow, moves: list[tuple[str, int]]) -> None:
    signals = [(s.id, s.number) for s in walk((*workflow.steps, *workflow.at_end)) if s.kind == "signal"]
    stage = Stage(run, signals)
    stage.play(moves)
    stage.settle()


def check(run: Run, workflow: Workflow) -> None:
    """Hold the journals of a run and its children against the tables, and their replays; nothing may be left open."""
    record.check(run, workflow)
    for child in Run.objects.filter(parent=run):
        record.check(child, workflow.children[0])
        assert child.ended_at is not None, f"{child.pk} goes on"
    assert not (found := replaying.differences(Run.objects.filter(Q(pk=run.pk) | Q(parent=run)))), "\n".join(
        found
    )
    open_steps = StepRun.objects.filter(run=run).exclude(
        state__in=["succeeded", "skipped", "failed", "cancelled"]
    )
    assert not open_steps.exists()
