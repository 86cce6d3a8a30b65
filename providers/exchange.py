"""One call: its intent is recorded, it is sent, and what came of it is recorded, priced and judged.

It retries nothing and chooses nothing. Every exception of an adapter ends here as a ProviderError.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeAlias, TypeVar

import structlog

from providers import credentials, pricing, usage
from providers.adapters.base import Call, Reply, Vectors, WireRequest
from providers.errors import ProviderError
from providers.messages import Json, Response, Usage
from providers.recording import CallIntent, CallRecord, Recorder, without

log = structlog.get_logger(__name__)
Answer = TypeVar("Answer", Reply, Vectors)
Send: TypeAlias = Callable[[Call, WireRequest, str | None], Answer]
# Answers that a route treats as errors, however well-formed they are.
_UNWANTED = {
    "content_filter": ("content_filter", "The provider's filter stopped the answer."),
    "refusal": ("refusal", "The model refused to answer."),
    "error": ("server_error", "The provider ended its answer with an error."),
}


def exchange(
    call: Call,
    wire: WireRequest,
    send: Send[Answer],
    *,
    recorder: Recorder,
) -> Answer:
    """Send one request and return its answer. Raises: ProviderError, or what the recorder raises."""
    intent = CallIntent(
        number=call.number,
        provider=call.provider.name,
        provider_version=call.provider.version,
        model_requested=call.model.name,
        request=wire.as_json(),
        started_at=datetime.now(UTC),
    )
    asked_at = call.time.started_at
    recorder.sending(intent)
    call.time.started_at = time.monotonic()
    queue_s = call.time.started_at - asked_at
    secret: str | None = None
    try:
        if call.provider.credential:
            secret = credentials.resolve(call.provider.credential)
        answer = _sent(call, wire, send, secret)
    except ProviderError as error:
        _complete(error, call, secret)
        partial = _partial(error, wire)
        recorder.done(_record(intent, call, partial, queue_s=queue_s, secret=secret, error=error))
        raise
    recorder.done(_record(intent, call, answer, queue_s=queue_s, secret=secret))
    return answer


def judged(call: Call, wire: WireRequest, reply: Reply) -> Reply:
    """The reply with its tokens counted. Raises: ProviderError for an answer that a route does not want."""
    if reply.usage.source == "missing":
        reply = replace(reply, usage=_estimate(wire, reply))
    if reply.finish_reason in _UNWANTED:
        error_class, message = _UNWANTED[reply.finish_reason]
        raise call.error(message, error_class, partial=reply)
    return reply


def response(call: Call, reply: Reply) -> Response:
    """The reply as the caller gets it: priced, with the names of provider and model."""
    return Response(
        text=reply.text,
        tool_calls=reply.tool_calls,
        finish_reason=reply.finish_reason,
        raw_finish_reason=reply.raw_finish_reason,
        usage=reply.usage,
        provider=call.provider.name,
        model_requested=call.model.name,
        model_returned=reply.model_returned,
        request_id=reply.request_id,
        cost_usd=pricing.cost(reply.usage, call.model.price),
        reasoning=reply.reasoning,
    )


def _sent(call: Call, wire: WireRequest, send: Send[Answer], secret: str | None) -> Answer:
    try:
        return send(call, wire, secret)
    except ProviderError:
        raise
    except Exception as fault:
        # The one net under foreign input: whatever a provider sends, a run sees an error of our family.
        log.exception("provider_adapter_fault", provider=call.provider.name, model=call.model.name)
        raise call.error(
            f"The {call.provider.api} adapter failed with {type(fault).__name__}; this is a fault of ours.",
            "internal",
            phase=call.time.phase,
        ) from fault


def _partial(error: ProviderError, wire: WireRequest) -> Reply:
    """What had come before the error; tokens that had come are counted, since they are billed."""
    reply = error.partial if isinstance(error.partial, Reply) else Reply()
    if reply.usage.source == "missing" and (reply.text or reply.tool_calls):
        return replace(reply, usage=_estimate(wire, reply))
    return reply


def _estimate(wire: WireRequest, reply: Reply) -> Usage:
    received = reply.text + "".join(tool.raw_arguments for tool in reply.tool_calls)
    return usage.estimated(sent=json.dumps(wire.body, default=str), received=received)


def _complete(error: ProviderError, call: Call, secret: str | None) -> None:
    """Say whose error it is, and take the credential out of what the provider said."""
    error.provider = error.provider or call.provider.name
    error.model = error.model or call.model.name
    error.message = without(error.message, secret)
    error.args = (error.message,)


def _record(
    intent: CallIntent,
    call: Call,
    answer: Reply | Vectors,
    *,
    queue_s: float,
    secret: str | None,
    error: ProviderError | None = None,
) -> CallRecord:
    now = time.monotonic()
    started, token = call.time.started_at, call.time.first_token_at
    return CallRecord(
        number=intent.number,
        provider=intent.provider,
        provider_version=intent.provider_version,
        model_requested=intent.model_requested,
        request=intent.request,
        started_at=intent.started_at,
        ended_at=datetime.now(UTC),
        model_returned=answer.model_returned,
        response=without(answer.record, secret),
        finish_reason=_finish_reason(answer, error),
        usage=answer.usage,
        cost_usd=pricing.cost(answer.usage, call.model.price),
        price_version=pricing.price_version(call.provider),
        timing_ms={
            "queue": _ms(queue_s),
            "first_token": None if token is None else _ms(token - started),
            "total": _ms(now - started),
        },
        error=None if error is None else error.as_json(),
        answer=_answer(call, answer, error, secret),
    )


def _answer(call: Call, answer: Reply | Vectors, error: ProviderError | None, secret: str | None) -> Json:
    if error is not None or not isinstance(answer, Reply):
        return None
    return without(response(call, answer).as_json(), secret)


def _finish_reason(answer: Reply | Vectors, error: ProviderError | None) -> str | None:
    if not isinstance(answer, Reply) or (error is not None and error.error_class not in _UNWANTED):
        return "cancelled" if error is not None and error.error_class == "cancelled" else None
    return answer.finish_reason


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
