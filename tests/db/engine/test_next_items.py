"""The next item of a map begins whatever became of who should have let it go: lost, or dead right after its commit."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.db.engine.test_absorbed import act
from tests.db.engine.test_leases import finish
from tests.engine import check_journal, claim, deploy, drain, expire, output, start
from workflows.engine import clock
from workflows.engine.commit import Claim
from workflows.models import Run

Json = Any
FINE: Json = {"set": {"v": 1}}
BAD: Json = {"set": {"v": "{{ 1 // 0 }}"}}


def mapped(steps: Json, *, parallel: int = 1) -> Run:
    items = {"over": "[1, 2, 3]", "max_parallel": parallel, "on_item_error": "continue", "steps": steps}
    workflow = {
        "name": "w",
        "steps": [{"id": "c", "map": items}, {"id": "after", "set": {"n": 1}}],
        "output": "{{ steps.after.output.n }}",
    }
    return start(deploy(yaml.safe_dump(workflow)))


def both(first: str, second: str) -> dict[str, Claim]:
    """Go on until both steps of the first item are held."""
    held: dict[str, Claim] = {}
    while len(held) < 2:
        each = claim()
        if each.step_id in (first, second):
            held[each.step_id] = each
        else:
            finish(each, act(each))
    return held


def comes_through(run: Run) -> None:
    drain()
    for _ in range(4):
        clock.close_unclosed()
        clock.ring_again()
        drain()
    run.refresh_from_db()
    assert (run.state, output(run)) == ("succeeded", 1)
    check_journal(run)


@pytest.mark.parametrize("parallel", [1, 2])
def test_an_attempt_is_lost_in_an_item_whose_failure_was_absorbed(parallel: int) -> None:
    run = mapped([{"id": "bad", "needs": [], **BAD}, {"id": "other", "needs": [], **FINE}], parallel=parallel)
    held = both("bad", "other")
    finish(held["bad"], act(held["bad"]))
    expire()
    comes_through(run)


@pytest.mark.parametrize("first", [BAD, FINE])
def test_a_worker_dies_right_after_the_commit_that_ends_an_item(first: Json) -> None:
    run = mapped([{"id": "one", "needs": [], **first}, {"id": "other", "needs": [], **FINE}])
    held = both("one", "other")
    finish(held["one"], act(held["one"]))
    finish(held["other"], act(held["other"]), follow=False)
    comes_through(run)


def test_a_worker_dies_right_after_the_failure_that_ends_an_item() -> None:
    run = mapped([{"id": "one", **BAD}, {"id": "other", **FINE}])
    while (each := claim()).step_id != "one":
        finish(each, act(each))
    finish(each, act(each), follow=False)
    comes_through(run)
