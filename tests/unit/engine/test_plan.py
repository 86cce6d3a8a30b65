"""How a definition is laid out: scopes, successors, and paths between them."""

from typing import Any

import yaml

from workflows.engine import plan as plans
from workflows.engine.plan import Plan
from workflows.spec import workflow as workflow_spec

NESTED = """
name: nested
steps:
  - {id: first, set: {xs: [1, 2]}}
  - id: score
    map:
      over: steps.first.output.xs
      steps:
        - id: decide
          branch:
            - when: item > 1
              steps:
                - {id: judge, set: {a: 1}}
                - {id: record, set: {a: 2}}
        - {id: after, set: {a: 3}}
  - {id: left, needs: [score], set: {a: 4}}
  - {id: right, needs: [score], set: {a: 5}}
"""


def build(text: str = NESTED) -> Plan:
    body: dict[str, Any] = yaml.safe_load(text)
    return plans.build(workflow_spec.parse(body))


def test_scopes_have_their_roots_and_sinks() -> None:
    plan = build()
    assert (plan.top.roots, plan.top.sinks) == (("first",), ("left", "right"))
    assert plan.scopes["score", None].sinks == ("after",)
    assert plan.scopes["decide", 0].roots == ("judge",)


def test_steps_know_the_containers_around_them() -> None:
    plan = build()
    assert plan.nodes["judge"].containers == ("score", "decide")
    assert plan.nodes["left"].containers == ()


def test_successors_stay_in_their_scope() -> None:
    plan = build()
    assert plan.nodes["judge"].successors == ("record",)
    assert plan.nodes["record"].successors == ()
    assert plan.nodes["score"].successors == ("left", "right")


def test_a_step_is_found_in_the_same_item() -> None:
    plan = build()
    assert plan.locate("judge", at="score[7]/after") == "score[7]/decide/judge"
    assert plan.locate("after", at="score[7]/decide/judge") == "score[7]/after"
    assert plan.locate("first", at="score[7]/decide/judge") == "first"


def test_a_path_tells_which_item_it_lies_in() -> None:
    assert plans.index_of("outer[3]/score[17]/judge", "score") == 17
    assert plans.index_of("outer[3]/score[17]/judge", "outer") == 3
