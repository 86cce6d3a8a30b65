"""Workflows as people use them: the editor with its plan, the graph by keyboard, applying by paste."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from console.models import Role
from tests import example_runs, example_workflows
from tests.browser.conftest import sign_in
from tests.browser.test_shell import check
from workflows.models import Definition, Deployment, Environment, Run


@pytest.fixture
def editor(clean: Page, context: BrowserContext, served: str, transactional_db: None) -> Page:
    example_workflows.documents()
    sign_in(context, served, Role.EDITOR)
    return clean


def _replace(page: Page, old: str, new: str) -> None:
    """Put another text into the editor, as somebody who pastes it over all of it."""
    text = page.locator("#document").input_value().replace(old, new)
    page.locator(".editor .cm-content").click()
    page.keyboard.press("Control+A")
    page.keyboard.press("Delete")
    page.keyboard.insert_text(text)


def test_an_edit_is_checked_planned_saved_and_compared(editor: Page, address: str) -> None:
    editor.goto(address + "/workflows/claims/edit/")
    _replace(editor, "steps.assess.output.severity", "steps.asess.output.severity")
    expect(editor.locator("#problems")).to_contain_text("there is no step 'asess'")
    expect(editor.locator("#preview .step.tone-bad")).to_have_count(2)
    editor.locator("#problems [data-jump]").first.click()
    expect(editor.locator(".cm-activeLine")).to_contain_text("asess")
    _replace(editor, "steps.asess.output.severity", "steps.assess.output.severity")
    _replace(editor, "to: nobody", "to: archive")
    expect(editor.locator("#problems")).to_contain_text("Can be saved")
    expect(editor.locator("#preview")).to_contain_text("Changed: set")
    editor.keyboard.press("Control+s")
    expect(editor.locator(".plan")).to_contain_text("waits to be deployed")
    editor.wait_for_load_state()  # the scripts that hear keys are there
    editor.get_by_label("Note").fill("Archive them")
    editor.keyboard.press("Control+s")
    editor.wait_for_url("**/workflows/claims/")
    expect(editor.locator("#toasts")).to_contain_text("Saved v3.")
    editor.get_by_role("link", name="Versions").click()
    editor.get_by_role("link", name="Archive them").click()
    editor.wait_for_url("**/diff/2/3/")
    expect(editor.locator(".marks")).to_contain_text("close")
    editor.goto(address + "/workflows/claims/edit/")
    expect(editor.locator(".unsaved")).to_have_count(0)


def test_unsaved_text_is_offered_back_after_a_reload(editor: Page, address: str) -> None:
    editor.goto(address + "/workflows/claims/edit/")
    _replace(editor, "to: nobody", "to: archive")
    expect(editor.locator("#preview")).to_contain_text("Changed: set")
    editor.reload()
    editor.get_by_role("button", name="Bring it back").click()
    expect(editor.locator("#document")).to_have_value(re.compile("to: archive"))


def test_documents_are_applied_by_paste_with_the_keyboard(editor: Page, address: str) -> None:
    editor.goto(address + "/apply/")
    editor.locator(".editor .cm-content").first.click()
    editor.keyboard.insert_text(example_workflows.FIRST.replace("name: claims", "name: complaints"))
    editor.keyboard.press("Control+Enter")
    expect(editor.locator(".plan")).to_contain_text("goes live at once in production")
    editor.wait_for_load_state()  # the scripts that hear keys are there
    assert editor.evaluate("document.querySelector('#main').scrollTop") == 0
    expect(editor.get_by_label("Reason")).not_to_be_focused()  # the plan is read first, from its top
    editor.keyboard.press("Control+Enter")
    editor.wait_for_url("**/workflows/complaints/")
    assert Definition.objects.get(name="complaints").latest_version == 1


def test_another_environment_keeps_what_was_typed(editor: Page, address: str) -> None:
    live = Deployment.objects.get(workflow="claims")
    Environment.objects.create(name="staging")
    Deployment.objects.create(
        workflow="claims",
        environment_id="staging",
        stable=live.stable,
        deployed_at=live.deployed_at,
        deployed_by="anna",
    )
    editor.goto(address + "/workflows/claims/start/")
    editor.get_by_label("Claim", exact=True).fill("A storm took\nthe roof.")
    editor.get_by_label("Title").fill("By hand")
    editor.get_by_label("Priority").select_option("high")
    editor.get_by_label("production").focus()
    editor.keyboard.press("ArrowRight")
    editor.wait_for_url("**/start/?environment=staging")
    expect(editor.locator(".column-side dd").first).to_have_text("staging")
    expect(editor.get_by_label("staging")).to_be_focused()
    expect(editor.get_by_label("Claim", exact=True)).to_have_value("A storm took\nthe roof.")
    expect(editor.get_by_label("Title")).to_have_value("By hand")
    expect(editor.get_by_label("Priority")).to_have_value("high")
    check(editor, "start-elsewhere")
    editor.keyboard.press("Enter")
    editor.wait_for_url("**/runs/r_**")
    started = Run.objects.get()
    assert (started.environment_id, started.title) == ("staging", "By hand")


def test_the_graph_is_walked_by_keyboard_and_the_address_follows(editor: Page, address: str) -> None:
    editor.goto(address + "/workflows/claims/")
    editor.locator('a.step[data-step="assess"]').focus()
    editor.keyboard.press("ArrowDown")
    expect(editor.locator('a.step[data-step="decide"]')).to_be_focused()
    editor.keyboard.press("Enter")
    editor.wait_for_url("**step=decide")
    expect(editor.locator("#inspector h2")).to_have_text("decide")
    editor.keyboard.press("Escape")
    expect(editor.locator("#inspector")).to_be_hidden()
    assert "step=" not in editor.url
    expect(editor.locator('a.step[data-step="decide"]')).to_be_focused()


def test_the_graph_of_a_run_opens_the_same_inspector(console: Page, address: str) -> None:
    example_runs.failed_run(number=1)
    console.goto(address + "/runs/r_0000000000001/?tab=graph")
    console.locator('a.step[data-step="notify"]').click()
    console.wait_for_url("**step=route%2Fnotify")
    expect(console.locator("#inspector h2")).to_have_text("route/notify")
    console.locator("[data-attempt='1']").click()
    console.wait_for_url("**attempt=1")
    console.get_by_role("link", name="Timeline").click()
    console.go_back()
    expect(console.locator("#inspector h2")).to_have_text("route/notify")
    console.locator("[data-close-step]").click()
    expect(console.locator("#inspector")).to_be_hidden()
