"""Fork a run: another run from any of its steps, with something changed."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field
from rest_framework.request import Request
from rest_framework.response import Response

from console.api import asking, run_shape
from console.api.auth import actor_of
from console.api.endpoint import Endpoint, needs
from console.api.openapi import answer, operation
from console.api.runs import waited
from workflows import runs
from workflows.replay import forking
from workflows.replay.overriding import Overrides

_RUN: Final = answer(run_shape.RunShape)
_Change = Annotated[int, Field(ge=1)] | dict[str, Any]


class OverridesAsk(asking.Ask):
    """What is different. A version is a number; a part of a document is merged over the pinned version."""

    input: Any = Field(default=None, description="A JSON merge patch of the run's input.")
    prompts: dict[asking.Text, _Change] = {}
    routes: dict[asking.Text, _Change] = {}
    models: dict[asking.Text, asking.Text] = Field(
        default={}, description="`provider/model` by the name of a route."
    )
    params: dict[asking.Text, dict[str, Any]] = Field(
        default={},
        description="Params by the id of a prompt step: they win over the step's own and its prompt's.",
    )
    snapshots: dict[asking.Text, asking.Number] = Field(
        default={}, description="A published snapshot by corpus."
    )
    release: asking.Number | None = None
    memory: Literal["as_recorded", "live"] = "as_recorded"


class ForkChange(asking.Ask):
    """Where a fork begins, what is different in it, and which effects happen for real."""

    from_step: asking.LongText | None = Field(
        None, min_length=1, description="The first step that runs again; left out: all of them."
    )
    overrides: OverridesAsk = OverridesAsk()
    effects: Literal["stub", "live"] | dict[asking.Text, Literal["live"]] = "stub"

    def as_ask(self) -> forking.Ask:
        """Return what is asked of the fork."""
        overrides = Overrides(**dict(self.overrides))
        return forking.Ask(from_step=self.from_step, overrides=overrides, effects=self.effects)


class ForkAsk(ForkChange):
    """A change, and why."""

    reason: asking.LongText = ""


class ForkRun(Endpoint):
    """`/runs/ID/fork`."""

    http_method_names = ["post"]
    permission_classes = needs("runs.view", "runs.start")

    @operation("Fork a run", asks=ForkAsk, query=asking.Waiting, answers={201: _RUN}, problems_too=[404, 409])
    def post(self, request: Request, run_id: str) -> Response:
        """Start another run from the middle of an ended one; effects are answered from its record."""
        wait_s = asking.query(request, asking.Waiting).wait
        asked = asking.body(request, ForkAsk)
        run = forking.fork(run_id, asked.as_ask(), actor=actor_of(request), reason=asked.reason)
        waited(run, wait_s)
        return Response(run_shape.of_run(runs.get(run.id)), status=201)
