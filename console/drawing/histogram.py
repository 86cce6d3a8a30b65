"""The histogram over the runs list: stacked bars in one SVG. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Link:
    """Where a bar leads, and what it is called."""

    address: str
    label: str


def draw(stacks: Sequence[Stack], *, label: str, links: Sequence[Link] = ()) -> SafeString:
    """Draw the bars, failures on top, each leading where its link says; one of them is in the tab order."""
    highest = max((s.succeeded + s.active + s.failed for s in stacks), default=0) or 1
    width = WIDTH / max(len(stacks), 1)
    bars = [_stack(stack, place * width, width, highest) for place, stack in enumerate(stacks)]
    if links:
        first = next((place for place, drawn in enumerate(bars) if drawn), -1)
        bars = [
            _link(links[place], drawn, place, width, first=place == first) if drawn else ""
            for place, drawn in enumerate(bars)
        ]
    return mark_safe(  # noqa: S308 - numbers and escaped texts
        f'<svg class="histogram" viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" '
        f'role="{"group" if links else "img"}" aria-label="{escape(label)}">{"".join(bars)}</svg>'
    )


def _link(link: Link, drawn: str, place: int, width: float, *, first: bool) -> str:
    x = place * width
    return (
        f'<a href="{escape(link.address)}" aria-label="{escape(link.label)}" tabindex="{0 if first else -1}" '
        f'data-bin="{place}"><title>{escape(link.label)}</title>'
        f'<rect class="bin-hit" x="{x:.1f}" y="0" width="{width:.1f}" height="{HEIGHT}"/>{drawn}</a>'
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
