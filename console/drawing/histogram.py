"""The histogram over the runs list: stacked bars in one SVG. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

WIDTH, HEIGHT = 960, 40
_FLOOR = 0.8  # so that one run is visible beside thousands
_FAILED_FLOOR = 1.6


class Stack(Protocol):
    """One stretch of time."""

    @property
    def succeeded(self) -> int: ...
    @property
    def active(self) -> int: ...
    @property
    def failed(self) -> int: ...


def draw(stacks: Sequence[Stack], *, label: str) -> SafeString:
    """Draw the bars, failures on top, with a text alternative."""
    highest = max((s.succeeded + s.active + s.failed for s in stacks), default=0) or 1
    width = WIDTH / max(len(stacks), 1)
    bars = "".join(_stack(stack, place * width, width, highest) for place, stack in enumerate(stacks))
    return mark_safe(  # noqa: S308 - numbers and an escaped label
        f'<svg class="histogram" viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(label)}">{bars}</svg>'
    )


def _stack(stack: Stack, x: float, width: float, highest: int) -> str:
    parts, y = [], float(HEIGHT)
    for count, tone, floor in (
        (stack.succeeded, "done", _FLOOR),
        (stack.active, "active", _FLOOR),
        (stack.failed, "failed", _FAILED_FLOOR),
    ):
        if not count:
            continue
        height = max(count / highest * (HEIGHT - 4), floor)
        y -= height
        parts.append(
            f'<rect class="bin-{tone}" x="{x + 0.8:.1f}" y="{y:.1f}" width="{width - 1.6:.1f}" '
            f'height="{height:.1f}" rx=".6"/>'
        )
    return "".join(parts)
