"""Signatures of webhooks, and when a delivery that failed is tried again."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows.webhooks import retries, signing

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def test_a_signature_is_that_of_standard_webhooks() -> None:
    key = signing.key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    given = signing.sign(key, message_id="msg_p5jXN8AQM9LWM0D4loKWxJek", timestamp=1614265330, body=body)
    assert given == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("secret", ["", "password", "whsec_", "whsec_c2hvcnQ=", "whsec_\N{SNOWMAN}" * 10])
def test_a_secret_that_is_none_is_refused_and_not_shown(secret: str) -> None:
    with pytest.raises(ValueError, match="whsec_ followed by at least 24 random bytes") as told:
        signing.key_of(secret)
    assert secret.removeprefix("whsec_") in ("", *str(told.value)) or secret not in str(told.value)


def test_a_secret_without_its_prefix_is_taken_too() -> None:
    assert len(signing.key_of(base64.b64encode(b"x" * 32).decode())) == 32


@given(spread=st.floats(0, 1))
def test_tries_end_within_a_day_and_lie_further_and_further_apart(spread: float) -> None:
    at, moments = NOW, []
    for tried in range(1, 100):
        following = retries.next_try(tried, now=at, gives_up_at=NOW + retries.GIVES_UP_AFTER, spread=spread)
        if following is None:
            break
        moments.append(following - at)
        at = following
    assert len(moments) == len(retries.DELAYS_S)
    assert moments == sorted(moments)
    assert timedelta(hours=19) < at - NOW < timedelta(hours=24)


def test_an_endpoint_may_ask_for_more_time() -> None:
    until = NOW + retries.GIVES_UP_AFTER
    asked = retries.next_try(1, now=NOW, gives_up_at=until, spread=0.5, retry_after_s=600)
    assert asked == NOW + timedelta(minutes=10)
    much = retries.next_try(1, now=NOW, gives_up_at=until, spread=0.5, retry_after_s=10**7)
    assert much == NOW + retries.LONGEST_WAIT
