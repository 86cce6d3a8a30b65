"""`memory`: read or change what workflows remember, on the version that the run saw."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from workflows.engine.outcomes import StepFailure
from workflows.engine.port import Port, Remembered
from workflows.remembering import Operation
from workflows.spec.step_bodies import MemoryBody
from workflows.step_kinds.base import Acted

Json = Any
ATTEMPTS: Final = 20


def act(body: MemoryBody, key: str, port: Port, value: Callable[[Json], Json]) -> Acted:
    """Read, or change with the value that `value(current)` gives.

    Raises:
        StepFailure: `memory_conflict`, `no_session`, `input_invalid`.
    """
    seen = port.recall(body.scope, key)
    if body.operation == "read":
        return _acted(body, key, seen)
    if body.operation == "append":
        if seen.value is not None and not isinstance(seen.value, list):
            raise StepFailure(
                f"Memory {body.scope}/{key} holds no list; nothing can be appended to it.",
                error_class="input_invalid",
            )
        message = value(seen.value)
        number = port.remember(body.scope, key, "append", message, expected=None)
        return _acted(body, key, port.recall(body.scope, key), version=number)
    return _changed(body, key, seen, port, value)


def _changed(
    body: MemoryBody, key: str, seen: Remembered, port: Port, value: Callable[[Json], Json]
) -> Acted:
    """Write or delete on the version that was seen; what a conflict means is for the step to say."""
    for _ in range(ATTEMPTS):
        operation: Operation = "delete" if body.operation == "delete" else "write"
        new = None if operation == "delete" else value(seen.value)
        expected = None if body.on_conflict == "overwrite" else seen.expected
        number = port.remember(body.scope, key, operation, new, expected=expected)
        if number is not None:
            # Read back: a step that is tried again gets what its first try wrote, whatever it computed now.
            return _acted(body, key, port.recall(body.scope, key), version=number)
        if body.on_conflict != "retry":
            break
        seen = port.recall(body.scope, key, newest=True)
    raise StepFailure(
        f"Memory {body.scope}/{key} was changed by somebody else since this run saw it. "
        "Say `on_conflict: retry` or `overwrite` where that is right, or retry the run.",
        error_class="memory_conflict",
    )


def _acted(body: MemoryBody, key: str, seen: Remembered, version: int | None = None) -> Acted:
    number = seen.version if version is None else version
    return Acted(
        output={"value": seen.value, "version": number},
        lineage=[("memory", f"{seen.place}@{number}")],
        data={"memory": body.operation, "key": key, "version": number},
    )
