"""Shapes that several resources share, as in the contract; fields may be added, never renamed."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from typing_extensions import TypedDict

RunError = TypedDict("RunError", {"class": str, "message": str, "step": str | None})
StepError = TypedDict("StepError", {"class": str, "message": str})


class Tokens(TypedDict):
    """Tokens that provider calls used."""

    input: int
    cached: int
    output: int
    reasoning: int


def money(usd: Decimal | None) -> str | None:
    """Write US dollars as a decimal string; unknown is null, never zero."""
    if usd is None:
        return None
    text = format(usd, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def tokens(found: dict[str, Any] | None) -> Tokens:
    """Write a count of tokens, whole."""
    found = found or {}
    return Tokens(
        input=found.get("input") or 0,
        cached=found.get("cached") or 0,
        output=found.get("output") or 0,
        reasoning=found.get("reasoning") or 0,
    )


def run_error(error: dict[str, Any] | None) -> RunError | None:
    """Write why a run failed."""
    if error is None:
        return None
    return {
        "class": str(error.get("class", "")),
        "message": str(error.get("message", "")),
        "step": error.get("step"),
    }


def step_error(error: dict[str, Any] | None) -> StepError | None:
    """Write why a step or an attempt failed."""
    if error is None:
        return None
    return {"class": str(error.get("class", "")), "message": str(error.get("message", ""))}
