"""Loops, steps at the end, child runs."""

from __future__ import annotations

import time

import pytest

from tests.engine import (
    OPERATOR,
    apply,
    check_journal,
    claim,
    deploy,
    drain,
    expire,
    output,
    run,
    start,
    states,
    wake,
)
from workflows import database, definitions, payloads, recovery, runs
from workflows.engine import clock
from workflows.models import Release, Run
from workflows.spec.documents import SourceText

LOOP = """
name: looping
steps:
  - id: refine
    loop:
      max_turns: 5
      until: steps.grow.output.n >= input.goal
      steps:
        - {id: grow, set: {n: "{{ (previous.n if previous else 0) + 2 }}", turn: "{{ turn }}"}}
        - {id: keep, set: {n: "{{ steps.grow.output.n }}"}}
  - {id: after, set: {all: "{{ steps.refine.output }}"}}
output: "{{ steps.after.output.all }}"
"""


def test_a_loop_turns_until_its_expression_holds() -> None:
    ended = run(deploy(LOOP), goal=5)
    assert output(ended) == {"turns": 3, "last": {"n": 6}}
    assert "refine[2]/keep" in states(ended)
    assert "refine[3]/grow" not in states(ended)
    check_journal(ended)


def test_a_loop_ends_after_its_last_turn_in_any_case() -> None:
    assert output(run(deploy(LOOP), goal=1000)) == {"turns": 5, "last": {"n": 10}}


def test_a_failing_turn_fails_the_run_and_an_absorbed_one_the_loop() -> None:
    failing = LOOP.replace("input.goal", "input.nothing").replace("refine\n", "refine\n    POLICY\n")
    ended = run(deploy(failing.replace("POLICY", "note: x")), goal=1)
    assert (ended.state, (ended.error or {})["class"]) == ("failed", "expression")
    ended = run(deploy(failing.replace("POLICY", "on_error: continue")), goal=1)
    assert (ended.state, output(ended)) == ("succeeded", None)


def test_loops_and_maps_nest_and_see_each_others_names() -> None:
    ended = run(
        deploy("""
name: nesting
steps:
  - id: each
    map:
      over: input.xs
      as: x
      steps:
        - id: up
          loop:
            until: turn == 1
            steps: [{id: add, set: {v: "{{ x * 10 + turn + (previous.v if previous else 0) }}"}}]
      output: "{{ steps.up.output.last.v }}"
output: "{{ steps.each.output }}"
"""),
        xs=[1, 2],
    )
    assert output(ended) == [21, 41]
    assert states(ended)["each[1]/up[1]/add"] == "succeeded"
    check_journal(ended)


def test_a_failure_that_is_absorbed_inside_of_a_map_s_item_does_not_empty_the_item() -> None:
    ended = run(
        deploy("""
name: absorbing
steps:
  - id: each
    map:
      over: input.xs
      as: x
      steps:
        - id: maybe
          on_error: continue
          branch: [{else: null, steps: [{id: half, set: {v: "{{ 6 / x }}"}}]}]
        - {id: told, needs: [maybe], set: {state: "{{ steps.maybe.state }}"}}
output: "{{ steps.each.output }}"
"""),
        xs=[0, 1],
    )
    assert output(ended) == [{"state": "failed"}, {"state": "succeeded"}]


def test_a_loop_whose_time_is_over_fails_with_it() -> None:
    waiting = run(
        deploy("""
name: slow-loop
steps:
  - id: poll
    timeout: 1h
    loop: {max_turns: 3, steps: [{id: nap, wait: {for: 2h}}]}
"""),
    )
    wake_containers()
    drain()
    waiting.refresh_from_db()
    assert (waiting.state, (waiting.error or {})["class"]) == ("failed", "timeout")
    assert states(waiting)["poll[0]/nap"] == "cancelled"
    check_journal(waiting)


def wake_containers() -> None:
    """Let the time-outs of containers be over."""
    database.fetch_all(
        "UPDATE workflows_steprun SET wake_at = clock_timestamp() WHERE reason = 'children' RETURNING id", []
    )
    clock.time_out()


