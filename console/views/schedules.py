"""Schedules: the list, one with its next fire times and its history, and what an operator does to them."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, Final
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from console import formats
from console.access import requires
from console.actors import actor_of
from console.views.settings_frame import answer
from workflows import firing, schedules
from workflows.errors import UnknownObject, WorkflowError
from workflows.models.schedules import OUTCOMES
from workflows.queries import schedules as queries
from workflows.queries.schedules import FireRow, ScheduleRow
from workflows.spec import cron, writing

_COMING: Final = 10
_WORDS: Final = {
    "due": "Waiting",
    "started": "Started",
    "skipped": "Skipped",
    "missed": "Missed",
    "failed": "Could not start",
}


@dataclass(frozen=True)
class Moment:
    """A fire time as it is shown: `there` is the clock on the wall of the schedule's own time zone."""

    at: datetime
    there: str
    clock_changes: bool = False


@requires("definitions.view")
def index(request: HttpRequest) -> HttpResponse:
    """List the schedules, those in trouble first; a poll without news gets 304."""
    contains, after = request.GET.get("q", "").strip()[:63], request.GET.get("after", "")[:63]
    found = queries.page(contains=contains, after=after)
    rows = [{"row": row, "next": _moment(row.schedule.next_fire_at, row.zone)} for row in found.rows]
    mark = _mark(request, [found.total, *map(_news, found.rows)])
    if request.headers.get("HX-PTag") == mark:
        return HttpResponse(status=304)
    last = found.rows[-1].schedule.name if found.rows else ""
    context = {
        "rows": rows,
        "total": found.total,
        "contains": contains,
        "first": "?" + urlencode({"q": contains}) if after else "",
        "next": "?" + urlencode({"q": contains, "after": last}) if found.more else "",
        "poll": request.get_full_path(),
        "mark": mark,
    }
    page = render(request, f"schedules/{'_rows' if _is_part(request) else 'list'}.html", context)
    page["HX-PTag"] = mark
    return page


@requires("definitions.view")
def detail(request: HttpRequest, name: str) -> HttpResponse:
    """Show a schedule: when it fires next, and what became of its fire times."""
    row = _find(name)
    outcome = request.GET.get("outcome", "")
    outcome = outcome if outcome in OUTCOMES else ""
    found = queries.history(name, outcome=outcome, before=_before(request))
    counts = queries.counts(name)
    mark = _mark(request, [_news(row), counts, *map(_fire_news, found.rows)])
    if request.headers.get("HX-PTag") == mark:
        return HttpResponse(status=304)
    context = {
        "row": row,
        "body": row.body,
        "environment": firing.environment_of(row.body),
        "next": _moment(row.schedule.next_fire_at, row.zone),
        "coming": _coming(row),
        "history": [{"each": each, "at": _moment(each.fire.fire_at, row.zone)} for each in found.rows],
        "older": "?" + urlencode({"outcome": outcome, "before": found.before.isoformat()})
        if found.before
        else "",
        "paged": bool(request.GET.get("before")),
        "outcome": outcome,
        "tabs": _tabs(counts, outcome),
        "definition": formats.printable(writing.dump([row.body])),
        "runs": f"{reverse('runs')}?{urlencode({'q': f'tag:{firing.tag(name)}'})}",
        "poll": request.get_full_path(),
        "mark": mark,
    }
    page = render(request, f"schedules/{'_schedule' if _is_part(request) else 'page'}.html", context)
    page["HX-PTag"] = mark
    return page


def _find(name: str) -> ScheduleRow:
    try:
        return queries.one(name)
    except UnknownObject as problem:
        raise Http404(problem.message) from problem


def _is_part(request: HttpRequest) -> bool:
    return bool(request.headers.get("HX-Request"))


def _moment(at: datetime, zone: str) -> Moment:
    try:
        there = at.astimezone(ZoneInfo(zone))
    except (LookupError, ValueError):  # this machine does not have the zone any more
        return Moment(at, f"{zone} is not known here")
    return Moment(at, f"{there:%a %b} {there.day}, {there:%H:%M} {there:%Z}")


