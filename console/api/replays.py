"""Replay a run from its record."""

from __future__ import annotations

from typing import Any, Literal

from rest_framework.request import Request
from rest_framework.response import Response
from typing_extensions import TypedDict

from console.api.endpoint import Endpoint, needs
from console.api.openapi import answer, operation
from workflows.replay import verify
from workflows.replay.compare import Divergence
from workflows.replay.verify import Replay


class DivergenceShape(TypedDict):
    """One difference. `path` null: the run itself; `run`: the child run in which it lies."""

    run: str
    path: str | None
    what: Literal["input", "output", "outcome", "error", "steps", "calls", "code"]
    recorded: Any
    replayed: Any
    at: str | None
    template: str | None
    seq: int
    explanation: str


class ReplayShape(TypedDict):
    """What a replay found; child runs are replayed with their parent. `checked` counts outcomes decided anew."""

    run: str
    verdict: Literal["identical", "diverged", "incomplete"]
    divergences: list[DivergenceShape]
    missing: list[str]
    checked: int
    events: int
    engine: int
    children: list[str]


class ReplayRun(Endpoint):
    """`/runs/ID/replay`."""

    http_method_names = ["post"]
    permission_classes = needs("runs.view", "runs.view")

    @operation("Replay a run", answers={200: answer(ReplayShape)}, problems_too=[404, 409])
    def post(self, request: Request, run_id: str) -> Response:
        """Decide everything in an ended run again, from its record. Nothing outside is called, nothing is written."""
        return Response(shape(verify.replay(run_id)))


def shape(found: Replay) -> ReplayShape:
    """Return a replay, with what was found in the runs below it."""
    every = tuple(found.all_of())
    return ReplayShape(
        run=found.run,
        verdict=found.verdict,
        divergences=[_divergence(each.run, one) for each in every for one in each.divergences],
        missing=[f"{each.run}: {what}" for each in every for what in each.missing],
        checked=sum(each.checked for each in every),
        events=sum(each.events for each in every),
        engine=found.engine,
        children=[each.run for each in every[1:]],
    )


def _divergence(run: str, found: Divergence) -> DivergenceShape:
    return DivergenceShape(
        run=run,
        path=found.path,
        what=found.what,  # type: ignore[typeddict-item]  # as `compare` names them
        recorded=found.recorded,
        replayed=found.replayed,
        at=found.at,
        template=found.template,
        seq=found.seq,
        explanation=found.explanation,
    )
