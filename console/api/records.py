"""A run as one file, to be replayed elsewhere; and taking one in."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import Field
from rest_framework.request import Request
from rest_framework.response import Response
from typing_extensions import TypedDict

from console.api import asking, run_shape
from console.api.auth import actor_of
from console.api.endpoint import Endpoint, needs
from console.api.openapi import answer, operation
from workflows import runs
from workflows.replay import packing, unpacking

_RUN: Final = answer(run_shape.RunShape)


class PackedRun(TypedDict):
    """A run with everything that a replay needs; `digest` is the SHA-256 of the rest."""

    format: str
    version: int
    digest: str
    runs: list[Any]
    releases: dict[str, Any]
    values: dict[str, Any]


class PackAsk(asking.Ask):
    """What to take out of it."""

    redact: Annotated[
        list[asking.LongText] | None,
        Field(max_length=50, description="Paths of texts in the input, such as `customer.email`."),
    ] = None


class PackedAsk(asking.Ask):
    """A packed run."""

    format: str
    version: int
    digest: str
    runs: list[Any]
    releases: dict[str, Any]
    values: dict[str, Any]


class PackRun(Endpoint):
    """`/runs/ID/record`."""

    http_method_names = ["get"]
    permission_classes = needs("runs.view")

    @operation("Export a run", query=PackAsk, answers={200: answer(PackedRun)}, problems_too=[404, 409])
    def get(self, request: Request, run_id: str) -> Response:
        """Give an ended run, with its child runs, as one file that replays on another installation."""
        asked = asking.query(request, PackAsk)
        return Response(packing.pack(run_id, redact=asked.redact or ()))


class ImportRun(Endpoint):
    """`/runs/import`."""

    http_method_names = ["post"]
    permission_classes = needs("runs.view", "definitions.apply")

    @operation("Import a run", asks=PackedAsk, answers={201: _RUN}, problems_too=[409])
    def post(self, request: Request) -> Response:
        """Take in a run that was exported elsewhere, in the environment `imported`: to be looked at and replayed."""
        asked = asking.body(request, PackedAsk)
        made = unpacking.unpack(asked.model_dump(), actor=actor_of(request))
        return Response(run_shape.of_run(runs.get(made.pk)), status=201)
