"""What was measured, held against the limits of an analysis: a verdict for each, with its numbers in words (pure).

May not: read anything, or decide what becomes of the rollout; `machine` does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from workflows.releases import sequential
from workflows.releases.sequential import Interval, Line, Prior, Sample, Side, Tally
from workflows.spec.rollouts import RELATIVE, Analysis, Threshold

Verdict = Literal["pass", "wait", "fail"]
# The probability that a rollout whose candidate keeps to every limit is found to break one, however often one looks.
FALSE_ALARM: Final = 0.05
# The same for the split of the runs. Smaller: it is looked at in every step.
MISMATCH: Final = 0.001
_P95: Final = 0.95
_NO_COSTS: Final = Sample(0, 0.0, 0.0)
_NO_KEYS: Final = Tally(0, 0)


@dataclass(frozen=True, kw_only=True)
class Arm:
    """What is known of the ended runs of one release. `cost`: of the runs whose cost is known."""

    runs: int = 0
    failed: int = 0
    invalid: int = 0
    cost: Sample = _NO_COSTS
    timed: int = 0
    p95_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Both releases side by side. `slower`: of the candidate's runs, by what they were held against in seconds.

    `keys`: how many different sticky values came, and how many of them got the candidate.
    """

    stable: Arm = Arm()
    candidate: Arm = Arm()
    history: Arm = Arm()
    slower: Mapping[float, int] = field(default_factory=dict)
    keys: Tally = _NO_KEYS


@dataclass(frozen=True, kw_only=True)
class Result:
    """One limit. `interval`: where `of` lies (the candidate's value, the increase, the ratio, the slower share)."""

    threshold: Threshold
    verdict: Verdict
    words: str
    stable: float | None
    candidate: float | None
    n: int
    n_stable: int
    of: str
    interval: Interval | None

    def as_json(self) -> dict[str, Any]:
        """Write it down as the API gives it."""
        ends = None if self.interval is None else [_finite(self.interval.low), _finite(self.interval.high)]
        return {
            "name": self.threshold.metric,
            "stable": self.stable,
            "candidate": self.candidate,
            "n": self.n,
            "n_stable": self.n_stable,
            "interval": ends,
            "interval_of": self.of,
            "threshold": {self.threshold.kind: self.threshold.limit},
            "verdict": self.verdict,
            "words": self.words,
            "dry_run": self.threshold.dry_run,
        }


@dataclass(frozen=True)
class Judged:
    """The verdict over all limits that count, and each of them."""

    verdict: Verdict
    results: tuple[Result, ...]

    @property
    def words(self) -> str:
        """Say what decided it: what failed, else what is not settled, else that all is well."""
        counted = [result for result in self.results if not result.threshold.dry_run]
        if self.verdict == "pass" and counted:
            return f"Every limit is kept, by {min(result.n for result in counted):,} candidate runs."
        return " ".join(result.words for result in counted if result.verdict == self.verdict)


@dataclass(frozen=True)
class _Found:
    """What a metric gives for one limit, before it is judged."""

    log_evidence: float
    within: bool
    interval: Interval
    of: str
    told: str


def judge(analysis: Analysis, figures: Figures, *, tests: int) -> Judged:
    """Judge every limit; the false alarms of a whole rollout are shared out among its `tests`."""
    alpha = FALSE_ALARM / tests
    results = tuple(
        _result(limit, figures, analysis.minimum_runs, alpha=alpha) for limit in analysis.thresholds
    )
    verdicts = {result.verdict for result in results if not result.threshold.dry_run}
    overall: Verdict = "fail" if "fail" in verdicts else "wait" if "wait" in verdicts else "pass"
    return Judged(overall, results)


def mismatch(keys: Tally, weight: float) -> str | None:
    """Say that the runs were not split as they should be; None if nothing speaks for that."""
    if not 0 < weight < 100:
        return None
    if sequential.share_evidence(keys, weight / 100) < -math.log(MISMATCH):
        return None
    return (
        f"{keys.hits:,} of {keys.n:,} sticky values got the candidate, {_percent(keys.rate)} instead of "
        f"{weight:g} %: something keeps runs away from one release, so that they cannot be compared."
    )


