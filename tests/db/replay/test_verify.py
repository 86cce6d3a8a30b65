"""Verified replay: identical whatever has changed around the run, and exact about what code has changed."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from tests.engine import OPERATOR, apply, deploy, drain, run, start
from workflows import database, payloads, recovery, runs
from workflows.errors import Conflict, UnknownObject
from workflows.models import Definition, Run
from workflows.replay import record, verify
from workflows.replay.walk import Walk
from workflows.spec import templates
from workflows.step_kinds import prompt
from workflows.step_kinds.base import as_text

OTHERS = """
kind: Provider
name: fake
api: scripted
models: [{name: m, context_tokens: 100000, price: {input: 1000, output: 2000}}]
rules:
  - {match: "of: good", reply: '{"mood": "good"}'}
  - {reply: "no JSON"}
---
kind: Route
name: chat
targets: [fake/m]
---
kind: Prompt
name: mood
variables: {text: {type: string}}
messages: [{role: user, content: "Mood of: {{ text }}"}]
output: {type: object, required: [mood], properties: {mood: {type: string}}}
"""
MOODS = """
name: moods
input: {type: object, required: [texts]}
steps:
  - id: each
    map:
      over: input.texts
      steps:
        - {id: mood, prompt: mood, with: {text: "{{ item }}"}, route: chat, repair: 1, on_error: continue}
        - {id: kept, needs: [mood], set: {of: "{{ item }}", mood: "{{ steps.mood.output }}"}}
      output: "{{ steps.kept.output }}"
  - {id: count, needs: [each], set: {n: "{{ steps.each.output | length }}"}}
output: "{{ steps.count.output.n }}"
"""


def moods(*texts: str) -> Run:
    return run(deploy(MOODS, others=OTHERS), texts=list(texts))


def close_doors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing be asked: no socket, no model, no tool, no search."""

    def refused(*_: Any, **__: Any) -> None:
        raise AssertionError("a replay asked somebody")

    monkeypatch.setattr(socket.socket, "connect", refused)
    for door in ("call", "embed"):
        monkeypatch.setattr(f"providers.gateway.{door}", refused)
    monkeypatch.setattr("retrieval.search.search", refused)
    monkeypatch.setattr("workflows.tools.http.send", refused)
    monkeypatch.setattr("workflows.tools.python.run_python", refused)


def test_a_run_is_identical_after_everything_around_it_has_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done = moods("good day", "rain")
    changed = OTHERS.replace("Mood of", "What mood is").replace("no JSON", "{}")
    apply(changed, "kind: Workflow\n" + MOODS.replace("length", "first"))
    Definition.objects.filter(kind="Provider").update(archived_at=done.created_at)
    close_doors(monkeypatch)
    found = verify.replay(done.pk)
    assert (found.verdict, found.divergences, found.missing) == ("identical", [], [])
    # Two prompts, two sets, the map twice, and the step after it.
    assert found.checked == 7


def test_a_changed_step_is_named_with_its_place_and_template(monkeypatch: pytest.MonkeyPatch) -> None:
    done = moods("good day")
    monkeypatch.setattr(prompt, "as_text", lambda value: as_text(value).upper())
    found = verify.replay(done.pk)
    assert found.verdict == "diverged"
    (only,) = found.divergences
    assert (only.path, only.what, only.at) == ("each[0]/mood", "input", "$.messages[0].content")
    assert (only.recorded, only.replayed) == ("Mood of: good day", "MOOD OF: GOOD DAY")
    assert only.template == "Mood of: {{ text }}"


def test_code_that_decides_otherwise_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    done = moods("good day")
    monkeypatch.setattr(templates, "evaluate", lambda *_: [])
    found = verify.replay(done.pk)
    told = {(each.path, each.what) for each in found.divergences}
    assert ("each", "outcome") in told
    assert ("each[0]/mood", "steps") in told


def test_code_that_crashes_on_the_record_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    done = moods("good day")

    def broken(*_: Any) -> None:
        raise ZeroDivisionError("by hand")

    monkeypatch.setattr(templates, "evaluate", broken)
    found = verify.replay(done.pk)
    assert (found.divergences[0].what, found.divergences[0].replayed) == (
        "code",
        "ZeroDivisionError: by hand",
    )


