"""The timeline of a run as HTML: axis, grid and rows. The whole run in small: minimap.py.

Plain string building: a row takes 8 µs here and 150 µs in a template, and a run may have thousands.
Geometry is SVG attributes, because the content policy forbids inline styles.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
NEAR = 40  # rows around a chosen one that are in the page too, so that it does not stand beside a blank
_LAST_LABEL = 93  # per cent; further right a time would be cut off
SETTLED_BAD = frozenset({"failed", "unknown"})
_SPOILT = frozenset({"failed", "lost", "interrupted"})


def rect(classes: str, x: float, width: float, *, y: float, height: float) -> str:
    """Draw a bar; `x` and `width` in per cent of the lane."""
    return (
        f'<rect class="{classes}" x="{x:.2f}%" y="{y:g}" width="{max(width, _MIN_WIDTH):.2f}%" '
        f'height="{height:g}" rx="{min(height / 2, 2.5):g}"/>'
    )


def bar_class(bar: Bar, row: Row) -> str:
    """Solid red only where the step has failed for good: so red anywhere means "this is why"."""
    if bar.state in _SPOILT:
        if row.state in SETTLED_BAD and bar is row.bars[-1]:
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
    if row.end < scale.start_s or row.start > scale.end_s:
        return _elsewhere("← earlier" if row.end < scale.start_s else "later →", row.end < scale.start_s)
    left, right = scale.at(row.start), scale.at(row.end)
    group = row.has_children or not row.bars
    if group:
        drawn = rect("bar hue-group", left, right - left, y=12, height=4)
    else:
        drawn = f'<line class="rail" x1="{left:.2f}%" x2="{right:.2f}%" y1="14" y2="14"/>' + "".join(
            rect(
                bar_class(bar, row),
                scale.at(bar.start),
                scale.at(bar.end) - scale.at(bar.start),
                y=8,
                height=12,
            )
            for bar in row.bars
            if bar.end >= scale.start_s and bar.start <= scale.end_s
        )
        drawn += _answer(row, scale)
    last = scale.at(row.bars[-1].start) if row.bars else left
    text = formats.duration(row.end - row.start)
    return drawn + _length(
        left,
        last,
        max(right, left + _MIN_WIDTH),
        text,
        on="over" if group else "inside",
        gap=6 if row.answered is None else 12,
    )


def _answer(row: Row, scale: Scale) -> str:
    """Mark when a person settled the step, where that is in the part that is shown."""
    if row.answered is None or not scale.start_s <= row.answered <= scale.end_s:
        return ""
    return f'<circle class="answer" cx="{scale.at(row.answered):.2f}%" cy="14" r="5"/>'


def _elsewhere(text: str, before: bool) -> str:
    """Say that a row lies outside the part that is shown."""
    place = 'x="0" dx="6"' if before else 'x="100%" dx="-6" text-anchor="end"'
    return f'<text class="bar-text bar-quiet" {place} y="18">{text}</text>'


def _length(left: float, last: float, right: float, text: str, *, on: str, gap: int) -> str:
    """Write the duration where there is room: after the bars, before them or the last one, else on them.

    `on`: `inside` of a bar, or `over` the thin line of a group, which makes way. `gap`: pixels after the bars.
    """
    if right < 86:
        return f'<text class="bar-text" x="{right:.2f}%" dx="{gap}" y="18">{text}</text>'
    if last > 16:
        place = left if left > 16 else last
        return f'<text class="bar-text" x="{place:.2f}%" dx="-6" y="18" text-anchor="end">{text}</text>'
    inwards = 0 if on == "over" else -gap
    return f'<text class="bar-text bar-{on}" x="{right:.2f}%" dx="{inwards}" y="18" text-anchor="end">{text}</text>'


def _badges(row: Row) -> str:
    """Say that a person settled the step, and count the tries that went wrong."""
    return _answered(row) + _badge(row)


def _answered(row: Row) -> str:
    if not row.answer:
        return ""
    told = escape(formats.printable(row.answer))
    return (
        f'<span class="badge badge-idle" title="{told}">{icon("user-check")}'
        f'<span class="visually-hidden">{told}</span></span>'
    )


def _badge(row: Row) -> str:
    """Count the tries that went wrong; a worker that was lost is told apart from work that failed."""
    spoilt = row.failures + row.losses
    if not spoilt or row.has_children:
        return ""
    told = [formats.plural(row.failures, "failed attempt")] if row.failures else []
    told += [f"{formats.plural(row.losses, 'attempt')} lost with its worker"] if row.losses else []
    tone = " badge-bad" if row.state in SETTLED_BAD else ""
    return f'<span class="badge{tone}" title="{", ".join(told)}">{icon("rotate-cw")}{spoilt}</span>'


def row_html(
    row: Row, scale: Scale, *, selected: bool, focusable: bool, mark: str = "", far: bool = False
) -> str:
    """Draw one row of the tree grid.

    `mark`: a class more. `far`: the rows below it are not in the page.
    """
    quiet = row.state in {"pending", "skipped", "cancelled"}
    tone = " is-bad" if row.state in SETTLED_BAD else " is-quiet" if quiet else ""
    name = escape(formats.printable(row.name))
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
    lasted, span = "", ""
    if row.start is not None and row.end is not None:
        lasted = formats.duration(row.end - row.start)
        span = f' data-span="{row.start:.3f} {row.end:.3f}"'
    return (
        f'<div class="step-row{tone}{mark}" role="row" id="{row.key}" data-step="{escape(row.path)}" '
        f'data-parent="{row.parent}" aria-level="{row.depth + 1}" '
        f'aria-selected="{"true" if selected else "false"}"'
        f'{expanded}{" data-far" if far else ""}{span} tabindex="{0 if focusable else -1}"'
        f"{' hidden' if row.hidden else ''}>"
        f'<div class="step-cell depth-{min(row.depth, 6)}" role="gridcell">{twist}{_picture(row)}{label}'
        f'<span class="step-note">{escape(formats.printable(row.note))}</span>{_badges(row)}</div>'
        f'<div class="lane" role="gridcell"><svg aria-hidden="true">{_lane(row, scale)}</svg>'
        f'<span class="visually-hidden">{state_look(row.state).word} {lasted}</span></div></div>'
    )


def _picture(row: Row) -> str:
    if row.state in SETTLED_BAD:
        return icon(state_look(row.state).icon, "icon-bad")
    if row.state in {"running", "retrying"} and not row.has_children:
        return icon("loader", "spin tone-run-icon")
    look = kind_look(row.kind)
    return icon(look.icon, f"ink-{look.tone}")


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What a page shows of the rows: which one is chosen, what is on the critical path, where more come from."""

    selected: str = ""
    more: str = ""  # the address that gives further rows
    critical: frozenset[str] | None = None  # keys of rows; None where it was not asked for