def _result(limit: Threshold, figures: Figures, minimum: int, *, alpha: float) -> Result:
    metric = _METRICS[limit.metric]
    stable, candidate, n_stable, n = metric.values(figures)
    enough = n >= minimum and (n_stable >= minimum or limit.kind not in RELATIVE)
    found = metric.find(limit, figures, minimum, alpha) if n and (n_stable or enough) else None
    if found is None or not enough:
        verdict: Verdict = "wait"
        words = _too_few(limit, n, n_stable, minimum)
    else:
        broken = found.log_evidence >= -math.log(alpha)
        verdict = "fail" if broken else "pass" if found.within else "wait"
        words = f"{limit.metric}: {found.told} {_ENDINGS[verdict]}"
    return Result(
        threshold=limit,
        verdict=verdict,
        words=words,
        stable=stable,
        candidate=candidate,
        n=n,
        n_stable=n_stable,
        of=found.of if found else "",
        interval=found.interval if found else None,
    )


_ENDINGS: Final[Mapping[Verdict, str]] = {
    "fail": "The limit is broken.",
    "wait": "That is beyond the limit, but may be chance.",
    "pass": "The limit is kept.",
}


def _too_few(limit: Threshold, n: int, n_stable: int, minimum: int) -> str:
    stable = f" and {n_stable:,} stable" if limit.kind in RELATIVE else ""
    return f"{limit.metric}: {n:,} candidate{stable} runs so far; at least {minimum:,} are needed."


def _rate(limit: Threshold, stable: Tally, candidate: Tally, prior: Prior, alpha: float) -> _Found:
    """Judge a rate; `max` and `max_…` are bad above, `min` and `min_…` below."""
    side: Side = "above" if limit.kind.startswith("max") else "below"
    if limit.kind in ("max", "min"):
        return _Found(
            sequential.rate_evidence(candidate, limit.limit, side=side),
            _within(candidate.rate, limit.limit, side),
            sequential.rate_interval(candidate, alpha=alpha),
            "candidate",
            f"{_percent(candidate.rate)} of {candidate.n:,} candidate runs; "
            f"allowed is {_bound(side)} {_percent(limit.limit)}.",
        )
    line = Line(1.0, limit.limit) if limit.kind == "max_increase" else Line(limit.limit)
    evidence = sequential.pair_evidence(stable, candidate, line, side=side, prior=prior)
    both = (
        f"{_percent(candidate.rate)} of {candidate.n:,} candidate runs, "
        f"{_percent(stable.rate)} of {stable.n:,} stable ones"
    )
    if limit.kind == "max_increase":
        interval = sequential.gap_interval(stable, candidate, alpha=alpha, prior=prior)
        told = (
            f"{both}: {_points(candidate.rate - stable.rate)} (between {_points(interval.low)} and "
            f"{_points(interval.high)}); allowed is {_points(limit.limit)}."
        )
    else:
        interval = sequential.ratio_interval(stable, candidate, alpha=alpha, prior=prior)
        told = f"{both}; allowed is {_bound(side)} {limit.limit:g} ×."
    within = _within(candidate.rate, line.at(stable.rate), side)
    return _Found(evidence, within, interval, limit.kind.removeprefix("max_").removeprefix("min_"), told)


def _failure_rate(limit: Threshold, figures: Figures, _: int, alpha: float) -> _Found:
    stable, candidate = figures.stable, figures.candidate
    prior = Prior.of(Tally(figures.history.runs, figures.history.failed))
    return _rate(
        limit, Tally(stable.runs, stable.failed), Tally(candidate.runs, candidate.failed), prior, alpha
    )


def _valid_output(limit: Threshold, figures: Figures, _: int, alpha: float) -> _Found:
    stable, candidate = (
        Tally(arm.runs, arm.invalid).inverse() for arm in (figures.stable, figures.candidate)
    )
    prior = Prior.of(Tally(figures.history.runs, figures.history.invalid).inverse())
    return _rate(limit, stable, candidate, prior, alpha)


def _cost(limit: Threshold, figures: Figures, minimum: int, alpha: float) -> _Found:
    stable, candidate = figures.stable.cost, figures.candidate.cost
    if limit.kind == "max":
        return _Found(
            sequential.mean_evidence(candidate, limit.limit, side="above", tuned=minimum),
            candidate.mean <= limit.limit,
            sequential.mean_interval(candidate, alpha=alpha, tuned=minimum),
            "candidate",
            f"{_usd(candidate.mean)} in the mean of {candidate.n:,} candidate runs; allowed is {_usd(limit.limit)}.",
        )
    line = Line(limit.limit)
    interval = sequential.means_ratio_interval(stable, candidate, alpha=alpha, tuned=minimum)
    return _Found(
        sequential.means_evidence(stable, candidate, line, side="above", tuned=minimum),
        candidate.mean <= line.at(stable.mean),
        interval,
        "ratio",
        f"{_usd(candidate.mean)} in the mean of {candidate.n:,} candidate runs, {_usd(stable.mean)} of {stable.n:,} "
        f"stable ones{_times(candidate.mean, stable.mean, interval)}; allowed is {limit.limit:g} ×.",
    )


