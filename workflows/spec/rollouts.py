"""The `rollout` of an Environment document: what is wrong with it, and what it says (pure).

May not: know how anything is measured, or where a rollout stands.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from workflows.spec import durations, near, templates
from workflows.spec.kinds import unsupported
from workflows.spec.places import Path
from workflows.spec.schema import Problem

Json = Any
STICKY: Final = "{{ session.id or run.id }}"
SEES: Final = frozenset({"input", "run", "session", "environment"})
# What can be measured, and how a candidate may be held to it.
METRICS: Final[Mapping[str, tuple[str, ...]]] = {
    "failure_rate": ("max", "max_increase", "max_ratio"),
    "latency_p95": ("max", "max_ratio"),
    "cost_per_run": ("max", "max_ratio"),
    "valid_output_rate": ("min", "min_ratio"),
}
RATES: Final = frozenset({"failure_rate", "valid_output_rate"})
RELATIVE: Final = frozenset({"max_increase", "max_ratio", "min_ratio"})
THRESHOLDS: Final = ("max", "min", "max_increase", "max_ratio", "min_ratio")
STEPS: Final = ("weight", "pause", "analysis", "shadow", "backtest")
INTERVAL: Final = "60s"
COUNT: Final = 10
MINIMUM_RUNS: Final = 30


@dataclass(frozen=True)
class Threshold:
    """One limit of one metric. `dry_run`: it is measured and shown, and decides nothing."""

    metric: str
    kind: str
    limit: float
    dry_run: bool = False


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """What is measured at a step, how often, and what follows."""

    name: str
    thresholds: tuple[Threshold, ...]
    interval_s: float
    count: int
    minimum_runs: int
    initial_delay_s: float
    failure_limit: int
    inconclusive_limit: int
    on_fail: Literal["rollback", "pause"]
    inconclusive: Literal["pause", "rollback"]


@dataclass(frozen=True)
class Step:
    """A weight in percent; a pause, in seconds or (None) until a person promotes; or an analysis."""

    kind: Literal["weight", "pause", "analysis"]
    weight: float = 0.0
    pause_s: float | None = None
    analysis: str = ""


@dataclass(frozen=True)
class Plan:
    sticky: str
    steps: tuple[Step, ...]
    analyses: Mapping[str, Analysis]
    progress_deadline_s: float | None = None

    @property
    def tests(self) -> int:
        """How many limits are looked at in the whole rollout: a false alarm is shared out among them."""
        steps = (self.analyses[step.analysis] for step in self.steps if step.kind == "analysis")
        return max(1, sum(not limit.dry_run for analysis in steps for limit in analysis.thresholds))


def parse(body: Mapping[str, Json]) -> Plan:
    """Return what a `rollout` that was checked says."""
    return Plan(
        sticky=body.get("sticky", STICKY),
        steps=tuple(_step(step) for step in body["steps"]),
        analyses={name: _analysis(name, given) for name, given in body.get("analyses", {}).items()},
        progress_deadline_s=durations.optional_seconds(body.get("progress_deadline")),
    )


def _step(step: Mapping[str, Json]) -> Step:
    if "weight" in step:
        return Step("weight", weight=float(step["weight"]))
    if "pause" in step:
        return Step("pause", pause_s=durations.optional_seconds(step["pause"].get("for")))
    return Step("analysis", analysis=step["analysis"])


def _analysis(name: str, given: Mapping[str, Json]) -> Analysis:
    return Analysis(
        name=name,
        thresholds=tuple(limit for metric in given["metrics"] for limit in _thresholds(metric)),
        interval_s=durations.seconds(given.get("interval", INTERVAL)),
        count=given.get("count", COUNT),
        minimum_runs=given.get("minimum_runs", MINIMUM_RUNS),
        initial_delay_s=durations.seconds(given.get("initial_delay", "0s")),
        failure_limit=given.get("failure_limit", 0),
        inconclusive_limit=given.get("inconclusive_limit", 0),
        on_fail=given.get("on_fail", "rollback"),
        inconclusive=given.get("inconclusive", "pause"),
    )


def _thresholds(metric: Mapping[str, Json]) -> Iterator[Threshold]:
    for kind in THRESHOLDS:
        if kind in metric:
            yield Threshold(metric["name"], kind, float(metric[kind]), metric.get("dry_run", False))


def problems(body: Mapping[str, Json]) -> Iterator[Problem]:
    """Say what is wrong with a `rollout` whose shape is right; the paths begin inside it."""
    analyses = body.get("analyses", {})
    if "sticky" in body:
        yield from _sticky(body["sticky"])
    yield from _steps(body["steps"], analyses)
    for name, analysis in analyses.items():
        seen: set[tuple[str, str]] = set()
        for index, metric in enumerate(analysis["metrics"]):
            yield from _metric(metric, ("analyses", name, "metrics", index), seen)


def _sticky(text: str) -> Iterator[Problem]:
    try:
        roots = templates.roots_in(text)
    except templates.TemplateError as error:
        yield ("sticky",), error.message
        return
    if not roots:
        yield (
            ("sticky",),
            "is the same for every run; name what is to stay with one release: {{ session.id }}",
        )
    for root in sorted(roots - SEES):
        yield ("sticky",), f"names {root!r}; before a run starts there are {', '.join(sorted(SEES))}"


def _steps(steps: list[Mapping[str, Json]], analyses: Mapping[str, Json]) -> Iterator[Problem]:
    weight = 0.0
    for index, step in enumerate(steps):
        path: Path = ("steps", index)
        for kind in ("shadow", "backtest"):
            if kind in step:
                yield (*path, kind), unsupported(f"a `{kind}` step")
        if "weight" in step:
            if step["weight"] <= weight:
                yield (*path, "weight"), f"weights rise from step to step; before this one it is {weight:g}"
            weight = max(weight, step["weight"])
        elif "analysis" in step:
            yield from _analysis_step(step["analysis"], (*path, "analysis"), weight, analyses)
    if not any("weight" in step for step in steps):
        yield ("steps",), "a rollout needs at least one `weight`"


def _analysis_step(name: str, path: Path, weight: float, analyses: Mapping[str, Json]) -> Iterator[Problem]:
    if name not in analyses:
        listed = ", ".join(sorted(analyses)) or "there are none"
        yield path, f"there is no analysis {name!r} ({listed}){near.meant(name, analyses)}"
        return
    if not weight:
        yield path, "before the first `weight` no run has the candidate: there is nothing to measure"
    relative = [m["name"] for m in analyses[name]["metrics"] if isinstance(m, dict) and RELATIVE & set(m)]
    if weight >= 100 and relative:
        yield (
            path,
            f"compares {relative[0]} with the stable release, which gets no runs at weight 100; put it before that",
        )


def _metric(metric: Mapping[str, Json], path: Path, seen: set[tuple[str, str]]) -> Iterator[Problem]:
    name = metric["name"]
    if name.startswith("score:"):
        yield (*path, "name"), unsupported("a metric of scores")
        return
    if name not in METRICS:
        yield (
            (*path, "name"),
            f"there is no metric {name!r}; there are {', '.join(METRICS)}{near.meant(name, METRICS)}",
        )
        return
    given = [kind for kind in THRESHOLDS if kind in metric]
    allowed = METRICS[name]
    if not given:
        yield path, f"needs a limit: one of {', '.join(allowed)}"
    for kind in given:
        if kind not in allowed:
            yield (*path, kind), f"{name} is not held to this; it may have {', '.join(allowed)}"
        elif name in RATES and kind not in ("max_ratio", "min_ratio") and metric[kind] > 1:
            yield (*path, kind), "is a share of the runs: from 0 to 1"
        if (name, kind) in seen:
            yield (*path, kind), f"{name} has a `{kind}` already"
        seen.add((name, kind))
