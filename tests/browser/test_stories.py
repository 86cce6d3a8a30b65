"""Two stories told with the console alone: five hundred failed runs recovered, and a wrong answer traced and mended.

Real workers do the work, one of them dies in the middle, and a witness outside counts what was really paid.
"""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect
from pytest_django import Settings

from tests import bulk, engine
from tests.db.retrieval import fixtures
from tests.witness import Behaviour, Witness
from tests.workers import Workers, until
from workflows.models import BulkAction, Run

pytestmark = pytest.mark.timeout(600)
RUNS = 500
FAST = {"INTERLOCK_LEASE": "2", "INTERLOCK_HEARTBEAT": "0.4", "INTERLOCK_TOOL_ALLOW": "127.0.0.1"}
PAY = """
kind: Tool
name: pay
input: {{type: object}}
http: {{method: POST, url: "{url}", body: {{sum: "{{{{ sum }}}}"}}}}
effect: once
timeout: 5s
"""
PAYOUT = """
name: payout
input: {type: object}
steps:
  - {id: pay, tool: pay, with: {sum: "{{ input.sum }}"}}
  - {id: tell, needs: [pay], prompt: ask, route: chat, with: {text: "Paid {{ input.sum }}"}}
output: "{{ steps.tell.output.text }}"
"""


def test_five_hundred_failed_runs_come_back_and_nobody_is_paid_twice(
    console: Page, address: str, worker: Workers, settings: Settings
) -> None:
    settings.TOOL_ALLOW = ["127.0.0.1"]
    with Witness() as witness:
        # The first two payments arrive, and their answers are lost: their outcome is unknown.
        witness.behave("/pay", Behaviour(fault="reset"), Behaviour(fault="reset"), Behaviour())
        _outage(witness)
        assert len(witness.calls) == RUNS
        bulk.mend()

        console.goto(address + "/overview/")
        console.get_by_role("link", name="Recovery").click()
        expect(console.locator(".standing")).to_contain_text("2 runs with an unknown outcome")
        group = console.locator(".error-groups tbody tr").first
        expect(group).to_contain_text("498")
        _settle_what_is_unknown(console)

        console.goto(address + "/recovery/")
        console.locator(".error-groups").get_by_role("link", name="Recover…").first.click()
        expect(console.locator(".reach-count")).to_have_text(re.compile("498 of 498 runs will be retried"))
        console.get_by_label("Reason").fill("The provider is back")
        console.get_by_label("Runs a second").fill("")
        console.get_by_role("button", name="Retry 498 runs").click()
        console.wait_for_url("**/runs/bulk/b_**")
        _carried_out_by_workers_that_die(worker)

        expect(console.locator(".bulk-title .state")).to_have_text("Finished", timeout=60_000)
        expect(console.get_by_role("link", name="Succeeded 498")).to_be_visible(timeout=60_000)
        expect(console.locator(".kpis")).to_contain_text("gone well")
        console.goto(address + "/recovery/")
        expect(console.locator(".standing")).to_contain_text("0 runs with an unknown outcome")
        expect(console.locator(".error-groups tbody tr").first).to_contain_text("0 failed now")
        assert Run.objects.filter(workflow="payout", state="succeeded").count() == RUNS
        assert len(witness.calls) == RUNS
        assert len({call.key for call in witness.calls}) == RUNS


def _outage(witness: Witness) -> None:
    """Start runs that pay, and then fail because the model does not answer."""
    others = bulk.DOWN + "---" + bulk.OTHERS
    engine.deploy(PAYOUT, tools=PAY.format(url=witness.url("/pay")), others=others)
    for number in range(RUNS):
        engine.start("payout", sum=number)
    engine.drain()


def _settle_what_is_unknown(console: Page) -> None:
    """Say of both payments that they took effect: whoever was paid has said so."""
    for _ in range(2):
        console.get_by_role("link", name="with an unknown outcome").click()
        console.locator("#runs tbody tr a").first.click()
        console.wait_for_url("**/runs/r_**")
        console.get_by_role("link", name="Settle pay…").first.click()
        console.get_by_label("It took effect").first.check()
        console.get_by_role("textbox", name="Output").fill('{"ok": true}')
        console.get_by_label("Reason").fill("The bank has it")
        console.get_by_role("button", name="Settle").last.click()
        expect(console.locator("#toasts")).to_contain_text("pay is settled.")
        console.get_by_role("link", name="Recovery").click()


def _carried_out_by_workers_that_die(worker: Workers) -> None:
    action = BulkAction.objects.get()
    BulkAction.objects.update(starts_at=action.created_at)
    first = worker.start(env=FAST)
    until(lambda: action.items.filter(outcome="done").count() > 30, within_s=60, what="some are retried")
    first.kill()
    worker.start(env=FAST)
    worker.start(env=FAST)


