"""How good the verdicts of rollouts are: false alarms, and how soon a regression is found. Simulated; no server.

`python -m tests.benchmarks rollouts_statistics`: 10,000 rollouts of each kind, looked at again and again.
What theory allows: with both rates known beforehand, no test that errs so seldom needs fewer runs in the mean than
log(1/alpha) / D, where D is what one run tells apart (Wald; the Kullback-Leibler divergence from the nearest pair of
rates within the limit). Who has to learn the candidate's rate meanwhile pays half a logarithm of the number of runs
more (Rissanen), and nobody can pay less for all rates.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from statistics import fmean
from typing import Final

import numpy as np

from tests.benchmarks import frame
from tests.benchmarks.frame import Row, Stand
from workflows.releases import sequential
from workflows.releases.judging import FALSE_ALARM, MISMATCH
from workflows.releases.sequential import Line, Prior, Sample, Tally

ROLLOUTS: Final = 10_000
LIMITS: Final = 4  # in one rollout: a quarter of the false alarms for each
ALPHA: Final = FALSE_ALARM / LIMITS
MINIMUM: Final = 30
GAP: Final = 0.01  # max_increase
STABLE, WORSE = 0.05, 0.15
# One candidate run for so many stable ones: a weight of 5 %, and one of 50 %.
SHARES: Final = {5: 19, 50: 1}
LOOKS: Final = 100
EVERY: Final = 5  # candidate runs between two looks where the length of the search is measured

Random = np.random.Generator


@dataclass(frozen=True)
class Outcome:
    """Whether an alarm was raised, and after how many candidate runs."""

    alarmed: bool
    runs: int


def rates(
    random: Random, *, candidate: float, share: int, looks: int, every: int, learned: int = 0
) -> Outcome:
    """Look at failures until the limit counts as broken. `learned`: stable runs from before the rollout."""
    prior = Prior.of(Tally(learned, int(random.binomial(learned, STABLE)))) if learned else Prior()
    failed, stable_failed = 0, 0
    for look in range(1, looks + 1):
        failed += int(random.binomial(every, candidate))
        stable_failed += int(random.binomial(every * share, STABLE))
        runs = look * every
        if runs < MINIMUM or runs * share < MINIMUM:
            continue
        stable, own = Tally(runs * share, stable_failed), Tally(runs, failed)
        evidence = sequential.pair_evidence(stable, own, Line(1.0, GAP), side="above", prior=prior)
        if evidence >= -math.log(ALPHA):
            return Outcome(True, runs)
    return Outcome(False, looks * every)


def costs(random: Random, *, share: int, looks: int, every: int) -> Outcome:
    """Look at costs that are skewed (log-normal) and stand exactly at a limit of 1.5 times."""
    own, stable = random.lognormal(0, 1, looks * every) * 1.5, random.lognormal(0, 1, looks * every * share)
    for look in range(1, looks + 1):
        runs = look * every
        if runs < MINIMUM:
            continue
        evidence = sequential.means_evidence(
            _sample(stable[: runs * share]), _sample(own[:runs]), Line(1.5), side="above", tuned=MINIMUM
        )
        if evidence >= -math.log(ALPHA):
            return Outcome(True, runs)
    return Outcome(False, looks * every)


def latencies(random: Random, *, share: int, looks: int, every: int) -> Outcome:
    """Look at times (log-normal) whose p95 stands exactly at a limit of 1.5 times."""
    own, stable = random.lognormal(0, 1, looks * every) * 1.5, random.lognormal(0, 1, looks * every * share)
    for look in range(1, looks + 1):
        runs = look * every
        if runs < MINIMUM:
            continue
        seen = stable[: runs * share]
        p95 = float(np.partition(seen, math.ceil(0.95 * len(seen)) - 1)[math.ceil(0.95 * len(seen)) - 1])
        slower = int((own[:runs] > 1.5 * p95).sum())
        tallies = sequential.quantile_tallies(0.95, stable=len(seen), candidate=runs, beyond=slower)
        evidence = sequential.pair_evidence(*tallies[:2], Line(), side="above", prior=tallies[2])
        if evidence >= -math.log(ALPHA):
            return Outcome(True, runs)
    return Outcome(False, looks * every)


def splits(random: Random, *, weight: float, looks: int, every: int) -> Outcome:
    """Look at a split of the runs that is as it should be."""
    hits = 0
    for look in range(1, looks + 1):
        hits += int(random.binomial(every, weight))
        if sequential.share_evidence(Tally(look * every, hits), weight) >= -math.log(MISMATCH):
            return Outcome(True, look * every)
    return Outcome(False, looks * every)


def _sample(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Sample:
    return Sample(len(values), float(values.mean()), float(values.var(ddof=1)))


Simulation = Callable[[Random], Outcome]


def _simulate(seed: int, simulation: Simulation, count: int) -> list[Outcome]:
    random = np.random.default_rng(seed)
    return [simulation(random) for _ in range(count)]


def simulate(simulation: Simulation, count: int) -> list[Outcome]:
    """Run a simulation so often, on every core; the same figures each time."""
    parts = 20
    with ProcessPoolExecutor() as pool:
        found = pool.map(_simulate, range(parts), [simulation] * parts, [max(1, count // parts)] * parts)
        return [outcome for part in found for outcome in part]


def divergence(a: float, b: float) -> float:
    """Return the Kullback-Leibler divergence of two rates."""
    return a * math.log(a / b) + (1 - a) * math.log((1 - a) / (1 - b))


def told_by_a_run(share: int) -> float:
    """Return what one candidate run and its stable ones tell the rates apart from the nearest pair in the limit."""
    pairs = (STABLE + step * (WORSE - GAP - STABLE) / 10_000 for step in range(10_001))
    return min(share * divergence(STABLE, rate) + divergence(WORSE, rate + GAP) for rate in pairs)


def learning_bound(told: float) -> float:
    """Return how many candidate runs are needed where the candidate's rate is learned on the way."""
    runs = 1.0
    for _ in range(200):
        runs = (-math.log(ALPHA) + 0.5 * math.log(max(runs, 2) / (2 * math.pi)) + math.log(math.pi)) / told
    return runs


