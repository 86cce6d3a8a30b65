"""The whole run in small above its timeline, with the part that is zoomed to marked. SVG text; no requests.

Dragging over it chooses a part: js/zoom.js reads the places and seconds of the axis from `data-axis`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape

from django.utils.safestring import SafeString, mark_safe

from console import formats
from console.drawing.scale import Scale, Span
from console.drawing.timeline import Row
from console.drawing.waterfall import SETTLED_BAD, bar_class, hatching, rect

_HEIGHT, _LANES, _BARS = 34, 6, 400


def draw(rows: Sequence[Row], scale: Scale, window: Span | None) -> SafeString:
    """Draw the whole run in a few lanes; of very many steps a sample, failures always."""
    steps = [row for row in rows if row.bars]
    bars = "".join(_bars(steps, scale))
    axis = json.dumps(
        [[round(s, 3), round(p, 3)] for s, p in zip(scale.edges, scale.places, strict=True)],
        separators=(",", ":"),
    )
    label = f"Overview of {formats.plural(len(steps), 'step')}"
    return mark_safe(  # noqa: S308 - numbers only
        f'<svg class="overview" role="img" aria-label="{label}" data-axis="{escape(axis)}">'
        f"{bars}{hatching(scale)}{_brush(scale, window)}</svg>"
    )


def _bars(steps: Sequence[Row], scale: Scale) -> list[str]:
    every = max(1, len(steps) // _BARS)
    shown = [row for i, row in enumerate(steps) if i % every == 0 or row.state in SETTLED_BAD]
    ends = [0.0] * _LANES
    placed: list[tuple[Row, int]] = []
    for row in sorted(shown, key=lambda r: r.start or 0.0):
        start = row.start or 0.0
        lane = next((i for i, end in enumerate(ends) if end <= start), ends.index(min(ends)))
        ends[lane] = row.end or start
        placed.append((row, lane))
    lanes = max((lane for _, lane in placed), default=0) + 1
    pitch = (_HEIGHT - 8) / lanes
    height = min(pitch - 1.4, 7)
    return [
        rect(
            bar_class(bar, row),
            scale.at(bar.start),
            scale.at(bar.end) - scale.at(bar.start),
            y=round(4 + lane * pitch + (pitch - height) / 2, 1),
            height=round(height, 1),
        )
        for row, lane in placed
        for bar in row.bars
    ]


def _brush(scale: Scale, window: Span | None) -> str:
    """Veil what lies outside the part that is shown."""
    left, right = (scale.at(window[0]), scale.at(window[1])) if window else (0.0, 100.0)
    return (
        f'<g class="brush"{"" if window else " hidden"}>'
        f'<rect class="veil" x="0" y="0" width="{left:.2f}%" height="100%"/>'
        f'<rect class="veil" x="{right:.2f}%" y="0" width="{100 - right:.2f}%" height="100%"/>'
        f'<rect class="frame" x="{left:.2f}%" y="0" width="{max(right - left, 0.3):.2f}%" height="100%"/></g>'
    )
