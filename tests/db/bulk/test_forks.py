"""Bulk forks: one change over many recorded runs, and runs that used what is quarantined, again on clean state."""

from __future__ import annotations

import pytest
from pytest_django import Settings

from tests import bulk, engine
from tests.db.engine.test_forks import OTHERS, TOOLS
from tests.db.quarantine.test_quarantine import READS, WRITES, impose, looks
from tests.engine import OPERATOR, deploy, output, run
from tests.witness import Witness
from workflows.bulk import actions, previews, selections
from workflows.bulk.changes import Change
from workflows.errors import Invalid
from workflows.models import AuditEntry, BulkAction, Run
from workflows.queries import bulk_page
from workflows.queries.run_list import RunFilter
from workflows.replay.overriding import Overrides

GREETS = """
name: greets
input: {type: object, required: [of]}
steps: [{id: greet, prompt: greet, with: {of: "{{ input.of }}"}, route: chat}]
output: "{{ steps.greet.output.text }}"
"""
LOUD = Overrides(prompts={"greet": {"messages": [{"role": "user", "content": "loud {{ of }}"}]}})


def fork(change: Change, workflow: str = "") -> BulkAction:
    chosen = selections.Matching(RunFilter(workflow=workflow))
    order = actions.Order(asked=bulk.asked("fork", selection=chosen, change=change), reason="a try")
    action = actions.start(order, actor=OPERATOR).action
    bulk.carried(action)
    action.refresh_from_db()
    return action


def made(action: BulkAction) -> list[Run]:
    return [Run.objects.get(pk=item.made) for item in action.items.order_by("id") if item.made]


def refusals(action: BulkAction) -> list[str]:
    return list(action.items.filter(outcome="refused").values_list("reason", flat=True))


def test_one_change_over_many_runs_says_what_came_out_differently() -> None:
    deploy(GREETS, others=OTHERS)
    runs = [run("greets", of=name) for name in ("ann", "bob", "loud cat")]
    action = fork(Change(overrides=LOUD), "greets")
    assert (action.state, action.total) == ("finished", 3)
    assert [output(each) for each in made(action)] == ["LOUD"] * 3
    assert [each.fork["of"] for each in made(action) if each.fork] == [each.pk for each in runs]
    assert bulk_page.compared(action) == (1, 2)
    shown = bulk_page.items(action).rows
    assert [row.changed.same for row in shown if row.changed] == [False, False, True]
    assert [row.run_id for row in bulk_page.items(action, place=bulk_page.CHANGED).rows] == [
        runs[0].pk,
        runs[1].pk,
    ]
    assert bulk_page.places(action) == {"succeeded": 3}


def test_one_audit_entry_says_what_the_change_was() -> None:
    deploy(GREETS, others=OTHERS)
    run("greets", of="ann")
    fork(Change(overrides=Overrides(models={"chat": "fake/other"})), "greets")
    assert not AuditEntry.objects.filter(action="run.fork").exists()
    entry = AuditEntry.objects.get(action="bulk.fork")
    assert entry.data["change"] == {"overrides": {"models": {"chat": "fake/other"}}, "effects": "stub"}


def test_a_change_that_does_not_fit_is_refused_run_by_run_with_the_place() -> None:
    deploy(GREETS, others=OTHERS)
    run("greets", of="ann")
    action = fork(Change(overrides=Overrides(prompts={"nobody": 1})), "greets")
    assert made(action) == []
    assert refusals(action) == ["The run's release uses no Prompt nobody; it uses: greet."]


def test_what_goes_on_or_belongs_to_another_run_is_left_out() -> None:
    deploy(WRITES, others=OTHERS)
    deploy("name: calls\nsteps: [{id: below, workflow: writes, with: {of: bob}}]\n")
    run("calls")
    engine.start("writes", of="ann")
    found = previews.preview(bulk.asked("fork", change=Change()))
    assert found.applies == 1
    assert {each.verdict: each.count for each in found.excluded} == {"child": 1, "unended": 1}


def test_a_fork_without_a_change_and_a_retry_with_one_are_refused() -> None:
    for action, change in (("fork", None), ("retry", Change())):
        order = actions.Order(asked=bulk.asked(action, change=change), reason="why")  # type: ignore[arg-type]
        with pytest.raises(Invalid, match="A fork says what is different"):
            actions.start(order, actor=OPERATOR)


def test_runs_that_read_a_bad_document_read_the_rest_of_it_again() -> None:
    name = looks()
    before = run(name)
    found = impose("document", "handbook/leave1.md")
    after = run(name)
    action = fork(Change(clean_of=found.pk))
    assert action.preview["excluded"] == [{"verdict": "clean", "count": 1}]
    assert [output(each) for each in made(action)] == [["leave2.md"]]
    assert set(output(before)) == {"leave1.md", "leave2.md"}, "what was recorded stays"
    assert output(after) == ["leave2.md"]


