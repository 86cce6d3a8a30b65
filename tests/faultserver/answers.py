"""Good answers in both formats, as events and as documents."""

from __future__ import annotations

import json
from typing import Any

from tests.faultserver.server import Seen

TEXT = ("Hello", " there,", " how are", " you?")


def sse(data: Any, *, name: str = "") -> bytes:
    text = data if isinstance(data, str) else json.dumps(data)
    return (f"event: {name}\n" if name else "").encode() + f"data: {text}\n\n".encode()


def openai_chunk(**choice: Any) -> dict[str, Any]:
    body = {"index": 0, "delta": {}, "finish_reason": None, **choice}
    return {"id": "c1", "object": "chat.completion.chunk", "model": "m-2026", "choices": [body]}


def openai_events(
    *, finish: str | None = "stop", usage: Any = None, done: bool = True, **delta: Any
) -> list[bytes]:
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}, *({"content": t} for t in TEXT)]
    events = [sse(openai_chunk(delta=piece)) for piece in ([delta] if delta else deltas)]
    if finish is not None:
        events.append(sse(openai_chunk(finish_reason=finish)))
    counts = {
        "prompt_tokens": 12,
        "completion_tokens": 5,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 1},
    }
    if usage != "none":
        events.append(sse({"id": "c1", "model": "m-2026", "choices": [], "usage": usage or counts}))
    return [*events, b"data: [DONE]\n\n"] if done else events


def openai_document(**choice: Any) -> dict[str, Any]:
    body = {"index": 0, "message": {"role": "assistant", "content": "".join(TEXT)}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 12, "completion_tokens": 5}
    return {"id": "c1", "model": "m-2026", "choices": [{**body, **choice}], "usage": usage}


def anthropic_event(kind: str, **body: Any) -> bytes:
    return sse({"type": kind, **body}, name=kind)


def anthropic_events(
    *, stop: str | None = "end_turn", usage: Any = None, done: bool = True, blocks: Any = None
) -> list[bytes]:
    counts = {
        "input_tokens": 8,
        "cache_read_input_tokens": 4,
        "cache_creation_input_tokens": 0,
        "output_tokens": 1,
    }
    begin = None if usage == "none" else usage or counts
    start: dict[str, Any] = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m-2026",
        "content": [],
        "usage": begin,
    }
    events = [anthropic_event("message_start", message=start), anthropic_event("ping")]
    for index, (block, deltas) in enumerate(
        blocks or [({"type": "text", "text": ""}, [_text(t) for t in TEXT])]
    ):
        events.append(anthropic_event("content_block_start", index=index, content_block=block))
        events += [anthropic_event("content_block_delta", index=index, delta=delta) for delta in deltas]
        events.append(anthropic_event("content_block_stop", index=index))
    if stop is not None:
        end = None if usage == "none" else usage or {"output_tokens": 5}
        events.append(anthropic_event("message_delta", delta={"stop_reason": stop}, usage=end))
    return [*events, anthropic_event("message_stop")] if done else events


def anthropic_document(**more: Any) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m-2026",
        "content": [{"type": "text", "text": "".join(TEXT)}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 12, "output_tokens": 5},
        **more,
    }


def _text(text: str) -> dict[str, str]:
    return {"type": "text_delta", "text": text}


def good(request: Seen, **options: Any) -> list[bytes]:
    """The events of a good answer in the format of the request."""
    return anthropic_events(**options) if request.format == "anthropic" else openai_events(**options)
