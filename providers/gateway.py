"""The only door to models: `call` for a response, `embed` for vectors.

It holds no database connection while it waits, and keeps its caller's deadline in whatever a provider does.
Nothing but ProviderError leaves it, except what the caller's own recorder raises.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from providers import resilience
from providers.adapters import registry
from providers.adapters.base import Adapter, Call, Reply, Vectors, WireRequest
from providers.config import LOCAL, Model, Provider, Route, Target
from providers.deadlines import CallTime, Deadline, never
from providers.errors import ProviderError
from providers.exchange import exchange, judged, response
from providers.messages import Request, Response
from providers.recording import CallIntent, CallRecord, Recorder, Unrecorded

__all__ = ["CallIntent", "CallRecord", "Recorder", "Unrecorded", "call", "embed"]

Result = TypeVar("Result")
# One request for embeddings holds no more than this.
BATCH_TEXTS = 64
BATCH_CHARACTERS = 200_000
# Beyond this a remote server is stuck; in this process only the deadline bounds the work.
EMBED_TIMEOUT_S = 30.0


def call(
    route: Route,
    request: Request,
    *,
    providers: Mapping[str, Provider],
    recorder: Recorder,
    deadline_s: float,
    first_call: int = 0,
    cancelled: Callable[[], bool] = never,
) -> Response:
    """Ask the route's models until one answers, within `deadline_s` and the route's own deadline.

    `first_call` is the number of calls that earlier attempts of this step made. Raises: ProviderError.
    """
    calls = _Calls(
        route=replace(route, targets=resilience.order(route.targets, draw=_lot())),
        providers=providers,
        recorder=recorder,
        deadline=Deadline.within(min(deadline_s, route.deadline_s), cancelled=cancelled),
        number=first_call,
    )
    return calls.until_answered(lambda target: calls.chat(target, request))


def embed(
    model: str,
    texts: Sequence[str],
    *,
    providers: Mapping[str, Provider],
    recorder: Recorder,
    deadline_s: float = 60,
    cancelled: Callable[[], bool] = never,
) -> NDArray[np.float32]:
    """Embed the texts with `provider/model`: `(n, dim) float32`, each row of length 1.

    Raises: ProviderError.
    """
    target = Target.parse(model)
    timeout_s = deadline_s if target.provider == LOCAL.name else EMBED_TIMEOUT_S
    calls = _Calls(
        route=Route(name=model, targets=(target,), timeout_s=timeout_s),
        providers=providers,
        recorder=recorder,
        deadline=Deadline.within(deadline_s, cancelled=cancelled),
    )
    dims = calls.dimensions(target)
    rows = [np.empty((0, dims), dtype=np.float32)]
    for batch in batches(texts):
        rows.append(calls.until_answered(lambda at, batch=batch: calls.vectors(at, batch, dims=dims)))  # type: ignore[misc]
    return np.concatenate(rows)


def batches(texts: Sequence[str]) -> list[list[str]]:
    """Split texts, in order, into requests of a bounded size; a longer text goes alone."""
    result: list[list[str]] = []
    room = 0
    for text in texts:
        if not result or len(result[-1]) >= BATCH_TEXTS or len(text) > room:
            result.append([])
            room = BATCH_CHARACTERS
        result[-1].append(text)
        room -= len(text)
    return result


@dataclass(kw_only=True, slots=True)
class _Calls:
    """The calls of one step: what they share, and the number of the next one."""

    route: Route
    providers: Mapping[str, Provider]
    recorder: Recorder
    deadline: Deadline
    number: int = 0

    def until_answered(self, ask: Callable[[Target], Result]) -> Result:
        """Call, and follow the decisions of `resilience` until there is an answer or an end."""
        target = tries = 0
        while True:
            self.deadline.check()
            try:
                return ask(self.route.targets[target])
            except ProviderError as error:
                tries += 1
                decision = self._decide(error, target=target, tries=tries)
                if decision.action == "give_up":
                    raise
            if decision.action == "fallback":
                target, tries = decision.target, 0
            self.deadline.sleep(decision.wait_s)

    def chat(self, target: Target, request: Request) -> Response:
        """One call for a response."""
        a_call, adapter = self._call(target)
        wire = adapter.build(a_call, request)
        self.number += 1

        def send(a_call: Call, wire: WireRequest, secret: str | None) -> Reply:
            return judged(a_call, wire, adapter.send(a_call, wire, secret))

        return response(a_call, exchange(a_call, wire, send, recorder=self.recorder))

    def vectors(self, target: Target, texts: Sequence[str], *, dims: int) -> NDArray[np.float32]:
        """One call for embeddings, `(n, dims) float32`, each row of length 1."""
        a_call, adapter = self._call(target)
        wire = adapter.build_embedding(a_call, texts)
        self.number += 1

        def send(a_call: Call, wire: WireRequest, secret: str | None) -> Vectors:
            found = adapter.embed(a_call, wire, secret)
            return replace(found, vectors=_unit_rows(a_call, found.vectors, rows=len(texts), dims=dims))

        return exchange(a_call, wire, send, recorder=self.recorder).vectors

    def dimensions(self, target: Target) -> int:
        """The size of the model's vectors by its document."""
        _, model = self._resolved(target)
        if not model.embeds:
            raise ProviderError(
                f"{target} is no embedding model: its document gives it no `embeds`.",
                error_class="invalid_request",
                provider=target.provider,
                model=target.model,
            )
        return model.embeds

    def _call(self, target: Target) -> tuple[Call, Adapter]:
        provider, model = self._resolved(target)
        call_time = CallTime(deadline=self.deadline, timeout_s=self.route.timeout_s)
        return Call(provider=provider, model=model, number=self.number, time=call_time), registry.adapter(
            provider
        )

    def _resolved(self, target: Target) -> tuple[Provider, Model]:
        provider = self.providers.get(target.provider)
        if provider is None and target.provider == LOCAL.name:
            provider = LOCAL
        if provider is None:
            raise ProviderError(
                f"{self.route.name} names {target}, but there is no provider {target.provider!r}.",
                error_class="unknown_model",
                provider=target.provider,
                model=target.model,
            )
        return provider, provider.model(target.model)

    def _decide(self, error: ProviderError, *, target: int, tries: int) -> resilience.Decision:
        at = resilience.Situation(
            target=target, calls=tries, contexts=self._contexts(), left_s=self.deadline.left_s()
        )
        return resilience.decide(error, route=self.route, at=at, draw=_lot())

    def _contexts(self) -> tuple[int | None, ...]:
        """The context sizes of the targets, None where unknown."""
        sizes: list[int | None] = []
        for target in self.route.targets:
            try:
                sizes.append(self._resolved(target)[1].context_tokens)
            except ProviderError:
                sizes.append(None)
        return tuple(sizes)


def _unit_rows(a_call: Call, vectors: NDArray[np.float32], *, rows: int, dims: int) -> NDArray[np.float32]:
    """The vectors scaled to length 1. Raises: ProviderError(malformed_body | wrong_dimensions)."""
    if vectors.ndim != 2 or vectors.shape[0] != rows:
        raise a_call.error(f"{rows} texts were sent, {len(vectors)} vectors came back.", "malformed_body")
    if vectors.shape[1] != dims:
        raise a_call.error(
            f"The vectors have {vectors.shape[1]} dimensions, the document of {a_call.provider.name} says "
            f"{dims} for {a_call.model.name}: correct `embeds` there.",
            "wrong_dimensions",
        )
    if not np.isfinite(vectors).all():
        raise a_call.error("A vector holds a number that is not finite.", "malformed_body")
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    # A text without a token has no direction; one that is as far from every axis breaks no distance.
    neutral = np.full_like(vectors, dims**-0.5)
    return np.where(lengths > 0, vectors / np.where(lengths > 0, lengths, 1), neutral).astype(np.float32)


def _lot() -> float:
    return random.random()  # noqa: S311 - a lot for jitter and weights, not a secret
