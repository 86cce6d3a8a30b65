"""Masks: no form of a secret is left after scrubbing, what was masked is revealed again, and nothing else changes."""

from __future__ import annotations

import base64
import html
import json
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from workflows.spec.masks import MASK, NOTHING, Veil, has_mask, mask

A, B = mask("card", "0123456789abcdef0123"), mask("pin", "fedcba98765432100123")
SECRETS = st.text(st.characters(exclude_categories=["Cs"]), min_size=4, max_size=20)
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
JSON = st.recursive(
    WORDS | st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)


@given(SECRETS, SECRETS, st.lists(WORDS, min_size=3, max_size=3))
@example("card", "secret", ["", " ", ""])  # what stands in the masks themselves
@example("0123", "aaaa", ["aaa", "a", "aaaa"])
@example("abcd1234", "1234xyz", ["", "", ""])
def test_no_secret_is_left_and_all_is_revealed_again(first: str, second: str, around: list[str]) -> None:
    veil = Veil({A: first, B: second})
    text = f"{around[0]}{first}{around[1]}{second}{around[2]}"
    scrubbed = veil.scrub(text)
    rest = MASK.sub("\n", scrubbed)
    if "\n" not in first + second:  # it parts what stood on both sides of a mask
        assert first not in rest
        assert second not in rest
    assert veil.reveal(scrubbed) == text
    assert veil.scrub(scrubbed) == scrubbed


@given(SECRETS, WORDS, WORDS)
def test_it_is_found_in_what_other_formats_make_of_it(secret: str, before: str, after: str) -> None:
    veil = Veil({A: secret})
    whole = before + secret + after
    for written in (
        json.dumps(whole),
        json.dumps(json.dumps({"of": whole})),
        json.dumps(whole, ensure_ascii=False),
        html.escape(whole),
        quote(whole, safe=""),
        quote_plus(whole),
    ):
        assert has_mask(veil.scrub(written)), written
    document = json.loads(veil.scrub(json.dumps({"of": secret})))
    assert document == {"of": A}


@pytest.mark.parametrize("before", ["", "u:", "uu:"])
@pytest.mark.parametrize("after", ["", "x", "xy"])
@pytest.mark.parametrize("secret", ["correct horse", "4111111111111111", "pässwörd?>~ÿ"])
def test_it_is_found_inside_of_base64_and_hex(secret: str, before: str, after: str) -> None:
    whole = f"{before}{secret}{after}".encode()
    veil = Veil({A: secret})
    for text in (base64.b64encode(whole).decode(), base64.urlsafe_b64encode(whole).decode(), whole.hex()):
        scrubbed = veil.scrub(text)
        assert A in scrubbed
        left = MASK.sub("", scrubbed)
        assert len(left) <= len(text) - len(secret) + 2


@given(JSON, st.sampled_from(["4111111111111111", "a b c d"]))
def test_what_holds_no_secret_stays_as_it_is(value: Any, secret: str) -> None:
    assert Veil({A: secret}).scrub(value) == value
    assert Veil({A: secret}).reveal(value) == value
    assert NOTHING.scrub(value) == value


def test_keys_lists_and_numbers_are_scrubbed_too() -> None:
    veil = Veil({A: "4111", B: "12.5"})
    found = veil.scrub({"4111": ["of 4111", 4111, 4111.0, 12.5, 41110, True, None]})
    assert found == {A: [f"of {A}", A, A, B, 41110, True, None]}


def test_masks_of_other_runs_are_left_alone() -> None:
    other = mask("card", "00000000000000000000")
    assert Veil({A: "4111"}).reveal(f"{other} {A}") == f"{other} 4111"


def test_a_name_of_any_kind_gives_a_mask() -> None:
    for name in ("card", "Ärger [x]", "", "a" * 300):
        assert MASK.fullmatch(mask(name, "0" * 20))


def test_nothing_shows_a_secret_by_accident() -> None:
    assert "4111" not in repr(Veil({A: "4111"}))
