"""Evidence and intervals: what holds for every tally, and that peeking costs nothing."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows.releases import sequential
from workflows.releases.sequential import Line, Prior, Sample, Side, Tally


@st.composite
def tallies(draw: st.DrawFn, least: int = 0, most: int = 3_000) -> Tally:
    n = draw(st.integers(least, most))
    return Tally(n, draw(st.integers(0, n)))


SHARES = st.floats(0.001, 0.999)
SIDES: tuple[Side, Side] = ("above", "below")


@given(tallies(1), st.sampled_from([0.05, 0.0125, 0.001]))
def test_an_interval_of_a_rate_holds_the_rate_and_grows_with_certainty(tally: Tally, alpha: float) -> None:
    found = sequential.rate_interval(tally, alpha=alpha)
    assert 0.0 <= found.low <= tally.rate <= found.high <= 1.0
    wider = sequential.rate_interval(tally, alpha=alpha / 10)
    assert wider.low <= found.low
    assert wider.high >= found.high


@given(tallies(1), SHARES, st.sampled_from(SIDES))
def test_there_is_evidence_exactly_beyond_the_interval(tally: Tally, limit: float, side: Side) -> None:
    found = sequential.rate_interval(tally, alpha=0.05)
    evidence = sequential.rate_evidence(tally, limit, side=side)
    outside = limit < found.low if side == "above" else limit > found.high
    if abs(limit - found.low) > 1e-6 and abs(limit - found.high) > 1e-6:
        assert (evidence >= -math.log(0.05)) == outside


@given(tallies(1), tallies(1), st.floats(-0.5, 0.5))
def test_the_same_holds_for_the_difference_of_two_rates(stable: Tally, candidate: Tally, gap: float) -> None:
    found = sequential.gap_interval(stable, candidate, alpha=0.05)
    assert found.low <= candidate.rate - stable.rate + 1e-9
    assert found.high >= candidate.rate - stable.rate - 1e-9
    evidence = sequential.pair_evidence(stable, candidate, Line(1.0, gap), side="above")
    if abs(gap - found.low) > 1e-6:
        assert (evidence >= -math.log(0.05)) == (gap < found.low)


@given(tallies(1), tallies(1), st.floats(0.1, 3.0), st.floats(-0.3, 0.3))
def test_the_largest_likelihood_on_a_line_is_no_smaller_than_anywhere_on_it(
    stable: Tally, candidate: Tally, ratio: float, gap: float
) -> None:
    line = Line(ratio, gap)
    largest = sequential._largest_on(stable, candidate, line)
    low, high = sequential._ends(line)
    for rate in np.linspace(low, high, 50)[1:-1] if low < high else ():
        other = sequential._likelihood(stable, rate) + sequential._likelihood(candidate, line.at(rate))
        assert other <= largest + 1e-6 * max(1.0, abs(largest))


@given(tallies(1), tallies(1), st.floats(0.2, 3.0), st.sampled_from(SIDES))
def test_what_keeps_the_limit_is_no_evidence_against_it(
    stable: Tally, candidate: Tally, ratio: float, side: Side
) -> None:
    kept = candidate.rate <= ratio * stable.rate if side == "above" else candidate.rate >= ratio * stable.rate
    if kept:
        assert sequential.pair_evidence(stable, candidate, Line(ratio), side=side) == 0.0


@pytest.mark.parametrize("truth", [0.02, 0.3])
@pytest.mark.parametrize("prior", [Prior(), Prior(3.0, 50.0)])
def test_under_the_limit_evidence_is_a_martingale_and_never_more(truth: float, prior: Prior) -> None:
    """Summed over every outcome of some runs, weighed by its chance, the evidence is 1 at the most."""
    n, gap, total = 12, 0.1, 0.0
    for hits, own in itertools.product(range(n + 1), range(n + 1)):
        stable, candidate = Tally(n, hits), Tally(n, own)
        chance = _binomial(n, hits, truth) * _binomial(n, own, truth + gap)
        total += chance * math.exp(sequential._against(stable, candidate, Line(1.0, gap), prior))
    assert total <= 1.0 + 1e-9


def _binomial(n: int, hits: int, rate: float) -> float:
    return math.comb(n, hits) * rate**hits * (1 - rate) ** (n - hits)


@pytest.mark.parametrize("prior", [Prior(), Prior.of(Tally(5_000, 1_500))])
def test_looking_after_every_run_raises_few_false_alarms(prior: Prior) -> None:
    """Also where what is believed of the stable rate (30 %) is wrong (10 %)."""
    random, alarms = np.random.default_rng(1), 0
    for _ in range(300):
        own, stable = random.random(300) < 0.15, random.random(300) < 0.10
        for runs in range(10, 300, 10):
            evidence = sequential.pair_evidence(
                Tally(runs, int(stable[:runs].sum())),
                Tally(runs, int(own[:runs].sum())),
                Line(1.0, 0.05),
                side="above",
                prior=prior,
            )
            if evidence >= -math.log(0.05):
                alarms += 1
                break
    assert alarms <= 15


def test_what_is_known_of_the_stable_release_makes_evidence_sharper() -> None:
    stable, candidate, line = Tally(500, 25), Tally(60, 14), Line(1.0, 0.01)
    blind = sequential.pair_evidence(stable, candidate, line, side="above")
    learned = sequential.pair_evidence(
        stable, candidate, line, side="above", prior=Prior.of(Tally(1_000, 50))
    )
    assert learned > blind > 0


def test_means_are_told_apart_as_their_interval_says() -> None:
    stable, worse = Sample(400, 1.0, 0.25), Sample(100, 1.9, 0.25)
    found = sequential.means_ratio_interval(stable, worse, alpha=0.01, tuned=30)
    assert 1.5 < found.low < 1.9 < found.high < 2.4
    for ratio, outside in ((found.low - 0.01, True), (found.low + 0.01, False)):
        evidence = sequential.means_evidence(stable, worse, Line(ratio), side="above", tuned=30)
        assert (evidence >= -math.log(0.01)) == outside
    lone = sequential.mean_interval(worse, alpha=0.01, tuned=30)
    for limit, outside in ((lone.low - 0.01, True), (lone.low + 0.01, False)):
        evidence = sequential.mean_evidence(worse, limit, side="above", tuned=30)
        assert (evidence >= -math.log(0.01)) == outside


def test_one_number_is_no_evidence_of_a_mean() -> None:
    assert sequential.mean_evidence(Sample(1, 9.0, 0.0), 1.0, side="above", tuned=30) == 0.0
    assert math.isinf(sequential.mean_interval(Sample(1, 9.0, 0.0), alpha=0.05, tuned=30).high)
    assert math.isinf(
        sequential.means_ratio_interval(Sample(9, 0.0, 0.0), Sample(9, 1, 1), alpha=0.05, tuned=30).high
    )


def test_nothing_seen_is_no_evidence_and_every_rate_is_possible() -> None:
    none = Tally(0, 0)
    assert sequential.rate_interval(none, alpha=0.05) == sequential.Interval(0.0, 1.0)
    assert sequential.gap_interval(none, none, alpha=0.05) == sequential.Interval(-1.0, 1.0)
    assert sequential.pair_evidence(none, Tally(5, 5), Line(), side="above") == 0.0
    assert sequential.rate_evidence(none, 0.5, side="below") == 0.0


def test_a_ratio_of_rates_may_have_no_upper_end() -> None:
    found = sequential.ratio_interval(Tally(50, 1), Tally(50, 10), alpha=0.05)
    assert found.low < 10 < found.high
    assert math.isinf(sequential.ratio_interval(Tally(50, 0), Tally(50, 10), alpha=0.05).high)
