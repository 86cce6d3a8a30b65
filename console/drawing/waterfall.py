"""The timeline of a run as HTML: axis, grid, overview and rows.

Plain string building: a row takes 8 µs here and 150 µs in a template, and a run may have thousands.
Geometry is SVG attributes, because the content policy forbids inline styles.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from urllib.parse import quote

from django.utils.safestring import SafeString, mark_safe

from console import formats
from console.drawing.looks import icon, kind_look, state_look
from console.drawing.scale import Scale
from console.drawing.timeline import Bar, Row

_MIN_WIDTH = 0.35  # per cent of the lane, so that a step of 2 ms stays visible
CHUNK = 50  # rows that the browser lays out together
FULL = 1000  # up to here every row is in the page, so that the browser's own search finds it
FIRST, LAZY = 300, 200
_LAST_LABEL = 93  # per cent; further right a time would be cut off
_OVERVIEW_HEIGHT, _OVERVIEW_LANES, _OVERVIEW_BARS = 34, 6, 400
_SETTLED_BAD = frozenset({"failed", "unknown"})
_SPOILT = frozenset({"failed", "lost", "interrupted"})


def _rect(classes: str, x: float, width: float, *, y: float, height: float) -> str:
    return (
        f'<rect class="{classes}" x="{x:.2f}%" y="{y:g}" width="{max(width, _MIN_WIDTH):.2f}%" '
        f'height="{height:g}" rx="{min(height / 2, 2.5):g}"/>'
    )


def _bar_class(bar: Bar, row: Row) -> str:
    """Solid red only where the step has failed for good: so red anywhere means "this is why"."""
    if bar.state in _SPOILT:
        if row.state in _SETTLED_BAD and bar is row.bars[-1]:
            return "bar bar-bad"
        return "bar bar-soft" if bar.state == "failed" else "bar bar-lost"
    if bar.state == "cancelled":
        return "bar bar-idle"
    running = " bar-running" if bar.state == "running" else ""
    return f"bar hue-{kind_look(row.kind).tone}{running}"


def _lane(row: Row, scale: Scale) -> str:
    if row.start is None or row.end is None:
        word = state_look(row.state).word.lower() if row.state != "cancelled" else "not started"
        return f'<text class="bar-text bar-quiet" x="100%" dx="-6" y="18" text-anchor="end">{word}</text>'
    left, right = scale.at(row.start), scale.at(row.end)
    if row.has_children or not row.bars:
        drawn = _rect("bar hue-group", left, right - left, y=12, height=4)
    else:
        drawn = f'<line class="rail" x1="{left:.2f}%" x2="{right:.2f}%" y1="14" y2="14"/>' + "".join(
            _rect(
                _bar_class(bar, row),
                scale.at(bar.start),
                scale.at(bar.end) - scale.at(bar.start),
                y=8,
                height=12,
            )
            for bar in row.bars
        )
    last = scale.at(row.bars[-1].start) if row.bars else left
    return drawn + _length(left, last, max(right, left + _MIN_WIDTH), formats.duration(row.end - row.start))


def _length(left: float, last: float, right: float, text: str) -> str:
    """Write the duration where there is room: after the bars, before them or the last one, else inside."""
    if right < 86:
        return f'<text class="bar-text" x="{right:.2f}%" dx="6" y="18">{text}</text>'
    if last > 16:
        place = left if left > 16 else last
        return f'<text class="bar-text" x="{place:.2f}%" dx="-6" y="18" text-anchor="end">{text}</text>'
    return (
        f'<text class="bar-text bar-inside" x="{right:.2f}%" dx="-6" y="18" text-anchor="end">{text}</text>'
    )


def _badge(row: Row) -> str:
    """Count the tries that went wrong; a worker that was lost is told apart from work that failed."""
    spoilt = row.failures + row.losses
    if not spoilt or row.has_children:
        return ""
    told = [formats.plural(row.failures, "failed attempt")] if row.failures else []
    told += [f"{formats.plural(row.losses, 'attempt')} lost with its worker"] if row.losses else []
    tone = " badge-bad" if row.state in _SETTLED_BAD else ""
    return f'<span class="badge{tone}" title="{", ".join(told)}">{icon("rotate-cw")}{spoilt}</span>'


def row_html(row: Row, scale: Scale, *, selected: bool, focusable: bool) -> str:
    """Draw one row of the tree grid."""
    bad = row.state in _SETTLED_BAD
    quiet = row.state in {"pending", "skipped", "cancelled"}
    tone = " is-bad" if bad else " is-quiet" if quiet else ""
    name = escape(formats.printable(row.name))
    look = kind_look(row.kind)
    picture = icon("circle-x", "icon-bad") if bad else icon(look.icon, f"ink-{look.tone}")
    if row.state in {"running", "retrying"} and not row.has_children:
        picture = icon("loader", "spin tone-run-icon")
    twist = (
        f'<button class="twist" type="button" tabindex="-1" aria-label="Fold {name}" data-fold>'
        f"{icon('chevron-down')}</button>"
        if row.has_children
        else '<span class="twist"></span>'
    )
    label = (
        f'<a class="step-name" tabindex="-1" href="?step={quote(row.path)}">{name}</a>'
        if row.path
        else f'<span class="step-name">{name}</span>'
    )
    expanded = f' aria-expanded="{"true" if row.expanded else "false"}"' if row.has_children else ""
    lasted = formats.duration(row.end - row.start) if row.start is not None and row.end is not None else ""
    return (
        f'<div class="step-row{tone}" role="row" id="{row.key}" data-step="{escape(row.path)}" '
        f'data-parent="{row.parent}" aria-level="{row.depth + 1}" '
        f'aria-selected="{"true" if selected else "false"}"'
        f'{expanded} tabindex="{0 if focusable else -1}"{" hidden" if row.hidden else ""}>'
        f'<div class="step-cell depth-{min(row.depth, 6)}" role="gridcell">{twist}{picture}{label}'
        f'<span class="step-note">{escape(formats.printable(row.note))}</span>{_badge(row)}</div>'
        f'<div class="lane" role="gridcell"><svg aria-hidden="true">{_lane(row, scale)}</svg>'
        f'<span class="visually-hidden">{state_look(row.state).word} {lasted}</span></div></div>'
    )


def rows_html(
    rows: Sequence[Row], scale: Scale, *, selected: str, more: str, start: int = 0, stop: int = 0
) -> SafeString:
    """Draw all rows of a run of ordinary size, or the first part of a long one.

    `more`: the address that gives further rows. `stop`: draw just these rows, for such a request.
    """
    chosen = next((i for i, row in enumerate(rows) if row.path and row.path == selected), -1)
    focus = chosen if chosen >= 0 and not rows[chosen].hidden else 0

    def part(low: int, high: int) -> str:
        return "".join(
            row_html(row, scale, selected=low + i == chosen, focusable=low + i == focus)
            for i, row in enumerate(rows[low:high])
        )

    if stop:
        return mark_safe(part(start, stop))  # noqa: S308 - row_html escapes
    whole = len(rows) if len(rows) <= FULL else FIRST
    drawn = [
        f'<div class="step-chunk" role="rowgroup">{part(low, min(low + CHUNK, whole))}</div>'
        for low in range(0, whole, CHUNK)
    ]
    for low in range(whole, len(rows), LAZY):
        high = min(low + LAZY, len(rows))
        if low <= chosen < high:  # a deep link: what it names is in the first answer
            drawn.append(f'<div role="rowgroup">{part(low, high)}</div>')
        else:
            drawn.append(_later(low, high, more, sum(not row.hidden for row in rows[low:high])))
    return mark_safe("".join(drawn))  # noqa: S308 - row_html escapes


def _later(low: int, high: int, more: str, visible: int) -> str:
    """Leave room for rows that come when they are scrolled to."""
    return (
        f'<div role="rowgroup" aria-label="Steps {low + 1} to {high}, not loaded" '
        f'hx-get="{escape(more)}from={low}&amp;to={high}" hx-trigger="intersect once" hx-swap="innerHTML">'
        f'<svg width="1" height="{visible * 28}" aria-hidden="true"></svg></div>'
    )


def axis(scale: Scale) -> SafeString:
    """Draw the times above the lanes, and how long each folded stretch lasted."""
    ticks = "".join(
        f'<text class="{"minor" if number % 2 else ""}" x="{place:.2f}%" y="17" dx="{4 if place else 0}">'
        f"{formats.duration(second) if second else '0 s'}</text>"
        for number, (second, place) in enumerate(scale.ticks())
        if place <= _LAST_LABEL
    )
    folds = "".join(
        f'<text class="fold-text" x="{min((scale.at(low) + scale.at(high)) / 2, 100):.2f}%" y="17" '
        f'text-anchor="{"end" if scale.at(high) > 97 else "middle"}">{formats.duration(high - low)}</text>'
        for low, high in scale.folds
    )
    return mark_safe(f'<svg class="axis" aria-hidden="true">{ticks}{folds}</svg>')  # noqa: S308 - numbers only


def _hatching(scale: Scale) -> str:
    return "".join(
        f'<rect class="fold" x="{scale.at(low):.2f}%" width="{scale.at(high) - scale.at(low):.2f}%" y="0" '
        f'height="100%" fill="url(#fold)"/>'
        for low, high in scale.folds
    )


def grid(scale: Scale) -> SafeString:
    """Draw the lines behind the lanes."""
    lines = "".join(f'<line x1="{x:.2f}%" x2="{x:.2f}%" y1="0" y2="100%"/>' for _, x in scale.ticks())
    pattern = (
        '<defs><pattern id="fold" width="6" height="6" patternUnits="userSpaceOnUse" '
        'patternTransform="rotate(45)"><line class="fold-line" x1="0" y1="0" x2="0" y2="6"/></pattern></defs>'
    )
    return mark_safe(f'<svg class="grid" aria-hidden="true">{pattern}{lines}{_hatching(scale)}</svg>')  # noqa: S308


def overview(rows: Sequence[Row], scale: Scale) -> SafeString:
    """Draw the whole run in a few lanes; of very many steps a sample, failures always."""
    steps = [row for row in rows if row.bars]
    every = max(1, len(steps) // _OVERVIEW_BARS)
    shown = [row for i, row in enumerate(steps) if i % every == 0 or row.state in _SETTLED_BAD]
    ends = [0.0] * _OVERVIEW_LANES
    placed: list[tuple[Row, int]] = []
    for row in sorted(shown, key=lambda r: r.start or 0.0):
        start = row.start or 0.0
        lane = next((i for i, end in enumerate(ends) if end <= start), ends.index(min(ends)))
        ends[lane] = row.end or start
        placed.append((row, lane))
    lanes = max((lane for _, lane in placed), default=0) + 1
    pitch = (_OVERVIEW_HEIGHT - 8) / lanes
    height = min(pitch - 1.4, 7)
    bars = "".join(
        _rect(
            _bar_class(bar, row),
            scale.at(bar.start),
            scale.at(bar.end) - scale.at(bar.start),
            y=round(4 + lane * pitch + (pitch - height) / 2, 1),
            height=round(height, 1),
        )
        for row, lane in placed
        for bar in row.bars
    )
    label = f"Overview of {formats.plural(len(steps), 'step')}"
    return mark_safe(f'<svg class="overview" role="img" aria-label="{label}">{bars}{_hatching(scale)}</svg>')  # noqa: S308
