"""How two releases differ."""

from __future__ import annotations

from typing import Any

from workflows.releases import resolve
from workflows.releases.resolve import Difference


def manifest(version: int, **groups: Any) -> dict[str, Any]:
    return {"workflow": ["support", version], **groups}


def test_what_is_there_in_another_version_is_told_the_workflow_first() -> None:
    before = manifest(1, prompts={"answer": 1, "triage@3": 3}, tools={"refund": 1})
    after = manifest(2, prompts={"answer": 2, "triage@3": 3}, routes={"chat": 1})
    assert resolve.differences(before, after) == (
        Difference("Workflow", "support", 1, 2),
        Difference("Prompt", "answer", 1, 2),
        Difference("Route", "chat", None, 1),
        Difference("Tool", "refund", 1, None),
    )
    assert resolve.differences(before, before) == ()
