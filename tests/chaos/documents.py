"""The workflows of the load and what each has to give: the output is a pure function of the input."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any, Final

from tests.chaos import waiting_documents
from tests.chaos.order import Order
from tests.engine import apply
from tests.witness import Behaviour, Witness

Json = Any
ITEMS: Final = 12
# Texts that databases, logs and encodings trip over: a NUL byte, a lone surrogate, both directions of writing.
HOSTILE: Final = "nul \x00, half a pair \ud83d, שלום, e\u0301, \u202e"
LARGE: Final = 3_900_000

PROVIDER = """
kind: Provider
name: fake
api: scripted
models: [{name: m, context_tokens: 8000, price: {input: 1, output: 2}}]
rules:
  - {match: "flaky", fault: {status: 503}, times: 2}
  - {match: "slow", reply: '{"grade": 4}', latency: 400ms}
  - {match: ".", reply: '{"grade": 5}'}
"""
ROUTE = "{kind: Route, name: fake, targets: [fake/m], retry: {attempts: 4, first: 20ms, max: 100ms}}"
PROMPT = """
kind: Prompt
name: grade
variables: {text: {type: string}}
messages: [{role: user, content: "Grade this: {{ text }}"}]
output: {type: object, required: [grade], properties: {grade: {type: integer}}}
"""
TOOL = """
kind: Tool
name: %(name)s
input: {type: object, required: [n], properties: {n: {type: integer}}}
http: {method: POST, url: "%(url)s", body: {n: "{{ n }}"}}
effect: %(effect)s
timeout: 5s
"""
SQUARE = """
kind: Tool
name: square
input: {type: object, required: [n], properties: {n: {type: integer}}}
python: "tests.chaos.functions:square"
effect: idempotent
timeout: 20s
"""
CHAIN = """
kind: Workflow
name: chain
steps:
  - {id: a, set: {v: "{{ input.n + 1 }}", text: "{{ input.text }}"}}
  - {id: b, set: {v: "{{ steps.a.output.v + 1 }}", text: "{{ steps.a.output.text }}"}}
  - {id: c, set: {v: "{{ steps.b.output.v + 1 }}", text: "{{ steps.b.output.text }}"}}
  - {id: d, needs: [a, c], set: {v: "{{ steps.a.output.v + steps.c.output.v }}", text: "{{ steps.c.output.text }}"}}
output: "{{ steps.d.output }}"
"""
BRANCH = """
kind: Workflow
name: branching
steps:
  - {id: a, set: {n: "{{ input.n }}"}}
  - id: pick
    branch:
      - when: steps.a.output.n % 2 == 0
        steps: [{id: look, tool: look, with: {n: "{{ input.n }}"}}]
      - else:
        steps: [{id: put, tool: put, with: {n: "{{ input.n }}"}}, {id: more, set: {done: true}}]
  - {id: z, set: {case: "{{ steps.pick.output.case }}"}}
output: "{{ steps.z.output }}"
"""
MAP = """
kind: Workflow
name: mapping
steps:
  - id: each
    map:
      over: input.list
      as: n
      max_parallel: 4
      steps:
        - {id: twice, set: {v: "{{ n * 2 }}"}}
        - {id: put_each, tool: put, with: {n: "{{ n }}"}}
        - {id: last, set: {v: "{{ steps.twice.output.v + index }}"}}
  - {id: total, set: {sum: "{{ steps.each.output | map(attribute='v') | sum }}"}}
output: "{{ steps.total.output }}"
"""
PAY = """
kind: Workflow
name: paying
steps:
  - {id: before, set: {n: "{{ input.n }}"}}
  - {id: pay, tool: pay, with: {n: "{{ steps.before.output.n }}"}}
  - {id: after, set: {paid: "{{ steps.pay.output.ok }}", n: "{{ input.n }}"}}
output: "{{ steps.after.output }}"
"""
ASK = """
kind: Workflow
name: asking
steps:
  - {id: one, needs: [], prompt: grade, route: fake, with: {text: "{{ input.text }}"}}
  - {id: two, needs: [], prompt: grade, route: fake, with: {text: "slow"}}
  - {id: three, needs: [one, two], set: {sum: "{{ steps.one.output.grade + steps.two.output.grade }}"}}
output: "{{ steps.three.output }}"
"""
RETRY = """
kind: Workflow
name: retrying
steps:
  - id: try
    tool: shaky
    with: {n: "{{ input.n }}"}
    retry: {attempts: 20, first: 50ms, max: 300ms}
  - id: square
    tool: square
    with: {n: "{{ input.n }}"}
    retry: {attempts: 20, first: 50ms, max: 300ms}
output: {ok: "{{ steps.try.output.ok }}", square: "{{ steps.square.output.square }}"}
"""
BIG = """
kind: Workflow
name: big
steps:
  - {id: a, set: {copy: "{{ input.blob }}"}}
  - {id: b, set: {size: "{{ steps.a.output.copy | length }}"}}
output: "{{ steps.b.output }}"
"""


def deploy_all(witness: Witness) -> None:
    """Apply everything: first releases are deployed at once. Tools call the witness."""
    tools = [
        TOOL % {"name": name, "effect": effect, "url": witness.url(path)}
        for name, effect, path in (
            ("look", "read", "/look"),
            ("put", "idempotent", "/put"),
            ("pay", "once", "/pay"),
            ("shaky", "idempotent", "/shaky/{{ n }}"),
        )
    ]
    workflows = (CHAIN, BRANCH, MAP, PAY, ASK, RETRY, BIG)
    apply(PROVIDER, ROUTE, PROMPT, SQUARE, *tools, *workflows, *waiting_documents.ALL)


def _chain(n: int, witness: Witness) -> Order:
    text = HOSTILE if n % 2 else "plain"
    return Order(workflow="chain", input={"n": n, "text": text}, output={"v": 2 * n + 4, "text": text})


def _branch(n: int, witness: Witness) -> Order:
    return Order(workflow="branching", input={"n": n}, output={"case": n % 2})


def _map(n: int, witness: Witness) -> Order:
    values = list(range(n, n + ITEMS))
    total = 2 * sum(values) + sum(range(ITEMS))
    return Order(workflow="mapping", input={"list": values}, output={"sum": total})


def _pay(n: int, witness: Witness) -> Order:
    return Order(workflow="paying", input={"n": n}, output={"paid": True, "n": n})


def _ask(n: int, witness: Witness) -> Order:
    text = "flaky" if n % 2 else HOSTILE
    return Order(workflow="asking", input={"text": text}, output={"sum": 9})


def _retry(n: int, witness: Witness) -> Order:
    witness.behave(f"/shaky/{n}", Behaviour(status=500), Behaviour(fault="reset"), Behaviour())
    return Order(workflow="retrying", input={"n": n}, output={"ok": True, "square": n * n})


def _big(n: int, witness: Witness) -> Order:
    return Order(workflow="big", input={"blob": chr(97 + n % 26) * LARGE}, output={"size": LARGE})


_MAKERS: Final[Mapping[Callable[[int, Witness], Order], int]] = {
    _chain: 30,
    _branch: 15,
    _map: 8,
    _pay: 20,
    _ask: 12,
    _retry: 12,
    _big: 2,
    **waiting_documents.MAKERS,
}


def order(n: int, chance: random.Random, witness: Witness) -> Order:
    """Return the order number `n`."""
    (maker,) = chance.choices(list(_MAKERS), list(_MAKERS.values()))
    return maker(n, witness)