def _coming(row: ScheduleRow) -> list[Moment]:
    """Return the next fire times; marked where the clock of the schedule's zone has changed since the one before."""
    first, place = row.schedule.next_fire_at, ZoneInfo(row.zone)
    later = islice(cron.following(first, row.body["cron"], row.zone), _COMING - 1)
    coming, offset = [], timezone.now().astimezone(place).utcoffset()
    for at in (first, *later):
        before, offset = offset, at.astimezone(place).utcoffset()
        shown = _moment(at, row.zone)
        coming.append(Moment(shown.at, shown.there, clock_changes=before != offset))
    return coming


def _tabs(counts: dict[str, int], chosen: str) -> list[dict[str, Any]]:
    every = {"label": "All", "count": "", "address": "?", "current": not chosen}
    shown = [outcome for outcome in OUTCOMES if outcome in counts or outcome == chosen]
    return [every] + [
        {
            "label": _WORDS[outcome],
            "count": f"{counts.get(outcome, 0):,}{'+' if counts.get(outcome) == 1000 else ''}",
            "address": f"?outcome={outcome}",
            "current": outcome == chosen,
        }
        for outcome in shown
    ]


def _before(request: HttpRequest) -> datetime | None:
    try:
        found = parse_datetime(request.GET.get("before", ""))
    except ValueError:
        return None
    return found if found is not None and found.tzinfo is not None else None


def _mark(request: HttpRequest, parts: list[Any]) -> str:
    """Name what an answer shows: another after any change of it, and by the minute."""
    text = f"{parts} {int(timezone.now().timestamp()) // 60} {request.get_full_path()}"
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=9).hexdigest()


def _news(row: ScheduleRow) -> tuple[Any, ...]:
    schedule, last = row.schedule, row.last
    return (
        schedule.name,
        schedule.version,
        schedule.next_fire_at,
        schedule.paused_at,
        last and (last.pk, last.outcome),
        row.run and row.run.state,
    )


def _fire_news(each: FireRow) -> tuple[Any, ...]:
    return (each.fire.pk, each.fire.outcome, each.fire.note, each.run and each.run.state)


def _act(
    part: str, title: str, said: str, move: Callable[..., object]
) -> Callable[[HttpRequest, str], HttpResponse]:
    """Make the view that asks first and then pauses, resumes or fires a schedule."""

    @requires("schedules.lead")
    def view(request: HttpRequest, name: str) -> HttpResponse:
        row = _find(name)
        context: dict[str, Any] = {
            "row": row,
            "title": f"{title} {row.schedule.name}",
            "next": _moment(row.schedule.next_fire_at, row.zone),
            "reason": request.POST.get("reason", ""),
            "key": request.POST.get("key") or str(uuid.uuid4()),
            "going": firing.open_runs([name])[name],
            "environment": firing.environment_of(row.body),
        }
        if request.method != "POST":
            return _ask(request, part, context)
        try:
            move(request, name)
        except WorkflowError as problem:
            return _ask(request, part, {**context, "problem": problem.message}, status=409)
        messages.success(request, said.format(row.schedule.name))
        return answer(request, reverse("schedule", args=[name]))

    return view


def _ask(request: HttpRequest, part: str, context: dict[str, Any], *, status: int = 200) -> HttpResponse:
    template = part if _is_part(request) else "schedules/ask.html"
    return render(request, template, {"part": part, **context}, status=status)


def _reason(request: HttpRequest) -> str:
    return request.POST.get("reason", "").strip()


def _paused(request: HttpRequest, name: str) -> object:
    return schedules.pause(name, actor=actor_of(request), reason=_reason(request), now=timezone.now())


def _resumed(request: HttpRequest, name: str) -> object:
    return schedules.resume(name, actor=actor_of(request), reason=_reason(request), now=timezone.now())


def _fired(request: HttpRequest, name: str) -> object:
    return schedules.fire_now(
        name,
        actor=actor_of(request),
        reason=_reason(request),
        now=timezone.now(),
        request_key=f"console:{request.POST.get('key', '')[:60]}",
    )


pause = _act("schedules/_pause.html", "Pause", "Schedule {} is paused.", _paused)
resume = _act("schedules/_resume.html", "Resume", "Schedule {} fires again.", _resumed)
fire = _act("schedules/_fire.html", "Fire", "Schedule {} has started a run.", _fired)
