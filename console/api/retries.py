"""Lead an ended run on, or say first what that would do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, Literal

from pydantic import Field
from rest_framework.request import Request
from rest_framework.response import Response
from typing_extensions import TypedDict

from console.api import asking, run_shape, shapes
from console.api.auth import actor_of
from console.api.endpoint import Endpoint, needs
from console.api.openapi import answer, operation
from console.api.runs import waited
from workflows import recovery, runs
from workflows.recovery.previewing import Preview

_Paths = Annotated[tuple[asking.LongText, ...], Field(max_length=1000, strict=False)]


class RetryAsk(asking.Ask):
    """How to continue; without anything: from the failed steps."""

    from_step: asking.LongText | None = Field(
        None, min_length=1, description="The path of a step: it and all that needs it run again."
    )
    release: asking.Number | None = Field(None, description="The number of another release to go on with.")
    repeat_effects: _Paths = Field(
        (), description="Paths of finished steps whose `once` effect is to happen again, under a new key."
    )
    reason: asking.LongText = ""


class EffectShape(TypedDict):
    """A tool call in what runs again: its result is `kept`, it is sent `again` under its key, or as a `new` effect.

    `run`: whose step it is: the run itself, or a child run that goes on with it.
    """

    run: str
    path: str
    tool: str
    effect: Literal["read", "idempotent", "once"]
    happens: Literal["kept", "again", "new"]


class RetryPreview(TypedDict):
    """What a retry would do. `cost_usd`: what the same steps cost before."""

    again: list[str]
    kept: int
    effects: list[EffectShape]
    model_calls: int
    cost_usd: str | None


class RetryRun(Endpoint):
    """`/runs/ID/retry`."""

    permission_classes = needs("runs.retry")
    _RUN: Final = answer(run_shape.RunShape)

    @operation(
        "Retry a run", asks=RetryAsk, query=asking.Waiting, answers={200: _RUN}, problems_too=[404, 409]
    )
    def post(self, request: Request, run_id: str) -> Response:
        """Continue a failed or cancelled run from its failed steps, or again from a step; what is finished is kept."""
        wait_s = asking.query(request, asking.Waiting).wait
        asked = asking.body(request, RetryAsk)
        run = recovery.retry(
            run_id,
            actor=actor_of(request),
            reason=asked.reason,
            from_step=asked.from_step,
            release=asked.release,
            repeat_effects=asked.repeat_effects,
        )
        waited(run, wait_s)
        return Response(run_shape.of_run(runs.get(run_id)))


class PreviewRetry(Endpoint):
    """`/runs/ID/retry/preview`."""

    http_method_names = ["post"]
    permission_classes = needs("runs.view", "runs.view")

    @operation("Preview a retry", asks=RetryAsk, answers={200: answer(RetryPreview)}, problems_too=[404, 409])
    def post(self, request: Request, run_id: str) -> Response:
        """Say what would run again, what would stay, and which effects would happen; nothing is changed."""
        asked = asking.body(request, RetryAsk)
        found = recovery.preview(
            run_id, from_step=asked.from_step, release=asked.release, repeat_effects=asked.repeat_effects
        )
        return Response(_preview(found))


def _preview(found: Preview) -> RetryPreview:
    return RetryPreview(
        again=list(found.again),
        kept=found.kept,
        effects=_effects(found),
        model_calls=found.model_calls,
        cost_usd=shapes.money(found.cost_usd),
    )


def _effects(found: Preview) -> list[EffectShape]:
    rows: Sequence[EffectShape] = [
        EffectShape(
            run=each.run,
            path=each.path,
            tool=each.tool,
            effect=each.effect,  # type: ignore[typeddict-item]  # one of the three
            happens=each.happens,
        )
        for each in found.effects
    ]
    return list(rows)
