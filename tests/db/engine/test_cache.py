"""Steps that take the result of an identical one."""

from __future__ import annotations

from tests.engine import OPERATOR, apply, check_journal, deploy, output, run
from workflows import database, definitions
from workflows.engine import bundle, clock
from workflows.models import CachedResult, JournalEvent, Release, Run
from workflows.releases import deployments
from workflows.spec.documents import SourceText

PROVIDER = """
kind: Provider
name: fake
api: scripted
models: [{name: m, context_tokens: 8000, price: {input: 1000, output: 2000}}]
rules: [{match: ".", reply: "REPLY"}]
"""
OTHERS = """
kind: Route
name: chat
targets: [fake/m]
---
kind: Prompt
name: ask
variables: {text: {type: string}}
messages: [{role: user, content: "{{ text }}"}]
"""
WORKFLOW = """
name: cached
steps:
  - {id: one, prompt: ask, route: chat, cache: 1h, with: {text: "{{ input.text }}"}}
output: "{{ steps.one.output.text }}"
"""


def deployed(reply: str) -> str:
    apply(PROVIDER.replace("REPLY", reply), OTHERS)
    bundle.forget_providers()
    return deploy(WORKFLOW)


def test_an_identical_step_takes_the_result_and_says_whose_it_is() -> None:
    first = run(deployed("first"), text="hello")
    second = run(deployed("second"), text="hello")
    other = run("cached", text="hello there")
    assert [output(each) for each in (first, second, other)] == ["first", "first", "second"]
    assert (second.calls.count(), second.cost_usd) == (0, None)
    ended = JournalEvent.objects.get(run=second, type="step.succeeded")
    assert ended.data["cached"] == {"run": first.pk, "step": "one"}
    refs = set(second.lineage.values_list("kind", "ref"))
    assert refs == {("prompt", "ask@1"), ("run", first.pk)}
    check_journal(second)


def test_a_changed_prompt_or_route_is_another_request() -> None:
    run(deployed("first"), text="hello")
    deployed("second")
    apply(
        OTHERS.replace("content: ", "content: 'Say: ' # ").replace(
            "'Say: ' # \"{{ text }}\"", '"Say: {{ text }}"'
        )
    )
    deploy_newest()
    assert output(run("cached", text="hello")) == "second"


def deploy_newest() -> None:
    newest = Release.objects.filter(workflow="cached").latest("number").number
    deployments.deploy("cached", environment="production", release=newest, actor=OPERATOR)


def test_a_result_that_is_too_old_is_not_taken_and_forgotten() -> None:
    run(deployed("first"), text="hello")
    database.fetch_all(
        "UPDATE workflows_cachedresult SET expires_at = clock_timestamp() - interval '1 s' RETURNING 1", []
    )
    assert output(run(deployed("second"), text="hello")) == "second"
    assert CachedResult.objects.count() == 1
    database.fetch_all(
        "UPDATE workflows_cachedresult SET expires_at = clock_timestamp() - interval '1 s' RETURNING 1", []
    )
    clock.forget_results()
    assert not CachedResult.objects.exists()


def test_a_failed_step_is_not_cached() -> None:
    apply(PROVIDER.replace('reply: "REPLY"', "fault: {status: 400}"), OTHERS)
    bundle.forget_providers()
    failed: Run = run(deploy(WORKFLOW), text="hello")
    assert failed.state == "failed"
    assert not CachedResult.objects.exists()


def test_steps_with_an_effect_cannot_be_cached() -> None:
    text = """
kind: Tool
name: pay
http: {method: POST, url: "http://x"}
effect: once
---
kind: Workflow
name: w
steps:
  - {id: a, tool: pay, cache: 1h}
  - {id: b, set: {x: 1}, cache: 1h}
"""
    refused = definitions.apply([SourceText("w.yaml", text, "yaml")], actor=OPERATOR)
    told = "\n".join(str(error) for error in refused.errors)
    assert "the Tool 'pay' has an effect; only those that `read` can be cached" in told
    assert "only prompt, retrieve, tool steps can be cached; this is a set" in told
