from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from retrieval import roots

leaves = st.lists(st.binary(min_size=32, max_size=32), max_size=20)


@given(leaves, leaves)
def test_what_came_and_went_leaves_no_trace(kept: list[bytes], passing: list[bytes]) -> None:
    root = roots.advance(roots.EMPTY, added=kept, removed=[])

    there = roots.advance(root, added=passing, removed=[])
    back = roots.advance(there, added=[], removed=passing)

    assert back == root
    assert len(root) == 64


@given(leaves)
def test_order_does_not_count(some: list[bytes]) -> None:
    shuffled = sorted(some, key=hash)

    assert roots.advance(roots.EMPTY, added=some, removed=[]) == roots.advance(
        roots.EMPTY, added=shuffled, removed=[]
    )


def test_a_leaf_tells_its_parts_apart() -> None:
    made = {
        roots.leaf("a", model="m", metadata="{}", chunk_shas=[b"x", b"y"]),
        roots.leaf("a", model="m", metadata="{}", chunk_shas=[b"xy"]),
        roots.leaf("a", model="m", metadata="{}", chunk_shas=[b"y", b"x"]),
        roots.leaf("am", model="", metadata="{}", chunk_shas=[b"x", b"y"]),
        roots.leaf("a", model="m{", metadata="}", chunk_shas=[b"x", b"y"]),
    }

    assert len(made) == 5