def test_runs_on_a_bad_snapshot_begin_again_on_the_last_clean_one() -> None:
    name = looks()
    run(name)
    found = impose("snapshot", "handbook@2")
    [again] = made(fork(Change(clean_of=found.pk)))
    assert again.pins == {"handbook": 1}
    assert output(again) == ["leave1.md"]


def test_runs_with_a_bad_prompt_begin_again_on_the_release_that_is_live() -> None:
    deploy(
        WRITES.replace("name: writes", "name: writes\noutput: '{{ steps.greet.output.text }}'"), others=OTHERS
    )
    run("writes", of="ann")
    found = impose("prompt", "greet@1")
    refused = fork(Change(clean_of=found.pk), "writes")
    assert refusals(refused) == [
        "The release of writes that is live in production holds prompt greet@1 too, which is quarantined. "
        "Deploy a clean one first."
    ]
    engine.deploy(
        WRITES.replace("name: writes", "name: writes\noutput: '{{ steps.greet.output.text }}'"),
        others=OTHERS.replace("you are m: {{ of }}", "loud {{ of }}"),
    )
    [again] = made(fork(Change(clean_of=found.pk), "writes"))
    assert again.release.number == 2
    assert output(again) == "LOUD"


def test_readers_of_what_a_tainted_run_remembered_read_what_is_trusted_now() -> None:
    deploy(WRITES, others=OTHERS)
    run("writes", of="ann")
    assert output(run(deploy(READS))) == "plain"
    found = impose("prompt", "greet@1")
    [again] = made(fork(Change(clean_of=found.pk), "reads"))
    assert output(again) is None


def test_effects_come_from_the_record_unless_somebody_asks_for_them(settings: Settings) -> None:
    settings.TOOL_ALLOW = ["127.0.0.1"]
    pays = GREETS.replace("greets", "pays") + ""
    pays = pays.replace(
        "route: chat}]\n",
        'route: chat}, {id: paid, needs: [greet], tool: pay, with: {of: "{{ input.of }}"}}]\n',
    )
    with Witness() as witness:
        deploy(pays, tools=TOOLS.replace("URL", witness.url("/pay")), others=OTHERS)
        run("pays", of="ann")
        fork(Change(), "pays")
        assert len(witness.calls) == 1
        fork(Change(effects={"pay": "live"}), "pays")
        assert len(witness.calls) > 1
        assert len({call.key for call in witness.calls}) == len(witness.calls)


def test_a_worker_that_dies_between_two_forks_makes_no_third() -> None:
    deploy(GREETS, others=OTHERS)
    for name in ("ann", "bob"):
        run("greets", of=name)
    chosen = selections.Matching(RunFilter(workflow="greets"))
    order = actions.Order(asked=bulk.asked("fork", selection=chosen, change=Change()), reason="a try")
    action = actions.start(order, actor=OPERATOR).action
    engine.claim()
    engine.expire()
    bulk.carried(action)
    assert Run.objects.filter(trigger="fork").count() == 2


TWICE = """
name: twice
steps:
  - {id: one, needs: [], retrieve: handbook, query: "days of leave", top_k: 5, mode: text}
  - {id: two, needs: [], retrieve: handbook, query: "leave", top_k: 5, mode: text}
output: "{{ [steps.one.output.chunks | length, steps.two.output.chunks | length] }}"
"""
EACH = """
name: each
steps:
  - id: all
    map:
      over: "['days', 'leave']"
      as: word
      steps: [{id: look, retrieve: handbook, query: "{{ word }}", top_k: 5, mode: text}]
output: "{{ steps.all.output | map(attribute='chunks') | map('length') | list }}"
"""


@pytest.mark.parametrize("workflow", [TWICE, EACH])
def test_nothing_that_used_it_beside_the_first_step_is_kept(workflow: str) -> None:
    looks()
    name = deploy(workflow)
    assert output(run(name)) == [2, 2]
    found = impose("document", "handbook/leave1.md")
    [again] = made(fork(Change(clean_of=found.pk), name))
    assert output(again) == [1, 1]


def test_without_any_trusted_snapshot_nothing_is_forked() -> None:
    name = looks()
    run(name)
    impose("snapshot", "handbook@1")
    action = fork(Change(clean_of=impose("snapshot", "handbook@2").pk))
    assert refusals(action) == ["Corpus handbook has no snapshot that is trusted. Publish a clean one first."]
