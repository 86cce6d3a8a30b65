"""Is a candidate worse than is allowed? Evidence and intervals that hold however often one looks (pure).

Rates: exact. The evidence against "the rates keep to the line" is a likelihood ratio: a mixture over all rates, above
the largest likelihood that any pair of rates on the allowed side has (universal inference: Wasserman, Ramdas and
Balakrishnan 2020). Under every such pair it is at most a martingale that begins at 1, so that by Ville's inequality it
ever passes 1/alpha with a probability of at most alpha. Means: the asymptotic confidence sequence of Waudby-Smith,
Arbour, Sinha, Kennedy and Ramdas (2021), an approximation. Quantiles: see `quantile_tallies`, an approximation.
May not: read anything, or know what is measured.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

Side = Literal["above", "below"]  # where it is bad to be
_JEFFREYS: Final = 0.5
_STEPS: Final = 60  # of a bisection: more than a double can tell apart


@dataclass(frozen=True)
class Tally:
    """How many were looked at, and how many of them count."""

    n: int
    hits: int

    @property
    def rate(self) -> float:
        return self.hits / self.n if self.n else math.nan

    def inverse(self) -> Tally:
        return Tally(self.n, self.n - self.hits)


@dataclass(frozen=True)
class Prior:
    """What is believed of a rate before the first look, as a beta distribution. It costs or saves runs, never truth."""

    hits: float = _JEFFREYS
    others: float = _JEFFREYS

    @classmethod
    def of(cls, seen: Tally, *, at_most: int = 1_000) -> Prior:
        """Believe what was seen before, as if it were no more than `at_most` runs."""
        share = min(1.0, at_most / seen.n) if seen.n else 0.0
        return cls(_JEFFREYS + share * seen.hits, _JEFFREYS + share * (seen.n - seen.hits))


@dataclass(frozen=True)
class Sample:
    """Numbers that were measured: how many, their mean and their variance."""

    n: int
    mean: float
    variance: float


@dataclass(frozen=True)
class Line:
    """What a candidate's value is held against: `ratio` times the stable one, and `gap` more."""

    ratio: float = 1.0
    gap: float = 0.0

    def at(self, stable: float) -> float:
        return self.ratio * stable + self.gap


@dataclass(frozen=True)
class Interval:
    """Where a true value lies, at whatever moment one looks."""

    low: float
    high: float


def rate_evidence(tally: Tally, limit: float, *, side: Side) -> float:
    """Return the logarithm of the evidence that a rate lies beyond a limit."""
    beyond = tally.rate > limit if side == "above" else tally.rate < limit
    if not tally.n or not beyond:
        return 0.0
    return max(0.0, _mixed(tally, Prior()) - _likelihood(tally, limit))


def share_evidence(tally: Tally, share: float) -> float:
    """Return the logarithm of the evidence that a rate is another one than it should be."""
    return max(0.0, _mixed(tally, Prior()) - _likelihood(tally, share))


def pair_evidence(
    stable: Tally, candidate: Tally, line: Line, *, side: Side, prior: Prior | None = None
) -> float:
    """Return the logarithm of the evidence that the candidate's rate lies beyond a line of the stable one's.

    `prior`: of the stable rate, from runs before those that are compared.
    """
    if not stable.n or not candidate.n:
        return 0.0
    allowed = line.at(stable.rate)
    beyond = candidate.rate > allowed if side == "above" else candidate.rate < allowed
    return max(0.0, _against(stable, candidate, line, prior or Prior())) if beyond else 0.0


def mean_evidence(sample: Sample, limit: float, *, side: Side, tuned: int) -> float:
    """Return the logarithm of the evidence that a mean lies beyond a limit; `tuned`: for how many it is sharpest."""
    return _mean_evidence(sample.mean - limit, sample.variance / max(sample.n, 1), sample.n, side, tuned)


def means_evidence(stable: Sample, candidate: Sample, line: Line, *, side: Side, tuned: int) -> float:
    """Return the logarithm of the evidence that the candidate's mean lies beyond a line of the stable one's."""
    if not stable.n or not candidate.n:
        return 0.0
    variance, n = _of_difference(stable, candidate, line)
    return _mean_evidence(candidate.mean - line.at(stable.mean), variance, n, side, tuned)


def rate_interval(tally: Tally, *, alpha: float) -> Interval:
    """Return where a rate lies, but for a probability of `alpha` over all looks."""
    if not tally.n:
        return Interval(0.0, 1.0)
    enough, mixed = -math.log(alpha), _mixed(tally, Prior())

    def outside(rate: float) -> bool:
        return mixed - _likelihood(tally, rate) >= enough

    return _around(tally.rate, outside, low=0.0, high=1.0)


def gap_interval(stable: Tally, candidate: Tally, *, alpha: float, prior: Prior | None = None) -> Interval:
    """Return where the difference of two rates lies."""
    if not stable.n or not candidate.n:
        return Interval(-1.0, 1.0)

    def outside(gap: float) -> bool:
        return _against(stable, candidate, Line(1.0, gap), prior or Prior()) >= -math.log(alpha)

    return _around(candidate.rate - stable.rate, outside, low=-1.0, high=1.0)


def ratio_interval(
    stable: Tally, candidate: Tally, *, alpha: float, prior: Prior | None = None, high: float = 1_000.0
) -> Interval:
    """Return where the ratio of two rates lies; no higher than `high` is looked."""
    if not stable.n or not candidate.n or not stable.hits:
        return Interval(0.0, math.inf)

    def outside(ratio: float) -> bool:
        return _against(stable, candidate, Line(ratio), prior or Prior()) >= -math.log(alpha)

    found = _around(min(candidate.rate / stable.rate, high), outside, low=0.0, high=high)
    return Interval(found.low, math.inf if found.high >= high else found.high)


