"""Answers and refusals, good and bad, in good order on the wire."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from tests.faultserver.answers import (
    anthropic_document,
    anthropic_event,
    anthropic_events,
    good,
    openai_chunk,
    openai_document,
    openai_events,
    sse,
)
from tests.faultserver.server import Wire, fault


@fault
def ok(wire: Wire) -> None:
    if wire.request.path.endswith("/embeddings"):
        vectors(wire)
        return
    wire.events(good(wire.request))


@fault
def vectors(wire: Wire) -> None:
    rows = [
        {"index": index, "embedding": [float(len(text)), 1.0, 2.0]}
        for index, text in enumerate(wire.request.body.get("input", ()))
    ]
    wire.document({"model": "e-2026", "data": rows[::-1], "usage": {"prompt_tokens": 7}})


@fault
def vectors_missing(wire: Wire) -> None:
    wire.document({"model": "e-2026", "data": [{"index": 0, "embedding": [1.0, 2.0, 3.0]}]})


@fault
def vectors_ragged(wire: Wire) -> None:
    rows = [{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": [1.0, 2.0]}]
    wire.document({"model": "e-2026", "data": rows})


@fault
def vectors_words(wire: Wire) -> None:
    wire.document({"model": "e-2026", "data": [{"index": 0, "embedding": ["a", "b"]}]})


@fault
def document(wire: Wire) -> None:
    wire.document(anthropic_document() if wire.request.format == "anthropic" else openai_document())


@fault
def html(wire: Wire) -> None:
    wire.document(b"<html><body>Please sign in</body></html>", content_type="text/html")


@fault
def plain(wire: Wire) -> None:
    wire.document(b"upstream says no", content_type="text/plain")


@fault
def empty(wire: Wire) -> None:
    wire.document(b"")


@fault
def no_content(wire: Wire) -> None:
    wire.raw(b"HTTP/1.1 204 No Content\r\n\r\n")


@fault
def not_json_event(wire: Wire) -> None:
    wire.events([*good(wire.request)[:3], b"data: {oops\n\n"])


@fault
def invalid_utf8(wire: Wire) -> None:
    wire.events([*good(wire.request)[:3], b'data: {"model": "\xff\xfe"}\n\n'])


@fault
def deep_json(wire: Wire) -> None:
    wire.events([b"data: " + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"\n\n"])


@fault
def list_json(wire: Wire) -> None:
    wire.document([1, 2, 3])


@fault
def changed_types(wire: Wire) -> None:
    if wire.request.format == "anthropic":
        wire.events([anthropic_event("content_block_delta", index="x", delta=[1])])
    else:
        wire.events([sse(openai_chunk(delta={"content": {"text": 5}}))])


@fault
def no_choices(wire: Wire) -> None:
    if wire.request.format == "anthropic":
        wire.document({"type": "message", "id": "msg_1"})
    else:
        wire.events([sse({"id": "c1", "choices": []}), b"data: [DONE]\n\n"])


@fault
def unknown_fields(wire: Wire) -> None:
    extra = sse({"type": "novelty", "surprise": {"deep": [1]}, "choices": [], "id": "c1"}, name="novelty")
    wire.events([extra, b": a comment\n\nretry: 5\nid: 9\n\n", *good(wire.request)])


@fault
def unknown_reason(wire: Wire) -> None:
    name = "stop" if wire.request.format == "anthropic" else "finish"
    wire.events(good(wire.request, **{name: "moonphase"}))


@fault
def length(wire: Wire) -> None:
    if wire.request.format == "anthropic":
        wire.events(anthropic_events(stop="max_tokens"))
    else:
        wire.events(openai_events(finish="length"))


@fault
def refused(wire: Wire) -> None:
    if wire.request.format == "anthropic":
        wire.events(anthropic_events(stop="refusal"))
    else:
        wire.events(openai_events(refusal="I cannot help with that."))


@fault
def filtered(wire: Wire) -> None:
    if wire.request.format == "anthropic":
        wire.document(
            {
                "error": {
                    "type": "invalid_request_error",
                    "message": "Output blocked by content filtering policy",
                }
            },
            status=400,
        )
    else:
        wire.events(openai_events(finish="content_filter"))


@fault
def lying_usage(wire: Wire) -> None:
    lies = {"prompt_tokens": -5, "completion_tokens": "many", "input_tokens": -5, "output_tokens": 1e30}
    wire.events(good(wire.request, usage=lies))


@fault
def no_usage(wire: Wire) -> None:
    wire.events(good(wire.request, usage="none"))


@fault
def error_in_stream(wire: Wire) -> None:
    error = {"type": "overloaded_error", "message": "Overloaded", "code": 503}
    wire.events([*good(wire.request)[:4], sse({"type": "error", "error": error}, name="error")])


@fault
def error_in_document(wire: Wire) -> None:
    wire.document(
        {
            "type": "error",
            "error": {"type": "overloaded_error", "code": "overloaded_error", "message": "Overloaded"},
        }
    )


@fault
def redirect(wire: Wire) -> None:
    wire.document(b"", status=307, Location="http://127.0.0.1:1/elsewhere")


@fault
def echo_secret(wire: Wire) -> None:
    said = wire.request.headers.get("authorization") or wire.request.headers.get("x-api-key")
    wire.document(
        {"error": {"message": f"Incorrect key: {said}", "type": "invalid_api_key"}},
        status=401,
        Set_Cookie=str(said),
    )


@fault
def echo_secret_in_answer(wire: Wire) -> None:
    said = wire.request.headers.get("authorization") or wire.request.headers.get("x-api-key")
    wire.events([sse({"id": "c1", "choices": [], "debug": said}), *openai_events()])


@fault
def limited_seconds(wire: Wire) -> None:
    wire.document(
        {"error": {"message": "slow down", "type": "rate_limit_error"}}, status=429, Retry_After="7"
    )


@fault
def limited_date(wire: Wire) -> None:
    moment = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    wire.document({"error": {"message": "slow down"}}, status=429, Retry_After=moment)


@fault
def limited_ms(wire: Wire) -> None:
    wire.document({"error": {"message": "slow down"}}, status=429, Retry_After_Ms="250", Retry_After="9")


@fault
def limited_nonsense(wire: Wire) -> None:
    wire.document({"error": {"message": "slow down"}}, status=429, Retry_After="soon")


@fault
def quota(wire: Wire) -> None:
    said = {
        "message": "You exceeded your current quota",
        "type": "insufficient_quota",
        "code": "insufficient_quota",
    }
    wire.document({"error": said}, status=429)


@fault
def context(wire: Wire) -> None:
    if wire.request.format == "anthropic":
        said = {
            "type": "invalid_request_error",
            "message": "prompt is too long: 210000 tokens > 200000 maximum",
        }
    else:
        said = {
            "code": "context_length_exceeded",
            "message": "This model's maximum context length is 8192 tokens.",
        }
    wire.document({"error": said}, status=400)


@fault
def tools(wire: Wire) -> None:
    if wire.request.format == "anthropic":
        pieces = [{"type": "input_json_delta", "partial_json": text} for text in ('{"order"', ': "42"}')]
        calls = [({"type": "tool_use", "id": f"t{n}", "name": "refund", "input": {}}, pieces) for n in (0, 1)]
        wire.events(anthropic_events(stop="tool_use", blocks=calls))
        return
    events = []
    for number in (0, 1):
        for delta in (
            {"index": number, "id": f"t{number}", "function": {"name": "refund", "arguments": ""}},
            {"index": number, "function": {"arguments": '{"order"'}},
            {"index": number, "function": {"arguments": ': "42"}'}},
        ):
            events.append(sse(openai_chunk(delta={"tool_calls": [delta]})))
    wire.events([*events, sse(openai_chunk(finish_reason="tool_calls")), b"data: [DONE]\n\n"])


@fault
def tools_one_index(wire: Wire) -> None:
    """As some servers do: every parallel call at index 0, told apart by id."""
    calls = [
        {"index": 0, "id": f"t{n}", "function": {"name": "refund", "arguments": json.dumps({"n": n})}}
        for n in (0, 1)
    ]
    events = [sse(openai_chunk(delta={"tool_calls": [call]})) for call in calls]
    wire.events([*events, sse(openai_chunk(finish_reason="tool_calls")), b"data: [DONE]\n\n"])


@fault
def tools_broken_json(wire: Wire) -> None:
    if wire.request.format == "anthropic":
        call = (
            {"type": "tool_use", "id": "t0", "name": "refund", "input": {}},
            [{"type": "input_json_delta", "partial_json": "{oops"}],
        )
        wire.events(anthropic_events(stop="tool_use", blocks=[call]))
    else:
        delta = {"index": 0, "id": "t0", "function": {"name": "refund", "arguments": "{oops"}}
        wire.events(
            [sse(openai_chunk(delta={"tool_calls": [delta]})), *openai_events(finish="tool_calls")[1:]]
        )