def measure(stand: Stand | None, rounds: int, scale: float) -> list[Row]:
    """Return false alarms, then the length of the search."""
    count = max(100, int(ROLLOUTS * scale))
    alarms: dict[str, tuple[Simulation, float]] = {}
    for weight, share in SHARES.items():
        at_limit = partial(rates, candidate=STABLE + GAP, share=share, looks=LOOKS, every=20)
        same = partial(rates, candidate=STABLE, share=share, looks=LOOKS, every=20, learned=1_000)
        alarms[f"failures exactly at the limit, weight {weight} %"] = (at_limit, ALPHA)
        alarms[f"failures alike, stable learned before, weight {weight} %"] = (same, ALPHA)
    alarms["costs exactly at 1.5 ×, skewed (approximation), weight 50 %"] = (
        partial(costs, share=1, looks=LOOKS, every=10),
        ALPHA,
    )
    alarms["p95 exactly at 1.5 × (approximation), weight 50 %"] = (
        partial(latencies, share=1, looks=LOOKS, every=10),
        ALPHA,
    )
    alarms["a right split of 5 %"] = (partial(splits, weight=0.05, looks=LOOKS, every=100), MISMATCH)
    rows = [_false_alarms(what, *given, count) for what, given in alarms.items()]
    for weight, share in SHARES.items():
        for learned in (1_000, 0):
            rows.append(_search(weight, share, learned, count))
    return rows


def _false_alarms(what: str, simulation: Simulation, allowed: float, count: int) -> Row:
    outcomes = simulate(simulation, count)
    rate = fmean(outcome.alarmed for outcome in outcomes)
    frame.note(f"{what}: {rate:.3%}")
    # Three standard errors: so much may be chance in the simulation itself.
    slack = 3 * math.sqrt(allowed * (1 - allowed) / len(outcomes))
    return Row(
        what=f"{len(outcomes):,} rollouts, {LOOKS} looks: {what}: false alarms",
        ours=f"{rate:.2%}",
        goal=f"≤ {allowed:.2%} of one limit",
        met=rate <= allowed + slack,
    )


def _search(weight: int, share: int, learned: int, count: int) -> Row:
    simulation = partial(rates, candidate=WORSE, share=share, looks=2_000, every=EVERY, learned=learned)
    outcomes = simulate(simulation, count)
    runs = fmean(outcome.runs for outcome in outcomes)
    told = told_by_a_run(share)
    bound, known = learning_bound(told), -math.log(ALPHA) / told
    frame.note(f"weight {weight} %, {learned} learned: {runs:.0f} runs, bound {bound:.0f}, known {known:.0f}")
    before = f"{learned:,} stable runs from before" if learned else "nothing known of the stable release"
    return Row(
        what=f"failures 5 % → 15 %, weight {weight} %, {before}: candidate runs until it is found, mean",
        ours=f"{runs:.0f}",
        baseline=f"{bound:.0f} in theory, {known:.0f} with both rates known",
        ratio=f"{runs / bound:.2f} ×",
        goal="≤ 1.2 × theory" if learned else "–",
        met=runs <= 1.2 * bound if learned else None,
    )


if __name__ == "__main__":
    given = frame.arguments()
    frame.print_table(measure(None, given.rounds, 0.1 if given.quick else 1.0))
