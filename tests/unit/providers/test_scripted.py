"""The scripted provider through the gateway: rules, latency, faults, `times`, embeddings."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
import pytest

from providers import gateway
from providers.config import Provider
from providers.errors import ProviderError
from providers.messages import Response
from tests import providing
from tests.providing import Kept


def fake(*rules: dict[str, Any], **more: Any) -> Provider:
    models = [
        {"name": "m", "context_tokens": 100, "price": {"input": 1, "output": 2}},
        {"name": "e", "embeds": 64},
    ]
    return Provider.from_document(
        {"name": "fake", "api": "scripted", "models": models, "rules": rules, **more}
    )


def ask(provider: Provider, text: str, **more: Any) -> Response:
    return providing.ask(provider, request=text, **{"attempts": 3, "timeout": "1s", **more})


FLAKY = (
    {"match": "flaky", "fault": {"status": 503}, "times": 2},
    {"match": "flaky", "reply": "ok"},
)


def test_no_rule_that_matches_echoes_the_last_message() -> None:
    answer = ask(fake({"match": "other", "reply": "x"}), "hello there")
    assert (answer.text, answer.finish_reason) == ("hello there", "stop")
    assert (answer.usage.input, answer.usage.output, answer.usage.source) == (2, 2, "provider")


def test_first_matching_rule_answers() -> None:
    provider = fake({"match": "(?i)refund", "reply": "first"}, {"match": "Refund", "reply": "second"})
    assert ask(provider, "a REFUND please").text == "first"


def test_rule_with_tool_calls_ends_with_tool_call() -> None:
    provider = fake({"match": "call", "tool_calls": [{"name": "refund", "arguments": {"order": "42"}}]})
    answer = ask(provider, "call it")
    assert answer.finish_reason == "tool_call"
    assert [(tool.name, tool.arguments) for tool in answer.tool_calls] == [("refund", {"order": "42"})]


def test_times_counts_the_calls_of_the_step_and_is_retried_through() -> None:
    provider = fake(
        {"match": "flaky", "fault": {"status": 503}, "times": 2}, {"match": "flaky", "reply": "ok"}
    )
    recorder = Kept()
    assert ask(provider, "flaky", recorder=recorder).text == "ok"
    assert [record.number for record in recorder.records] == [0, 1, 2]
    assert [record.error and record.error["class"] for record in recorder.records] == [
        "overloaded",
        "overloaded",
        None,
    ]


def test_times_goes_on_from_the_calls_of_earlier_attempts() -> None:
    provider = fake(
        {"match": "flaky", "fault": {"status": 503}, "times": 2}, {"match": "flaky", "reply": "ok"}
    )
    recorder = Kept()
    assert ask(provider, "flaky", recorder=recorder, first_call=2).text == "ok"
    assert [record.number for record in recorder.records] == [2]


@pytest.mark.parametrize(
    ("fault", "error_class"),
    [
        ({"status": 503}, "overloaded"),
        ({"status": 429}, "rate_limited"),
        ({"status": 429, "code": "insufficient_quota"}, "quota_exhausted"),
        ({"status": 401}, "auth"),
        ({"status": 400}, "invalid_request"),
        ({"kind": "hang"}, "timeout"),
        ({"kind": "reset"}, "connect"),
        ({"kind": "truncate"}, "stream_truncated"),
        ({"kind": "malformed"}, "malformed_body"),
        ({"kind": "refusal"}, "refusal"),
        ({"kind": "content_filter"}, "content_filter"),
        ({"kind": "nonsense"}, "invalid_request"),
    ],
)
def test_fault_has_its_error_class(fault: dict[str, Any], error_class: str) -> None:
    recorder = Kept()
    with pytest.raises(ProviderError) as caught:
        ask(
            fake({"match": "x", "reply": "one two three four", "fault": fault}),
            "x",
            recorder=recorder,
            timeout="100ms",
            attempts=1,
        )
    assert caught.value.error_class == error_class
    assert (caught.value.provider, caught.value.model) == ("fake", "m")
    assert recorder.records[0].error is not None
    assert recorder.records[0].error["class"] == error_class


def test_truncated_answer_is_recorded_with_its_tokens_and_cost() -> None:
    recorder = Kept()
    rule = {"match": "x", "reply": "one two three four", "fault": {"kind": "truncate"}}
    with pytest.raises(ProviderError):
        ask(fake(rule), "x", recorder=recorder, attempts=1)
    assert recorder.records[0].usage.output == 2
    assert recorder.records[0].cost_usd is not None


def test_length_fault_is_an_answer_cut_short() -> None:
    answer = ask(fake({"match": "x", "reply": "one two three four", "fault": {"kind": "length"}}), "x")
    assert (answer.text, answer.finish_reason) == ("one two", "length")


def test_more_words_than_the_context_is_context_overflow() -> None:
    with pytest.raises(ProviderError) as caught:
        ask(fake(), "word " * 101)
    assert caught.value.error_class == "context_overflow"


def test_hang_ends_at_the_deadline() -> None:
    started = time.monotonic()
    with pytest.raises(ProviderError) as caught:
        ask(fake({"match": "x", "fault": {"kind": "hang"}}), "x", deadline_s=0.2, timeout="30s")
    assert caught.value.error_class == "deadline"
    assert time.monotonic() - started < 1


def test_latency_is_interrupted_by_cancellation() -> None:
    wanted = threading.Event()
    threading.Timer(0.1, wanted.set).start()
    started = time.monotonic()
    with pytest.raises(ProviderError) as caught:
        ask(
            fake({"match": "x", "reply": "late", "latency": "20s"}),
            "x",
            cancelled=wanted.is_set,
            deadline_s=60,
            timeout="30s",
        )
    assert caught.value.error_class == "cancelled"
    assert time.monotonic() - started < 2


def test_catastrophic_pattern_costs_no_time() -> None:
    started = time.monotonic()
    ask(fake({"match": "(a+)+$", "reply": "x"}), "a" * 50 + "b")
    assert time.monotonic() - started < 1


def test_pattern_that_cannot_be_read_is_a_clear_error() -> None:
    with pytest.raises(ProviderError, match=r"Rule 1: '\(' is not a regular expression"):
        ask(fake({"match": "("}), "x")


def test_embeddings_are_the_same_each_time_and_near_for_shared_words() -> None:
    texts = ["how to refund an order", "refund an order now", "entirely different subject", ""]
    first, second = (
        gateway.embed("fake/e", texts, providers={"fake": fake()}, recorder=Kept()) for _ in range(2)
    )
    assert first.shape == (4, 64)
    assert first.dtype == np.float32
    assert np.array_equal(first, second)
    assert np.allclose(np.linalg.norm(first, axis=1), 1, atol=1e-6)
    assert first[0] @ first[1] > first[0] @ first[2]


def test_model_without_embeds_does_not_embed() -> None:
    with pytest.raises(ProviderError, match="no embedding model"):
        gateway.embed("fake/m", ["x"], providers={"fake": fake()}, recorder=Kept())


def test_unknown_provider_and_model_are_named() -> None:
    for model, message in (
        ("other/m", "other/m.*no provider 'other'"),
        ("fake/gone", "no model 'gone'; its document lists: m, e"),
        ("nothing", "write provider/model"),
    ):
        with pytest.raises(ProviderError, match=message) as caught:
            gateway.embed(model, ["x"], providers={"fake": fake()}, recorder=Kept())
        assert caught.value.error_class == "unknown_model"
