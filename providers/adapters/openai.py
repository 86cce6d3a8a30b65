"""`openai`: chat completions and embeddings, of OpenAI and of every server that speaks the same.

Chats are streamed on the wire and assembled. A stream counts only with a finish reason and its `[DONE]`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from providers import usage
from providers.adapters.base import Call, Reply, Vectors, WireRequest
from providers.adapters.openai_stream import CODES, Assembly
from providers.errors import ProviderError
from providers.messages import Json, Message, Part, Request, ToolCall, ToolSpec
from providers.wire import http, sse
from providers.wire.http import Received

# What the adapter itself says in a request; a parameter of the same name would contradict it.
_OURS = {"model", "messages", "stream", "stream_options", "tools"}
_DONE = b"[DONE]"


class OpenAI:
    """See the module."""

    def build(self, call: Call, request: Request) -> WireRequest:
        body: dict[str, Json] = {
            "model": call.model.name,
            "messages": [_message(call, message) for message in request.messages],
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if request.tools:
            body["tools"] = [_tool(tool) for tool in request.tools]
        if request.output_schema is not None:
            body["response_format"] = _response_format(request.output_schema)
        body.update(_params(call, request.params))
        return WireRequest(url=f"{_base(call)}/chat/completions", body=body)

    def send(self, call: Call, wire: WireRequest, secret: str | None) -> Reply:
        with http.post(call, wire, _authorization(secret)) as received:
            if received.status != 200:
                raise http.refusal(received, codes=CODES)
            assembly = Assembly(received=received)
            try:
                return read(received, assembly)
            except ProviderError as error:
                error.partial = error.partial or assembly.partial()
                raise

    def build_embedding(self, call: Call, texts: Sequence[str]) -> WireRequest:
        body = {"model": call.model.name, "input": list(texts), "encoding_format": "float"}
        return WireRequest(url=f"{_base(call)}/embeddings", body=body)

    def embed(self, call: Call, wire: WireRequest, secret: str | None) -> Vectors:
        with http.post(call, wire, _authorization(secret)) as received:
            if received.status != 200:
                raise http.refusal(received, codes=CODES)
            body = received.read()
            try:
                answer = _Embeddings.model_validate_json(body)
            except ValidationError as error:
                raise received.malformed(f"The embeddings cannot be read: {_first(error)}.", body) from error
            if answer.error is not None:
                raise http.in_band(received, answer.error, codes=CODES, partial=None)
            rows = sorted(answer.data, key=lambda row: row.index)
            sizes = {len(row.embedding) for row in rows}
            if len(sizes) != 1 or [row.index for row in rows] != list(range(len(rows))):
                raise received.malformed("The embeddings are incomplete or of different sizes.", body)
            size = {"vectors": len(rows), "dims": sizes.pop()}
            counts = answer.usage if isinstance(answer.usage, Mapping) else {}
            return Vectors(
                vectors=np.array([row.embedding for row in rows], dtype=np.float32),
                record=received.record({"model": answer.model, "usage": answer.usage, **size}),
                usage=usage.reported(input=counts.get("prompt_tokens"), output=0),
                model_returned=answer.model,
            )


def read(received: Received, assembly: Assembly) -> Reply:
    """The answer out of its stream or document. Raises: ProviderError."""
    if received.is_document():
        assembly.add(received.read())
        return assembly.reply()
    for event in sse.events(received.chunks):
        if event.data == _DONE:
            received.drain()
            return assembly.reply()
        assembly.add(event.data, is_error=event.name == "error")
    raise assembly.truncated()


class _Embedding(BaseModel):
    index: int
    embedding: list[float]


class _Embeddings(BaseModel):
    model_config = ConfigDict(extra="ignore")
    data: list[_Embedding] = []
    model: str | None = None
    usage: Any = None
    error: Any = None


def _first(error: ValidationError) -> str:
    problem = error.errors(include_input=False, include_url=False)[0]
    return f"{'.'.join(str(part) for part in problem['loc'])} {problem['msg']}".strip()


def _base(call: Call) -> str:
    return (call.provider.base_url or "https://api.openai.com/v1").rstrip("/")


def _authorization(secret: str | None) -> dict[str, str]:
    return {} if secret is None else {"authorization": f"Bearer {secret}"}


def _params(call: Call, params: Mapping[str, Json]) -> dict[str, Json]:
    """Our names in the wire's; every other parameter goes through as it is."""
    wire = dict(params)
    if clash := _OURS & wire.keys():
        raise call.error(f"params must not hold {', '.join(sorted(clash))}.", "invalid_request")
    if "max_output_tokens" in wire:
        # OpenAI's own newer models refuse the old name; many compatible servers know no other.
        host = urlsplit(_base(call)).hostname or ""
        new = host.endswith((".openai.com", ".openai.azure.com"))
        wire["max_completion_tokens" if new else "max_tokens"] = wire.pop("max_output_tokens")
    return wire


def _response_format(schema: Mapping[str, Json]) -> Json:
    return {
        "type": "json_schema",
        "json_schema": {"name": "output", "schema": schema, "strict": _is_strict(schema)},
    }


def _is_strict(schema: Json) -> bool:
    """Whether every object in it is closed and requires all its properties, as strict mode demands."""
    if isinstance(schema, list):
        return all(_is_strict(item) for item in schema)
    if not isinstance(schema, Mapping):
        return True
    if schema.get("type") == "object" or "properties" in schema:
        complete = set(schema.get("required", ())) == set(schema.get("properties", ()))
        if schema.get("additionalProperties") is not False or not complete:
            return False
    return all(_is_strict(item) for item in schema.values())


def _tool(tool: ToolSpec) -> Json:
    function = {"name": tool.name, "description": tool.description, "parameters": dict(tool.input)}
    return {"type": "function", "function": function}


def _tool_call(tool: ToolCall) -> Json:
    arguments = tool.raw_arguments or json.dumps(tool.arguments)
    return {"id": tool.id, "type": "function", "function": {"name": tool.name, "arguments": arguments}}


def _message(call: Call, message: Message) -> Json:
    wire: dict[str, Json] = {"role": message.role, "content": _content(call, message.content)}
    if message.tool_calls:
        wire["content"] = wire["content"] or None
        wire["tool_calls"] = [_tool_call(tool) for tool in message.tool_calls]
    if message.tool_call_id is not None:
        wire["tool_call_id"] = message.tool_call_id
    if isinstance(message.reasoning, Mapping) and "reasoning_content" in message.reasoning:
        wire["reasoning_content"] = message.reasoning["reasoning_content"]
    return wire


def _content(call: Call, content: str | tuple[Part, ...]) -> Json:
    return content if isinstance(content, str) else [_part(call, part) for part in content]


def _part(call: Call, part: Part) -> Json:
    if part.kind == "text":
        return {"type": "text", "text": part.text}
    if part.url is not None:
        return {"type": "image_url", "image_url": {"url": part.url}}
    if part.data is not None and part.media_type is not None:
        return {"type": "image_url", "image_url": {"url": f"data:{part.media_type};base64,{part.data}"}}
    raise call.error("An image needs a url, or data with its media_type.", "invalid_request")
