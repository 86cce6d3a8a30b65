"""The page of a run shows every kind of step: each tab, each step's panel, and the API beside it."""

from __future__ import annotations

import pytest
from django.test import Client

from tests import engine
from tests.db.engine.test_agents import AGENT, OTHERS, PROVIDER, TWO_PAGES
from workflows.engine import bundle
from workflows.models import Run

TABS = ("timeline", "graph", "events", "documents", "memory", "decisions", "io", "cost")
EVERYTHING = """
name: everything
steps:
  - {id: child, workflow: library, with: {page: 1}}
  - {id: note, memory: {write: {scope: workflow, key: k, value: 1}}}
  - id: again
    loop:
      max_turns: 3
      until: turn == 1
      steps: [{id: inner, set: {v: "{{ turn }}"}}]
  - {id: ask, agent: researcher, route: chat, with: {question: "where?"}, tools: [find]}
  - {id: nap, wait: {for: 1h}}
  - {id: signal, wait: {signal: go}}
  - {id: sure, approval: {title: "Sure?"}}
finally:
  - {id: tidy, set: {done: true}}
"""


@pytest.fixture
def everything(transactional_db: None) -> Run:
    """A run with a step of every kind, waiting for its first timer."""
    engine.apply(PROVIDER.replace("RULES", TWO_PAGES), OTHERS)
    bundle.forget_providers()
    engine.deploy(AGENT.replace("EXTRA", "note: x"))
    run = engine.run(engine.deploy(EVERYTHING))
    assert run.state == "waiting", run.error
    return run


def look_at(client: Client, run: Run) -> None:
    """Open every tab and the panel of every step, as a page and as a part."""
    for tab in TABS:
        page = client.get(f"/runs/{run.pk}/?tab={tab}")
        assert page.status_code == 200, tab
    for path in run.steps.values_list("path", flat=True):
        for headers in ({}, {"HX-Request": "true"}):
            page = client.get(f"/runs/{run.pk}/", {"step": path}, headers=headers)
            assert page.status_code == 200, path
    for part in ("markdown", "record"):
        assert client.get(f"/runs/{run.pk}/{part}/").status_code == 200


def test_every_kind_of_step_has_its_place_on_the_page(operator: Client, everything: Run) -> None:
    look_at(operator, everything)
    page = operator.get(f"/runs/{everything.pk}/").content.decode()
    for name in ("turn[0]", "tool[0]", "again", "nap"):
        assert name in page
    memory = operator.get(f"/runs/{everything.pk}/?tab=memory").content.decode()
    assert "workflow:everything / k" in memory
    steps = operator.get(f"/api/v1/runs/{everything.pk}/steps?limit=200").json()["results"]
    assert {"turn", "call", "agent", "loop", "workflow", "memory", "wait", "set"} == {
        each["kind"] for each in steps
    } - {"approval"}


def test_a_waiting_step_and_the_steps_at_the_end_are_shown(operator: Client, everything: Run) -> None:
    engine.wake()
    engine.drain()
    look_at(operator, everything)
    operator.post(f"/runs/{everything.pk}/signal/", {"name": "go"})
    engine.drain()
    look_at(operator, everything)
    asked = everything.approvals.get()
    operator.post(f"/approvals/{asked.pk}/decide/", {"decision": "approve"})
    engine.drain()
    everything.refresh_from_db()
    assert everything.state == "succeeded"
    look_at(operator, everything)
    assert operator.get("/workflows/everything/").status_code == 200
