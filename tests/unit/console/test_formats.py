"""Numbers and times as people read them."""

from decimal import Decimal
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console import formats


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"), (0, "0 ms"), (0.0001, "<1 ms"), (0.82, "820 ms"), (0.9999, "1.0 s"), (4.2, "4.2 s"),
        (9.96, "10 s"), (39, "39 s"), (59.7, "1m 00s"), (402, "6m 42s"),
        (3599.6, "1h 00m"), (11100, "3h 05m"),
        (48 * 3600, "2d 00h"), (-3, "0 ms"),
    ],
)  # fmt: skip
def test_durations_read_as_the_design_says(seconds: float | None, text: str) -> None:
    assert formats.duration(seconds) == text


@given(st.floats(min_value=0, max_value=1e7))
def test_a_duration_is_short_and_never_shows_sixty_of_a_smaller_unit(seconds: float) -> None:
    text = formats.duration(seconds)
    assert len(text) <= 8
    assert "60s" not in text
    assert "60m" not in text


@pytest.mark.parametrize(
    ("seconds", "text"), [(9, "9s"), (-1, "0s"), (240, "4m"), (11100, "3h 05m"), (2 * 86400, "2d")]
)
def test_ago_reads_as_the_design_says(seconds: float, text: str) -> None:
    assert formats.ago(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(None, "–"), (0, "0"), (980, "980"), (61_800, "61.8k"), (999_951, "1.0M"), (1_900_000, "1.9M")],
)
def test_tokens_read_as_the_design_says(count: int | None, text: str) -> None:
    assert formats.tokens(count) == text


@pytest.mark.parametrize(
    ("usd", "text"),
    [
        (None, "–"), ("0", "$0.00"), ("0.0004", "<$0.001"), ("0.0082", "$0.0082"), ("0.314", "$0.314"),
        ("4.1234", "$4.12"), ("1234.5", "$1,234.50"),
    ],
)  # fmt: skip
def test_money_reads_as_the_design_says(usd: str | None, text: str) -> None:
    assert formats.money(None if usd is None else Decimal(usd)) == text


@given(st.text())
def test_printable_text_can_always_be_sent(text: str) -> None:
    assert "\0" not in formats.printable(text + "\ud800\0")
    formats.printable(text).encode()


@pytest.mark.parametrize(
    ("amount", "kind", "text"),
    [
        (None, "money", ""),
        (Decimal(0), "money", ""),
        (Decimal("-0.0004"), "money", "≈ $0"),
        (Decimal("0.00099"), "money", "≈ $0"),
        (Decimal("-0.001"), "money", "−$0.0010"),
        (Decimal("0.3141"), "money", "+$0.314"),
        (Decimal("-1234.5"), "money", "−$1,234.50"),
        (0.0001, "duration", "≈ 0 s"),
        (-0.82, "duration", "−820 ms"),
        (39.2, "duration", "+39 s"),
        (1200, "count", "+1,200"),
        (-3, "count", "−3"),
    ],
)
def test_a_difference_has_its_sign_and_a_tiny_one_says_that_it_is_none(
    amount: Decimal | float | None, kind: Literal["money", "duration", "count"], text: str
) -> None:
    assert formats.change(amount, kind) == text
