"""The bars of one step in two runs, one above the other on one axis of time, with lines for its scale."""

from __future__ import annotations

from typing import Final, Protocol

from django.utils.safestring import SafeString, mark_safe

WIDTH: Final = 200.0
MARKS: Final = (0, 0.5, 1)  # of the axis
_LEAST: Final = 1.5


class Timed(Protocol):
    """When a step began after its run did, and how long it took, in seconds."""

    @property
    def begun_s(self) -> float | None: ...

    @property
    def duration_s(self) -> float | None: ...


def svg(left: Timed | None, right: Timed | None, *, longest_s: float) -> SafeString:
    """Draw both; `longest_s` is the length of the axis. What has no time has no bar."""
    lines = "".join(f'<path class="tick" d="M{WIDTH * part:g} 0V16"/>' for part in MARKS)
    bars = "".join(_bar(side, y, name, longest_s) for side, y, name in ((left, 1, "a"), (right, 9, "b")))
    return mark_safe(  # noqa: S308 - numbers and our own words
        f'<svg class="pair-bars" viewBox="0 0 {WIDTH:g} 16" preserveAspectRatio="none" aria-hidden="true">'
        f"{lines}{bars}</svg>"
    )


def _bar(side: Timed | None, y: int, name: str, longest_s: float) -> str:
    if side is None or side.begun_s is None or side.duration_s is None or longest_s <= 0:
        return ""
    x = WIDTH * side.begun_s / longest_s
    width = max(WIDTH * side.duration_s / longest_s, _LEAST)
    return f'<rect class="bar-{name}" x="{min(x, WIDTH - _LEAST):.1f}" y="{y}" width="{width:.1f}" height="6" rx="1"/>'
