"""Every fault of a provider, in both wire formats, against a real server: class, time, what was recorded."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from providers import deadlines
from providers.config import Provider
from providers.errors import ProviderError
from tests.faultserver import FAULTS, FaultServer, bomb
from tests.providing import Kept, ask

FORMATS = ("openai", "anthropic")
SECRET = "sk-secret-0123456789"
TIMEOUT_S = 0.4
# Much to read: a busy machine takes longer for it than the others may take in all.
LARGE = {"huge", "huge_line", "huge_error", "huge_headers", "gzip_bomb", "byte_by_byte"}

# fault → what both formats make of it
EXPECTED: dict[str, str | None] = {
    "ok": None,
    "document": None,
    "wrong_type": None,
    "gzipped": None,
    "byte_by_byte": None,
    "crlf": None,
    "unknown_fields": None,
    "unknown_reason": None,
    "length": None,
    "lying_usage": None,
    "no_usage": None,
    "hang_after_done": None,
    "close_after": None,
    "tools": None,
    "tools_broken_json": None,
    "bad_gzip": "malformed_body",
    "gzip_bomb": "malformed_body",
    "hang_before": "timeout",
    "hang_headers": "timeout",
    "hang_middle": "timeout",
    "drip_headers": "timeout",
    "drip_body": "timeout",
    "drip_tokens": "timeout",
    "drip_chunk_size": "timeout",
    "drip_error": "server_error",
    "reset_before": "connect",
    "close_before": "connect",
    "reset_headers": "connect",
    "reset_body": "stream_truncated",
    "truncate": "stream_truncated",
    "truncate_framed": "stream_truncated",
    "truncate_unframed": "stream_truncated",
    "no_terminator": "stream_truncated",
    "no_finish_reason": "stream_truncated",
    "short_document": "stream_truncated",
    "empty": "stream_truncated",
    "truncate_document": "malformed_body",
    "html": "malformed_body",
    "plain": "malformed_body",
    "no_content": "malformed_body",
    "not_json_event": "malformed_body",
    "invalid_utf8": "malformed_body",
    "deep_json": "malformed_body",
    "list_json": "malformed_body",
    "changed_types": "malformed_body",
    "no_choices": "malformed_body",
    "huge": "malformed_body",
    "huge_line": "malformed_body",
    "huge_headers": "malformed_body",
    "bad_chunk": "malformed_body",
    "not_http": "timeout",
    "huge_error": "server_error",
    "redirect": "invalid_request",
    "refused": "refusal",
    "filtered": "content_filter",
    "error_in_stream": "overloaded",
    "error_in_document": "overloaded",
    "echo_secret": "auth",
    "limited_seconds": "rate_limited",
    "limited_date": "rate_limited",
    "limited_ms": "rate_limited",
    "limited_nonsense": "rate_limited",
    "quota": "quota_exhausted",
    "context": "context_overflow",
    "400": "invalid_request",
    "401": "auth",
    "402": "quota_exhausted",
    "403": "permission",
    "404": "model_not_found",
    "408": "timeout",
    "409": "server_error",
    "413": "invalid_request",
    "422": "invalid_request",
    "429": "rate_limited",
    "500": "server_error",
    "502": "server_error",
    "503": "overloaded",
    "504": "timeout",
    "529": "overloaded",
}
# Only one format, or only embeddings, can show these.
ELSEWHERE = {"tools_one_index", "echo_secret_in_answer"} | {
    name for name in FAULTS if name.startswith("vectors")
}


@pytest.fixture(scope="module")
def server() -> Iterator[FaultServer]:
    bomb()  # takes longer to make than a call may take
    with FaultServer() as running:
        yield running


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAULTY_API_KEY", SECRET)


def faulty(server: FaultServer, fault: str, *, api: str = "openai", **more: Any) -> Provider:
    base = server.url(fault) + ("/v1" if api == "openai" else "")
    price = {"input": 1, "cached_input": 0.5, "output": 2}
    body = {"name": "faulty", "api": api, "base_url": base, "credential": "env:FAULTY_API_KEY"}
    models = [{"name": "m", "price": price}, {"name": "e", "embeds": 3}]
    return Provider.from_document({**body, "models": models, **more}, version=7)


def test_every_fault_of_the_server_is_expected_here() -> None:
    assert {name for name in EXPECTED if not name.isdigit()} == set(FAULTS) - ELSEWHERE


@pytest.mark.parametrize("api", FORMATS)
@pytest.mark.parametrize(("fault", "error_class"), EXPECTED.items())
def test_fault_has_its_class_in_time_and_is_recorded(
    server: FaultServer, fault: str, error_class: str | None, api: str
) -> None:
    timeout_s = 10 if fault in LARGE else TIMEOUT_S
    recorder = Kept()
    started = time.monotonic()
    raised: ProviderError | None = None
    try:
        ask(faulty(server, fault, api=api), recorder=recorder, timeout=f"{timeout_s}s")
    except ProviderError as error:
        raised = error
    took = time.monotonic() - started
    assert (raised.error_class if raised else None) == error_class
    assert took < timeout_s + 2
    assert recorder.classes == [error_class]
    assert SECRET not in repr(recorder.records) + repr(recorder.intents) + str(raised)
    if raised is not None:
        assert (raised.provider, raised.model) == ("faulty", "m")
        assert raised.message.strip()


@pytest.mark.parametrize(
    ("fault", "phase"),
    [
        ("hang_before", "first_byte"),
        ("hang_headers", "first_byte"),
        ("drip_headers", "first_byte"),
        ("drip_body", "total"),
        ("drip_tokens", "total"),
    ],
)
def test_time_out_names_its_phase(server: FaultServer, fault: str, phase: str) -> None:
    with pytest.raises(ProviderError) as caught:
        ask(faulty(server, fault), timeout=f"{TIMEOUT_S}s")
    assert (caught.value.error_class, caught.value.phase) == ("timeout", phase)


def test_stall_within_an_answer_is_an_idle_time_out(
    server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadlines, "IDLE_S", 0.2)
    recorder = Kept()
    with pytest.raises(ProviderError) as caught:
        ask(faulty(server, "hang_middle"), timeout="10s", recorder=recorder)
    assert (caught.value.error_class, caught.value.phase) == ("timeout", "idle")
    assert recorder.records[0].usage.source == "estimated"
    assert recorder.records[0].cost_usd is not None
    assert "Hello there" in repr(recorder.records[0].response)


@pytest.mark.parametrize("api", FORMATS)
@pytest.mark.parametrize(
    "fault", ["hang_before", "hang_headers", "hang_middle", "drip_headers", "drip_body", "drip_tokens", "503"]
)
def test_deadline_holds_over_all_retries(server: FaultServer, fault: str, api: str) -> None:
    started = time.monotonic()
    with pytest.raises(ProviderError):
        ask(faulty(server, fault, api=api), timeout="300ms", attempts=50, max="100ms", deadline_s=0.7)
    assert time.monotonic() - started < 2


@pytest.mark.parametrize("fault", ["hang_before", "hang_middle", "drip_tokens"])
def test_cancellation_ends_a_call_that_waits(server: FaultServer, fault: str) -> None:
    unwanted = threading.Event()
    threading.Timer(0.2, unwanted.set).start()
    recorder = Kept()
    started = time.monotonic()
    with pytest.raises(ProviderError) as caught:
        ask(faulty(server, fault), recorder=recorder, timeout="20s", deadline_s=30, cancelled=unwanted.is_set)
    assert caught.value.error_class == "cancelled"
    assert recorder.records[0].finish_reason == "cancelled"
    assert time.monotonic() - started < 2


@pytest.mark.parametrize(
    ("fault", "wait_s"), [("limited_seconds", 7), ("limited_ms", 0.25), ("limited_date", 29), ("429", None)]
)
def test_retry_after_is_read_in_each_form(server: FaultServer, fault: str, wait_s: float | None) -> None:
    with pytest.raises(ProviderError) as caught:
        ask(faulty(server, fault))
    assert caught.value.retry_after_s == (None if wait_s is None else pytest.approx(wait_s, abs=1.5))


def test_retry_after_is_waited_for(server: FaultServer) -> None:
    started = time.monotonic()
    recorder = Kept()
    with pytest.raises(ProviderError):
        ask(faulty(server, "limited_ms"), attempts=3, recorder=recorder)
    assert recorder.classes == ["rate_limited"] * 3
    assert 0.5 <= time.monotonic() - started < 1.5


@pytest.mark.parametrize(
    ("fault", "calls"),
    [("401", 1), ("400", 1), ("404", 1), ("quota", 1), ("503", 3), ("truncate", 2), ("html", 2)],
)
def test_calls_again_only_what_may_be_called_again(server: FaultServer, fault: str, calls: int) -> None:
    recorder = Kept()
    with pytest.raises(ProviderError):
        ask(faulty(server, fault), attempts=3, recorder=recorder)
    assert len(recorder.records) == calls


def test_falls_back_over_formats(server: FaultServer) -> None:
    recorder = Kept()
    first = faulty(server, "401", name="first")
    second = faulty(server, "truncate", name="second", api="anthropic")
    third = faulty(server, "ok", name="third", api="anthropic")
    answer = ask(first, second, third, recorder=recorder, attempts=2)
    assert answer.provider == "third"
    assert [record.provider for record in recorder.records] == ["first", "second", "second", "third"]
    assert [record.number for record in recorder.records] == [0, 1, 2, 3]


def test_refused_connection_is_connect() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    provider = Provider.from_document(
        {
            "name": "gone",
            "api": "openai",
            "base_url": f"http://127.0.0.1:{port}/v1",
            "models": [{"name": "m"}],
        }
    )
    with pytest.raises(ProviderError, match="Connection refused") as caught:
        ask(provider)
    assert (caught.value.error_class, caught.value.phase) == ("connect", "connect")


@pytest.mark.parametrize(
    ("base_url", "error_class"),
    [
        ("http://name.invalid/v1", "connect"),
        ("http://" + "x" * 80 + ".invalid/v1", "connect"),
        ("ftp://127.0.0.1/v1", "invalid_request"),
        ("http://user:password@127.0.0.1/v1", "invalid_request"),
        ("http://[broken/v1", "invalid_request"),
        ("http://127.0.0.1:99999/v1", "invalid_request"),
        ("nonsense", "invalid_request"),
    ],
)
def test_bad_address_is_a_clear_error(base_url: str, error_class: str) -> None:
    provider = Provider.from_document(
        {"name": "bad", "api": "openai", "base_url": base_url, "models": [{"name": "m"}]}
    )
    with pytest.raises(ProviderError) as caught:
        ask(provider)
    assert caught.value.error_class == error_class


def test_server_without_tls_is_connect(server: FaultServer) -> None:
    def answer(listener: socket.socket) -> None:
        with listener.accept()[0] as sock:
            sock.recv(4096)
            sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=answer, args=(listener,), daemon=True).start()
        url = f"https://127.0.0.1:{listener.getsockname()[1]}/v1"
        with pytest.raises(ProviderError, match="No secure connection") as caught:
            ask(faulty(server, "ok", base_url=url))
    assert caught.value.error_class == "connect"


def test_missing_variable_is_named_and_recorded(server: FaultServer) -> None:
    recorder = Kept()
    with pytest.raises(ProviderError, match="ABSENT_API_KEY is not set"):
        ask(faulty(server, "ok", credential="env:ABSENT_API_KEY"), recorder=recorder)
    assert recorder.classes == ["missing_credential"]


def test_secret_goes_over_the_wire_but_not_into_the_record(server: FaultServer) -> None:
    recorder = Kept()
    ask(faulty(server, "echo_secret_in_answer"), recorder=recorder)
    assert server.seen[-1].headers["authorization"] == f"Bearer {SECRET}"
    assert SECRET not in repr(recorder.records)
    assert "[redacted]" in repr(recorder.records[0].response)


def test_record_holds_request_response_usage_cost_and_times(server: FaultServer) -> None:
    recorder = Kept()
    answer = ask(faulty(server, "ok"), recorder=recorder)
    record = recorder.records[0]
    assert record.request["body"]["messages"] == [{"role": "user", "content": "hello"}]
    assert record.response["body"]["choices"][0]["message"]["content"] == "Hello there, how are you?"
    assert record.response["headers"]["x-request-id"] == "req_1" == answer.request_id
    assert (record.usage.input, record.usage.cached, record.usage.output, record.usage.reasoning) == (
        12,
        4,
        5,
        1,
    )
    assert str(record.cost_usd) == "0.00002"
    assert record.price_version == "faulty@7"
    assert (record.model_requested, record.model_returned) == ("m", "m-2026")
    assert record.timing_ms["first_token"] is not None
    assert record.timing_ms["first_token"] <= (record.timing_ms["total"] or 0)


def test_connection_is_used_again(server: FaultServer) -> None:
    for _ in range(3):
        ask(faulty(server, "ok"))
    numbers = {seen.connection for seen in server.seen[-3:]}
    assert len(numbers) == 1


def test_connection_that_closed_unsaid_costs_no_call(server: FaultServer) -> None:
    recorder = Kept()
    for _ in range(20):
        ask(faulty(server, "close_after"), recorder=recorder)
    assert recorder.classes == [None] * 20


def test_many_threads_share_one_pool(server: FaultServer) -> None:
    provider = faulty(server, "ok")
    recorder = [Kept() for _ in range(100)]
    threads = [
        threading.Thread(
            target=ask, args=(provider,), kwargs={"recorder": kept, "timeout": "60s", "deadline_s": 60}
        )
        for kept in recorder
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [kept.classes for kept in recorder] == [[None]] * 100


def test_body_of_fifty_megabytes_is_refused_early(server: FaultServer) -> None:
    started = time.process_time()
    with pytest.raises(ProviderError, match="larger than 16 MB"):
        ask(faulty(server, "huge"))
    assert time.process_time() - started < 2


def test_tool_calls_are_told_apart_by_id(server: FaultServer) -> None:
    answer = ask(faulty(server, "tools_one_index"))
    assert [(tool.id, tool.arguments) for tool in answer.tool_calls] == [("t0", {"n": 0}), ("t1", {"n": 1})]
