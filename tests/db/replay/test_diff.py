"""Two runs side by side: documents by name and rank, memory by key and version, params by step."""

from __future__ import annotations

import pytest

from tests.db.engine.test_forks import OTHERS
from tests.db.engine.test_pins import DOCUMENTS
from tests.db.retrieval import fixtures
from tests.engine import OPERATOR, apply, deploy, drain, run
from workflows import remembering
from workflows.engine import bundle
from workflows.replay import diff, forking
from workflows.replay.diff import StepPair
from workflows.replay.overriding import Overrides

NOTES = """
name: notes
input: {type: object}
steps:
  - {id: note, memory: {write: {scope: workflow, key: rules, value: "{{ input.rule }}"}}}
  - {id: look, needs: [note], memory: {read: {scope: global, key: house}}}
"""


def pair(found: diff.RunDiff, path: str) -> StepPair:
    return next(each for each in found.steps if each.path == path)


@pytest.fixture
def _library() -> None:
    bundle.forget_providers()
    apply(*DOCUMENTS)
    fixtures.publish("handbook", {"a.md": "Apple pie.", "b.md": "Apple apple apple."})


@pytest.mark.usefixtures("_library")
def test_documents_are_told_by_name_and_revision_and_by_rank() -> None:
    before = run("below")
    fixtures.publish("handbook", {"a.md": "Apple apple apple apple.", "c.md": "Apple."})
    found = pair(diff.of(before, run("below")), "deep")
    assert found.left is not None
    assert found.right is not None
    assert set(found.left.documents) == {"handbook/a.md@1", "handbook/b.md@1"}
    assert set(found.right.documents) == {"handbook/a.md@2", "handbook/b.md@1", "handbook/c.md@1"}
    chunks = (found.right.output or {})["chunks"]
    ranked = [f"handbook/{chunk['document']}" for chunk in chunks]
    assert [name.rpartition("@")[0] for name in found.right.documents] == ranked
    assert "documents" in [each.aspect for each in found.differences]


@pytest.mark.usefixtures("_library")
def test_what_a_fork_took_over_keeps_its_ranks() -> None:
    fixtures.publish("handbook", {f"{n}.md": f"Apple {'apple ' * n}." for n in range(12)})
    step = "{id: last, needs: [deep], set: {v: 1}}"
    search = "{id: deep, retrieve: handbook, query: apple, top_k: 50, mode: text}"
    first = run(deploy(f"name: both\nsteps: [{search}, {step}]"))
    made = forking.fork(first.pk, forking.Ask(from_step="last"), actor=OPERATOR)
    drain()
    made.refresh_from_db()
    found = diff.of(first, made)
    assert found.first is None, pair(found, "deep").differences


def test_memory_is_an_aspect_of_its_own_with_key_version_and_value() -> None:
    house = remembering.Place(environment="production", scope="global", key="house")
    by = remembering.Writer(actor="user:olga")
    deploy(NOTES)
    remembering.change(house, "write", "quiet", by=by, expected=None)
    before = run("notes", rule="be kind")
    remembering.change(house, "write", "loud", by=by, expected=None)
    after = run("notes", rule="be brief")
    found = diff.of(before, after)
    note, look = pair(found, "note"), pair(found, "look")
    assert note.left is not None
    assert note.left.memory == {
        "operation": "write",
        "key": "production/workflow:notes/rules",
        "version": 1,
        "value": "be kind",
    }
    assert look.right is not None
    assert look.right.memory == {
        "operation": "read",
        "key": "production/global/house",
        "version": 2,
        "value": "loud",
    }
    for each in (note, look):
        assert "memory" in [found.aspect for found in each.differences]
    assert all("memory" not in [d.aspect for d in each.differences] for each in diff.of(after, after).steps)


def test_other_params_are_told_before_any_step() -> None:
    bundle.forget_providers()
    body = "{id: greet, prompt: greet, with: {of: a}, route: chat, params: {temperature: 1}}"
    begun = run(deploy(f"name: w\nsteps:\n  - {body}", others=OTHERS))
    ask = forking.Ask(overrides=Overrides(params={"greet": {"temperature": 0}}))
    made = forking.fork(begun.pk, ask, actor=OPERATOR)
    drain()
    made.refresh_from_db()
    (given,) = diff.of(begun, made).given
    assert (given.aspect, given.at) == ("params", "greet")
    assert (given.left, given.right) == ({"temperature": 1}, {"temperature": 0})
