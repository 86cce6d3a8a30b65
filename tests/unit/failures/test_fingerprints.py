"""Two failures are alike when nothing differs but what varies from one run to the next."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows.failures import fingerprints

LIKE: dict[str, Any] = {
    "workflow": "claims",
    "step": "score[3]/judge",
    "error_class": "timeout",
    "provider": "acme",
    "message": "No answer within 30 s",
}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("No answer within 30 s", "No answer within 45.5 s"),
        ("Order 4711 is locked", "Order 12 is locked"),
        ("Run r_01arz3ndektsv is gone", "Run r_9zzz3ndektsv1 is gone"),
        ("at 2026-11-25T23:31:33Z", "at 2025-01-01 00:00:00+01:00"),
        ("GET https://a.example/x?y=1 gave 503", "GET http://b.example/ gave 502"),
        ("mail to ann@example.org", "mail to bob.b@mail.example.com"),
        ("id 550e8400-e29b-41d4-a716-446655440000", "id 00000000-0000-4000-8000-000000000000"),
        ("hash deadbeef01", "hash 0123456789abcdef"),
        ("two  spaces\nand a line", "two spaces and a line"),
    ],
)
def test_what_varies_does_not_tell_failures_apart(one: str, other: str) -> None:
    assert fingerprints.normalised(one) == fingerprints.normalised(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("connection refused", "connection reset"),
        ("field “sum” is missing", "field “total” is missing"),
        ("the decade of facade", "the facade of decade"),
        ("not_found", "not_allowed"),
    ],
)
def test_words_do_tell_failures_apart(one: str, other: str) -> None:
    assert fingerprints.normalised(one) != fingerprints.normalised(other)


def test_the_items_of_a_map_fail_alike() -> None:
    one = fingerprints.of(**LIKE)
    assert one.step == "score[]/judge"
    assert one.digest() == fingerprints.of(**{**LIKE, "step": "score[999]/judge"}).digest()


@pytest.mark.parametrize("name", ["workflow", "step", "error_class", "provider", "message"])
def test_each_part_tells_failures_apart(name: str) -> None:
    assert fingerprints.of(**LIKE).digest() != fingerprints.of(**{**LIKE, name: "other"}).digest()


@given(st.text(max_size=5000))
def test_any_text_comes_through_short_and_storable(text: str) -> None:
    found = fingerprints.normalised(text)
    assert len(found) <= fingerprints.MAX_MESSAGE
    assert "\0" not in found
    assert fingerprints.normalised(found).count("#") <= found.count("#")
    found.encode()
