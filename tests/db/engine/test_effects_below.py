"""What a retry would send again is told before it begins, also where a child run sends it."""

from __future__ import annotations

from pytest_django import Settings

from tests.engine import apply, deploy, run
from tests.witness import Behaviour, Witness
from workflows import recovery

NOTE = """
kind: Tool
name: note
input: {type: object}
http: {method: POST, url: "URL"}
effect: idempotent
timeout: 5s
"""
INNER = "name: inner\nsteps: [{id: note, tool: note, with: {}}]\n"
MIDDLE = "name: middle\nsteps: [{id: call, workflow: inner}]\n"
OUTER = "name: outer\nsteps: [{id: call, workflow: middle}]\n"


def test_effects_of_child_runs_that_go_on_are_told_with_their_run(settings: Settings) -> None:
    settings.TOOL_ALLOW = ["127.0.0.1"]
    with Witness() as witness:
        witness.behave("/note", Behaviour(status=400))
        apply(NOTE.replace("URL", witness.url("/note")))
        for workflow in (INNER, MIDDLE, OUTER):
            deploy(workflow)
        outer = run("outer")
    inner = outer.children.get().children.get()
    found = recovery.preview(outer.pk)
    assert found.again == ("call",), "paths of the run itself"
    assert [(each.run, each.path, each.tool, each.happens) for each in found.effects] == [
        (inner.pk, "note", "note", "again")
    ]
    assert recovery.preview(outer.pk, from_step="call").effects == (), "it starts a new child run"
