"""Shares of a whole as one bar with its legend: what became of the runs of a bulk action. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

_LEAST = 0.4  # per cent: so that one run is visible beside ten thousand


def draw(parts: Sequence[tuple[str, str, int]]) -> SafeString:
    """Draw (key, label, count) side by side, in this order; each has the class `share-KEY`."""
    total = sum(count for _, _, count in parts) or 1
    widths = [max(count / total * 100, _LEAST) for _, _, count in parts]
    scale = 100 / (sum(widths) or 1)
    bars, left = [], 0.0
    for (key, _, _), width in zip(parts, widths, strict=True):
        bars.append(
            f'<rect class="share-{key}" x="{left:.2f}%" width="{max(width * scale - 0.1, 0.1):.2f}%" height="10"/>'
        )
        left += width * scale
    told = ", ".join(f"{escape(label)} {count:,}" for _, label, count in parts)
    legend = "".join(
        f'<li><i class="share-{key}"></i>{escape(label)} <b>{count:,}</b></li>' for key, label, count in parts
    )
    return mark_safe(  # noqa: S308 - numbers, keys of ours and escaped labels
        f'<svg class="shares" role="img" aria-label="{told}">{"".join(bars)}</svg><ul class="legend">{legend}</ul>'
    )
