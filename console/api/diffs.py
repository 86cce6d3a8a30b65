"""Two runs, compared step by step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response
from typing_extensions import TypedDict

from console.api import shapes
from console.api.endpoint import Endpoint, needs
from console.api.openapi import answer, operation
from workflows import runs
from workflows.models import Run
from workflows.replay import diff
from workflows.replay.diff import Difference, Side, StepPair


class DifferenceShape(TypedDict):
    """One aspect that differs. `at`: where in it first, such as `$.messages[1].content`; both values from there."""

    aspect: str
    at: str
    left: Any
    right: Any


class SideShape(TypedDict):
    """One run's part of a step. `documents`: CORPUS/NAME@REVISION by rank; `memory`: what its step read or wrote."""

    state: str
    prompt: str | None
    model: str | None
    documents: list[str]
    memory: Any
    error: Any
    cost_usd: str | None
    tokens: Any
    duration: float | None


class StepDiffShape(TypedDict):
    """The step runs of one path; a side is null where the run has none."""

    path: str
    kind: str
    differences: list[DifferenceShape]
    left: SideShape | None
    right: SideShape | None


class SumShape(TypedDict):
    """What differs between the runs as a whole; durations in seconds, tokens by kind."""

    cost_usd: list[str | None]
    tokens: list[Any]
    duration: list[float | None]
    state: list[str]


class DiffShape(TypedDict):
    """Two runs side by side. `given`: what differed before any step; `first`: the first step that differs."""

    left: str
    right: str
    given: list[DifferenceShape]
    output: DifferenceShape | None
    totals: SumShape
    first: str | None
    steps: list[StepDiffShape]


class DiffRuns(Endpoint):
    """`/runs/ID/diff/OTHER`."""

    http_method_names = ["get"]
    permission_classes = needs("runs.view")

    @operation("Compare two runs", answers={200: answer(DiffShape)}, problems_too=[404])
    def get(self, request: Request, run_id: str, other: str) -> Response:
        """Compare two runs: what they were given, and step by step inputs, prompts, documents, outputs, cost, time."""
        found = diff.of(runs.get(run_id), runs.get(other))
        return Response(
            DiffShape(
                left=found.left.pk,
                right=found.right.pk,
                given=[_difference(each) for each in found.given],
                output=None if found.output is None else _difference(found.output),
                totals=SumShape(
                    cost_usd=[shapes.money(run.cost_usd) for run in (found.left, found.right)],
                    tokens=[run.tokens for run in (found.left, found.right)],
                    duration=[_took(run) for run in (found.left, found.right)],
                    state=[run.state for run in (found.left, found.right)],
                ),
                first=found.first,
                steps=[_step(each) for each in found.steps],
            )
        )


def _took(run: Run) -> float | None:
    return (run.ended_at - run.started_at).total_seconds() if run.ended_at and run.started_at else None


def _difference(found: Difference) -> DifferenceShape:
    return DifferenceShape(aspect=found.aspect, at=found.at, left=found.left, right=found.right)


def _step(pair: StepPair) -> StepDiffShape:
    return StepDiffShape(
        path=pair.path,
        kind=pair.kind,
        differences=[_difference(each) for each in pair.differences],
        left=_side(pair.left),
        right=_side(pair.right),
    )


def _side(side: Side | None) -> SideShape | None:
    if side is None:
        return None
    tokens: Mapping[str, int] | None = side.tokens
    return SideShape(
        state=side.state,
        prompt=side.prompt,
        model=side.model,
        documents=list(side.documents),
        memory=side.memory,
        error=side.error,
        cost_usd=shapes.money(side.cost_usd),
        tokens=tokens,
        duration=side.duration_s,
    )