def mean_interval(sample: Sample, *, alpha: float, tuned: int) -> Interval:
    """Return where a mean lies, but for a probability of `alpha` on either side."""
    reach = _reach(sample.variance / max(sample.n, 1), sample.n, alpha, tuned)
    return Interval(sample.mean - reach, sample.mean + reach)


def means_ratio_interval(stable: Sample, candidate: Sample, *, alpha: float, tuned: int) -> Interval:
    """Return where the ratio of two means above 0 lies."""
    if stable.n < 2 or candidate.n < 2 or stable.mean <= 0:
        return Interval(0.0, math.inf)

    def outside(ratio: float) -> bool:
        variance, n = _of_difference(stable, candidate, Line(ratio))
        return abs(candidate.mean - ratio * stable.mean) > _reach(variance, n, alpha, tuned)

    found = _around(candidate.mean / stable.mean, outside, low=0.0, high=1_000.0)
    return Interval(found.low, math.inf if found.high >= 1_000.0 else found.high)


def quantile_tallies(share: float, *, stable: int, candidate: int, beyond: int) -> tuple[Tally, Tally, Prior]:
    """Return two rates that stand for a quantile: how many lie beyond the stable one's `share`-quantile.

    `beyond`: of the candidate's, those beyond it times what is allowed. An approximation: the stable quantile is
    itself measured; that so many of the stable ones lie beyond it carries its uncertainty.
    """
    rest = 1.0 - share
    own = Tally(stable, round(rest * stable))
    return own, Tally(candidate, beyond), Prior(100 * rest, 100 * share)


def _against(stable: Tally, candidate: Tally, line: Line, prior: Prior) -> float:
    mixed = _mixed(stable, prior) + _mixed(candidate, Prior())
    return mixed - _largest_on(stable, candidate, line)


def _mixed(tally: Tally, prior: Prior) -> float:
    """Return the logarithm of the likelihood, averaged over the prior."""
    hits, others = prior.hits, prior.others
    return _log_beta(hits + tally.hits, others + tally.n - tally.hits) - _log_beta(hits, others)


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def _likelihood(tally: Tally, rate: float) -> float:
    return _times_log(tally.hits, rate) + _times_log(tally.n - tally.hits, 1.0 - rate)


def _times_log(count: int, share: float) -> float:
    if not count:
        return 0.0
    return count * math.log(share) if share > 0.0 else -math.inf


def _largest_on(stable: Tally, candidate: Tally, line: Line) -> float:
    """Return the largest logarithm of the likelihood of both rates on a line, along which it is concave."""
    low, high = _ends(line)
    if low >= high:
        return -math.inf
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if _slope(stable, middle) + line.ratio * _slope(candidate, line.at(middle)) > 0:
            low = middle
        else:
            high = middle
    at = (low + high) / 2
    return _likelihood(stable, at) + _likelihood(candidate, min(1.0, max(0.0, line.at(at))))


def _ends(line: Line) -> tuple[float, float]:
    """Return between which stable rates both rates are rates."""
    if line.ratio == 0:
        return 0.0, 1.0
    return max(0.0, -line.gap / line.ratio), min(1.0, (1.0 - line.gap) / line.ratio)


def _slope(tally: Tally, rate: float) -> float:
    rising = tally.hits / rate if rate > 0 else (math.inf if tally.hits else 0.0)
    others = tally.n - tally.hits
    falling = others / (1.0 - rate) if rate < 1 else (math.inf if others else 0.0)
    return rising - falling if math.isfinite(rising) or math.isfinite(falling) else 0.0


def _of_difference(stable: Sample, candidate: Sample, line: Line) -> tuple[float, int]:
    """Return the variance of the difference from a line, and how many pairs of runs it is worth."""
    variance = candidate.variance / candidate.n + line.ratio**2 * stable.variance / stable.n
    return variance, max(1, stable.n * candidate.n // (stable.n + candidate.n))


def _mean_evidence(excess: float, variance: float, n: int, side: Side, tuned: int) -> float:
    """Return -log of the smallest alpha at which a mean's interval, open on the bad side, leaves out the limit."""
    excess = excess if side == "above" else -excess
    if n < 2 or excess <= 0:
        return 0.0
    if variance <= 0:
        return math.inf
    scaled = n * _rho2(tuned)
    power = excess**2 / variance * scaled / (2 * (scaled + 1))
    # Where the reach is the excess: twice alpha is the root of (scaled + 1) over (e to the power, less 1).
    return max(0.0, math.log(2) + power + math.log1p(-math.exp(-power)) - 0.5 * math.log(scaled + 1))


def _reach(variance: float, n: int, alpha: float, tuned: int) -> float:
    """Return how far the interval of a mean reaches, with `alpha` to either side."""
    if n < 2:
        return math.inf
    scaled = n * _rho2(tuned)
    return math.sqrt(variance * 2 * (scaled + 1) / scaled * math.log1p(math.sqrt(scaled + 1) / (2 * alpha)))


def _rho2(tuned: int) -> float:
    """Return the parameter that makes the interval narrowest at `tuned` numbers, for an alpha of 1 %."""
    twice = -2 * math.log(0.01)
    return (twice + math.log(twice) + 1) / tuned


def _around(inside: float, outside: Callable[[float], bool], *, low: float, high: float) -> Interval:
    """Return the interval around a point that is in it, by bisection to either side."""
    return Interval(_edge(inside, low, outside), _edge(inside, high, outside))


def _edge(inside: float, limit: float, outside: Callable[[float], bool]) -> float:
    if not outside(limit):
        return limit
    for _ in range(_STEPS // 2 + 10):
        middle = (inside + limit) / 2
        if outside(middle):
            limit = middle
        else:
            inside = middle
    return limit
