"""Webhooks with deliveries, for tests and pictures of their pages."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone

from tests import factories
from workflows.models import Delivery, DeliveryAttempt, Event, Webhook


def webhook(name: str, *, events: tuple[str, ...] = ("run.failed",), **values: Any) -> Webhook:
    """A webhook that has heard of nothing yet."""
    url = f"https://hooks.example.com/interlock/{name}"
    body = {"kind": "Webhook", "name": name, "url": url, "secret": "secret:hook", "events": list(events)}
    factories.definition("Webhook", name, body)
    return Webhook.objects.create(name=name, url=url, secret="secret:hook", events=list(events), **values)


def delivery(
    name: str, number: int, *, answers: tuple[int | str, ...] = (200,), hours_ago: float = 1, **values: Any
) -> Delivery:
    """An event on its way: each of its tries got a status, or an error where there is a text."""
    at = timezone.now() - timedelta(hours=hours_ago)
    subject = f"r_{number:013d}"
    event = Event.objects.create(
        id=f"evt_{number:032x}",
        type=values.pop("event_type", "run.failed"),
        subject=subject,
        at=at,
        data={"run": {"id": subject, "workflow": "docs-assistant", "state": "failed"}},
    )
    last = answers[-1] if answers else None
    done = last == 200
    given = {"state": "delivered" if done else "pending", **values}
    made = Delivery.objects.create(
        webhook=name,
        event=event,
        created_at=at,
        gives_up_at=at + timedelta(days=1),
        attempts_made=len(answers),
        next_at=timezone.now() + timedelta(minutes=10) if given["state"] == "pending" else None,
        ended_at=at if given["state"] != "pending" else None,
        status=last if isinstance(last, int) else None,
        error=_error(last),
        **given,
    )
    for place, answer in enumerate(answers, 1):
        DeliveryAttempt.objects.create(
            delivery=made,
            number=place,
            at=at + timedelta(minutes=place),
            status=answer if isinstance(answer, int) else None,
            error=_error(answer),
            excerpt='{"ok": true}' if answer == 200 else "upstream connect error",
            took_ms=84 * place,
        )
    return made


def _error(answer: int | str | None) -> str:
    if isinstance(answer, str):
        return answer
    return "" if answer in (200, None) else f"The endpoint answered {answer}."


def fill() -> None:
    """Three webhooks: one works, one fails, one is switched off."""
    now = timezone.now()
    webhook("on-call", events=("run.failed", "schedule.*", "approval.requested"))
    webhook("data-lake", events=("*",), failing_since=now - timedelta(hours=5))
    webhook(
        "old-chat",
        disabled_at=now - timedelta(days=2),
        disabled_by="system:interlock",
        disabled_why="The endpoint says that it is gone for good (410).",
    )
    for number in range(1, 6):
        delivery("on-call", number, hours_ago=number * 3)
    refused = "The connection failed: [Errno 111] Connection refused."
    delivery("data-lake", 14, answers=(500, 200), hours_ago=40, event_type="schedule.missed")
    delivery("data-lake", 13, answers=(500,) * 11, hours_ago=30, state="failed")
    delivery("data-lake", 11, answers=(503, 503, refused), hours_ago=2, pk=4711)
    delivery("data-lake", 12, answers=(), hours_ago=0.1, event_type="run.succeeded")
