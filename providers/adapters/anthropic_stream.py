"""The answer of a message, put together from its events (or from one document). Part of `anthropic`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import from_json

from providers import usage
from providers.adapters.base import Reply
from providers.errors import ProviderError
from providers.messages import FinishReason, Json, ToolCall, Usage
from providers.wire import http
from providers.wire.http import Received

FINISH_REASONS: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_call",
    "refusal": "refusal",
}
# The format's own types of errors, to our classes.
CODES = {
    "authentication_error": "auth",
    "billing_error": "quota_exhausted",
    "permission_error": "permission",
    "not_found_error": "model_not_found",
    "rate_limit_error": "rate_limited",
    "timeout_error": "timeout",
    "api_error": "server_error",
    "overloaded_error": "overloaded",
    "invalid_request_error": "invalid_request",
    "request_too_large": "invalid_request",
}
_MAX_BLOCKS = 1024


class _Event(BaseModel):
    model_config = ConfigDict(extra="allow")
    type: str
    index: int | None = None
    message: dict[str, Any] | None = None
    content_block: dict[str, Any] | None = None
    delta: dict[str, Any] | None = None
    usage: Any = None
    error: Any = None


class _Document(BaseModel):
    model_config = ConfigDict(extra="allow")
    type: str | None = None
    content: list[dict[str, Any]] | None = None
    stop_reason: str | None = None
    usage: Any = None
    error: Any = None


@dataclass(kw_only=True, slots=True)
class _Block:
    """A piece of content: its fields as they began, and the texts that its deltas added by field."""

    fields: dict[str, Json]
    added: dict[str, list[str]] = field(default_factory=dict)

    def text(self, name: str) -> str:
        begun = self.fields.get(name)
        return (begun if isinstance(begun, str) else "") + "".join(self.added.get(name, ()))


# kind of delta → the field that it adds to
_DELTAS = {
    "text_delta": "text",
    "input_json_delta": "partial_json",
    "thinking_delta": "thinking",
    "signature_delta": "signature",
}


@dataclass(kw_only=True, slots=True)
class Assembly:
    """One answer as far as it has come."""

    received: Received
    top: dict[str, Json] = field(default_factory=dict)
    blocks: dict[int, _Block] = field(default_factory=dict)
    stop_reason: str | None = None
    counts: dict[str, Json] = field(default_factory=dict)
    # Whether the counts are the last ones: those at the start hold hardly any output.
    is_final: bool = False

    def document(self, body: bytes) -> None:
        """Take an answer that came whole. Raises: ProviderError."""
        try:
            answer = _Document.model_validate_json(body)
        except ValidationError as error:
            raise self._malformed(body) from error
        if answer.error is not None:
            raise self._in_band(answer.error)
        if answer.content is None:
            raise self._malformed(body)
        self.top.update(answer.model_extra or {})
        self._count(answer.usage)
        self.is_final = True
        self.stop_reason = answer.stop_reason
        for index, block in enumerate(answer.content):
            self.blocks[index] = _Block(fields=block)
            self.received.call.time.token()

    def add(self, data: bytes) -> bool:
        """Take one event; whether it was the last. Raises: ProviderError."""
        try:
            event = _Event.model_validate_json(data)
        except ValidationError as error:
            raise self._malformed(data) from error
        match event.type:
            case "message_stop":
                return True
            case "message_start":
                self._start(event.message or {})
            case "content_block_start":
                self._begin(event, data)
            case "content_block_delta":
                self._extend(event, data)
            case "message_delta":
                reason = (event.delta or {}).get("stop_reason")
                self.stop_reason = reason if isinstance(reason, str) else self.stop_reason
                self._count(event.usage)
                self.is_final = event.usage is not None
            case "error":
                raise self._in_band(event.error)
        # Kinds of events that we do not know are to be passed over, says the format; so are pings.
        return False

    def reply(self) -> Reply:
        """The whole answer. Raises: ProviderError where its end is missing."""
        if self.stop_reason is None:
            raise self.truncated()
        return self.partial()

    def truncated(self) -> ProviderError:
        """The error for an answer that ended before its end mark, with what there is of it."""
        return self.received.call.error(
            "The answer broke off before its end mark.",
            "stream_truncated",
            status=self.received.status,
            phase="body",
            partial=self.partial(),
        )

    def partial(self) -> Reply:
        """What has come until now."""
        blocks = [self.blocks[index] for index in sorted(self.blocks)]
        text = "".join(block.text("text") for block in blocks if block.fields.get("type") == "text")
        counts = _counted(self.counts)
        model, own_id = self.top.get("model"), self.top.get("id")
        thinking = [_whole(block) for block in blocks if "thinking" in str(block.fields.get("type"))]
        return Reply(
            record=self.received.record(self._body(blocks)),
            text=text,
            tool_calls=tuple(_tool_call(block) for block in blocks if block.fields.get("type") == "tool_use"),
            finish_reason=FINISH_REASONS.get(self.stop_reason or "", "unknown"),
            raw_finish_reason=self.stop_reason,
            usage=counts if self.is_final else usage.at_least(counts, received=text),
            model_returned=model if isinstance(model, str) else None,
            request_id=self.received.request_id or (own_id if isinstance(own_id, str) else None),
            reasoning={"blocks": thinking} if thinking else None,
        )

    def _start(self, message: dict[str, Json]) -> None:
        self._count(message.get("usage"))
        left_out = {"usage", "content", "stop_reason"}
        self.top.update({key: value for key, value in message.items() if key not in left_out})

    def _begin(self, event: _Event, data: bytes) -> None:
        if event.index is None or event.content_block is None or len(self.blocks) >= _MAX_BLOCKS:
            raise self._malformed(data)
        self.blocks[event.index] = _Block(fields=event.content_block)

    def _extend(self, event: _Event, data: bytes) -> None:
        block = self.blocks.get(-1 if event.index is None else event.index)
        delta = event.delta or {}
        name = _DELTAS.get(str(delta.get("type")))
        if name is None:
            return
        text = delta.get(name)
        if block is None or not isinstance(text, str):
            raise self._malformed(data)
        block.added.setdefault(name, []).append(text)
        self.received.call.time.token()

    def _count(self, counts: Json) -> None:
        """Counts are cumulative: later ones replace earlier ones."""
        if isinstance(counts, Mapping):
            self.counts.update({key: value for key, value in counts.items() if value is not None})

    def _body(self, blocks: list[_Block]) -> Json:
        """The answer in the form that it has when it is not streamed."""
        return {
            **self.top,
            "content": [_whole(block) for block in blocks],
            "stop_reason": self.stop_reason,
            "usage": self.counts or None,
        }

    def _in_band(self, said: Json) -> ProviderError:
        partial = self.partial() if self.blocks else None
        return http.in_band(self.received, said, codes=CODES, partial=partial)

    def _malformed(self, data: bytes) -> ProviderError:
        sample = data[:200].decode("utf-8", "replace")
        error = self.received.malformed(f"A part of the answer is no message: {sample!r}.", data)
        if self.blocks:
            error.partial = self.partial()
        return error


def _whole(block: _Block) -> dict[str, Json]:
    """A block with its deltas put in."""
    whole = {**block.fields, **{name: block.text(name) for name in block.added}}
    if "partial_json" in whole:
        raw = whole.pop("partial_json")
        whole["input"] = _parsed(raw) if _parsed(raw) is not None else raw
    return whole


def _tool_call(block: _Block) -> ToolCall:
    whole = _whole(block)
    found = whole.get("input")
    raw = found if isinstance(found, str) else block.text("partial_json") or json.dumps(found)
    return ToolCall(
        id=str(whole.get("id", "")),
        name=str(whole.get("name", "")),
        arguments=found if isinstance(found, dict) else None,
        raw_arguments=raw,
    )


def _parsed(raw: str) -> Json:
    try:
        return from_json(raw or "{}")
    except ValueError:
        return None


def _counted(counts: Mapping[str, Json]) -> Usage:
    """The format counts input apart from what was cached; ours is inclusive."""
    fresh = usage.reported(input=counts.get("input_tokens"), output=counts.get("output_tokens"))
    if fresh.source == "missing":
        return fresh
    read, written = (
        usage.reported(input=counts.get(name, 0), output=0).input
        for name in ("cache_read_input_tokens", "cache_creation_input_tokens")
    )
    return usage.reported(input=fresh.input + read + written, cached=read, output=fresh.output)