def _latency(limit: Threshold, figures: Figures, _: int, alpha: float) -> _Found:
    """Judge a quantile by how many runs lie beyond it, of which 5 % may."""
    stable, candidate = figures.stable, figures.candidate
    bound_s = latency_bound_s(limit, figures.stable) or 0.0
    slower = figures.slower.get(bound_s, 0)
    relative = limit.kind == "max_ratio"
    own, others, prior = sequential.quantile_tallies(
        _P95, stable=stable.timed, candidate=candidate.timed, beyond=slower
    )
    evidence = (
        sequential.pair_evidence(own, others, Line(), side="above", prior=prior)
        if relative
        else sequential.rate_evidence(others, 1 - _P95, side="above")
    )
    beside = f", {limit.limit:g} × the stable p95 of {stable.p95_s or 0:.3g} s" if relative else ""
    return _Found(
        evidence,
        (candidate.p95_s or 0.0) <= bound_s,
        sequential.rate_interval(others, alpha=alpha),
        "slower_share",
        f"p95 {candidate.p95_s or 0:.3g} s of {candidate.timed:,} candidate runs; {_percent(others.rate)} took longer "
        f"than {bound_s:.3g} s{beside}, where 5 % may.",
    )


def latency_bound_s(limit: Threshold, stable: Arm) -> float | None:
    """Return what 95 % of the candidate's runs have to keep to, in seconds; None while that is not known."""
    if limit.kind == "max":
        return limit.limit
    return None if stable.p95_s is None else limit.limit * stable.p95_s


Values = tuple[float | None, float | None, int, int]


@dataclass(frozen=True)
class _Metric:
    """How a metric is read off the figures (stable, candidate, and how many runs each), and judged."""

    values: Callable[[Figures], Values]
    find: Callable[[Threshold, Figures, int, float], _Found]


def _share_of(count: Callable[[Arm], int]) -> Callable[[Figures], Values]:
    def values(figures: Figures) -> Values:
        stable, candidate = figures.stable, figures.candidate
        rates = (count(arm) / arm.runs if arm.runs else None for arm in (stable, candidate))
        return next(rates), next(rates), stable.runs, candidate.runs

    return values


def _costs(figures: Figures) -> Values:
    stable, candidate = figures.stable.cost, figures.candidate.cost
    return stable.mean if stable.n else None, candidate.mean if candidate.n else None, stable.n, candidate.n


def _latencies(figures: Figures) -> Values:
    stable, candidate = figures.stable, figures.candidate
    return stable.p95_s, candidate.p95_s, stable.timed, candidate.timed


_METRICS: Final[Mapping[str, _Metric]] = {
    "failure_rate": _Metric(_share_of(lambda arm: arm.failed), _failure_rate),
    "latency_p95": _Metric(_latencies, _latency),
    "cost_per_run": _Metric(_costs, _cost),
    "valid_output_rate": _Metric(_share_of(lambda arm: arm.runs - arm.invalid), _valid_output),
}


def _within(value: float, limit: float, side: Side) -> bool:
    return value <= limit if side == "above" else value >= limit


def _bound(side: Side) -> str:
    return "at most" if side == "above" else "at least"


def _times(candidate: float, stable: float, interval: Interval) -> str:
    if stable <= 0:
        return ""
    high = "more" if math.isinf(interval.high) else f"{interval.high:.2f}"
    return f": {candidate / stable:.2f} × (between {interval.low:.2f} and {high})"


def _percent(share: float) -> str:
    return f"{share * 100:.3g} %"


def _points(gap: float) -> str:
    return f"{gap * 100:+.1f} points"


def _usd(amount: float) -> str:
    return f"${amount:.4g}"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def as_json(results: Sequence[Result]) -> list[dict[str, Any]]:
    """Write results down as the API gives them."""
    return [result.as_json() for result in results]
