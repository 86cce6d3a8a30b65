"""What a step has to hold beyond its shape, on its own: no other document, no other step (pure)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from workflows.spec import durations
from workflows.spec.document_check import schema_problems
from workflows.spec.places import Path
from workflows.spec.schema import Problem
from workflows.spec.shape_check import StepNode

CACHED_KINDS = ("prompt", "retrieve", "tool")


def problems(node: StepNode) -> Iterator[Problem]:
    """What is wrong with a sound step."""
    if "cache" in node.body and node.kind not in CACHED_KINDS:
        yield (
            (*node.path, "cache"),
            f"only {', '.join(CACHED_KINDS)} steps can be cached; this is a {node.kind}",
        )
    if node.kind == "wait":
        yield from _wait(node.body["wait"], (*node.path, "wait"))
    if node.kind == "memory":
        yield from _memory(node.body["memory"], (*node.path, "memory"))
    if node.kind == "approval":
        yield from _form(node.body["approval"].get("fields"), (*node.path, "approval", "fields"))


def _memory(memory: Any, path: Path) -> Iterator[Problem]:
    if len(memory) != 1:
        given = f"has {' and '.join(f'`{key}`' for key in memory)}" if memory else "has none of them"
        yield path, f"a memory step has exactly one of `read`, `write`, `append`, `delete`; this one {given}"
    if "delete" in memory and "value" in memory["delete"]:
        yield (*path, "delete", "value"), "a `delete` has no value"


def _wait(wait: Any, path: Path) -> Iterator[Problem]:
    plain = {key: text for key, text in wait.items() if "{{" not in str(text)}
    if "for" in plain:
        try:
            durations.seconds(plain["for"])
        except ValueError:
            yield (*path, "for"), f"is not {durations.EXPECTED}"
    if "until_time" in plain and not _is_moment(plain["until_time"]):
        yield (*path, "until_time"), "is not a time such as 2026-11-25T08:00:00Z, with its offset"


def _is_moment(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _form(fields: Any, path: Path) -> Iterator[Problem]:
    yield from schema_problems(fields, path)
    if isinstance(fields, dict) and fields.get("type", "object") != "object":
        yield (*path, "type"), "the fields of an approval are an object: one property for each field"
