"""Workflows of the load that wait, turn, start others or tidy up, and what each has to give."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from tests.chaos.order import Order
from tests.witness import Witness

AGENT_PROVIDER = """
kind: Provider
name: agents
api: scripted
models: [{name: m, context_tokens: 100000, price: {input: 1, output: 2}}]
rules:
  - {match: "begin", tool_calls: [{name: put, arguments: {n: 1}}, {name: put, arguments: {n: 2}}]}
  - {match: '"ok"', reply: "done", times: 1}
  - {match: ".", reply: "done"}
"""
AGENT_ROUTE = "{kind: Route, name: agents, targets: [agents/m]}"
AGENT_PROMPT = """
kind: Prompt
name: helper
variables: {text: {type: string}}
messages: [{role: user, content: "{{ text }}"}]
"""
AGENT = """
kind: Workflow
name: helping
steps:
  - {id: help, agent: helper, route: agents, with: {text: "begin"}, tools: [put]}
  - {id: after, set: {text: "{{ steps.help.output.text }}", n: "{{ input.n }}"}}
output: "{{ steps.after.output }}"
"""
LOOP = """
kind: Workflow
name: turning
steps:
  - id: up
    loop:
      max_turns: 9
      until: steps.grow.output.n >= input.n
      steps:
        - {id: grow, set: {n: "{{ (previous.n if previous else 0) + 1 }}"}}
        - {id: look_there, tool: look, with: {n: "{{ turn }}"}}
        - {id: keep, set: {n: "{{ steps.grow.output.n }}"}}
output: "{{ steps.up.output }}"
"""
CHILD = """
kind: Workflow
name: part
steps:
  - {id: put_part, tool: put, with: {n: "{{ input.n }}"}}
  - {id: double, set: {v: "{{ input.n * 2 }}"}}
output: "{{ steps.double.output.v }}"
"""
PARENT = """
kind: Workflow
name: whole
concurrency: {key: "{{ input.n % 3 }}", limit: 2}
steps:
  - {id: one, needs: [], workflow: part, with: {n: "{{ input.n }}"} }
  - {id: two, needs: [], workflow: part, with: {n: "{{ input.n + 1 }}"} }
  - {id: sum, needs: [one, two], set: {v: "{{ steps.one.output + steps.two.output }}"}}
output: "{{ steps.sum.output.v }}"
"""
PEOPLE = """
kind: Workflow
name: waiting
steps:
  - {id: nap, wait: {for: 200ms}}
  - {id: sure, approval: {title: "Sure about {{ input.n }}?", timeout: 1h}}
  - {id: told, wait: {signal: go, timeout: 1h}}
  - {id: after, set: {yes: "{{ steps.sure.output.approved }}", n: "{{ steps.told.output.payload }}"}}
output: "{{ steps.after.output }}"
"""
TIDY = """
kind: Workflow
name: tidying
steps:
  - {id: work, set: {v: "{{ 12 / input.n }}"}}
finally:
  - {id: clean, tool: put, with: {n: "{{ input.n }}"}}
output: "{{ steps.work.output.v }}"
"""
DOOMED = """
kind: Workflow
name: doomed
steps:
  - {id: first, set: {v: 1}}
  - {id: never, wait: {signal: never}}
finally:
  - {id: clean_up, tool: put, with: {n: "{{ input.n }}"}}
"""
ALL: Final = (
    AGENT_PROVIDER, AGENT_ROUTE, AGENT_PROMPT, CHILD, AGENT, LOOP, PARENT, PEOPLE, TIDY, DOOMED,
)  # fmt: skip


def _agent(n: int, witness: Witness) -> Order:
    return Order(workflow="helping", input={"n": n}, output={"text": "done", "n": n})


def _loop(n: int, witness: Witness) -> Order:
    turns = n % 5 + 1
    return Order(workflow="turning", input={"n": turns}, output={"turns": turns, "last": {"n": turns}})


def _parent(n: int, witness: Witness) -> Order:
    return Order(workflow="whole", input={"n": n}, output=4 * n + 2)


def _people(n: int, witness: Witness) -> Order:
    return Order(workflow="waiting", input={"n": n}, output={"yes": True, "n": "gone"})


def _tidy(n: int, witness: Witness) -> Order:
    divisor = n % 3
    if divisor == 0:
        return Order(workflow="tidying", input={"n": 0}, output=None, state="failed")
    return Order(workflow="tidying", input={"n": divisor}, output=12 / divisor)


def _doomed(n: int, witness: Witness) -> Order:
    return Order(workflow="doomed", input={"n": n}, output=None, state="cancelled")


MAKERS: Final[Mapping[Callable[[int, Witness], Order], int]] = {
    _agent: 12,
    _loop: 10,
    _parent: 12,
    _people: 12,
    _tidy: 8,
    _doomed: 6,
}
