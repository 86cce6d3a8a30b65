"""Recovery: what failed and why, what stands still, what is being recovered and what is quarantined, in one place."""

from __future__ import annotations

import hashlib
from typing import Any, Final
from urllib.parse import urlencode

from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from console.access import requires
from console.drawing import sparkline
from console.views.bulk import row
from workflows import quarantine
from workflows.failures import grouping
from workflows.models import Quarantine
from workflows.queries import attention, bulk_page, error_groups, run_list

_FEW: Final = 5
_PAGE: Final = 30
_STANDING: Final = (
    ("unknown", ("run with an unknown outcome", "runs with an unknown outcome")),
    ("stuck", ("stuck run", "stuck runs")),
)
TABS: Final = (("open", "Open"), ("mine", "Mine"), ("resolved", "Resolved"))


@requires("runs.view")
def index(request: HttpRequest) -> HttpResponse:
    """Show all that recovery is about; a poll without news gets 304."""
    grouping.settle()
    tab = request.GET.get("tab", "")
    tab = tab if tab in dict(TABS) else "open"
    context = {**_standing(), **_groups(request, tab), **_actions(), "poll": request.get_full_path()}
    part = request.headers.get("HX-Request") and request.headers.get("HX-Target") == "recovery"
    answer = render(request, f"recovery/{'_recovery' if part else 'page'}.html", context)
    mark = hashlib.blake2b(_news(context).encode("utf-8", "replace"), digest_size=9).hexdigest()
    if request.headers.get("HX-PTag") == mark:
        return HttpResponse(status=304)
    answer["HX-PTag"] = mark
    return answer


def _standing() -> dict[str, Any]:
    """Count what stands still, and what nobody knows the outcome of."""
    found = {each.kind: each for each in attention.standing(now=timezone.now())}
    return {
        "standing": [
            {
                "kind": kind,
                "words": words[0] if kind in found and found[kind].count == 1 else words[1],
                "count": found[kind].count if kind in found else 0,
                "oldest": found[kind].oldest if kind in found else None,
                "href": f"{reverse('runs')}?{urlencode({'state': kind, 'range': 'all'})}",
            }
            for kind, words in _STANDING
        ]
    }


def _groups(request: HttpRequest, tab: str) -> dict[str, Any]:
    place = _place(request.GET.get("after", ""))
    found = error_groups.groups(
        state="resolved" if tab == "resolved" else "open",
        assigned_to=request.user.get_username() if tab == "mine" else "",
    )
    rows = error_groups.newest(found, before=place, limit=_PAGE + 1)
    shown = rows[:_PAGE]
    more = ""
    if len(rows) > len(shown) and shown[-1].last_seen is not None:
        after = run_list.encode_cursor(shown[-1].last_seen, str(shown[-1].pk))
        more = "?" + urlencode({"tab": tab, "after": after})
    return {
        "tab": tab,
        "tabs": [
            {"label": label, "address": f"?tab={key}", "current": key == tab, "count": _count(request, key)}
            for key, label in TABS
        ],
        "groups": [
            {"shown": each, "spark": spark(each), "recover": recover_address(each)}
            for each in error_groups.shown(shown)
        ],
        "older": more,
        "paged": place is not None,
    }


def _count(request: HttpRequest, tab: str) -> int | None:
    if tab == "resolved":
        return None
    return error_groups.groups(assigned_to=request.user.get_username() if tab == "mine" else "").count()


def _place(cursor: str) -> tuple[Any, int] | None:
    try:
        when, pk = run_list.decode_cursor(cursor)
        return when, int(pk)
    except (run_list.CursorError, ValueError):
        return None


def spark(shown: error_groups.Shown) -> Any:
    """Draw the failures of the last hours."""
    told = f"{sum(shown.hours):,} failures in the last {error_groups.HOURS} hours"
    return sparkline.bars(shown.hours, label=told, failed=shown.hours)


def recover_address(shown: error_groups.Shown) -> str:
    """Return where the runs of a group are retried together; empty where none stands failed."""
    if not shown.failed:
        return ""
    asked = {"bulk": "retry", "matching": "1", "range": "all", "group": shown.group.pk}
    return f"{reverse('bulk-new')}?{urlencode(asked)}"


def _actions() -> dict[str, Any]:
    actions = bulk_page.newest(limit=_FEW)
    counts = bulk_page.outcomes(actions)
    held = Quarantine.objects.filter(released_at=None).annotate(runs=Count("taints")).order_by("-pk")[:_FEW]
    live = quarantine.still_live(list(held))
    return {
        "bulks": [row(action, counts.get(action.pk, {})) for action in actions],
        "quarantines": [
            {"found": each, "runs": each.runs, "deployed": live.get(each.pk, ())} for each in held
        ],
    }


def _news(context: dict[str, Any]) -> str:
    """Say what a page shows, so that another after any change of it is another text."""
    groups = [each["shown"] for each in context["groups"]]
    told = [
        context["poll"],
        [(each["kind"], each["count"]) for each in context["standing"]],
        [(each.group.pk, each.failed, each.hours) for each in groups],
        [(each.group.seen, each.group.assigned_to, each.group.state) for each in groups],
        [(each["action"].pk, each["state"], each["done"], each["refused"]) for each in context["bulks"]],
        [(each["found"].pk, each["runs"]) for each in context["quarantines"]],
    ]
    return repr(told)
