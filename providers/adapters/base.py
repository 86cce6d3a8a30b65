"""What an adapter is: it builds one wire request and turns the wire's answer into a `Reply`.

An adapter knows one wire format. It retries nothing, chooses nothing, records nothing, and raises nothing but
ProviderError. It keeps no state between calls, so one instance serves every thread.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from providers.config import Model, Provider
from providers.deadlines import CallTime
from providers.errors import ProviderError
from providers.messages import NO_USAGE, FinishReason, Json, Request, ToolCall, Usage


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """One request to a provider. `number` counts the calls of the step from 0."""

    provider: Provider
    model: Model
    number: int
    time: CallTime

    def error(
        self,
        message: str,
        error_class: str,
        *,
        status: int | None = None,
        phase: str | None = None,
        retry_after_s: float | None = None,
        partial: object = None,
    ) -> ProviderError:
        """An error that names this call's provider and model."""
        return ProviderError(
            message,
            error_class=error_class,
            status=status,
            phase=phase,
            retry_after_s=retry_after_s,
            provider=self.provider.name,
            model=self.model.name,
            partial=partial,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class WireRequest:
    """What goes over the wire, but for the credential, which an adapter adds when it sends."""

    body: Json
    url: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Json]:
        return {"method": "POST", "url": self.url, "headers": dict(self.headers), "body": self.body}


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """What came back. `record` is the wire's answer for the record: status, headers, assembled body."""

    record: Json = None
    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: FinishReason = "unknown"
    raw_finish_reason: str | None = None
    usage: Usage = NO_USAGE
    model_returned: str | None = None
    request_id: str | None = None
    reasoning: Json = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Vectors:
    """Embeddings as they came, `(n, dim) float32`, in the order of the texts."""

    vectors: NDArray[np.float32]
    record: Json = None
    usage: Usage = NO_USAGE
    model_returned: str | None = None


class Adapter(Protocol):
    """One wire format."""

    def build(self, call: Call, request: Request, /) -> WireRequest:
        """The wire request for a chat. Raises: ProviderError(invalid_request)."""

    def send(self, call: Call, wire: WireRequest, secret: str | None, /) -> Reply:
        """Send it and read the whole answer. Raises: ProviderError."""

    def build_embedding(self, call: Call, texts: Sequence[str], /) -> WireRequest:
        """The wire request for embeddings. Raises: ProviderError(invalid_request)."""

    def embed(self, call: Call, wire: WireRequest, secret: str | None, /) -> Vectors:
        """Send it and read the vectors. Raises: ProviderError."""