FINALLY = """
name: tidy
steps:
  - {id: work, set: {v: "{{ 6 / input.n }}"}}
  - {id: more, set: {v: "{{ steps.work.output.v }}"}}
finally:
  - {id: clean, set: {work: "{{ steps.work.state }}", error: "{{ run.error.class if run.error else none }}"}}
  - {id: told, set: {cleaned: "{{ steps.clean.output }}"}}
output: "{{ steps.more.output.v }}"
"""


def test_the_steps_at_the_end_run_after_success() -> None:
    ended = run(deploy(FINALLY), n=3)
    assert (ended.state, output(ended)) == ("succeeded", 2)
    assert seen(ended) == {"cleaned": {"work": "succeeded", "error": None}}
    check_journal(ended)


def test_the_steps_at_the_end_run_after_a_failure_and_see_it() -> None:
    ended = run(deploy(FINALLY), n=0)
    assert (ended.state, (ended.error or {})["step"]) == ("failed", "work")
    assert states(ended) == {"work": "failed", "more": "cancelled", "clean": "succeeded", "told": "succeeded"}
    assert seen(ended) == {"cleaned": {"work": "failed", "error": "expression"}}
    check_journal(ended)


def test_the_steps_at_the_end_run_after_a_cancel_once() -> None:
    name = deploy(FINALLY.replace("steps:\n", "steps:\n  - {id: nap, wait: {for: 1h}}\n", 1))
    waiting = run(name, n=1)
    runs.cancel(waiting.pk, actor=OPERATOR)
    drain()
    waiting.refresh_from_db()
    assert waiting.state == "cancelled"
    assert states(waiting)["told"] == "succeeded"
    check_journal(waiting)


def test_a_run_that_never_started_is_cancelled_without_its_last_steps() -> None:
    never = start(deploy(FINALLY), n=1)
    runs.cancel(never.pk, actor=OPERATOR)
    never.refresh_from_db()
    assert (never.state, states(never)) == ("cancelled", {"work": "cancelled", "more": "cancelled"})


@pytest.mark.parametrize("n", [0, 3])
def test_a_signal_reaches_the_steps_at_the_end_whatever_the_run_came_to(n: int) -> None:
    waiting = run(
        deploy(FINALLY.replace('set: {cleaned: "{{ steps.clean.output }}"}', "wait: {signal: go}")), n=n
    )
    assert (waiting.state, states(waiting)["told"]) == ("waiting", "waiting")
    runs.signal(waiting.pk, "go", "at last", actor=OPERATOR)
    drain()
    waiting.refresh_from_db()
    assert waiting.state == ("succeeded" if n else "failed")
    assert seen(waiting) == {"signal": "go", "payload": "at last"}
    check_journal(waiting)


def test_a_failing_last_step_fails_the_run() -> None:
    ended = run(deploy(FINALLY.replace('"{{ steps.clean.output }}"', '"{{ input.nothing }}"')), n=3)
    assert (ended.state, (ended.error or {})["step"]) == ("failed", "told")
    check_journal(ended)


def test_a_retried_run_goes_through_its_last_steps_once_more() -> None:
    ended = run(deploy(FINALLY), n=0)
    recovery.retry(ended.pk, actor=OPERATOR)
    drain()
    ended.refresh_from_db()
    assert ended.state == "failed"
    assert seen(ended) == {"cleaned": {"work": "failed", "error": "expression"}}
    assert list(ended.steps.filter(step_id="told").order_by("epoch").values_list("epoch", "superseded")) == [
        (1, True),
        (2, False),
    ]
    check_journal(ended)


def test_a_run_whose_last_step_failed_is_retried_from_there() -> None:
    ended = run(deploy(FINALLY.replace('"{{ steps.clean.output }}"', '"{{ input.nothing }}"')), n=3)
    recovery.retry(ended.pk, actor=OPERATOR)
    drain()
    ended.refresh_from_db()
    assert (ended.state, ended.steps.filter(step_id="work").count()) == ("failed", 1)
    assert ended.steps.filter(step_id="told").count() == 2
    check_journal(ended)


