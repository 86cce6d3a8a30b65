"""Documents into values, prices, counts, Retry-After, classes by status, redaction, validation."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers import pricing, usage, validation
from providers.adapters.openai_stream import CODES
from providers.config import Price, Provider, Route, seconds
from providers.errors import ProviderError
from providers.gateway import BATCH_CHARACTERS, BATCH_TEXTS, batches
from providers.messages import Response, ToolCall, Usage
from providers.recording import REDACTED, without
from providers.wire import failures


@pytest.mark.parametrize(
    ("text", "expected"), [("500ms", 0.5), ("30s", 30), ("10m", 600), ("2h", 7200), ("7d", 604800), (3, 3)]
)
def test_durations_in_seconds(text: str | float, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "5", "5 minutes", "-1s", "1e3s", "s"])
def test_other_durations_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        seconds(text)


def test_route_document_with_defaults_and_weights() -> None:
    targets = ["openai/gpt-5-mini", {"model": "a/b/c", "weight": 80}]
    route = Route.from_document({"name": "chat", "targets": targets})
    assert [str(target) for target in route.targets] == ["openai/gpt-5-mini", "a/b/c"]
    assert route.targets[1].weight == 80
    assert (route.timeout_s, route.deadline_s, route.retry.attempts) == (30, 120, 3)
    rest = route.after("openai", "gpt-5-mini")
    assert rest is not None
    assert [str(target) for target in rest.targets] == ["a/b/c"]
    assert rest.after("a", "b/c") is None


def test_provider_document() -> None:
    body = {
        "name": "openai",
        "api": "openai",
        "limits": {"requests_per_minute": 5},
        "models": [{"name": "m", "price": {"input": 0.25, "cached_input": 0.025, "output": 2.0}}],
    }
    provider = Provider.from_document(body, version=3)
    price = provider.model("m").price
    assert price == Price(input=Decimal("0.25"), cached_input=Decimal("0.025"), output=Decimal("2.0"))
    assert provider.limits.requests_per_minute == 5
    assert pricing.price_version(provider) == "openai@3"


PRICE = Price(input=Decimal("0.25"), cached_input=Decimal("0.025"), output=Decimal(2))


@pytest.mark.parametrize(
    ("counted", "price", "expected"),
    [
        (Usage(input=1000, cached=400, output=100, source="provider"), PRICE, Decimal("0.00036")),
        (Usage(input=1000, source="estimated"), PRICE, Decimal("0.00025")),
        (Usage(), PRICE, None),
        (Usage(input=1, source="provider"), None, None),
        (Usage(input=5, output=1, source="provider"), Price(input=Decimal(1)), None),
        (Usage(input=5, cached=5, source="provider"), Price(input=Decimal(1)), Decimal("0.000005")),
        (Usage(input=0, output=0, source="provider"), Price(), Decimal(0)),
    ],
)
def test_cost_is_exact_or_none(counted: Usage, price: Price | None, expected: Decimal | None) -> None:
    assert pricing.cost(counted, price) == expected


anything = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers())


@given(input=anything, output=anything, cached=anything, reasoning=anything)
def test_reported_usage_is_always_true_to_form(input: Any, output: Any, cached: Any, reasoning: Any) -> None:
    counted = usage.reported(input=input, output=output, cached=cached, reasoning=reasoning)
    assert 0 <= counted.cached <= counted.input
    assert 0 <= counted.reasoning <= counted.output
    assert all(type(count) is int for count in (counted.input, counted.cached, counted.output))
    if counted.source == "missing":
        assert counted == Usage()


NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "Thu, 01 Jan 2026 00:00:30 GMT"}, 30),
        ({"retry-after": "Thu, 01 Jan 2015 00:00:30 GMT"}, 0),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"x-ms-retry-after-ms": "1500"}, 1.5),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "1e12"}, 604800),
    ],
)
def test_retry_after(headers: dict[str, str], expected: float | None) -> None:
    assert failures.retry_after_s(headers, now=NOW) == expected


@given(st.text())
def test_retry_after_never_raises(value: str) -> None:
    wait_s = failures.retry_after_s({"retry-after": value}, now=NOW)
    assert wait_s is None or 0 <= wait_s <= 604800


@given(status=st.integers(100, 999), code=st.text(max_size=20), text=st.text(max_size=200))
def test_every_status_has_a_class(status: int, code: str, text: str) -> None:
    ProviderError("x", error_class=failures.error_class(status, code=code, text=text, codes={}))


@pytest.mark.parametrize(
    ("status", "text", "expected"),
    [
        (400, "This model's maximum context length is 8192 tokens", "context_overflow"),
        (400, "the request exceeds the available context size", "context_overflow"),
        (400, "The response was filtered due to Azure's content management policy", "content_filter"),
        (400, "Your credit balance is too low to access the API", "quota_exhausted"),
        (400, "The model `gpt-9` does not exist", "model_not_found"),
        (400, "temperature must be below 2", "invalid_request"),
        (429, "You exceeded your current quota, please check your plan", "quota_exhausted"),
        (429, "Rate limit reached for gpt-5 in organization", "rate_limited"),
        (418, "teapot", "invalid_request"),
        (520, "", "server_error"),
    ],
)
def test_class_by_status_and_words(status: int, text: str, expected: str) -> None:
    assert failures.error_class(status, text=text, codes={}) == expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [(503, "overloaded"), (504, "timeout"), (401, "auth"), (500, "server_error"), (200, "server_error")],
)
def test_a_code_that_blames_the_server_says_less_than_the_status(status: int, expected: str) -> None:
    assert failures.error_class(status, code="server_error", codes=CODES) == expected


def test_secret_is_blotted_out_everywhere() -> None:
    value = {"sk-1": ["a sk-1 b", {"x": ("sk-1", 5, None)}]}
    assert without(value, "sk-1") == {REDACTED: [f"a {REDACTED} b", {"x": [REDACTED, 5, None]}]}
    assert without(value, None) is value


@given(st.lists(st.integers(0, 2 * BATCH_CHARACTERS).map(lambda size: "x" * size), max_size=200))
def test_batches_keep_order_and_bounds(texts: list[str]) -> None:
    made = batches(texts)
    assert [text for batch in made for text in batch] == texts
    for batch in made:
        assert 1 <= len(batch) <= BATCH_TEXTS
        assert len(batch) == 1 or sum(len(text) for text in batch) <= BATCH_CHARACTERS


def test_response_survives_its_json_form() -> None:
    tool = ToolCall(id="1", name="t", arguments={"a": [1]}, raw_arguments='{"a": [1]}')
    response = Response(
        text="x",
        finish_reason="tool_call",
        raw_finish_reason="tool_calls",
        usage=Usage(input=1, source="provider"),
        provider="p",
        model_requested="m",
        tool_calls=(tool,),
        cost_usd=Decimal("0.000001"),
    )
    assert Response.from_json(response.as_json()) == response


SCHEMA = {
    "type": "object",
    "required": ["severity"],
    "properties": {"severity": {"type": "integer", "minimum": 1, "maximum": 5}},
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    "text",
    [
        '{"severity": 3}',
        ' \n{"severity":3}\n',
        '```json\n{"severity": 3}\n```',
        '```\n{"severity": 3,}\n```',
        'Sure! Here you go: {"severity": 3}. Anything else?',
        'First {"wrong": 1}, no: {"severity": 3}',
        '{"severity": 3,}',
    ],
)
def test_value_is_found_whatever_stands_around_it(text: str) -> None:
    assert validation.check(text, SCHEMA) == validation.Checked(value={"severity": 3})


@pytest.mark.parametrize(
    ("text", "path"),
    [("", ""), ("no idea", ""), ('{"severity": 9}', "severity"), ("[1]", ""), ('{"severity": NaN}', "")],
)
def test_what_does_not_fit_has_its_path(text: str, path: str) -> None:
    checked = validation.check(text, SCHEMA)
    assert not checked.is_valid
    assert checked.problems[0].path == path


def test_plain_word_fits_a_schema_of_words() -> None:
    assert validation.check("praise\n", {"enum": ["bug", "praise"]}).value == "praise"
    assert not validation.check("neither", {"enum": ["bug", "praise"]}).is_valid


def test_trailing_comma_within_a_string_stays() -> None:
    schema = {"type": "object", "properties": {"a": {"const": "x,}"}}}
    assert validation.check('{"a": "x,}",}', schema).value == {"a": "x,}"}


def test_repair_message_names_the_problems_only() -> None:
    problems = validation.check('{"severity": 9}', SCHEMA).problems
    message = validation.repair_message(problems)
    assert message.role == "user"
    assert "severity: 9 is greater than the maximum of 5" in message.text()


@given(st.text(alphabet='{}[]",:1a \\\n`', max_size=300))
def test_any_text_is_checked_without_a_fault(text: str) -> None:
    validation.check(text, SCHEMA)


@pytest.mark.parametrize("piece", ['{"a":', "{", "[", ",}", '""', "```\n"])
def test_hostile_text_is_checked_quickly(piece: str) -> None:
    assert not validation.check(piece * 50_000, SCHEMA).is_valid
