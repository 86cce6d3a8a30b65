from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from retrieval import ranking

rankings = st.lists(st.integers(0, 40), unique=True, max_size=30)


@given(rankings, rankings)
def test_fused_scores_are_shares_in_a_fixed_order(vector: list[int], text: list[int]) -> None:
    fused = ranking.fuse(vector, text)

    assert {one.chunk_id for one in fused} == {*vector, *text}
    assert all(0 < one.score <= 1 for one in fused)
    assert list(fused) == sorted(fused, key=lambda one: (-one.score, one.chunk_id))


@given(rankings)
def test_one_empty_ranking_leaves_the_other_order(one: list[int]) -> None:
    assert [found.chunk_id for found in ranking.fuse(one, [])] == one
    assert [found.chunk_id for found in ranking.fuse([], one)] == one


def test_first_in_both_scores_one() -> None:
    assert ranking.fuse([7, 8], [7, 9])[0] == ranking.Ranked(7, 1.0)


def test_vectors_weigh_more_than_text() -> None:
    assert [one.chunk_id for one in ranking.fuse([1], [2])] == [1, 2]
