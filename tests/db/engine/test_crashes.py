"""Whatever crashes, in whatever order: every run ends, with the output that a run without faults has.

A worker's life is cut at random: after the claim, after the work, after the commit; its result may still come in
late. Several such workers take turns. Invariants 1, 2, 4 and 5 of the engine.
"""

import uuid
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.engine import check_journal, deploy, drain, expire, output, start
from workflows import database
from workflows.engine import attempt, changes, clock, commit, execute
from workflows.engine.leases import Active
from workflows.engine.port import Spent
from workflows.engine.views import Known
from workflows.models import Run

FATES = ["lives", "dies_after_claim", "dies_after_act", "dies_after_commit", "comes_late", "sleeps"]


@st.composite
def graphs(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Draw steps whose value is 1 + the sum of what they need; some are maps or branches."""
    steps: list[dict[str, Any]] = []
    for n in range(draw(st.integers(1, 6))):
        needs = sorted(draw(st.sets(st.sampled_from(range(n)), max_size=3))) if n else []
        steps.append({"n": n, "needs": needs, "kind": draw(st.sampled_from(["set", "set", "map", "branch"]))})
    return steps


def as_workflow(steps: list[dict[str, Any]]) -> str:
    lines = [f"name: crash-{uuid.uuid4().hex[:8]}", "steps:"]
    for step in steps:
        n, needs = step["n"], [f"s{need}" for need in step["needs"]]
        total = " + ".join(["1", *(f"{value(steps[need])}" for need in step["needs"])])
        lines += [f"  - id: s{n}", f"    needs: [{', '.join(needs)}]"]
        if step["kind"] == "set":
            lines += [f'    set: {{v: "{{{{ {total} }}}}"}}']
        elif step["kind"] == "map":
            lines += [
                "    map:",
                '      over: "[0, 1, 2, 3]"',
                "      max_parallel: 2",
                "      steps:",
                f'        - {{id: i{n}, set: {{v: "{{{{ {total} + item }}}}"}}}}',
                f'        - {{id: j{n}, set: {{v: "{{{{ steps.i{n}.output.v - item }}}}"}}}}',
                f'      output: "{{{{ steps.j{n}.output.v }}}}"',
            ]
        else:
            lines += [
                "    branch:",
                f'      - when: "{total} > 0"',
                "        steps:",
                f'          - {{id: b{n}, set: {{v: "{{{{ {total} }}}}"}}}}',
                f'          - {{id: c{n}, needs: [], set: {{v: "{{{{ {total} }}}}"}}}}',
            ]
    names = ", ".join(f'"{{{{ {value(step)} }}}}"' for step in steps)
    return "\n".join([*lines, f"output: [{names}]"])


def value(step: dict[str, Any]) -> str:
    """Return the expression of a step's value."""
    n = step["n"]
    if step["kind"] == "set":
        return f"steps.s{n}.output.v"
    return f"steps.s{n}.output[3]" if step["kind"] == "map" else f"steps.b{n}.output.v"


def expected(steps: list[dict[str, Any]]) -> list[int]:
    values: list[int] = []
    for step in steps:
        values.append(1 + sum(values[need] for need in step["needs"]))
    return values


def one_worker(fate: str, late: list[Any]) -> None:
    """Take the next row and meet a fate."""
    claimed = commit.claim(worker="crash", lease_s=30, idle=True)
    if claimed is None or fate == "dies_after_claim":
        return
    trying = execute.begin(Active(claimed, until=0.0), Known())
    change = changes.of(trying, attempt.perform(trying), Spent())

    def finish() -> None:
        done = commit.apply(
            claimed, change, worker="crash", lease_s=30, go_on=fate == "sleeps", next_lease=uuid.uuid4()
        )
        if done.applied and fate == "lives":
            execute.follow(claimed, done)

    if fate == "comes_late":
        late.append(finish)
    elif fate != "dies_after_act":
        finish()


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=graphs(), fates=st.lists(st.sampled_from(FATES), max_size=25), when=st.integers(1, 5))
def test_every_run_ends_right_whatever_crashes(
    steps: list[dict[str, Any]], fates: list[str], when: int
) -> None:
    run = start(deploy(as_workflow(steps)))
    late: list[Any] = []
    for number, fate in enumerate(fates):
        one_worker(fate, late)
        if number % when == 0:
            lose()
    lose()
    while late:
        late.pop()()
    settle(run)
    assert run.state == "succeeded", run.error
    assert output(run) == expected(steps)
    check_journal(run)


def lose() -> None:
    """Every lease runs out. That a step lost again and again is condemned is another test's matter."""
    database.fetch_all("UPDATE workflows_steprun SET losses = 0, alone = false RETURNING id", [])
    expire()


def settle(run: Run) -> None:
    """What the clock does until the run has ended: crashed workers leave scopes unclosed."""
    Run.objects.filter(pk=run.pk).update(created_at="2020-01-01T00:00:00Z")
    for _ in range(30):
        lose()
        drain()
        clock.close_unclosed()
        run.refresh_from_db()
        if run.ended_at:
            return
    open_steps = run.steps.exclude(state="succeeded").values_list("path", "state", "reason")
    raise AssertionError(f"{run.state}: {list(open_steps)}")
