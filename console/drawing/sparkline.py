"""Small charts that stand in a line of text or a cell of a table. Pure: numbers in, one SVG out."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

WIDTH, HEIGHT = 96, 20
_FLOOR = 1.5  # so that one run is visible beside thousands
_ROOM = 2.0  # above and below a line, so that its stroke is not cut


def bars(counts: Sequence[int], *, label: str, failed: Sequence[int] = ()) -> SafeString:
    """Draw one bar for each stretch of time; what failed of it is red, at its top.

    `failed` counts within `counts`, place by place; `label` says in words what the bars show.
    """
    bad = [*failed, *[0] * (len(counts) - len(failed))]
    highest = max(counts, default=0) or 1
    width = WIDTH / max(len(counts), 1)
    drawn = "".join(
        _bar(count, min(worse, count), place * width, width, highest)
        for place, (count, worse) in enumerate(zip(counts, bad, strict=True))
    )
    return _svg(drawn or _ground(), label)


def _bar(count: int, failed: int, x: float, width: float, highest: int) -> str:
    if not count:
        return _rect("spark-none", x, HEIGHT - 1, width, 1)
    height = max(count / highest * HEIGHT, _FLOOR)
    red = min(max(failed / count * height, _FLOOR), height) if failed else 0.0
    good = _rect("spark-good", x, HEIGHT - height + red, width, height - red) if height > red else ""
    return good + (_rect("spark-bad", x, HEIGHT - height, width, red) if red else "")


def _rect(name: str, x: float, y: float, width: float, height: float) -> str:
    return f'<rect class="{name}" x="{x + 0.4:.1f}" y="{y:.1f}" width="{width - 0.8:.1f}" height="{height:.1f}"/>'


def line(values: Sequence[float | None], *, label: str) -> SafeString:
    """Draw a line through the values; where one is unknown the line has a gap, never a zero.

    A value between two gaps is a short level line, as wide as its stretch of time.
    """
    known = [value for value in values if value is not None]
    if not known:
        return _svg(_ground(), label)
    low, high = min(0.0, *known), max(known)
    step = WIDTH / max(len(values) - 1, 1)
    parts: list[str] = []
    for place, value in enumerate(values):
        if value is None:
            continue
        share = (value - low) / (high - low) if high > low else 0.5
        begins = place == 0 or values[place - 1] is None
        x, y = place * step, _height_of(share)
        if begins and (place + 1 == len(values) or values[place + 1] is None):
            parts.append(f"M{max(x - step / 2, 0):.1f} {y:.1f}H{min(x + step / 2, WIDTH):.1f}")
        else:
            parts.append(f"{'M' if begins else 'L'}{x:.1f} {y:.1f}")
    return _svg(f'<path class="spark-line" d="{"".join(parts)}"/>', label)


def _height_of(share: float) -> float:
    return HEIGHT - _ROOM - share * (HEIGHT - 2 * _ROOM)


def _ground() -> str:
    return f'<rect class="spark-none" x="0" y="{HEIGHT - 1}" width="{WIDTH}" height="1"/>'


def _svg(inner: str, label: str) -> SafeString:
    return mark_safe(  # noqa: S308 - numbers and an escaped label
        f'<svg class="spark" viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(label)}">{inner}</svg>'
    )
