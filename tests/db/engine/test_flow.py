"""Workflows from start to end, worked off in the test's own process."""

from tests.engine import check_journal, deploy, output, run, states

CHAIN = """
name: chain
input: {type: object, required: [n], properties: {n: {type: integer}}}
steps:
  - {id: a, set: {x: "{{ input.n + 1 }}"}}
  - {id: b, set: {x: "{{ steps.a.output.x * 2 }}"}}
  - {id: c, set: {x: "{{ steps.b.output.x - 1 }}"}}
output: {result: "{{ steps.c.output.x }}"}
"""


def test_a_chain_runs_to_its_output() -> None:
    ended = run(deploy(CHAIN), n=4)
    assert (ended.state, output(ended)) == ("succeeded", {"result": 9})
    check_journal(ended)


def test_a_chain_of_n_steps_takes_n_attempts_and_one_claim() -> None:
    ended = run(deploy(CHAIN), n=1)
    assert list(ended.attempts.values_list("number", "state")) == [(1, "succeeded")] * 3


def test_a_diamond_joins_once_both_sides_are_done() -> None:
    ended = run(
        deploy("""
name: diamond
steps:
  - {id: top, set: {v: 1}}
  - {id: left, needs: [top], set: {v: "{{ steps.top.output.v + 10 }}"}}
  - {id: right, needs: [top], set: {v: "{{ steps.top.output.v + 100 }}"}}
  - {id: bottom, needs: [left, right], set: {v: "{{ steps.left.output.v + steps.right.output.v }}"}}
output: "{{ steps.bottom.output.v }}"
""")
    )
    assert output(ended) == 112
    check_journal(ended)


def test_a_workflow_with_several_last_steps_ends_after_all_of_them() -> None:
    ended = run(
        deploy("""
name: sinks
steps:
  - {id: one, needs: [], set: {v: 1}}
  - {id: two, needs: [], set: {v: 2}}
  - {id: three, needs: [], set: {v: 3}}
output: ["{{ steps.one.output.v }}", "{{ steps.two.output.v }}", "{{ steps.three.output.v }}"]
""")
    )
    assert (ended.state, output(ended)) == ("succeeded", [1, 2, 3])
    check_journal(ended)


def test_a_skipped_step_counts_as_done_and_gives_null() -> None:
    ended = run(
        deploy("""
name: skipping
steps:
  - {id: a, when: "false", set: {v: 1}}
  - {id: b, set: {seen: "{{ steps.a.output }}", state: "{{ steps.a.state }}"}}
output: "{{ steps.b.output }}"
""")
    )
    assert states(ended) == {"a": "skipped", "b": "succeeded"}
    assert output(ended) == {"seen": None, "state": "skipped"}


def test_a_branch_takes_its_first_case_that_holds() -> None:
    name = deploy("""
name: branching
steps:
  - id: decide
    branch:
      - when: input.n > 10
        steps:
          - {id: big, set: {v: big}}
          - {id: bigger, set: {v: "{{ steps.big.output.v }}ger"}}
      - when: input.n > 5
        steps: [{id: middle, set: {v: middle}}]
  - {id: after, set: {case: "{{ steps.decide.output.case }}", v: "{{ steps.bigger.output }}"}}
output: "{{ steps.after.output }}"
""")
    assert output(run(name, n=20)) == {"case": 0, "v": {"v": "bigger"}}
    assert output(run(name, n=7)) == {"case": 1, "v": None}
    none = run(name, n=1)
    assert output(none) == {"case": None, "v": None}
    assert states(none) == {"decide": "succeeded", "after": "succeeded"}


MAP = """
name: mapping
steps:
  - id: score
    map:
      over: input.xs
      as: question
      max_parallel: 3
      steps:
        - {id: twice, set: {v: "{{ question * 2 }}", at: "{{ index }}"}}
        - id: odd
          branch:
            - when: item % 2 == 1
              steps: [{id: mark, set: {v: odd}}]
        - {id: sum, set: {v: "{{ steps.twice.output.v + 1 }}", mark: "{{ steps.mark.output }}"}}
  - {id: count, set: {n: "{{ steps.score.output | length }}"}}
output: {items: "{{ steps.score.output }}", n: "{{ steps.count.output.n }}"}
"""


def test_a_map_runs_its_steps_for_each_item_in_order() -> None:
    ended = run(deploy(MAP), xs=list(range(7)))
    marked = [{"v": 2 * n + 1, "mark": {"v": "odd"} if n % 2 else None} for n in range(7)]
    assert output(ended) == {"items": marked, "n": 7}
    check_journal(ended)


