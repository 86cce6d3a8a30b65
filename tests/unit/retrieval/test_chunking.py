from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval import chunking

TOKENIZER = """{"version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
"pre_tokenizer": {"type": "Whitespace"}, "post_processor": null, "decoder": null,
"model": {"type": "WordLevel", "vocab": {"[UNK]": 0}, "unk_token": "[UNK]"}}"""

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=3000)


@given(texts, st.integers(1, 60), st.integers(0, 59), st.booleans())
def test_every_passage_is_its_place_in_the_source(
    text: str, tokens: int, overlap: int, markdown: bool
) -> None:
    passages = chunking.split(text, tokens=tokens, overlap=min(overlap, tokens - 1), markdown=markdown)

    assert [one.ordinal for one in passages] == list(range(len(passages)))
    for one in passages:
        assert text[one.start : one.stop] == one.text
        assert one.text.strip()


@given(texts, st.integers(1, 60), st.booleans())
def test_nothing_but_blanks_is_left_out(text: str, tokens: int, markdown: bool) -> None:
    passages = chunking.split(text, tokens=tokens, overlap=0, markdown=markdown)

    covered: set[int] = set()
    for one in passages:
        covered.update(range(one.start, one.stop))
    assert not [letter for at, letter in enumerate(text) if at not in covered and not letter.isspace()]


def test_neighbours_share_the_overlap() -> None:
    text = " ".join(f"word{n}" for n in range(500))

    passages = chunking.split(text, tokens=50, overlap=10)

    assert all(right.start < left.stop for left, right in pairwise(passages))


def test_a_tokenizer_counts_tokens() -> None:
    text = " ".join(["w"] * 100)

    passages = chunking.split(text, tokens=10, overlap=0, tokenizer_json=TOKENIZER)

    assert [len(one.text.split()) for one in passages] == [10] * 10


def test_one_token_of_a_megabyte_is_cut_all_the_same() -> None:
    passages = chunking.split("x" * 200_000, tokens=100, overlap=0, tokenizer_json=TOKENIZER)

    assert max(len(one.text) for one in passages) <= 100 * chunking.MAX_CHARACTERS_PER_TOKEN


@pytest.mark.parametrize("piece", ["a", "x ", "é", "日本", "\u0301", "# h\n", "\n"])
def test_long_texts_take_time_in_proportion(piece: str) -> None:
    text = piece * (100_000 // len(piece))

    started = time.process_time()
    chunking.split(text, tokens=400, overlap=40, markdown=True)

    assert time.process_time() - started < 2


def test_settings_have_their_own_hash() -> None:
    hashes = {
        chunking.settings_hash(model=model, tokens=tokens, overlap=overlap)
        for model in ("a", "b")
        for tokens in (10, 20)
        for overlap in (0, 5)
    }

    assert len(hashes) == 8
