"""What follows an error: the whole table, and what must hold for any error in any situation."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers import resilience
from providers.config import DEFAULT_FALLBACK_ON, Retry, Route, Target
from providers.errors import ERROR_CLASSES, ProviderError
from providers.resilience import Decision, Situation

TARGETS = tuple(Target.parse(f"p/{name}") for name in ("small", "large", "unknown"))
ROUTE = Route(name="chat", targets=TARGETS, retry=Retry(attempts=3, first_s=0.5, max_s=8))
CONTEXTS = (8_000, 200_000, None)


def follows(
    error_class: str, *, retry_after_s: float | None = None, route: Route = ROUTE, **at: float
) -> Decision:
    situation = Situation(
        target=int(at.get("target", 0)),
        calls=int(at.get("calls", 1)),
        contexts=CONTEXTS,
        left_s=at.get("left_s", 60.0),
    )
    error = ProviderError("x", error_class=error_class, retry_after_s=retry_after_s)
    return resilience.decide(error, route=route, at=situation, draw=0.5)


# error class → after the first call, after the second, after the third (of three attempts)
TABLE = {
    "connect": ("retry", "retry", "fallback"),
    "timeout": ("retry", "retry", "fallback"),
    "server_error": ("retry", "retry", "fallback"),
    "overloaded": ("retry", "retry", "fallback"),
    "rate_limited": ("retry", "retry", "fallback"),
    "stream_truncated": ("retry", "fallback", "fallback"),
    "malformed_body": ("retry", "fallback", "fallback"),
    "quota_exhausted": ("fallback", "fallback", "fallback"),
    "auth": ("fallback", "fallback", "fallback"),
    "permission": ("fallback", "fallback", "fallback"),
    "missing_credential": ("fallback", "fallback", "fallback"),
    "context_overflow": ("fallback", "fallback", "fallback"),
    "schema_invalid": ("fallback", "fallback", "fallback"),
    "breaker_open": ("fallback", "fallback", "fallback"),
    "content_filter": ("give_up", "give_up", "give_up"),
    "refusal": ("give_up", "give_up", "give_up"),
    "invalid_request": ("give_up", "give_up", "give_up"),
    "model_not_found": ("give_up", "give_up", "give_up"),
    "unknown_model": ("give_up", "give_up", "give_up"),
    "wrong_dimensions": ("give_up", "give_up", "give_up"),
    "internal": ("give_up", "give_up", "give_up"),
    "cancelled": ("give_up", "give_up", "give_up"),
    "budget_exceeded": ("give_up", "give_up", "give_up"),
    "deadline": ("give_up", "give_up", "give_up"),
}


def test_table_covers_every_error_class() -> None:
    assert set(TABLE) == set(ERROR_CLASSES)


@pytest.mark.parametrize(("error_class", "actions"), TABLE.items())
def test_what_follows_each_class(error_class: str, actions: tuple[str, ...]) -> None:
    assert tuple(follows(error_class, calls=calls).action for calls in (1, 2, 3)) == actions


def test_last_target_gives_up() -> None:
    assert follows("server_error", target=2, calls=3).action == "give_up"


def test_only_named_classes_fall_back() -> None:
    route = Route(name="r", targets=TARGETS, fallback_on=frozenset({"refusal"}))
    assert follows("refusal", route=route).action == "fallback"
    assert follows("server_error", route=route, calls=3).action == "give_up"


def test_overflow_goes_only_to_a_larger_context() -> None:
    assert follows("context_overflow") == Decision(action="fallback", target=1)
    assert follows("context_overflow", target=1).action == "give_up"


def test_jitter_is_full_and_grows_to_its_bound() -> None:
    retry = Retry(attempts=9, first_s=0.5, max_s=8)
    waits = [resilience.backoff_s(retry, calls=calls, draw=1.0) for calls in range(1, 8)]
    assert waits == [0.5, 1, 2, 4, 8, 8, 8]
    assert resilience.backoff_s(retry, calls=3, draw=0.0) == 0


def test_short_retry_after_wins_over_jitter() -> None:
    assert follows("rate_limited", retry_after_s=7) == Decision(action="retry", wait_s=7, target=0)


def test_long_retry_after_goes_to_the_next_target_at_once() -> None:
    assert follows("rate_limited", retry_after_s=20) == Decision(action="fallback", target=1)


def test_long_retry_after_of_the_last_target_is_waited_for_within_the_deadline() -> None:
    assert follows("rate_limited", retry_after_s=20, target=2).action == "retry"
    assert follows("rate_limited", retry_after_s=90, target=2).action == "give_up"


def test_weights_choose_the_first_target_and_keep_the_rest_in_order() -> None:
    weighted = (Target.parse("p/a", 80), Target.parse("p/b", 20), Target.parse("p/c", 0))
    names = [[t.model for t in resilience.order(weighted, draw=draw)] for draw in (0.0, 0.79, 0.81, 0.999)]
    assert names == [["a", "b", "c"], ["a", "b", "c"], ["b", "a", "c"], ["b", "a", "c"]]
    assert resilience.order(TARGETS, draw=0.9) == TARGETS


@given(
    error_class=st.sampled_from(sorted(ERROR_CLASSES)),
    retry_after_s=st.none() | st.floats(0, 1e6),
    target=st.integers(0, 2),
    calls=st.integers(1, 10_000),
    left_s=st.floats(-10, 1e4),
    draw=st.floats(0, 1, exclude_max=True),
    attempts=st.integers(1, 10),
    fallback_on=st.sets(st.sampled_from(sorted(ERROR_CLASSES))),
)
def test_decisions_always_keep_time_attempts_and_order(
    error_class: str,
    retry_after_s: float | None,
    target: int,
    calls: int,
    left_s: float,
    draw: float,
    attempts: int,
    fallback_on: set[str],
) -> None:
    retry = Retry(attempts=attempts)
    route = Route(name="r", targets=TARGETS, retry=retry, fallback_on=frozenset(fallback_on))
    error = ProviderError("x", error_class=error_class, retry_after_s=retry_after_s)
    situation = Situation(target=target, calls=calls, contexts=CONTEXTS, left_s=left_s)
    decision = resilience.decide(error, route=route, at=situation, draw=draw)
    if decision.action == "retry":
        assert decision.target == target
        assert decision.wait_s < left_s
        assert calls < attempts
        assert error_class in resilience.RETRIED | resilience.REISSUED
    if decision.action == "fallback":
        assert decision.target > target
        assert left_s > 0
    if error_class in resilience.FINAL:
        assert decision.action == "give_up"


def test_default_fallbacks_are_known_classes() -> None:
    assert set(ERROR_CLASSES) >= DEFAULT_FALLBACK_ON


def test_documentation_has_a_row_for_every_class_and_marks_the_defaults() -> None:
    text = (Path(__file__).parents[3] / "docs" / "providers.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)`( \*)? \|", text, re.MULTILINE))
    assert set(ERROR_CLASSES) <= set(rows)
    assert {name for name in ERROR_CLASSES if rows[name]} == DEFAULT_FALLBACK_ON
