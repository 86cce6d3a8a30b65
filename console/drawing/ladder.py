"""The steps of a rollout as a ladder: what is behind it, where it stands, what is to come."""

from __future__ import annotations

from dataclasses import dataclass

from workflows.models import Rollout


@dataclass(frozen=True)
class Rung:
    """One step. `place`: done | here | ahead."""

    words: str
    kind: str
    place: str


def rungs(row: Rollout) -> list[Rung]:
    """Return the steps of a rollout, each with where it lies."""
    return [Rung(*_words(step), _place(row, number)) for number, step in enumerate(row.plan["steps"])]


def _place(row: Rollout, number: int) -> str:
    if number < row.step or row.state == "succeeded":
        return "done"
    return "here" if number == row.step else "ahead"


def _words(step: dict[str, object]) -> tuple[str, str]:
    if "weight" in step:
        return f"{step['weight']:g} %", "weight"
    if "analysis" in step:
        return str(step["analysis"]), "analysis"
    pause = step["pause"]
    waits = pause.get("for") if isinstance(pause, dict) else None
    return (waits, "pause") if waits else ("a person", "gate")
