"""Webhooks under the settings: the list, one with its deliveries, one delivery, and what an operator does."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from console.access import requires
from console.actors import actor_of
from console.views.settings_frame import answer, ask, show
from workflows.errors import UnknownObject, WorkflowError
from workflows.models import Delivery
from workflows.models.webhooks import DELIVERY_STATES
from workflows.queries import webhooks as queries
from workflows.queries.webhooks import WebhookRow
from workflows.webhooks import outbox

_MAX_TYPE: Final = 60
_STATE_WORDS: Final = {"pending": "Waiting", "delivered": "Delivered", "failed": "Given up"}


@requires("definitions.view")
def index(request: HttpRequest) -> HttpResponse:
    """List the webhooks, those that fail first."""
    rows = [{"row": row, "host": urlsplit(row.webhook.url).netloc} for row in queries.listed()]
    return show(request, "webhooks", {"rows": rows, "more": len(rows) == queries.MOST})


@requires("definitions.view")
def detail(request: HttpRequest, name: str) -> HttpResponse:
    """Show a webhook and its deliveries; a poll without news gets 304."""
    row = _find(name)
    state = request.GET.get("state", "")
    state = state if state in DELIVERY_STATES else ""
    event_type = request.GET.get("type", "").replace("\0", "").strip()[:_MAX_TYPE]
    page = queries.page(name, state=state, event_type=event_type, before=_number(request, "before"))
    mark = _mark(request, row, page.rows)
    if request.headers.get("HX-PTag") == mark:
        return HttpResponse(status=304)
    kept = {"state": state, "type": event_type}
    context = {
        "row": row,
        "webhook": row.webhook,
        "deliveries": page.rows,
        "tabs": _tabs(row, state, event_type),
        "state": state,
        "event_type": event_type,
        "paged": bool(request.GET.get("before")),
        "first": _address(kept),
        "older": _address({**kept, "before": str(page.before)}) if page.before else "",
        "poll": request.get_full_path(),
        "mark": mark,
    }
    if request.headers.get("HX-Request"):
        part = render(request, "settings/_deliveries.html", context)
    else:
        part = show(request, "webhook", context)
    part["HX-PTag"] = mark
    return part


@requires("definitions.view")
def delivery(request: HttpRequest, name: str, delivery_id: int) -> HttpResponse:
    """Show one delivery: the message, and what came of each try."""
    row, found = _find(name), _delivery(name, delivery_id)
    message = {"type": found.event.type, "timestamp": outbox.moment(found.event.at), "data": found.event.data}
    tries = queries.attempts(found)
    context = {
        "webhook": row.webhook,
        "delivery": found,
        "event": found.event,
        "message": message,
        "bytes": len(json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()),
        "attempts": tries,
        "run": _run_of(found),
    }
    return show(request, "delivery", context)


def _run_of(delivery: Delivery) -> str:
    """Return the id of the run that an event is about; nothing where it is about no run."""
    event = delivery.event
    if event.type.startswith("run."):
        return event.subject
    named = event.data.get("run")
    return named if isinstance(named, str) else ""


def _find(name: str) -> WebhookRow:
    try:
        return queries.one(name)
    except UnknownObject as problem:
        raise Http404(problem.message) from problem


def _delivery(name: str, delivery_id: int) -> Delivery:
    try:
        return outbox.delivery(name, delivery_id)
    except UnknownObject as problem:
        raise Http404(problem.message) from problem


def _number(request: HttpRequest, name: str) -> int:
    text = request.GET.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 18 else 0


def _address(values: dict[str, str]) -> str:
    return "?" + urlencode({key: value for key, value in values.items() if value})


def _tabs(row: WebhookRow, chosen: str, event_type: str) -> list[dict[str, Any]]:
    counts = {"pending": row.pending, "failed": row.failed}
    every = {"label": "All", "address": _address({"type": event_type}), "current": not chosen}
    return [every] + [
        {
            "label": _STATE_WORDS[state],
            "count": counts.get(state),
            "address": _address({"state": state, "type": event_type}),
            "current": state == chosen,
        }
        for state in DELIVERY_STATES
    ]


def _mark(request: HttpRequest, row: WebhookRow, rows: tuple[Delivery, ...]) -> str:
    """Name what an answer shows: another after any change of it, and by the minute."""
    shown = [(each.pk, each.state, each.attempts_made, each.next_at) for each in rows]
    parts = (row.state, row.pending, row.failed, shown, int(timezone.now().timestamp()) // 60)
    text = f"{parts} {request.get_full_path()}"
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=9).hexdigest()


def _act(part: str, title: str, move: Callable[..., str]) -> Callable[..., HttpResponse]:
    """Make the view that asks first and then does something to a webhook."""

    @requires("webhooks.send")
    def view(request: HttpRequest, name: str) -> HttpResponse:
        row = _find(name)
        back = reverse("webhook", args=[name])
        reason = request.POST.get("reason", "").strip()
        context = {"row": row, "webhook": row.webhook, "title": f"{title} {name}", "back": back}
        if request.method != "POST":
            return ask(request, part, context)
        try:
            said = move(name, actor=actor_of(request), reason=reason)
        except WorkflowError as problem:
            return ask(request, part, {**context, "problem": problem.message, "reason": reason}, status=409)
        messages.success(request, said)
        return answer(request, back)

    return view


def _off(name: str, **given: Any) -> str:
    outbox.switch(name, on=False, now=timezone.now(), **given)
    return f"Webhook {name} is switched off."


def _on(name: str, **given: Any) -> str:
    outbox.switch(name, on=True, now=timezone.now(), **given)
    return f"Webhook {name} is switched on."


def _again(name: str, **given: Any) -> str:
    count = outbox.redeliver_failed(name, now=timezone.now(), **given)
    return f"{count:,} {'delivery is' if count == 1 else 'deliveries are'} sent again."


switch_off = _act("settings/_webhook_off.html", "Switch off", _off)
switch_on = _act("settings/_webhook_on.html", "Switch on", _on)
redeliver_failed = _act("settings/_webhook_again.html", "Send again to", _again)


@requires("webhooks.send")
def test(request: HttpRequest, name: str) -> HttpResponse:
    """Send an event of the type `webhook.test`."""
    _find(name)
    if request.method == "POST":
        try:
            made = outbox.send_test(name, actor=actor_of(request), now=timezone.now())
        except WorkflowError as problem:
            messages.error(request, problem.message)
        else:
            messages.success(request, f"Test event {made.event_id} is on its way.")
    return HttpResponseRedirect(reverse("webhook", args=[name]))


@requires("webhooks.send")
def redeliver(request: HttpRequest, name: str, delivery_id: int) -> HttpResponse:
    """Send one delivery again."""
    _delivery(name, delivery_id)
    if request.method == "POST":
        try:
            outbox.redeliver(name, delivery_id, actor=actor_of(request), now=timezone.now())
        except WorkflowError as problem:
            messages.error(request, problem.message)
        else:
            messages.success(request, "It is sent again, with another day of tries.")
    return HttpResponseRedirect(reverse("webhook-delivery", args=[name, delivery_id]))
