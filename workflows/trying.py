"""One real call of a model with messages that somebody just edited: no run, no step, nothing saved but its audit.

Permission was checked above. It holds no connection to the database while it waits, and only a few calls of one
process wait at a time, so that trying can never use up the threads of the console.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

from django.db import connection
from django.db.models import F

from providers import gateway, validation
from providers.config import Provider, Retry, Route, Target
from providers.errors import ProviderError
from providers.messages import Message, Request, Response
from providers.recording import CallIntent, CallRecord
from providers.validation import Checked
from workflows import audit, definitions
from workflows.actor import Actor
from workflows.engine import bundle
from workflows.errors import Invalid, Refused, UnknownObject
from workflows.models import DefinitionVersion
from workflows.payloads import clean_text

Json = Any
MAX_SECONDS: Final = 60.0
MAX_AT_ONCE: Final = 4
_room = threading.BoundedSemaphore(MAX_AT_ONCE)


@dataclass(frozen=True)
class Choice:
    """A route, and a model of its targets, as `provider/model`."""

    route: str
    model: str

    def __str__(self) -> str:
        return f"{self.route}:{self.model}"


@dataclass(frozen=True)
class Tried:
    """What came of a call: a response, read by the schema where there is one, or the error in words."""

    choice: Choice
    seconds: float
    response: Response | None = None
    checked: Checked | None = None
    error: ProviderError | None = None
    record: CallRecord | None = None


class _Kept:
    """A recorder that keeps the last record: what a failed call cost counts too."""

    record: CallRecord | None = None

    def sending(self, call: CallIntent, /) -> None: ...

    def done(self, call: CallRecord, /) -> None:
        self.record = call


def choices() -> tuple[Choice, ...]:
    """Return the models that the saved routes lead to, by route and in the route's own order."""
    newest = DefinitionVersion.objects.filter(
        definition__kind="Route", definition__archived_at=None, version=F("definition__latest_version")
    ).order_by("definition__name")
    routes = [Route.from_document(body) for body in newest.values_list("body", flat=True)]
    return tuple(Choice(route.name, str(target)) for route in routes for target in route.targets)


def attempt(
    prompt: str, body: Mapping[str, Json], messages: Sequence[tuple[str, str]], *, choice: str, actor: Actor
) -> Tried:
    """Send the filled messages of a prompt to one model, once, and write down who did and what it cost.

    Raises:
        UnknownObject: no saved route leads to this model.
        Invalid: there is no message to send.
        Refused: too many calls wait already.
    """
    picked = next((each for each in choices() if str(each) == choice), None)
    if picked is None:
        raise UnknownObject(
            "No saved route leads to this model any more; pick another.", code="unknown_route"
        )
    if not messages:
        raise Invalid("There is no message to send.", code="no_messages")
    bundle.forget_providers()  # a person may have applied them a moment ago
    route, providers = _one_target(picked), bundle.providers()
    request = Request(
        messages=tuple(Message(role=role, content=text) for role, text in messages),  # type: ignore[arg-type]
        params=body.get("params", {}),
        output_schema=body.get("output"),
    )
    with _a_place():
        connection.close()  # back to the pool: a model may take a minute
        tried = _call(picked, route, request, providers)
    _write_down(prompt, tried, actor)
    return tried


@contextmanager
def _a_place() -> Iterator[None]:
    if not _room.acquire(blocking=False):
        raise Refused(
            f"{MAX_AT_ONCE} calls of this kind are waiting already; try again in a moment.",
            code="too_many_tries",
        )
    try:
        yield
    finally:
        _room.release()


def _one_target(choice: Choice) -> Route:
    """The route with this one target, asked once."""
    route = Route.from_document(definitions.get("Route", choice.route).body)
    target = Target.parse(choice.model)
    return replace(route, targets=(target,), retry=Retry(attempts=1), hedge_after_s=None)


def _call(choice: Choice, route: Route, request: Request, providers: Mapping[str, Provider]) -> Tried:
    began, kept = time.monotonic(), _Kept()
    try:
        response = gateway.call(route, request, providers=providers, recorder=kept, deadline_s=MAX_SECONDS)
    except ProviderError as error:
        return Tried(choice, time.monotonic() - began, error=error, record=kept.record)
    seconds = time.monotonic() - began
    schema = request.output_schema
    checked = None if schema is None else validation.check(response.text, schema)
    return Tried(choice, seconds, response, checked, record=kept.record)


def _write_down(prompt: str, tried: Tried, actor: Actor) -> None:
    record = tried.record
    cost = record.cost_usd if record else None
    data = {
        "model": tried.choice.model,
        "route": tried.choice.route,
        "seconds": round(tried.seconds, 3),
        "cost_usd": None if cost is None else str(cost),
        "tokens": record.usage.as_json() if record else None,
        "error": None if tried.error is None else clean_text(tried.error.error_class),
    }
    audit.record(actor, "prompt.try", "Prompt", prompt, data=data)
