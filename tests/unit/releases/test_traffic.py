"""Which release a run gets: the share is the weight, and whoever has the candidate keeps it."""

from __future__ import annotations

import itertools
from functools import lru_cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows.models import Release
from workflows.releases import traffic
from workflows.releases.traffic import Split

COUNT = 100_000


def split(weight: float, salt: str = "salt") -> Split:
    return Split(rollout=1, candidate=Release(), weight=weight, salt=salt, sticky="")


def arm(weight: float, key: str, salt: str = "salt") -> str:
    return traffic.arm_of(split(weight, salt), traffic.place(salt, key))


@lru_cache
def places() -> list[int]:
    return [traffic.place("salt", f"customer-{number}") for number in range(COUNT)]


@pytest.mark.parametrize("weight", [0.1, 1, 5, 25, 50, 99])
def test_over_100_000_values_the_share_is_the_weight(weight: float) -> None:
    rolled = split(weight)
    candidates = sum(traffic.arm_of(rolled, place) == "candidate" for place in places())
    allowed = 4 * (COUNT * weight / 100 * (1 - weight / 100)) ** 0.5
    assert abs(candidates - COUNT * weight / 100) <= allowed


@given(st.text(), st.lists(st.floats(0, 100), min_size=2, max_size=6))
def test_whoever_has_the_candidate_keeps_it_while_the_weight_rises(key: str, weights: list[float]) -> None:
    given = [arm(weight, key) for weight in sorted(weights)]
    assert given == sorted(given, reverse=True)  # stable first, then candidate for good


@given(st.text())
def test_nobody_gets_it_at_0_and_everybody_at_100(key: str) -> None:
    assert (arm(0, key), arm(100, key)) == ("stable", "candidate")


def test_another_rollout_chooses_others() -> None:
    chosen = [
        {key for key in map(str, range(2_000)) if arm(50, key, salt) == "candidate"} for salt in ("a", "b")
    ]
    for mine, other in itertools.permutations(chosen):
        assert 0.4 < len(mine & other) / len(mine) < 0.6
