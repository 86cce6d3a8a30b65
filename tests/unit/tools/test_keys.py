from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workflows.tools.keys import idempotency_key

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=4,
)


def test_the_key_of_a_call_never_changes() -> None:
    key = idempotency_key("r_1", "decide/pay", "refund", {"order": "42", "note": "é"})

    assert key == "6a3be8d70257c633de329371c29422e197e00a196ad993e80e5ffe27d8310147"
    assert key == idempotency_key("r_1", "decide/pay", "refund", {"note": "é", "order": "42"})


@settings(max_examples=25)
@given(JSON, JSON)
def test_other_arguments_make_another_key(first: Any, second: Any) -> None:
    if first != second:
        assert idempotency_key("r", "p", "t", first) != idempotency_key("r", "p", "t", second)


@pytest.mark.parametrize("changed", [("r_2", "a", "t"), ("r_1", "b", "t"), ("r_1", "a", "u")])
def test_run_path_and_tool_make_another_key(changed: tuple[str, str, str]) -> None:
    assert idempotency_key(*changed, {}) != idempotency_key("r_1", "a", "t", {})


def test_parts_cannot_run_into_one_another() -> None:
    assert idempotency_key("r", "ab", "c", {}) != idempotency_key("r", "a", "bc", {})


def test_what_is_not_json_has_no_key() -> None:
    with pytest.raises(ValueError, match="JSON"):
        idempotency_key("r", "p", "t", {"x": float("nan")})


def test_lone_surrogates_and_nul_have_a_key() -> None:
    assert len(idempotency_key("r", "p", "t", {"x": "\ud800\0"})) == 64
