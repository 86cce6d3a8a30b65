"""What is recorded of each call: an intent before the socket is written, a record afterwards.

Nothing here stores anything: the caller's recorder does. Nothing recorded holds a secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from providers.messages import NO_USAGE, Json, Usage

REDACTED = "[redacted]"


@dataclass(frozen=True, kw_only=True, slots=True)
class CallIntent:
    """A request that is about to be sent. `number` counts the calls of the step from 0."""

    number: int
    provider: str
    provider_version: int
    model_requested: str
    request: Json
    started_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class CallRecord(CallIntent):
    """The same, with what came of it. `error` is None for a response that counts."""

    ended_at: datetime
    model_returned: str | None = None
    response: Json = None
    finish_reason: str | None = None
    usage: Usage = NO_USAGE
    cost_usd: Decimal | None = None
    price_version: str = ""
    timing_ms: Mapping[str, float | None] = field(default_factory=dict)
    error: Mapping[str, Json] | None = None
    answer: Json = None  # the response as the caller got it, `Response.as_json()`; None where it got none


class Recorder(Protocol):
    """The caller's side of the record. What it raises ends the call and reaches the caller unchanged."""

    def sending(self, call: CallIntent, /) -> None: ...

    def done(self, call: CallRecord, /) -> None: ...


class Unrecorded:
    """A recorder that keeps nothing."""

    def sending(self, call: CallIntent, /) -> None: ...

    def done(self, call: CallRecord, /) -> None: ...


def without(value: Json, secret: str | None) -> Json:
    """The value with the secret blotted out wherever a provider echoed it, in keys too."""
    if not secret:
        return value
    if isinstance(value, str):
        return value.replace(secret, REDACTED) if secret in value else value
    if isinstance(value, Mapping):
        return {without(key, secret): without(item, secret) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without(item, secret) for item in value]
    return value
