"""Quarantine does not stop at child workflows: what a release starts, it holds as well."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from tests.db.bulk.test_forks import GREETS, fork, made, refusals
from tests.db.engine.test_forks import OTHERS
from tests.db.quarantine.test_quarantine import impose
from tests.engine import OPERATOR, deploy, output, run
from workflows import quarantine
from workflows.bulk.changes import Change
from workflows.errors import Conflict
from workflows.models import Deployment
from workflows.releases import deployments

WHO = "with: {of: bob}}]\noutput: '{{ steps.below.output }}'\n"
CALLS = f"name: calls\nsteps: [{{id: below, workflow: greets, {WHO}"
TOOL = "{kind: Tool, name: greeter, workflow: greets, effect: read}\n"
BY_TOOL = f"name: calls\nsteps: [{{id: below, tool: greeter, {WHO}"
BY_AGENT = "name: calls\nsteps: [{id: below, agent: asker, route: chat, tools: [greeter]}]\n"
GRAND = "name: grand\nsteps: [{id: all, workflow: calls}]\n"
CLEAN = OTHERS.replace("you are m: {{ of }}", "loud {{ of }}")
OTHER_PROMPT = "---\n{kind: Prompt, name: asker, messages: [{role: user, content: begin}]}\n"


def live_of(found: Any) -> set[str]:
    return {each.workflow for each in quarantine.deployed(found)}


@pytest.mark.parametrize("parent", [CALLS, BY_TOOL, BY_AGENT], ids=["step", "tool", "agent"])
def test_what_a_child_workflow_holds_keeps_its_parents_back_and_counts_as_live(parent: str) -> None:
    deploy(GREETS, others=OTHERS + OTHER_PROMPT + "---\n" + TOOL)
    deploy(parent)
    deploy(GRAND)
    deploy("name: beside\nsteps: [{id: a, set: {v: 1}}]\n")
    found = impose("prompt", "greet@1")
    assert live_of(found) == {"greets", "calls", "grand"}
    told = "prompt greet@1 in release 1 of its child workflow greets is quarantined"
    for name in ("calls", "grand"):
        with pytest.raises(Conflict, match=told):
            deployments.deploy(name, environment="production", release=1, actor=OPERATOR)
    deployments.deploy("beside", environment="production", release=1, actor=OPERATOR)
    released = quarantine.release(found.pk, actor=OPERATOR, reason="read again")
    assert live_of(released) == set()
    deployments.deploy("calls", environment="production", release=1, actor=OPERATOR)


def test_a_child_release_that_is_quarantined_itself_keeps_its_parents_back() -> None:
    deploy(GREETS, others=OTHERS)
    deploy(CALLS)
    found = impose("release", "greets@1")
    assert live_of(found) == {"greets", "calls"}
    with pytest.raises(
        Conflict,
        match="Release 1 of calls is not deployed: release 1 of its child workflow greets is quarantined",
    ):
        deployments.deploy("calls", environment="production", release=1, actor=OPERATOR)


def test_a_tool_of_a_child_workflow_keeps_its_parents_back() -> None:
    deploy(GREETS, others=OTHERS + "---\n" + TOOL)
    deploy(BY_TOOL)
    deploy(GRAND)
    assert live_of(impose("tool", "greeter@1")) == {"calls", "grand"}


def test_what_is_still_live_is_found_level_by_level_and_not_one_by_one(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    deploy(GREETS, others=OTHERS)
    deploy(CALLS)
    for name in ("grand", "grander"):
        deploy(GRAND.replace("grand", name))
    found = [impose("prompt", "greet@1"), impose("release", "calls@1")]
    with django_assert_num_queries(1):  # all of them are deployed: what they start is among them
        live = quarantine.still_live(found)
    assert {each.workflow for each in live[found[1].pk]} == {"calls", "grand", "grander"}
    Deployment.objects.exclude(workflow__startswith="grand").delete()
    with django_assert_num_queries(3):  # they, what both start, and what that starts
        live = quarantine.still_live(found)
    assert {each.workflow for each in live[found[0].pk]} == {"grand", "grander"}


@pytest.mark.parametrize(("kind", "ref"), [("prompt", "greet@1"), ("release", "greets@1")])
def test_a_run_tainted_through_its_child_runs_again_on_another_child(kind: str, ref: str) -> None:
    deploy(GREETS, others=OTHERS)
    bad = run(deploy(CALLS))
    assert output(bad) == "plain"
    found = impose(kind, ref)
    assert {taint.run_id: taint.path for taint in found.taints.all()}[bad.pk] == "below"
    [refused] = refusals(fork(Change(clean_of=found.pk), "calls"))
    assert refused.startswith("The release of calls that is live in production holds ")
    deploy(CALLS, others=CLEAN)
    [again] = made(fork(Change(clean_of=found.pk), "calls"))
    assert (again.release.number, output(again)) == (2, "LOUD")
    assert again.children.get().release.number == 2
    assert (again.fork or {})["from"] == "below"
