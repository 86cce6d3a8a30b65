"""What is said of an Environment document that is wrong, and where."""

from __future__ import annotations

import json
from typing import Any

import pytest

from workflows.spec import documents, rollouts
from workflows.spec.check import Catalog, check
from workflows.spec.documents import SourceText

METRICS = [{"name": "failure_rate", "max": 0.1}]


def told(rollout: Any, **more: Any) -> list[str]:
    body = {"kind": "Environment", "name": "live", "rollout": rollout, **more}
    loaded = documents.load([SourceText("e.json", json.dumps(body), "json")])
    assert not loaded.errors
    return [f"{error.path}: {error.message}" for error in check(loaded.documents, catalog=Catalog())]


def with_metric(**metric: Any) -> Any:
    return {"steps": [{"weight": 5}, {"analysis": "a"}], "analyses": {"a": {"metrics": [metric]}}}


def test_a_right_one_is_right_and_read_as_it_stands() -> None:
    body = {
        "sticky": "{{ input.customer }}",
        "steps": [
            {"weight": 5},
            {"pause": {"for": "15m"}},
            {"analysis": "a"},
            {"pause": {}},
            {"weight": 100},
        ],
        "analyses": {
            "a": {"metrics": [{"name": "failure_rate", "max": 0.1, "max_increase": 0.02}], "count": 3}
        },
        "progress_deadline": "2h",
    }
    assert told(body, protected=True, variables={"tone": "dry"}) == []
    plan = rollouts.parse(body)
    assert [step.kind for step in plan.steps] == ["weight", "pause", "analysis", "pause", "weight"]
    assert [step.pause_s for step in plan.steps if step.kind == "pause"] == [900.0, None]
    assert (plan.tests, plan.progress_deadline_s, plan.analyses["a"].count) == (2, 7200.0, 3)


@pytest.mark.parametrize(
    ("rollout", "message"),
    [
        (
            {"steps": [{"weight": 5}, {"weight": 5}]},
            "rollout.steps[1].weight: weights rise from step to step",
        ),
        ({"steps": [{"weight": 25}, {"weight": 5}]}, "before this one it is 25"),
        ({"steps": [{"weight": 0}]}, "rollout.steps[0].weight: must be at least 0.01"),
        ({"steps": [{"weight": 101}]}, "must be at most 100"),
        ({"steps": [{"pause": {}}]}, "rollout.steps: a rollout needs at least one `weight`"),
        ({"steps": []}, "must have at least 1 items"),
        ({"steps": [{"wait": "5m"}]}, "must be a step of a rollout: one of weight, pause, analysis"),
        ({"steps": ["go"]}, "must be a step of a rollout"),
        ({"steps": [{"weight": 5, "pause": {}}]}, "rollout.steps[0].pause: unknown key"),
        ({"steps": [{"weight": 5}, {"pause": {"for": "soon"}}]}, "must be a duration"),
        ({"steps": [{"shadow": {"percent": 10}}, {"weight": 5}]}, "a `shadow` step is not supported"),
        ({"steps": [{"backtest": {"runs": 9}}, {"weight": 5}]}, "a `backtest` step is not supported"),
        (
            {"steps": [{"weight": 5}, {"analysis": "errors"}]},
            "there is no analysis 'errors' (there are none)",
        ),
        (
            {"steps": [{"weight": 5}, {"analysis": "error"}], "analyses": {"errors": {"metrics": METRICS}}},
            "there is no analysis 'error' (errors); did you mean 'errors'?",
        ),
        (
            {"steps": [{"analysis": "a"}, {"weight": 5}], "analyses": {"a": {"metrics": METRICS}}},
            "rollout.steps[0].analysis: before the first `weight` no run has the candidate",
        ),
        (
            {
                "steps": [{"weight": 100}, {"analysis": "a"}],
                "analyses": {"a": {"metrics": [{"name": "failure_rate", "max_increase": 0.1}]}},
            },
            "compares failure_rate with the stable release, which gets no runs at weight 100",
        ),
        (
            with_metric(name="failures", max=1),
            "there is no metric 'failures'; there are failure_rate, latency_p95",
        ),
        (with_metric(name="score:helpful", min_ratio=1), "a metric of scores is not supported"),
        (with_metric(name="failure_rate"), "needs a limit: one of max, max_increase, max_ratio"),
        (with_metric(name="failure_rate", min=0.1), "failure_rate is not held to this; it may have max"),
        (with_metric(name="failure_rate", max=2), "is a share of the runs: from 0 to 1"),
        (with_metric(name="failure_rate", max=-1), "must be at least 0"),
        (with_metric(name="latency_p95", max_ratio="fast"), "must be a number"),
        (
            {
                "steps": [{"weight": 5}],
                "analyses": {"a": {"metrics": [*METRICS, *METRICS]}},
            },
            "rollout.analyses.a.metrics[1].max: failure_rate has a `max` already",
        ),
        (
            {"steps": [{"weight": 5}], "sticky": "{{ steps.a.output }}"},
            "names 'steps'; before a run starts there are",
        ),
        ({"steps": [{"weight": 5}], "sticky": "everybody"}, "is the same for every run"),
        ({"steps": [{"weight": 5}], "sticky": "{{ session.id"}, "rollout.sticky: "),
        ({"steps": [{"weight": 5}], "stickyness": "x"}, "unknown key; did you mean `sticky`?"),
    ],
)
def test_a_wrong_one_is_told_in_its_place(rollout: Any, message: str) -> None:
    found = told(rollout)
    assert any(message in line for line in found), found


def test_a_budget_is_refused_by_name() -> None:
    found = told({"steps": [{"weight": 5}]}, budget={"per": "day", "limit": 200})
    assert found == ["budget: `budget` is not supported by this version"]
