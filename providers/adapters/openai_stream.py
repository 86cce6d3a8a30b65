"""The answer of a chat completion, put together from its chunks (or from one document). Part of `openai`."""

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
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_call",
    "function_call": "tool_call",
    "content_filter": "content_filter",
    "refusal": "refusal",
    "error": "error",
}
# The format's own codes and types of errors, to our classes.
CODES = {
    "insufficient_quota": "quota_exhausted",
    "billing_hard_limit_reached": "quota_exhausted",
    "billing_not_active": "quota_exhausted",
    "invalid_api_key": "auth",
    "authentication_error": "auth",
    "permission_denied": "permission",
    "context_length_exceeded": "context_overflow",
    "exceed_context_size_error": "context_overflow",
    "string_above_max_length": "context_overflow",
    "content_filter": "content_filter",
    "content_policy_violation": "content_filter",
    "model_not_found": "model_not_found",
    "rate_limit_exceeded": "rate_limited",
    "server_error": "server_error",
    "overloaded_error": "overloaded",
    "unavailable_error": "overloaded",
    "invalid_request_error": "invalid_request",
}
_MAX_TOOL_CALLS = 1024


class _Function(BaseModel):
    name: str | None = None
    arguments: str | dict[str, Any] | None = None


class _ToolDelta(BaseModel):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _Delta(BaseModel):
    content: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[_ToolDelta] | None = None


class _Choice(BaseModel):
    index: int | None = 0
    delta: _Delta | None = None
    message: _Delta | None = None
    finish_reason: str | None = None


class _Chunk(BaseModel):
    # Fields that we do not know are kept for the record.
    model_config = ConfigDict(extra="allow")
    id: str | None = None
    model: str | None = None
    choices: list[_Choice] | None = None
    usage: Any = None
    error: Any = None


@dataclass(kw_only=True, slots=True)
class _Tool:
    id: str
    name: str
    arguments: list[str] = field(default_factory=list)


@dataclass(kw_only=True, slots=True)
class Assembly:
    """One answer as far as it has come."""

    received: Received
    top: dict[str, Json] = field(default_factory=dict)
    text: list[str] = field(default_factory=list)
    refusal: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    tools: list[_Tool] = field(default_factory=list)
    open_tools: dict[int, _Tool] = field(default_factory=dict)
    finish_reason: str | None = None
    usage: Any = None
    seen: bool = False

    def add(self, data: bytes, *, is_error: bool = False) -> None:
        """Take one chunk, or the whole answer as one. Raises: ProviderError for what is none."""
        try:
            chunk = _Chunk.model_validate_json(data)
        except ValidationError as error:
            raise self._malformed(data) from error
        if chunk.error is not None or is_error:
            said = chunk.error or chunk.model_extra
            partial = self.partial() if self.seen else None
            raise http.in_band(self.received, said, codes=CODES, partial=partial)
        self.top.update({key: value for key, value in (chunk.model_extra or {}).items() if value is not None})
        self.top.update({key: value for key, value in (("id", chunk.id), ("model", chunk.model)) if value})
        if chunk.usage is not None:
            self.usage = chunk.usage
        for choice in chunk.choices or ():
            if not choice.index:
                self._choice(choice)

    def reply(self) -> Reply:
        """The whole answer. Raises: ProviderError where its end is missing."""
        if not self.seen:
            body = self._body()
            raise self.received.call.error(
                "The answer holds no choice.",
                "malformed_body",
                status=self.received.status,
                phase="body",
                partial=Reply(record=self.received.record(body)),
            )
        if self.finish_reason is None:
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
        model = self.top.get("model")
        return Reply(
            record=self.received.record(self._body()),
            text="".join(self.text),
            tool_calls=tuple(_tool_call(tool) for tool in self.tools),
            finish_reason=self._finish_reason(),
            raw_finish_reason=self.finish_reason,
            usage=_counted(self.usage),
            model_returned=model,
            request_id=self.received.request_id or self.top.get("id"),
            reasoning={"reasoning_content": "".join(self.reasoning)} if self.reasoning else None,
        )

    def _choice(self, choice: _Choice) -> None:
        self.seen = True
        if choice.finish_reason is not None:
            self.finish_reason = choice.finish_reason
        delta = choice.delta or choice.message
        if delta is None:
            return
        for kept, text in (
            (self.text, delta.content),
            (self.refusal, delta.refusal),
            (self.reasoning, delta.reasoning_content),
        ):
            if text:
                kept.append(text)
                self.received.call.time.token()
        for position, tool in enumerate(delta.tool_calls or ()):
            self.received.call.time.token()
            self._tool(tool, position if tool.index is None else tool.index)

    def _tool(self, delta: _ToolDelta, index: int) -> None:
        function = delta.function or _Function()
        tool = self.open_tools.get(index)
        # Some servers give every parallel call the same index and tell them apart by id alone.
        if tool is None or (delta.id and function.name and delta.id != tool.id):
            if len(self.tools) >= _MAX_TOOL_CALLS:
                raise self._malformed(b"too many tool calls")
            tool = self.open_tools[index] = _Tool(id=delta.id or f"call_{len(self.tools)}", name="")
            self.tools.append(tool)
        tool.name += function.name or ""
        arguments = function.arguments
        if arguments is not None:
            tool.arguments.append(arguments if isinstance(arguments, str) else json.dumps(arguments))

    def _finish_reason(self) -> FinishReason:
        found = FINISH_REASONS.get(self.finish_reason or "", "unknown")
        if found == "stop" and self.refusal and not self.text:
            return "refusal"
        # Some servers stop where they mean that a tool is to be called.
        return "tool_call" if found == "stop" and self.tools else found

    def _body(self) -> Json:
        """The answer in the form that it has when it is not streamed."""
        message: dict[str, Json] = {"role": "assistant", "content": "".join(self.text)}
        if self.refusal:
            message["refusal"] = "".join(self.refusal)
        if self.reasoning:
            message["reasoning_content"] = "".join(self.reasoning)
        if self.tools:
            message["tool_calls"] = [
                {
                    "id": tool.id,
                    "type": "function",
                    "function": {"name": tool.name, "arguments": "".join(tool.arguments)},
                }
                for tool in self.tools
            ]
        choices = [{"index": 0, "message": message, "finish_reason": self.finish_reason}] if self.seen else []
        return {**self.top, "choices": choices, "usage": self.usage}

    def _malformed(self, data: bytes) -> ProviderError:
        sample = data[:200].decode("utf-8", "replace")
        partial = self.partial()
        error = self.received.malformed(f"A part of the answer is no chat completion: {sample!r}.", data)
        if partial.text or partial.tool_calls:
            error.partial = partial
        return error


def _tool_call(tool: _Tool) -> ToolCall:
    raw = "".join(tool.arguments)
    try:
        parsed = from_json(raw or "{}")
    except ValueError:
        parsed = None
    arguments = parsed if isinstance(parsed, dict) else None
    return ToolCall(id=tool.id, name=tool.name, arguments=arguments, raw_arguments=raw)


def _counted(counts: Json) -> Usage:
    if not isinstance(counts, Mapping):
        return usage.reported(input=None, output=None)
    return usage.reported(
        input=counts.get("prompt_tokens"),
        output=counts.get("completion_tokens"),
        cached=_detail(counts, "prompt_tokens_details", "cached_tokens"),
        reasoning=_detail(counts, "completion_tokens_details", "reasoning_tokens"),
    )


def _detail(counts: Mapping[str, Json], group: str, name: str) -> Json:
    details = counts.get(group)
    return details.get(name) if isinstance(details, Mapping) else None
