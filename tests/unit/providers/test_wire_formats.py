"""Both wire formats without a network: requests as they are sent, streams however they are cut."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from providers.adapters import anthropic, anthropic_stream, openai, openai_stream
from providers.adapters.base import Adapter, Call, Reply
from providers.config import Provider
from providers.deadlines import CallTime, Deadline
from providers.errors import ProviderError
from providers.messages import Message, Part, Request, ToolCall, ToolSpec
from providers.wire import sse
from providers.wire.http import Received
from tests import faultserver

ADAPTERS: dict[str, Adapter] = {"openai": openai.OpenAI(), "anthropic": anthropic.Anthropic()}


def call(api: str, **more: Any) -> Call:
    provider = Provider.from_document({"name": "p", "api": api, "models": [{"name": "m"}], **more})
    time = CallTime(deadline=Deadline.within(10), timeout_s=5)
    return Call(provider=provider, model=provider.models[0], number=0, time=time)


def read(api: str, chunks: Sequence[bytes]) -> Reply:
    received = Received(call=call(api), status=200, headers={}, chunks=iter(chunks))
    if api == "openai":
        return openai.read(received, openai_stream.Assembly(received=received))
    return anthropic.read(received, anthropic_stream.Assembly(received=received))


STREAMS = {
    "openai": b"".join(faultserver.openai_events()),
    "anthropic": b"".join(faultserver.anthropic_events()),
}


@pytest.mark.parametrize("api", STREAMS)
def test_stream_cut_at_any_byte_is_never_taken_for_an_answer(api: str) -> None:
    stream = STREAMS[api]
    # Only the blank line that ends the last event may be missing.
    for size in range(1, len(stream) - 1):
        with pytest.raises(ProviderError) as caught:
            read(api, [stream[:size]])
        assert caught.value.error_class == "stream_truncated"
    assert read(api, [stream]).text == "Hello there, how are you?"


@settings(max_examples=40)
@given(data=st.data())
@pytest.mark.parametrize("api", STREAMS)
def test_stream_in_any_pieces_is_the_same_answer(api: str, data: st.DataObject) -> None:
    stream = STREAMS[api].replace(b"\n", data.draw(st.sampled_from([b"\n", b"\r\n", b"\r"])))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(stream) - 1), max_size=30)))
    pieces = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert read(api, pieces).text == "Hello there, how are you?"


NAMES = [
    *("type", "index", "message", "content_block", "delta", "usage", "error", "choices", "finish_reason"),
    *(
        "stop_reason",
        "content",
        "text",
        "id",
        "name",
        "tool_calls",
        "function",
        "arguments",
        "input",
        "model",
    ),
]
KINDS = ["message_start", "content_block_start", "content_block_delta", "message_delta", "error"]
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["", "x", *KINDS]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
    max_leaves=6,
)
bodies = st.dictionaries(st.sampled_from(NAMES), values, max_size=5)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(events=st.lists(bodies, min_size=1, max_size=3), is_whole=st.booleans())
@pytest.mark.parametrize("api", STREAMS)
def test_any_json_is_an_answer_or_an_error_of_our_family(
    api: str, events: list[dict[str, Any]], is_whole: bool
) -> None:
    stream = [faultserver.sse(event) for event in events]
    with suppress(ProviderError):
        read(api, [json.dumps(events[0]).encode()] if is_whole else [*stream, b"data: [DONE]\n\n"])


@given(st.binary(max_size=300))
@pytest.mark.parametrize("api", STREAMS)
def test_any_bytes_are_an_error_of_our_family(api: str, body: bytes) -> None:
    with pytest.raises(ProviderError):
        read(api, [body])


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_events_do_not_depend_on_how_bytes_are_cut(pieces: list[bytes]) -> None:
    assert list(sse.events(pieces)) == list(sse.events([b"".join(pieces)]))


TOOL = ToolCall(id="t1", name="refund", arguments={"order": "42"}, raw_arguments='{"order": "42"}')
IMAGE = Part(kind="image", data="AAAA", media_type="image/png")
CONVERSATION = Request(
    messages=(
        Message(role="system", content="Be brief."),
        Message(role="user", content="Refund 42."),
        Message(role="assistant", tool_calls=(TOOL,)),
        Message(role="tool", content="done", tool_call_id="t1"),
        Message(
            role="user", content=(Part(text="See:"), Part(kind="image", data="AAAA", media_type="image/png"))
        ),
    ),
    params={"temperature": 0, "max_output_tokens": 300, "stop": "END"},
    tools=(
        ToolSpec(name="refund", description="Refunds.", input={"properties": {"order": {"type": "string"}}}),
    ),
    output_schema={
        "type": "object",
        "properties": {"a": {}},
        "required": ["a"],
        "additionalProperties": False,
    },
)


def test_openai_request() -> None:
    wire = ADAPTERS["openai"].build(call("openai", base_url="http://h/v1/"), CONVERSATION)
    assert wire.url == "http://h/v1/chat/completions"
    body = wire.body
    assert [message["role"] for message in body["messages"]] == [
        "system",
        "user",
        "assistant",
        "tool",
        "user",
    ]
    assert body["messages"][2]["tool_calls"][0]["function"] == {
        "name": "refund",
        "arguments": '{"order": "42"}',
    }
    assert body["messages"][2]["content"] is None
    assert body["messages"][3]["tool_call_id"] == "t1"
    assert body["messages"][4]["content"][1]["image_url"]["url"] == "data:image/png;base64,AAAA"
    assert body["response_format"]["json_schema"]["strict"] is True
    assert (body["stream"], body["max_tokens"], body["temperature"], body["stop"]) == (True, 300, 0, "END")
    assert body["tools"][0]["function"]["name"] == "refund"


def test_openai_itself_gets_the_new_name_of_the_bound() -> None:
    body = ADAPTERS["openai"].build(call("openai"), CONVERSATION).body
    assert body["max_completion_tokens"] == 300
    assert "max_tokens" not in body


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"a": {}}, "required": ["a"]},
        {"type": "object", "properties": {"a": {}}, "additionalProperties": False},
        {"type": "array", "items": {"type": "object"}},
    ],
)
def test_open_schema_is_not_strict(schema: dict[str, Any]) -> None:
    request = Request(messages=CONVERSATION.messages, output_schema=schema)
    body = ADAPTERS["openai"].build(call("openai"), request).body
    assert body["response_format"]["json_schema"]["strict"] is False


def test_anthropic_request() -> None:
    wire = ADAPTERS["anthropic"].build(call("anthropic", base_url="http://h"), CONVERSATION)
    assert (wire.url, wire.headers["anthropic-version"]) == ("http://h/v1/messages", "2023-06-01")
    body = wire.body
    assert [turn["role"] for turn in body["messages"]] == ["user", "assistant", "user"]
    assert body["messages"][1]["content"] == [
        {"type": "tool_use", "id": "t1", "name": "refund", "input": {"order": "42"}}
    ]
    kinds = [block["type"] for block in body["messages"][2]["content"]]
    assert kinds == ["tool_result", "text", "image"]
    assert body["system"].startswith("Be brief.\n\n")
    assert '"required": ["a"]' in body["system"]
    assert (body["max_tokens"], body["stop_sequences"]) == (300, ["END"])
    assert body["tools"][0]["input_schema"]["type"] == "object"


@pytest.mark.parametrize("api", ADAPTERS)
@pytest.mark.parametrize("name", ["model", "messages", "stream", "tools"])
def test_parameter_that_contradicts_the_request_is_refused(api: str, name: str) -> None:
    request = Request(messages=CONVERSATION.messages, params={name: 1})
    with pytest.raises(ProviderError, match=name) as caught:
        ADAPTERS[api].build(call(api), request)
    assert caught.value.error_class == "invalid_request"


def test_reasoning_goes_back_only_to_the_format_that_it_came_from() -> None:
    blocks = [
        (
            {"type": "thinking", "thinking": "", "signature": ""},
            [
                {"type": "thinking_delta", "thinking": "hm"},
                {"type": "signature_delta", "signature": "s1"},
            ],
        ),
        ({"type": "text", "text": ""}, [{"type": "text_delta", "text": "Yes."}]),
    ]
    reply = read("anthropic", faultserver.anthropic_events(blocks=blocks))
    assert reply.text == "Yes."
    kept = {"type": "thinking", "thinking": "hm", "signature": "s1"}
    assert reply.reasoning == {"blocks": [kept]}
    history = Message(role="assistant", content="Yes.", reasoning=reply.reasoning)
    request = Request(messages=(Message(role="user", content="?"), history))
    assert ADAPTERS["anthropic"].build(call("anthropic"), request).body["messages"][1]["content"][0] == kept
    assert "thinking" not in json.dumps(ADAPTERS["openai"].build(call("openai"), request).body)


def test_anthropic_usage_is_inclusive_of_what_was_cached() -> None:
    counts = {
        "input_tokens": 10,
        "cache_read_input_tokens": 70,
        "cache_creation_input_tokens": 20,
        "output_tokens": 3,
    }
    reply = read("anthropic", faultserver.anthropic_events(usage=counts))
    assert (reply.usage.input, reply.usage.cached, reply.usage.output) == (100, 70, 3)
