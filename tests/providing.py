"""Asking providers in tests: a recorder that keeps everything, and a short way to a call."""

from __future__ import annotations

from typing import Any

from providers import gateway
from providers.config import Provider, Route
from providers.messages import Message, Request, Response
from providers.recording import CallIntent, CallRecord


class Kept:
    """A recorder that keeps what it is told, in order."""

    def __init__(self) -> None:
        self.intents: list[CallIntent] = []
        self.records: list[CallRecord] = []

    def sending(self, call: CallIntent, /) -> None:
        assert len(self.intents) == len(self.records), "a call began before the last one was recorded"
        self.intents.append(call)

    def done(self, call: CallRecord, /) -> None:
        self.records.append(call)

    @property
    def classes(self) -> list[str | None]:
        """The error class of each call, None for one that was answered."""
        return [None if record.error is None else record.error["class"] for record in self.records]


def ask(
    *providers: Provider, request: Request | str = "hello", recorder: Kept | None = None, **more: Any
) -> Response:
    """Call a route over the first model of each provider: `attempts`, `timeout`, … are the route's."""
    targets = [f"{provider.name}/{provider.models[0].name}" for provider in providers]
    route = {"name": "chat", "targets": targets, "timeout": more.pop("timeout", "5s")}
    route["retry"] = {"attempts": more.pop("attempts", 1), "first": "1ms", "max": more.pop("max", "8s")}
    if "fallback_on" in more:
        route["fallback_on"] = more.pop("fallback_on")
    if isinstance(request, str):
        request = Request(messages=(Message(role="user", content=request),))
    return gateway.call(
        Route.from_document(route),
        request,
        providers={provider.name: provider for provider in providers},
        recorder=Kept() if recorder is None else recorder,
        **{"deadline_s": 10.0, **more},
    )
