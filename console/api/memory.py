"""What workflows remember: read, write with `If-Match`, versions."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from drf_spectacular.utils import OpenApiParameter
from pydantic import Field
from rest_framework.request import Request
from rest_framework.response import Response
from typing_extensions import TypedDict

from console.api import asking
from console.api.auth import actor_of
from console.api.endpoint import Endpoint, needs
from console.api.errors import InvalidRequestError
from console.api.openapi import answer, operation
from console.problems import Fault
from workflows import memory
from workflows.models import MemoryVersion
from workflows.remembering import Place, Seen

_MATCH: Final = OpenApiParameter(
    "If-Match",
    str,
    OpenApiParameter.HEADER,
    description="The version that is to be replaced; 0 where nothing is remembered. Without it, whatever is there.",
)


class MemoryShape(TypedDict):
    """A value at its version."""

    environment: str
    scope: str
    key: str
    value: Any
    version: int


class MemoryVersionShape(TypedDict):
    """One change. `run` and `step` name who made it where a workflow did."""

    version: int
    operation: Literal["write", "append", "delete", "forget"]
    run: str | None
    step: str | None
    by: str
    reason: str
    created_at: str
    expires_at: str | None


class MemoryVersions(TypedDict):
    """The versions of a key, the newest first."""

    results: list[MemoryVersionShape]
    next: None


class Where(asking.Ask):
    """Memory is kept for each environment."""

    environment: asking.Text = "production"


class At(Where):
    """Which version of it; the newest unless one is named."""

    version: Annotated[int, Field(ge=1, strict=False)] | None = None


class MemoryAsk(asking.Ask):
    """A value to remember; `expires_in` in seconds."""

    value: Any
    reason: asking.LongText = ""
    expires_in: Annotated[float, Field(gt=0, le=10 * 366 * 86_400, strict=False)] | None = None


_ONE: Final = answer(MemoryShape)


class OneMemory(Endpoint):
    """`/memory/SCOPE/KEY`."""

    permission_classes = needs("memory.view", "memory.write")

    @operation("Read memory", query=At, answers={200: _ONE}, problems_too=[404])
    def get(self, request: Request, scope: str, key: str) -> Response:
        """Read what is remembered, with its version."""
        asked = asking.query(request, At)
        place = memory.place(asked.environment, scope, key)
        if asked.version is None:
            return _shown(place, memory.get(place))
        value = memory.value_at(place, asked.version)
        return _shown(place, Seen(value=value, version=asked.version, head=asked.version))

    @operation(
        "Write memory",
        asks=MemoryAsk,
        query=Where,
        headers=[_MATCH],
        answers={200: _ONE},
        problems_too=[404, 409],
    )
    def post(self, request: Request, scope: str, key: str) -> Response:
        """Write a new version; 409 where `If-Match` names another than the newest."""
        place = memory.place(asking.query(request, Where).environment, scope, key)
        expected = _expected(request)
        asked = asking.body(request, MemoryAsk)
        memory.put(
            place,
            asked.value,
            expected=expected,
            actor=actor_of(request),
            expires_s=asked.expires_in,
            reason=asked.reason,
        )
        return _shown(place, memory.get(place))


class Versions(Endpoint):
    """`/memory/SCOPE/KEY/versions`."""

    permission_classes = needs("memory.view")

    @operation(
        "List versions of memory", query=Where, answers={200: answer(MemoryVersions)}, problems_too=[404]
    )
    def get(self, request: Request, scope: str, key: str) -> Response:
        """List who changed it and when, newest first, 500 at most."""
        place = memory.place(asking.query(request, Where).environment, scope, key)
        return Response({"results": [_version(each) for each in memory.history(place)], "next": None})


def _expected(request: Request) -> int | None:
    given = request.headers.get("If-Match")
    if given is None or given.strip() == "*":
        return None
    text = given.strip().strip('"')
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        message = f"A version is a whole number; this is {given[:40]!r}."
        raise InvalidRequestError((Fault(path="If-Match", message=message),))
    return int(text)


def _shown(place: Place, seen: Seen) -> Response:
    shape = MemoryShape(
        environment=place.environment,
        scope=place.scope,
        key=place.key,
        value=seen.value,
        version=seen.version,
    )
    return Response(shape, headers={"ETag": f'"{seen.version}"'})


def _version(each: MemoryVersion) -> MemoryVersionShape:
    return MemoryVersionShape(
        version=each.number,
        operation=each.operation,  # type: ignore[typeddict-item]  # a constraint of the table
        run=each.run_id,
        step=each.path,
        by=each.actor,
        reason=each.reason,
        created_at=asking.moment(each.created_at) or "",
        expires_at=asking.moment(each.expires_at),
    )
