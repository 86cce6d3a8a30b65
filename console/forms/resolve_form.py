"""What a person found out about a step whose outcome is unknown. Shape only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Json = Any
Action = Literal["supply", "skip", "retry", "fail"]
Choice = tuple[Action, str, str]
OF_UNKNOWN: Final[tuple[Choice, ...]] = (
    ("supply", "It took effect", "· the run goes on with the output below"),
    ("retry", "It did not: send it again", "· under the same idempotency key"),
    ("skip", "Skip it", "· the run goes on with null"),
    ("fail", "It failed", "· as any failed step"),
)
OF_FAILED: Final[tuple[Choice, ...]] = (
    ("supply", "Supply its output", "· the run goes on with the output below"),
    ("retry", "Do it again", "· and go on from there"),
    ("skip", "Skip it", "· the run goes on with null"),
)
_NAMES: Final = frozenset(name for name, _, _ in OF_UNKNOWN)


@dataclass(frozen=True, kw_only=True)
class ResolveForm:
    """One answer, and what is wrong with it. Nothing is chosen beforehand: a wrong answer may pay twice."""

    step: str
    action: Action | None
    output: Json
    output_text: str
    reason: str
    problems: Mapping[str, str] = field(default_factory=dict)


def read(sent: Mapping[str, str]) -> ResolveForm:
    """Read what was sent; nothing chosen yet is no problem, only what was sent wrong is."""
    action, reason = sent.get("action", ""), sent.get("reason", "").strip()
    text = sent.get("output", "")
    problems = {}
    if action not in _NAMES and (action or "reason" in sent):
        problems["action"] = "Choose what became of it."
    if "reason" in sent and not reason:
        problems["reason"] = "Say what you found out: it goes to the audit log."
    output: Json = None
    if action == "supply":
        try:
            output = json.loads(text) if text.strip() else None
        except (ValueError, RecursionError) as problem:
            problems["output"] = f"Not JSON: {problem}"
    return ResolveForm(
        step=sent.get("step", ""),
        action=action if action in _NAMES else None,
        output=output,
        output_text=text,
        reason=reason[:1000],
        problems=problems,
    )
