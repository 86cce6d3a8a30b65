"""Webhooks: what they listen to, their deliveries, sending again, switching off and on."""

from __future__ import annotations

from typing import Any, Final, Literal

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from typing_extensions import TypedDict

from console.api import asking, pages, runs
from console.api.auth import actor_of
from console.api.endpoint import Endpoint, needs
from console.api.openapi import answer, operation
from workflows.models import Delivery, Webhook
from workflows.queries import webhooks as queries
from workflows.queries.webhooks import WebhookRow
from workflows.webhooks import outbox

State = Literal["pending", "delivered", "failed"]


class WebhookShape(TypedDict):
    """A webhook; `secret` names the credential it signs with. `failing_since`: the first failure since a success."""

    name: str
    url: str
    events: list[str]
    secret: str
    disabled: bool
    disabled_by: str | None
    disabled_why: str | None
    failing_since: str | None
    pending: int
    failed: int


class WebhookList(TypedDict):
    """All webhooks, those that fail first."""

    results: list[WebhookShape]
    next: str | None


class DeliveryShape(TypedDict):
    """One event on its way to one webhook; `event` is the `webhook-id` of every try."""

    id: int
    webhook: str
    event: str
    type: str
    subject: str
    data: dict[str, Any]
    happened_at: str
    state: State
    attempts: int
    status: int | None
    error: str | None
    next_at: str | None
    gives_up_at: str


class DeliveryPage(TypedDict):
    """Deliveries, newest first."""

    results: list[DeliveryShape]
    next: str | None


class DeliveryFilters(asking.Paged):
    """Which deliveries."""

    state: State | None = None
    type: asking.Text = ""


_ONE: Final = answer(WebhookShape)
_DELIVERY: Final = answer(DeliveryShape)


class Webhooks(Endpoint):
    """`/webhooks`."""

    permission_classes = needs("definitions.view")

    @operation("List webhooks", answers={200: answer(WebhookList)})
    def get(self, request: Request) -> Response:
        """List the webhooks, those that fail first."""
        return Response({"results": [_shape(row) for row in queries.listed()], "next": None})


class OneWebhook(Endpoint):
    """`/webhooks/NAME`."""

    permission_classes = needs("definitions.view")

    @operation("Show a webhook", answers={200: _ONE}, problems_too=[404])
    def get(self, request: Request, name: str) -> Response:
        """Show what it listens to and how its deliveries go."""
        return Response(_shape(queries.one(name)))


class Deliveries(Endpoint):
    """`/webhooks/NAME/deliveries`."""

    permission_classes = needs("definitions.view")

    @operation(
        "List deliveries", query=DeliveryFilters, answers={200: answer(DeliveryPage)}, problems_too=[404]
    )
    def get(self, request: Request, name: str) -> Response:
        """List the deliveries of a webhook; they are kept for 30 days. `type` is how the event's type begins."""
        asked = asking.query(request, DeliveryFilters)
        found = queries.found(outbox.get(name).name, state=asked.state or "", event_type=asked.type)
        page = pages.by_number(found, cursor=asked.cursor, limit=asked.limit)
        return Response(page.as_json(_delivery))


class TestWebhook(Endpoint):
    """`/webhooks/NAME/test`."""

    http_method_names = ["post"]
    permission_classes = needs("definitions.view", "webhooks.send")

    @operation("Send a test event", answers={202: _DELIVERY}, problems_too=[404, 409])
    def post(self, request: Request, name: str) -> Response:
        """Send an event of the type `webhook.test`."""
        made = outbox.send_test(name, actor=actor_of(request), now=timezone.now())
        return Response(_delivery(made), status=202)


class Redeliver(Endpoint):
    """`/webhooks/NAME/deliveries/ID/redeliver`."""

    http_method_names = ["post"]
    permission_classes = needs("definitions.view", "webhooks.send")

    @operation("Send a delivery again", asks=runs.Reason, answers={202: _DELIVERY}, problems_too=[404, 409])
    def post(self, request: Request, name: str, delivery_id: int) -> Response:
        """Send it again now, under the same `webhook-id`, with another day of tries."""
        asked = asking.body(request, runs.Reason)
        again = outbox.redeliver(
            name, delivery_id, actor=actor_of(request), reason=asked.reason, now=timezone.now()
        )
        return Response(_delivery(again), status=202)


class _Switch(Endpoint):
    """What switching on and off share."""

    http_method_names = ["post"]
    permission_classes = needs("definitions.view", "webhooks.send")

    def _switched(self, request: Request, name: str, *, on: bool) -> Response:
        asked = asking.body(request, runs.Reason)
        outbox.switch(name, on=on, actor=actor_of(request), reason=asked.reason, now=timezone.now())
        return Response(_shape(queries.one(name)))


class EnableWebhook(_Switch):
    """`/webhooks/NAME/enable`."""

    @operation("Switch a webhook on", asks=runs.Reason, answers={200: _ONE}, problems_too=[404, 409])
    def post(self, request: Request, name: str) -> Response:
        """Tell it what happens from now on."""
        return self._switched(request, name, on=True)


class DisableWebhook(_Switch):
    """`/webhooks/NAME/disable`."""

    @operation("Switch a webhook off", asks=runs.Reason, answers={200: _ONE}, problems_too=[404, 409])
    def post(self, request: Request, name: str) -> Response:
        """Tell it nothing more; what waits is given up."""
        return self._switched(request, name, on=False)


def _shape(row: WebhookRow) -> WebhookShape:
    webhook: Webhook = row.webhook
    return WebhookShape(
        name=webhook.name,
        url=webhook.url,
        events=webhook.events,
        secret=webhook.secret,
        disabled=webhook.disabled_at is not None,
        disabled_by=webhook.disabled_by or None,
        disabled_why=webhook.disabled_why or None,
        failing_since=asking.moment(webhook.failing_since),
        pending=row.pending,
        failed=row.failed,
    )


def _delivery(delivery: Delivery) -> DeliveryShape:
    event = delivery.event
    return DeliveryShape(
        id=delivery.pk,
        webhook=delivery.webhook,
        event=event.pk,
        type=event.type,
        subject=event.subject,
        data=event.data,
        happened_at=asking.moment(event.at) or "",
        state=delivery.state,  # type: ignore[typeddict-item]  # a constraint of the table
        attempts=delivery.attempts_made,
        status=delivery.status,
        error=delivery.error or None,
        next_at=asking.moment(delivery.next_at),
        gives_up_at=asking.moment(delivery.gives_up_at) or "",
    )
