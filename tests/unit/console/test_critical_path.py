"""Which steps determined how long a run took."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from console.drawing.critical_path import Stretch, find

lasting = st.tuples(st.floats(0, 1000), st.floats(0, 200))
steps = st.lists(lasting, max_size=30).map(
    lambda spans: [
        Stretch(number, f"s{number}", None, None, start, start + length)
        for number, (start, length) in enumerate(spans, 1)
    ]
)


def _step(
    number: int, name: str, start: float, end: float, parent: int | None = None, item: int | None = None
) -> Stretch:
    return Stretch(number, name, parent, item, start, end)


def test_of_two_needs_the_later_one_counts() -> None:
    run = [_step(1, "a", 0, 5), _step(2, "b", 0, 9), _step(3, "c", 9, 12)]
    assert find(run, {"a": (), "b": (), "c": ("a", "b")}) == (3, 2)


def test_a_step_that_happens_to_end_later_is_no_cause() -> None:
    run = [_step(1, "a", 0, 5), _step(2, "beside", 0, 5.9), _step(3, "c", 6, 12)]
    assert find(run, {"a": (), "beside": (), "c": ("a",)}) == (3, 1)


def test_what_was_skipped_hands_on_to_its_own_needs() -> None:
    run = [_step(1, "a", 0, 5), _step(3, "c", 6, 12)]
    assert find(run, {"a": (), "skipped": ("a",), "c": ("skipped",)}) == (3, 1)


def test_a_container_is_determined_by_its_children() -> None:
    run = [
        _step(1, "each", 0, 10),
        _step(2, "look", 0, 2, 1, 0),
        _step(3, "say", 2, 4, 1, 0),
        _step(4, "look", 0, 3, 1, 1),
        _step(5, "say", 3, 10, 1, 1),
    ]
    needs = {"each": (), "look": (), "say": ("look",)}
    assert find(run, needs) == (1, 5, 4)


def test_an_item_that_had_to_wait_for_a_place_names_who_held_it() -> None:
    run = [_step(1, "each", 0, 10), _step(2, "say", 0, 4, 1, 0), _step(3, "say", 4.01, 10, 1, 1)]
    assert find(run, {"each": (), "say": ()}) == (1, 3, 2)


def test_nothing_ran() -> None:
    assert find([], {}) == ()


@given(steps)
def test_the_path_is_a_chain_that_ends_with_the_run(run: list[Stretch]) -> None:
    found = [next(each for each in run if each.id == number) for number in find(run, {})]
    assert len({each.id for each in found}) == len(found)
    if run:
        assert found[0].end == max(each.end for each in run)
    for later, earlier in pairwise(found):
        assert earlier.end <= later.start + 0.001


@given(st.lists(st.floats(0.001, 50), min_size=1, max_size=20))
def test_of_steps_one_after_the_other_all_are_on_it(lengths: list[float]) -> None:
    at, run = 0.0, []
    for number, length in enumerate(lengths):
        run.append(_step(number, f"s{number}", at, at + length))
        at += length
    needs = {f"s{number}": (f"s{number - 1}",) if number else () for number in range(len(lengths))}
    assert find(run, needs) == tuple(range(len(lengths) - 1, -1, -1))
