"""What every adapter does alike, whatever it speaks. A new adapter adds a peer here and passes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from providers import gateway
from providers.adapters import registry
from providers.config import Provider
from providers.errors import ProviderError
from tests.faultserver import FaultServer
from tests.providing import Kept, ask

# behaviour → the fault of the server that shows it · the scripted rule that does
WIRE = {
    "answers": "ok",
    "calls a tool": "tools",
    "stops at its length": "length",
    "refuses": "refused",
    "is filtered": "filtered",
    "is overloaded": "503",
    "throttles": "429",
    "has no credit": "quota",
    "rejects the key": "401",
    "rejects the request": "400",
    "overflows": "context",
    "breaks off": "truncate",
    "talks nonsense": "html",
    "hangs": "hang_before",
    "resets": "reset_before",
}
REPLY = "Hello there, how are you?"
SCRIPT: dict[str, dict[str, Any]] = {
    "answers": {"reply": REPLY},
    "calls a tool": {"tool_calls": [{"name": "refund", "arguments": {"order": "42"}}]},
    "stops at its length": {"reply": REPLY, "fault": {"kind": "length"}},
    "refuses": {"fault": {"kind": "refusal"}},
    "is filtered": {"fault": {"kind": "content_filter"}},
    "is overloaded": {"fault": {"status": 503}},
    "throttles": {"fault": {"status": 429}},
    "has no credit": {"fault": {"status": 429, "code": "insufficient_quota"}},
    "rejects the key": {"fault": {"status": 401}},
    "rejects the request": {"fault": {"status": 400}},
    "breaks off": {"reply": REPLY, "fault": {"kind": "truncate"}},
    "talks nonsense": {"fault": {"kind": "malformed"}},
    "hangs": {"fault": {"kind": "hang"}},
    "resets": {"fault": {"kind": "reset"}},
}
ERRORS = {
    "refuses": "refusal",
    "is filtered": "content_filter",
    "is overloaded": "overloaded",
    "throttles": "rate_limited",
    "has no credit": "quota_exhausted",
    "rejects the key": "auth",
    "rejects the request": "invalid_request",
    "overflows": "context_overflow",
    "breaks off": "stream_truncated",
    "talks nonsense": "malformed_body",
    "hangs": "timeout",
    "resets": "connect",
}
Peer = Callable[[str], Provider]
CHATTING = ("openai", "anthropic", "scripted")
EMBEDDING = ("openai", "scripted", "local")


@pytest.fixture(scope="module")
def server() -> Iterator[FaultServer]:
    with FaultServer() as running:
        yield running


@pytest.fixture
def peer(request: pytest.FixtureRequest, server: FaultServer) -> Peer:
    """A provider of the adapter under test that shows a behaviour."""
    api: str = request.param

    def provider(behaviour: str) -> Provider:
        price = {"input": 1, "output": 1}
        model = {"name": "m", "price": price, "context_tokens": 0 if behaviour == "overflows" else 1000}
        body = {"name": api, "api": api, "models": [model, {"name": "e", "embeds": 3}]}
        if api == "scripted":
            return Provider.from_document({**body, "rules": [{"match": "", **SCRIPT.get(behaviour, {})}]})
        if api == "local":
            return Provider.from_document({**body, "models": [{"name": "wordllama", "embeds": 256}]})
        path = "/v1" if api == "openai" else ""
        return Provider.from_document({**body, "base_url": server.url(WIRE[behaviour]) + path})

    return provider


def test_every_adapter_is_held_to_this() -> None:
    assert {*CHATTING, *EMBEDDING} == set(registry.apis())


@pytest.mark.parametrize("peer", CHATTING, indirect=True)
class TestChat:
    def test_answer_is_complete_and_recorded(self, peer: Peer) -> None:
        recorder = Kept()
        provider = peer("answers")
        answer = ask(provider, recorder=recorder)
        assert (answer.text, answer.finish_reason) == (REPLY, "stop")
        assert answer.raw_finish_reason
        assert (answer.provider, answer.model_requested) == (provider.name, "m")
        assert answer.model_returned
        assert answer.usage.source == "provider"
        assert answer.usage.input > 0 < answer.usage.output
        assert answer.cost_usd == recorder.records[0].cost_usd is not None
        assert recorder.intents[0].request["body"]
        assert recorder.records[0].response["status"] == 200
        assert recorder.records[0].timing_ms["first_token"] is not None

    def test_tool_calls_are_parsed(self, peer: Peer) -> None:
        answer = ask(peer("calls a tool"))
        assert answer.finish_reason == "tool_call"
        assert answer.tool_calls[0].name == "refund"
        assert answer.tool_calls[0].arguments == {"order": "42"}
        assert len({tool.id for tool in answer.tool_calls}) == len(answer.tool_calls)

    def test_length_is_told_from_stop(self, peer: Peer) -> None:
        assert ask(peer("stops at its length")).finish_reason == "length"

    @pytest.mark.parametrize(("behaviour", "error_class"), ERRORS.items())
    def test_failure_has_its_class(self, peer: Peer, behaviour: str, error_class: str) -> None:
        recorder = Kept()
        with pytest.raises(ProviderError) as caught:
            ask(peer(behaviour), recorder=recorder, timeout="300ms")
        assert caught.value.error_class == error_class
        assert (caught.value.provider, caught.value.model) == (recorder.records[0].provider, "m")
        assert recorder.classes == [error_class]

    def test_tokens_of_an_answer_that_broke_off_are_counted(self, peer: Peer) -> None:
        recorder = Kept()
        with pytest.raises(ProviderError):
            ask(peer("breaks off"), recorder=recorder)
        assert recorder.records[0].usage.output > 0
        assert recorder.records[0].cost_usd is not None

    def test_cancelled_call_sends_nothing(self, peer: Peer) -> None:
        recorder = Kept()
        with pytest.raises(ProviderError) as caught:
            ask(peer("answers"), recorder=recorder, cancelled=lambda: True)
        assert caught.value.error_class == "cancelled"
        assert recorder.intents == []

    def test_what_the_recorder_raises_comes_through_and_nothing_is_sent(
        self, peer: Peer, server: FaultServer
    ) -> None:
        class LostError(Exception):
            pass

        class Refusing(Kept):
            def sending(self, call: object, /) -> None:
                raise LostError

        seen = len(server.seen)
        with pytest.raises(LostError):
            ask(peer("answers"), recorder=Refusing())
        assert len(server.seen) == seen


@pytest.mark.parametrize("peer", EMBEDDING, indirect=True)
class TestEmbed:
    def test_vectors_are_unit_rows_in_the_order_of_the_texts(self, peer: Peer) -> None:
        provider = peer("answers")
        model = f"{provider.name}/{provider.models[-1].name}"
        texts = [f"text number {number} " * (number % 7 + 1) for number in range(150)]
        recorder = Kept()
        vectors = gateway.embed(model, texts, providers={provider.name: provider}, recorder=recorder)
        assert vectors.shape == (150, provider.models[-1].embeds)
        assert vectors.dtype == np.float32
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
        alone = gateway.embed(model, texts[77:78], providers={provider.name: provider}, recorder=Kept())
        assert np.allclose(vectors[77], alone[0], atol=1e-5)
        assert [record.number for record in recorder.records] == [0, 1, 2]
        assert all(record.usage.source == "provider" for record in recorder.records)

    def test_no_texts_are_no_calls(self, peer: Peer) -> None:
        provider = peer("answers")
        model = f"{provider.name}/{provider.models[-1].name}"
        recorder = Kept()
        vectors = gateway.embed(model, [], providers={provider.name: provider}, recorder=recorder)
        assert vectors.shape == (0, provider.models[-1].embeds)
        assert recorder.records == []


@pytest.mark.parametrize(
    ("fault", "dims", "error_class"),
    [
        ("ok", 4, "wrong_dimensions"),
        ("vectors_missing", 3, "malformed_body"),
        ("vectors_ragged", 1, "malformed_body"),
        ("vectors_words", 3, "malformed_body"),
        ("html", 3, "malformed_body"),
        ("error_in_document", 3, "overloaded"),
        ("429", 3, "rate_limited"),
    ],
)
def test_bad_embeddings_are_named(
    server: FaultServer, fault: str, dims: int, error_class: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("providers.resilience.backoff_s", lambda *_, **__: 0.0)
    body = {"name": "p", "api": "openai", "base_url": f"{server.url(fault)}/v1"}
    provider = Provider.from_document({**body, "models": [{"name": "e", "embeds": dims}]})
    recorder = Kept()
    with pytest.raises(ProviderError) as caught:
        gateway.embed("p/e", ["one", "two"], providers={"p": provider}, recorder=recorder)
    assert caught.value.error_class == error_class
    assert set(recorder.classes) == {error_class}
