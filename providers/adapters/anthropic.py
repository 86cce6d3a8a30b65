"""`anthropic`: the messages API, streamed on the wire and assembled.

A stream counts only with a stop reason and its `message_stop`. There are no embeddings in this format.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from providers.adapters.anthropic_stream import CODES, Assembly
from providers.adapters.base import Call, Reply, Vectors, WireRequest
from providers.errors import ProviderError
from providers.messages import Json, Message, Part, Request, ToolSpec
from providers.wire import http, sse
from providers.wire.http import Received

_VERSION = "2023-06-01"
# The format demands a bound for the answer; this one holds where the request names none.
_MAX_TOKENS = 4096
# What the adapter itself says in a request; a parameter of the same name would contradict it.
_OURS = {"model", "messages", "stream", "tools", "system"}
_NAMES = {"max_output_tokens": "max_tokens", "stop": "stop_sequences"}


class Anthropic:
    """See the module."""

    def build(self, call: Call, request: Request) -> WireRequest:
        system = [message.text() for message in request.messages if message.role == "system"]
        if request.output_schema is not None:
            system.append(_schema_instruction(request.output_schema))
        body: dict[str, Json] = {
            "model": call.model.name,
            "max_tokens": _MAX_TOKENS,
            "messages": _turns(call, request.messages),
            "stream": True,
        }
        if system:
            body["system"] = "\n\n".join(system)
        if request.tools:
            body["tools"] = [_tool(tool) for tool in request.tools]
        body.update(_params(call, request.params))
        base = (call.provider.base_url or "https://api.anthropic.com").rstrip("/")
        return WireRequest(url=f"{base}/v1/messages", headers={"anthropic-version": _VERSION}, body=body)

    def send(self, call: Call, wire: WireRequest, secret: str | None) -> Reply:
        headers = {} if secret is None else {"x-api-key": secret}
        with http.post(call, wire, headers) as received:
            if received.status != 200:
                raise http.refusal(received, codes=CODES)
            assembly = Assembly(received=received)
            try:
                return read(received, assembly)
            except ProviderError as error:
                error.partial = error.partial or assembly.partial()
                raise

    def build_embedding(self, call: Call, texts: Sequence[str]) -> WireRequest:
        del texts
        raise call.error("The anthropic format has no embeddings.", "invalid_request")

    def embed(self, call: Call, wire: WireRequest, secret: str | None) -> Vectors:
        del wire, secret
        raise call.error("The anthropic format has no embeddings.", "invalid_request")


def read(received: Received, assembly: Assembly) -> Reply:
    """The answer out of its stream or document. Raises: ProviderError."""
    if received.is_document():
        assembly.document(received.read())
        return assembly.reply()
    for event in sse.events(received.chunks):
        if assembly.add(event.data):
            received.drain()
            return assembly.reply()
    raise assembly.truncated()


def _params(call: Call, params: Mapping[str, Json]) -> dict[str, Json]:
    """Our names in the wire's; every other parameter goes through as it is."""
    if clash := _OURS & params.keys():
        raise call.error(f"params must not hold {', '.join(sorted(clash))}.", "invalid_request")
    wire = {_NAMES.get(name, name): value for name, value in params.items()}
    if isinstance(wire.get("stop_sequences"), str):
        wire["stop_sequences"] = [wire["stop_sequences"]]
    return wire


def _schema_instruction(schema: Mapping[str, Json]) -> str:
    return f"Answer with one JSON value and nothing else. It must fit this JSON Schema:\n{json.dumps(schema)}"


def _tool(tool: ToolSpec) -> Json:
    schema = {"type": "object", **tool.input}
    return {"name": tool.name, "description": tool.description, "input_schema": schema}


def _turns(call: Call, messages: Sequence[Message]) -> list[Json]:
    """The messages as turns of alternating roles; results of parallel tools belong into one turn."""
    turns: list[dict[str, Json]] = []
    for message in messages:
        if message.role == "system":
            continue
        role = "assistant" if message.role == "assistant" else "user"
        blocks = _blocks(call, message)
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"].extend(blocks)
        else:
            turns.append({"role": role, "content": blocks})
    return [turn for turn in turns if turn["content"]]


def _blocks(call: Call, message: Message) -> list[Json]:
    if message.role == "tool":
        return [{"type": "tool_result", "tool_use_id": message.tool_call_id, "content": message.text()}]
    blocks: list[Json] = list(message.reasoning["blocks"]) if _has_blocks(message.reasoning) else []
    parts = (Part(text=message.content),) if isinstance(message.content, str) else message.content
    # The format refuses empty texts.
    blocks += [_part(call, part) for part in parts if part.kind != "text" or part.text.strip()]
    blocks += [
        {"type": "tool_use", "id": tool.id, "name": tool.name, "input": dict(tool.arguments or {})}
        for tool in message.tool_calls
    ]
    return blocks


def _has_blocks(reasoning: Json) -> bool:
    """Whether reasoning came from this format: another provider's cannot go back to this one."""
    return isinstance(reasoning, Mapping) and isinstance(reasoning.get("blocks"), list)


def _part(call: Call, part: Part) -> Json:
    if part.kind == "text":
        return {"type": "text", "text": part.text}
    if part.url is not None:
        return {"type": "image", "source": {"type": "url", "url": part.url}}
    if part.data is not None and part.media_type is not None:
        source = {"type": "base64", "media_type": part.media_type, "data": part.data}
        return {"type": "image", "source": source}
    raise call.error("An image needs a url, or data with its media_type.", "invalid_request")