def rows_html(
    rows: Sequence[Row], scale: Scale, shown: Shown, *, start: int = 0, stop: int = 0
) -> SafeString:
    """Draw all rows of a run of ordinary size; of a long one those that are unfolded, and at first a part.

    `start`, `stop`: draw just these of the rows that are unfolded, for a request for more.
    """
    long = len(rows) > FULL
    present = [row for row in rows if not row.hidden] if long else rows
    chosen = next((i for i, row in enumerate(present) if row.path and row.path == shown.selected), -1)
    focus = chosen if chosen >= 0 and not present[chosen].hidden else 0

    def part(low: int, high: int) -> str:
        return "".join(
            row_html(
                row,
                scale,
                selected=low + i == chosen,
                focusable=low + i == focus,
                mark=_mark(row, shown.critical),
                far=long and row.has_children and not row.expanded,
            )
            for i, row in enumerate(present[low:high])
        )

    if stop:
        return mark_safe(part(start, stop))  # noqa: S308 - row_html escapes
    return mark_safe(_chunks(part, len(present), chosen, shown.more))  # noqa: S308 - row_html escapes


def _chunks(part: Callable[[int, int], str], count: int, chosen: int, more: str) -> str:
    """Lay out rows in groups; of very many the first, and room for the others."""
    whole = count if count <= FULL else FIRST
    drawn = [
        f'<div class="step-chunk" role="rowgroup">{part(low, min(low + CHUNK, whole))}</div>'
        for low in range(0, whole, CHUNK)
    ]
    for low in range(whole, count, LAZY):
        high = min(low + LAZY, count)
        if (
            low - NEAR <= chosen < high + NEAR and chosen >= 0
        ):  # what a deep link names is in the first answer
            drawn.append(f'<div role="rowgroup">{part(low, high)}</div>')
        else:
            drawn.append(_later(low, high, more))
    return "".join(drawn)


def _mark(row: Row, critical: frozenset[str] | None) -> str:
    if critical is None:
        return ""
    return " is-critical" if row.key in critical else " is-aside"


def _later(low: int, high: int, more: str) -> str:
    """Leave room for rows that come when they are scrolled to."""
    return (
        f'<div role="rowgroup" aria-label="Steps {low + 1} to {high}, not loaded" '
        f'hx-get="{escape(more)}start={low}&amp;stop={high}" hx-trigger="intersect once" hx-swap="innerHTML">'
        f'<svg width="1" height="{(high - low) * 28}" aria-hidden="true"></svg></div>'
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


def hatching(scale: Scale) -> str:
    """Draw the folded stretches."""
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
    return mark_safe(f'<svg class="grid" aria-hidden="true">{pattern}{lines}{hatching(scale)}</svg>')  # noqa: S308