def test_a_step_that_asks_once_more_is_told() -> None:
    done = moods("rain")
    database.fetch_all("DELETE FROM workflows_call WHERE number = 1 RETURNING id", [])
    found = verify.replay(done.pk)
    assert (found.divergences[0].path, found.divergences[0].what) == ("each[0]/mood", "calls")
    assert "once more than it did" in found.divergences[0].explanation


def test_what_retention_took_makes_it_incomplete() -> None:
    done = moods("good day")
    assert done.output_hash is not None
    database.fetch_all(
        "DELETE FROM workflows_payload WHERE hash = $1 RETURNING hash", [bytes(done.input_hash)]
    )
    payloads._cache.items.clear()
    found = verify.replay(done.pk)
    assert found.verdict == "incomplete"
    assert "not stored any more" in found.missing[0]


def test_only_what_has_ended_is_replayed() -> None:
    going = start(deploy("name: w\nsteps: [{id: a, wait: {signal: s}}]\n"))
    drain()
    with pytest.raises(Conflict, match="can be replayed once it has ended"):
        verify.replay(going.pk)
    with pytest.raises(UnknownObject):
        verify.replay("r_nobody")


def test_child_runs_are_replayed_with_their_parent() -> None:
    deploy("name: inner\nsteps: [{id: a, set: {v: '{{ input.n }}'}}]\noutput: '{{ steps.a.output.v }}'\n")
    done = run(
        deploy(
            "name: outer\nsteps: [{id: call, workflow: inner, with: {n: 2}}]\noutput: '{{ steps.call.output }}'\n"
        )
    )
    found = verify.replay(done.pk)
    assert (found.verdict, len(found.children), found.children[0].verdict) == ("identical", 1, "identical")
    # Twice through the parent's step: it started the child, and took in what came.
    assert (found.checked, found.children[0].checked) == (2, 1)


def test_the_state_at_any_event_is_rebuilt() -> None:
    done = moods("good day", "rain")
    events = record.of_run(done).events
    shown = [Walk(record.of_run(done)).to(event.seq) for event in events]
    assert shown[0].state == "queued"
    assert {path: step.state for path, step in shown[0].steps.items()} == {
        "each": "ready",
        "count": "pending",
    }
    laid_out = next(at for at, event in zip(shown, events, strict=True) if event.type == "step.expanded")
    assert laid_out.steps["each"].state == "waiting"
    assert laid_out.steps["each[1]/mood"].state == "ready"
    assert shown[-1].state == "succeeded"
    assert shown[-1].steps["each[1]/mood"].state == "failed"


def test_a_step_that_is_cancelled_before_its_next_attempt_is_rebuilt_with_its_last_error() -> None:
    asks = "{id: a, prompt: mood, with: {text: rain}, route: chat, retry: {attempts: 2, first: 1h}}"
    begun = run(deploy(f"name: w\nsteps: [{asks}]\n", others=OTHERS))
    (step,) = begun.steps.all()
    assert (step.state, step.reason) == ("waiting", "retry")
    runs.cancel(begun.pk, actor=OPERATOR)
    step.refresh_from_db()
    begun.refresh_from_db()
    rebuilt = Walk(record.of_run(begun)).to().steps["a"]
    assert (rebuilt.state, rebuilt.error) == ("cancelled", step.error)
    assert step.error is not None


def test_a_cancelled_and_retried_run_is_identical() -> None:
    name = deploy("name: w\nsteps: [{id: a, set: {v: 1}}, {id: b, needs: [a], wait: {signal: s}}]\n")
    begun = start(name)
    drain()
    runs.cancel(begun.pk, actor=OPERATOR)
    recovery.retry(begun.pk, actor=OPERATOR)
    drain()
    runs.signal(begun.pk, "s", {"x": 1}, actor=OPERATOR)
    drain()
    begun.refresh_from_db()
    assert begun.state == "succeeded"
    assert verify.replay(begun.pk).verdict == "identical"