def seen(of: Run) -> object:
    return payloads.load_one(of.steps.get(step_id="told", superseded=False).output_hash)


CHILD = """
kind: Workflow
name: child
input: {type: object, required: [n], properties: {n: {type: integer}}}
steps:
  - {id: nap, when: input.n == 7, wait: {for: 1h}}
  - {id: work, set: {v: "{{ 12 / input.n }}"}}
output: {v: "{{ steps.work.output.v }}"}
"""
PARENT = """
name: parent
steps:
  - {id: call, workflow: child, with: {n: "{{ input.n }}"} }
  - {id: after, set: {v: "{{ steps.call.output.v }}"}}
output: "{{ steps.after.output.v }}"
"""


def test_a_child_run_gives_its_output_and_is_linked() -> None:
    apply(CHILD)
    ended = run(deploy(PARENT), n=4)
    assert output(ended) == 3
    child = ended.children.get()
    assert (child.workflow, child.parent_path, child.trigger, child.state) == (
        "child",
        "call",
        "workflow",
        "succeeded",
    )
    check_journal(ended)
    check_journal(child)


def test_a_child_that_fails_fails_its_step() -> None:
    apply(CHILD)
    ended = run(deploy(PARENT), n=0)
    assert (ended.error or {})["class"] == "expression"
    assert ended.children.get().pk in (ended.error or {})["message"]


def test_a_child_input_that_does_not_fit_starts_no_child() -> None:
    apply(CHILD)
    ended = run(deploy(PARENT), n="x")
    assert (ended.error or {})["class"] == "input_invalid"
    assert not ended.children.exists()


def test_a_cancelled_parent_cancels_its_child() -> None:
    apply(CHILD)
    waiting = run(deploy(PARENT), n=7)
    runs.cancel(waiting.pk, actor=OPERATOR)
    waiting.refresh_from_db()
    assert (waiting.state, waiting.children.get().state) == ("cancelled", "cancelled")


def test_a_step_whose_time_is_over_cancels_its_child() -> None:
    apply(CHILD)
    waiting = run(deploy(PARENT.replace("workflow: child,", "workflow: child, timeout: 100ms,")), n=7)
    time.sleep(0.12)
    clock.wake()
    drain()
    waiting.refresh_from_db()
    assert (waiting.error or {})["class"] == "timeout"
    assert waiting.children.get().state == "cancelled"


def test_a_worker_that_dies_around_a_child_starts_no_second_one() -> None:
    apply(CHILD)
    started = start(deploy(PARENT), n=4)
    claim()  # dies before the commit: no child yet
    expire()
    drain()
    assert (output(started), started.children.count()) == (3, 1)


def test_a_change_of_the_child_makes_a_release_of_its_parent_that_runs_keep() -> None:
    apply(CHILD)
    name = deploy(PARENT)
    waiting = run(name, n=7)
    apply(CHILD.replace("12 /", "24 /"))
    assert Release.objects.filter(workflow="parent").count() == 2
    wake()
    drain()
    assert output(waiting) == pytest.approx(12 / 7)
    newest = runs.start(
        runs.Order(workflow="parent", input={"n": 4}, release=2), actor=OPERATOR, trigger="api"
    ).run
    drain()
    assert output(newest) == 6


def test_workflows_that_start_each_other_are_refused() -> None:
    apply("kind: Workflow\nname: a\nsteps: [{id: x, set: {v: 1}}]")
    apply("kind: Workflow\nname: b\nsteps: [{id: x, workflow: a}]")
    text = "kind: Workflow\nname: a\nsteps: [{id: x, workflow: b}]"
    refused = definitions.apply([SourceText("a.yaml", text, "yaml")], actor=OPERATOR)
    assert "in a circle: a → b → a" in str(refused.errors[0])
