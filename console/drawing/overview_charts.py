"""What the tiles of the overview show, made ready for their templates: charts, figures, rows.

Moments are written in the time zone of who looks. Reads nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Protocol
from urllib.parse import urlencode

from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from console import formats
from console.drawing import histogram, sparkline
from workflows.queries import overview

_WIDTH, _HEIGHT = 240.0, 48.0
_MARKS: Final = 4


class Stretch(Protocol):
    """The stretch of time that was chosen."""

    @property
    def key(self) -> str: ...
    @property
    def words(self) -> str: ...
    @property
    def length(self) -> timedelta: ...
    @property
    def bin_label(self) -> str: ...


@dataclass(frozen=True)
class _Stack:
    succeeded: int
    active: int
    failed: int


def activity(found: overview.Activity, chosen: Stretch) -> dict[str, Any]:
    """Draw runs by outcome, a cancelled one as done, and say the same in words and rows."""
    runs, failed = found.total("runs"), found.total("failed")
    label = f"{formats.plural(runs, 'run')} in the {chosen.words}, {failed:,} failed, {chosen.bin_label}"
    stacks = [_Stack(each.succeeded + each.cancelled, each.active, each.failed) for each in found.bins]
    return {
        "chart": histogram.draw(stacks, label=label),
        "axis": _axis([each.start for each in found.bins], chosen),
        "success": formats.share(found.success),
        "runs": runs,
        "failed": failed,
        "active": found.total("active"),
        "cancelled": found.total("cancelled"),
        "rows": [each for each in reversed(found.bins) if each.runs],
        "bin_label": chosen.bin_label,
        "runs_query": "?" + urlencode({"range": chosen.key}),
        "failed_query": "?" + urlencode({"state": "failed", "range": chosen.key}),
    }


def _axis(starts: Sequence[datetime], chosen: Stretch) -> list[str]:
    days = chosen.length > timedelta(hours=25)
    marks = [timezone.localtime(starts[len(starts) * part // _MARKS]) for part in range(_MARKS)]
    return [*(f"{m:%b} {m.day}" if days else f"{m:%H:%M}" for m in marks), "now"]


def durations(found: overview.Durations, chosen: Stretch) -> dict[str, Any]:
    """Draw the line of the 95th percentile beside both figures."""
    part = formats.duration(chosen.length.total_seconds() / overview.PARTS)
    stretches = sum(value is not None for value in found.line)
    label = f"p95 of each {part}, over the {chosen.words}"
    return {
        "p50": formats.duration(found.p50_s),
        "p95": formats.duration(found.p95_s),
        "line": sparkline.line(found.line, label=label),
        "begins": f"{formats.ago(chosen.length.total_seconds())} ago",
        "nothing": not stretches,
        "alone": f"{formats.plural(found.runs, 'run')}, all in one stretch of {part}"
        if stretches == 1
        else "",
        "runs": found.runs,
        "capped": found.capped,
        "rows": _line_rows(found, chosen),
    }


def _line_rows(found: overview.Durations, chosen: Stretch) -> list[tuple[str, str]]:
    part = chosen.length / overview.PARTS
    return [
        (f"{formats.ago((part * (overview.PARTS - place)).total_seconds())} ago", formats.duration(value))
        for place, value in enumerate(found.line)
        if value is not None
    ][::-1]


def costs(found: overview.Costs, chosen: Stretch) -> dict[str, Any]:
    """Draw the days before and today, and say whether today is within their band."""
    band = found.band
    today = found.today_usd or Decimal(0)
    verdict, tone = "", ""
    if band and found.today_usd is not None:
        low, high = band
        if today > high:
            verdict, tone = "above", "wait"
        else:
            verdict = "below" if today < low else "within"
    return {
        "today": formats.money(found.today_usd),
        "band": f"{formats.money(band[0])} to {formats.money(band[1])}" if band else "",
        "verdict": verdict,
        "tone": tone,
        "chart": _days(found),
        "names": [f"{day.start:%a}" for day in found.before] + ["Today"],
        "rows": [
            (f"{day.start:%a} {day.start:%b} {day.start.day}", day.by_now_usd, day.usd)
            for day in reversed(found.before)
        ],
    }


def _days(found: overview.Costs) -> SafeString:
    """Draw a bar for each day: what it had cost by this time, and paler what came after."""
    today = found.today_usd or Decimal(0)
    highest = max([day.usd for day in found.before] + [today]) or Decimal(1)
    width = _WIDTH / (len(found.before) + 1)
    bars = "".join(
        _bar("cost-rest", place * width, width, day.usd / highest)
        + _bar("cost-by-now", place * width, width, day.by_now_usd / highest)
        for place, day in enumerate(found.before)
    )
    bars += _bar("cost-today", len(found.before) * width, width, today / highest)
    label = f"Cost by day: today {formats.money(found.today_usd)}, before " + ", ".join(
        formats.money(day.usd) for day in found.before
    )
    return mark_safe(  # noqa: S308 - numbers and an escaped label
        f'<svg class="cost-days" viewBox="0 0 {_WIDTH:.0f} {_HEIGHT:.0f}" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(label)}">{bars}</svg>'
    )


def _bar(name: str, x: float, width: float, share: Decimal) -> str:
    height = max(float(share) * _HEIGHT, 1.0)
    return (
        f'<rect class="{name}" x="{x + 2:.1f}" y="{_HEIGHT - height:.1f}" width="{width - 4:.1f}" '
        f'height="{height:.1f}" rx="1"/>'
    )


def workflows(found: Sequence[overview.WorkflowFigures], chosen: Stretch) -> dict[str, Any]:
    """Make the rows of the workflows, each with its day in a line."""
    return {"rows": [_workflow(each, chosen) for each in found], "words": chosen.words}


def _workflow(each: overview.WorkflowFigures, chosen: Stretch) -> dict[str, Any]:
    label = f"{formats.plural(each.runs, 'run')} in the {chosen.words}, {each.failed:,} failed"
    named = {"workflow": each.name, "range": chosen.key}
    return {
        "name": each.name,
        "runs": each.runs,
        "success": formats.share(each.success),
        "poor": each.success is not None and each.success < 0.95,
        "p95": formats.duration(each.p95_s),
        "cost": formats.money(each.cost_usd),
        "line": sparkline.bars(each.runs_line, failed=each.failed_line, label=label),
        "failed": each.failed,
        "unknown": each.unknown,
        "runs_query": "?" + urlencode(named),
        "failed_query": "?" + urlencode({**named, "state": "failed"}),
        "attention_query": "?" + urlencode({**named, "state": "attention", "range": "all"}),
    }


def errors(found: Sequence[overview.ErrorGroup], chosen: Stretch) -> dict[str, Any]:
    """Make the rows of the errors, each with the query of its runs and the address of its group, or of its runs."""
    rows = [(each, _runs_of(each, chosen)) for each in found]
    return {
        "rows": [(each, query, _page_of(each) or reverse("runs") + query) for each, query in rows],
        "words": chosen.words,
    }


def _page_of(group: overview.ErrorGroup) -> str:
    """Return the address of the group that looks after these failures; empty before they are sorted into one."""
    return reverse("error-group", args=[group.group]) if group.group is not None else ""


def _runs_of(group: overview.ErrorGroup, chosen: Stretch) -> str:
    plain = "" if "[]" in group.step else group.step  # the list looks for the step as it stands
    asked = {
        "state": "failed",
        "workflow": group.workflow,
        "error": group.error_class,
        "q": plain,
        "range": chosen.key,
    }
    return "?" + urlencode({key: value for key, value in asked.items() if value})
