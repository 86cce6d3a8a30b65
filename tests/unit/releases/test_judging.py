"""Limits and figures into verdicts and words."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows.releases import judging
from workflows.releases.judging import Arm, Figures, Judged
from workflows.releases.sequential import Sample, Tally
from workflows.spec import rollouts as spec


def analysis(*metrics: dict[str, Any], **given: Any) -> spec.Analysis:
    body = {"steps": [{"analysis": "a"}], "analyses": {"a": {"metrics": list(metrics), **given}}}
    return spec.parse(body).analyses["a"]


def judged(metric: dict[str, Any], *, stable: Arm, candidate: Arm, slower: Any = None) -> Judged:
    figures = Figures(stable=stable, candidate=candidate, slower=slower or {})
    return judging.judge(analysis(metric), figures, tests=1)


def runs(n: int, failed: int = 0, **more: Any) -> Arm:
    return Arm(runs=n, failed=failed, **more)


@pytest.mark.parametrize(
    ("metric", "failed", "verdict"),
    [
        ({"max_increase": 0.05}, 2, "pass"),
        ({"max_increase": 0.05}, 9, "wait"),
        ({"max_increase": 0.05}, 40, "fail"),
        ({"max": 0.02}, 2, "pass"),
        ({"max": 0.02}, 3, "wait"),
        ({"max": 0.02}, 30, "fail"),
        ({"max_ratio": 2}, 4, "pass"),
        ({"max_ratio": 2}, 40, "fail"),
    ],
)
def test_failures(metric: dict[str, float], failed: int, verdict: str) -> None:
    found = judged({"name": "failure_rate", **metric}, stable=runs(1_000, 20), candidate=runs(100, failed))
    assert found.verdict == verdict


@pytest.mark.parametrize(("invalid", "verdict"), [(0, "pass"), (3, "wait"), (30, "fail")])
@pytest.mark.parametrize("limit", [{"min": 0.98}, {"min_ratio": 0.98}])
def test_valid_output(limit: dict[str, float], invalid: int, verdict: str) -> None:
    found = judged(
        {"name": "valid_output_rate", **limit}, stable=runs(1_000), candidate=runs(100, invalid=invalid)
    )
    assert found.verdict == verdict


@pytest.mark.parametrize(("mean", "verdict"), [(0.01, "pass"), (0.0152, "wait"), (0.03, "fail")])
@pytest.mark.parametrize("limit", [{"max": 0.015}, {"max_ratio": 1.5}])
def test_costs(limit: dict[str, float], mean: float, verdict: str) -> None:
    found = judged(
        {"name": "cost_per_run", **limit},
        stable=runs(1_000, cost=Sample(1_000, 0.01, 0.000025)),
        candidate=runs(100, cost=Sample(100, mean, 0.000025)),
    )
    assert found.verdict == verdict


@pytest.mark.parametrize(
    ("p95_s", "slower", "verdict"), [(2.5, 3, "pass"), (3.5, 9, "wait"), (6.0, 40, "fail")]
)
@pytest.mark.parametrize("limit", [{"max": 3.0}, {"max_ratio": 1.5}])
def test_latencies(limit: dict[str, float], p95_s: float, slower: int, verdict: str) -> None:
    found = judged(
        {"name": "latency_p95", **limit},
        stable=runs(1_000, timed=1_000, p95_s=2.0),
        candidate=runs(100, timed=100, p95_s=p95_s),
        slower={3.0: slower},
    )
    assert found.verdict == verdict
    assert "3 s" in found.results[0].words


@given(st.integers(0, 29), st.integers(0, 5_000))
def test_with_too_few_runs_nothing_is_judged(n: int, n_stable: int) -> None:
    for metric in ({"max_increase": 0.0}, {"max": 0.0}):
        found = judged({"name": "failure_rate", **metric}, stable=runs(n_stable, 0), candidate=runs(n, n))
        assert found.verdict == "wait"
        assert "at least 30 are needed" in found.words


def test_a_limit_beside_the_stable_release_needs_stable_runs_too() -> None:
    figures = {"stable": runs(10), "candidate": runs(100)}
    assert judged({"name": "failure_rate", "max_increase": 0.1}, **figures).verdict == "wait"
    assert judged({"name": "failure_rate", "max": 0.1}, **figures).verdict == "pass"


def test_costs_that_are_not_known_are_never_a_pass() -> None:
    metric = {"name": "cost_per_run", "max_ratio": 1.5}
    assert judged(metric, stable=runs(1_000), candidate=runs(100)).verdict == "wait"


def test_a_dry_run_is_told_and_decides_nothing() -> None:
    wanted = analysis(
        {"name": "failure_rate", "max": 0.01, "dry_run": True}, {"name": "failure_rate", "max_increase": 1}
    )
    found = judging.judge(wanted, Figures(stable=runs(99), candidate=runs(99, 60)), tests=1)
    assert [result.verdict for result in found.results] == ["fail", "pass"]
    assert found.verdict == "pass"
    assert found.words == "Every limit is kept, by 99 candidate runs."


def test_one_limit_that_is_broken_is_enough_and_is_what_is_told() -> None:
    wanted = analysis({"name": "failure_rate", "max": 0.5, "max_increase": 0.01})
    found = judging.judge(wanted, Figures(stable=runs(900, 9), candidate=runs(100, 30)), tests=2)
    assert (found.verdict, [result.verdict for result in found.results]) == ("fail", ["pass", "fail"])
    assert found.words == (
        "failure_rate: 30 % of 100 candidate runs, 1 % of 900 stable ones: +29.0 points (between "
        f"{found.results[1].interval.low * 100:+.1f} points and {found.results[1].interval.high * 100:+.1f} points); "  # type: ignore[union-attr]
        "allowed is +1.0 points. The limit is broken."
    )


def test_more_limits_ask_for_more_evidence() -> None:
    wanted = analysis({"name": "failure_rate", "max_increase": 0.01})
    figures = Figures(stable=runs(900, 9), candidate=runs(60, 9))
    verdicts = [judging.judge(wanted, figures, tests=tests).verdict for tests in (1, 100_000)]
    assert verdicts == ["fail", "wait"]


@pytest.mark.parametrize(("hits", "told"), [(50, False), (62, False), (5, True), (110, True)])
def test_a_split_that_is_off_is_told(hits: int, told: bool) -> None:
    assert (judging.mismatch(Tally(1_000, hits), 5.0) is not None) == told


def test_with_one_release_alone_there_is_no_split() -> None:
    assert judging.mismatch(Tally(1_000, 0), 0.0) is None
    assert judging.mismatch(Tally(1_000, 10), 100.0) is None


def test_an_end_that_is_nowhere_is_null_in_json() -> None:
    metric = {"name": "failure_rate", "max_ratio": 2}
    [result] = judged(metric, stable=runs(100), candidate=runs(100, 5)).results
    assert result.as_json()["interval"] == [0.0, None]