def test_a_map_over_nothing_is_an_empty_list() -> None:
    assert output(run(deploy(MAP), xs=[])) == {"items": [], "n": 0}


def test_a_map_over_no_list_fails_with_what_it_got() -> None:
    ended = run(deploy(MAP), xs="text")
    assert ended.state == "failed"
    assert ended.error == {
        "class": "input_invalid",
        "message": "`over` of step score is a text; a list is expected.",
        "step": "score",
    }


def test_maps_inside_maps_see_both_items() -> None:
    ended = run(
        deploy("""
name: nested
steps:
  - id: rows
    map:
      over: input.rows
      as: row
      steps:
        - id: cells
          map:
            over: row
            as: cell
            max_parallel: 2
            steps:
              - {id: cell_sum, set: {v: "{{ cell + (row | length) * 100 + index }}"}}
            output: "{{ steps.cell_sum.output.v }}"
      output: "{{ steps.cells.output }}"
output: "{{ steps.rows.output }}"
"""),
        rows=[[1, 2], [3], [4, 5, 6]],
    )
    assert output(ended) == [[201, 203], [103], [304, 306, 308]]
    check_journal(ended)


FAILING_ITEMS = """
name: failing-items
steps:
  - id: each
    {policy}
    map:
      over: input.xs
      max_parallel: 2
      {items}
      steps:
        - {{id: divide, set: {{v: "{{{{ 12 / item }}}}"}}}}
        - {{id: after, set: {{v: "{{{{ steps.divide.output.v | int }}}}"}}}}
      output: "{{{{ steps.after.output.v }}}}"
  - {{id: last, set: {{state: "{{{{ steps.each.state }}}}", v: "{{{{ steps.each.output }}}}"}}}}
output: "{{{{ steps.last.output }}}}"
"""


def test_one_failed_item_fails_the_run_and_starts_nothing_new() -> None:
    ended = run(deploy(FAILING_ITEMS.format(policy="note: x", items="as: x")), xs=[0, 1, 3, 4, 5, 6])
    assert ended.state == "failed"
    assert (ended.error or {})["step"] == "each[0]/divide"
    assert states(ended)["last"] == "cancelled"
    assert states(ended)["each[5]/divide"] == "cancelled"
    check_journal(ended)


def test_failed_items_are_null_where_the_map_goes_on() -> None:
    ended = run(
        deploy(FAILING_ITEMS.format(policy="note: x", items="on_item_error: continue")), xs=[1, 0, 3, 0, 6]
    )
    assert output(ended) == {"state": "succeeded", "v": [12, None, 4, None, 2]}
    check_journal(ended)


def test_a_container_that_continues_takes_the_failure_of_an_item() -> None:
    ended = run(deploy(FAILING_ITEMS.format(policy="on_error: continue", items="as: x")), xs=[1, 0, 3])
    assert ended.state == "succeeded"
    assert output(ended) == {"state": "failed", "v": None}
    check_journal(ended)


def test_a_failed_step_that_continues_shows_its_error_to_others() -> None:
    ended = run(
        deploy("""
name: soft
steps:
  - {id: a, on_error: continue, set: {v: "{{ input.missing }}"}}
  - {id: b, set: {class: "{{ steps.a.error.class }}", v: "{{ steps.a.output }}"}}
output: "{{ steps.b.output }}"
""")
    )
    assert output(ended) == {"class": "expression", "v": None}


def test_an_output_that_cannot_be_computed_fails_the_run_but_no_step() -> None:
    ended = run(
        deploy('name: bad-output\nsteps: [{id: a, set: {v: 0}}]\noutput: "{{ 1 / steps.a.output.v }}"')
    )
    assert ended.state == "failed"
    assert (ended.error or {})["class"] == "expression"
    assert (ended.error or {})["step"] is None
    assert states(ended) == {"a": "succeeded"}


def test_values_come_through_exactly_whatever_they_hold() -> None:
    hostile = {
        "nul": "a\x00b",
        "surrogate": "\ud800",
        "deep": [[[[[1]]]]],
        "big": "ä" * 100_000,
        "f": 1.5e300,
    }
    ended = run(
        deploy('name: echo\nsteps: [{id: a, set: {v: "{{ input }}"}}]\noutput: "{{ steps.a.output.v }}"'),
        **hostile,
    )
    assert output(ended) == hostile