LEAVE = """
name: leave-desk
input: {type: object}
steps:
  - {id: search, retrieve: handbook, query: "{{ input.question }}", top_k: 1, mode: text}
  - id: answer
    needs: [search]
    prompt: from-document
    route: desk
    with: {text: "{{ steps.search.output.chunks | map(attribute='text') | join(' ') }}"}
output: "{{ steps.answer.output.text }}"
"""
DESK = f"""
kind: Provider
name: desk
api: scripted
models: [{{name: m, context_tokens: 8000, price: {{input: 1, output: 2}}}}, {{name: e, embeds: {fixtures.DIMS}}}]
rules:
  - {{match: "20 days", reply: "You have 20 days."}}
  - {{match: "30 days", reply: "You have 30 days."}}
  - {{reply: "I do not know."}}
---
{{kind: Route, name: desk, targets: [desk/m]}}
---
kind: Prompt
name: from-document
variables: {{text: {{type: string}}}}
messages: [{{role: user, content: "Answer from: {{{{ text }}}}"}}]
---
{{kind: Corpus, name: handbook, embedding: desk/e}}
"""
AFFECTED = 37
STALE = "leave-2019.md"


def test_a_stale_document_is_found_taken_out_of_use_and_its_runs_run_again(
    console: Page, address: str, worker: Workers
) -> None:
    wrong = _answers()
    worker.start(env=FAST)
    console.goto(f"{address}/runs/{wrong.pk}/?tab=documents")
    expect(console.locator("main")).to_contain_text(STALE)

    console.goto(f"{address}/runs/{wrong.pk}/replay/")
    expect(console.locator(".verdict").first).to_contain_text("Identical")

    console.goto(f"{address}/runs/{wrong.pk}/")
    console.keyboard.press("F")
    console.wait_for_url("**/fork/**")
    console.get_by_label("First step that runs again").select_option("search")
    console.get_by_label("Snapshot of handbook").fill("1")
    console.get_by_role("button", name="Fork run").click()
    console.wait_for_url("**/runs/compare/**")
    expect(console.locator("main")).to_contain_text("You have 30 days.", timeout=30_000)

    console.locator(".compare-runs thead a").first.click()
    console.wait_for_url(f"**/runs/{wrong.pk}/**")
    console.get_by_label("Run sections").get_by_role("link", name="Documents").click()
    console.locator(".passages summary", has_text=STALE).click()
    console.get_by_role("link", name="Where else was this used").click()
    expect(console.get_by_role("heading", name=f"handbook/{STALE}")).to_be_visible()
    console.get_by_role("link", name="Quarantine…").click()
    expect(console.get_by_label("Name")).to_have_value(f"handbook/{STALE}")
    console.get_by_label("Reason").fill("It is of 2019")
    console.get_by_role("button", name="Quarantine").click()
    expect(console.get_by_role("heading", name=f"{AFFECTED} runs used it")).to_be_visible()
    console.get_by_role("link", name="Run again without it…").click()
    expect(console.locator(".reach-count")).to_have_text(f"{AFFECTED} of {AFFECTED} runs will be forked")
    console.get_by_label("Reason").fill("Without the document of 2019")
    console.get_by_label("Runs a second").fill("")
    console.get_by_role("button", name=f"Fork {AFFECTED} runs").click()
    console.wait_for_url("**/runs/bulk/b_**")
    expect(console.locator(".bulk-title .state")).to_have_text("Finished", timeout=60_000)
    expect(console.get_by_role("link", name=f"Other output {AFFECTED}")).to_be_visible(timeout=30_000)

    console.get_by_role("link", name="another").first.click()
    console.wait_for_url("**/runs/compare/**")
    expect(console.locator("main")).to_contain_text("You have 20 days.")
    expect(console.locator("main")).to_contain_text("You have 30 days.")
    mended = Run.objects.filter(workflow="leave-desk", trigger="fork", state="succeeded")
    assert {engine.output(run) for run in mended} == {"You have 30 days."}


def _answers() -> Run:
    """Run questions on a handbook to which a stale document was added; return one of the wrong answers."""
    name = engine.deploy(LEAVE, others=DESK)
    fixtures.publish("handbook", {"leave.md": "Leave is 30 days a year."})
    right = engine.start(name, question="leave")
    engine.drain()
    fixtures.publish("handbook", {STALE: "Leave leave leave: leave is 20 days, leave."})
    wrong = [engine.start(name, question="leave") for _ in range(AFFECTED)]
    engine.drain()
    assert engine.output(right) == "You have 30 days."
    assert {engine.output(run) for run in wrong} == {"You have 20 days."}
    return wrong[-1]
