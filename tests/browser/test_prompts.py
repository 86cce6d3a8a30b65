"""Editing a prompt as people do: live check, preview, diff, test, save, conflict, a session that ends."""

from __future__ import annotations

import pytest
from django.contrib.sessions.models import Session
from django.core.cache import cache
from playwright.sync_api import BrowserContext, Page, expect

from console.models import Role, User
from tests import engine, example_prompts, factories
from tests.browser.conftest import sign_in
from workflows.models import AuditEntry, Definition, DefinitionVersion


@pytest.fixture
def triage(clean: Page, context: BrowserContext, served: str, transactional_db: None) -> Page:
    cache.clear()
    example_prompts.documents()
    example_prompts.runs("I want a refund")
    sign_in(context, served, Role.EDITOR)
    clean.goto(served + "/prompts/triage/")
    expect(_content(clean)).to_be_visible()
    return clean


def _content(page: Page):  # type: ignore[no-untyped-def]
    return page.get_by_role("textbox", name="Document. Escape")


def _type_at_line(page: Page, number: int, text: str) -> None:
    """Type at the end of a line, as somebody would."""
    _content(page).locator(".cm-line").nth(number - 1).click()
    page.keyboard.press("End")
    page.keyboard.type(text)


def test_a_name_that_is_not_there_is_told_while_it_is_typed(triage: Page) -> None:
    _type_at_line(triage, 2, "  # {{ no }}")
    expect(triage.locator("#problems")).to_contain_text("Can be saved")
    _content(triage).get_by_text("ticket }}").click()
    triage.keyboard.press("End")
    for _ in range(4):
        triage.keyboard.press("ArrowLeft")
    triage.keyboard.type("s ")
    expect(triage.locator("#problems")).to_contain_text("1 problem")
    triage.keyboard.press("Control+End")
    triage.get_by_role("button", name="Line 7").click()
    assert triage.evaluate("document.activeElement.className") == "editor"
    expect(triage.locator(".cm-lint-marker-error")).to_have_count(1)


def test_edit_preview_compare_and_save_by_keyboard_alone(triage: Page) -> None:
    expect(triage.locator("#side")).to_contain_text("Ticket: I want a refund")
    _content(triage).focus()
    triage.keyboard.press("Control+Home")
    triage.keyboard.press("Control+f")
    triage.keyboard.type("how urgent")
    triage.keyboard.press("Enter")
    triage.keyboard.press("Escape")
    triage.keyboard.type("how very urgent")
    expect(triage.locator(".stale-note")).to_be_visible()
    triage.keyboard.press("Control+Enter")
    expect(triage.locator(".stale-note")).to_be_hidden()
    expect(triage.locator("#side")).to_contain_text("how very urgent they are")
    triage.keyboard.press("Control+Shift+d")
    triage.wait_for_url("**tab=diff")
    expect(triage.locator("#side ins")).to_have_text("very ")
    triage.keyboard.press("Control+s")
    expect(triage.locator("#toasts")).to_contain_text("Saved v3.")
    expect(triage.locator(".rail [aria-current]")).to_contain_text("v3")
    expect(triage.locator(".unsaved")).to_have_count(0)
    made = DefinitionVersion.objects.get(definition__name="triage", version=3)
    assert "how very urgent" in str(made.body)


def test_tab_indents_and_escape_then_tab_leaves(triage: Page) -> None:
    _type_at_line(triage, 1, "")
    triage.keyboard.press("Tab")
    assert triage.evaluate("document.activeElement.className") == "editor"
    triage.keyboard.press("Escape")
    triage.keyboard.press("Tab")
    assert triage.evaluate("document.activeElement.className") != "editor"


def test_letters_in_the_editor_are_no_shortcuts_of_the_page(triage: Page) -> None:
    _type_at_line(triage, 1, " # / ? j k g r")
    assert triage.url.endswith("/prompts/triage/")
    assert "# / ? j k g r" in triage.locator("#document").input_value()


def test_a_prompt_is_tried_on_a_model_from_the_page(triage: Page) -> None:
    triage.get_by_role("button", name="Test", exact=True).click()
    triage.get_by_role("button", name="Run", exact=True).click()
    result = triage.get_by_role("region", name="Answer")
    expect(result).to_contain_text("Fits the output schema")
    expect(result).to_contain_text("fake/m")
    assert AuditEntry.objects.filter(action="prompt.try").count() == 1
    triage.get_by_label("Filled in with").select_option("own")
    values = triage.get_by_role("textbox", name="Values. Escape")
    values.focus()
    triage.keyboard.press("Control+a")
    triage.keyboard.press("Delete")
    triage.keyboard.type('{"ticket": "broken"')
    triage.get_by_role("button", name="Run", exact=True).click()
    expect(triage.get_by_role("region", name="Answer")).to_contain_text("Does not fit the output schema")


def test_two_edits_of_one_prompt_stand_side_by_side_and_neither_is_lost(
    triage: Page, refusals: set[int]
) -> None:
    refusals.add(409)
    _type_at_line(triage, 2, "  # mine")
    engine.apply(example_prompts.PROMPT.replace("support tickets", "letters"))
    with triage.expect_response(lambda response: response.status == 409):
        triage.keyboard.press("Control+s")
    expect(triage.locator(".alert")).to_contain_text("olga saved v3")
    expect(triage.locator(".diff-split")).to_contain_text("letters")
    assert "# mine" in triage.locator("#document").input_value()
    triage.get_by_role("link", name="Go to v3").click()
    expect(triage.locator(".unsaved")).to_contain_text("It was begun on version 2")
    triage.get_by_role("button", name="Bring it back").click()
    assert "# mine" in triage.locator("#document").input_value()
    with triage.expect_response(lambda response: response.status == 409):
        triage.keyboard.press("Control+s")
    triage.get_by_role("button", name="Save mine as v4").click()
    triage.wait_for_url("**/prompts/triage/")


def test_a_session_that_ends_while_typing_loses_nothing(triage: Page, refusals: set[int]) -> None:
    _type_at_line(triage, 5, "\n")
    triage.wait_for_load_state("networkidle")
    with triage.expect_response("**/check/"):
        triage.keyboard.insert_text("  - {role: assistant, content: Kept}")
    Session.objects.all().delete()
    refusals.add(401)
    person = User.objects.get(role=Role.EDITOR)
    person.set_password(factories.PASSWORD)
    person.save()
    triage.keyboard.press("Control+s")
    expect(triage.get_by_text("what you typed comes back")).to_be_visible()
    triage.get_by_label("Name").fill(person.username)
    triage.get_by_label("Password").fill(factories.PASSWORD)
    triage.get_by_role("button", name="Sign in").click()
    expect(_content(triage)).to_contain_text("content: Kept")
    assert "content: Kept" in triage.locator("#document").input_value()
    triage.keyboard.press("Control+s")
    expect(triage.locator("#toasts")).to_contain_text("Saved v3.")
    assert Definition.objects.get(name="triage").latest_version == 3


def test_typing_over_a_selection_breaks_no_policy_and_replaces_it(triage: Page) -> None:
    _content(triage).focus()
    triage.keyboard.press("Control+a")
    triage.keyboard.type("kind: Prompt")
    assert triage.locator("#document").input_value() == "kind: Prompt"
    triage.keyboard.press("Control+z")
    assert "name: triage" in triage.locator("#document").input_value()


def test_discarded_text_stays_away(triage: Page) -> None:
    _type_at_line(triage, 1, " # away")
    triage.reload()
    triage.get_by_role("button", name="Discard").click()
    triage.reload()
    expect(_content(triage)).to_be_visible()
    expect(triage.locator(".unsaved")).to_have_count(0)


def test_the_editor_works_on_a_phone(triage: Page) -> None:
    triage.set_viewport_size({"width": 390, "height": 844})
    triage.reload()
    assert not triage.evaluate("document.documentElement.scrollWidth > innerWidth")
    _type_at_line(triage, 1, " # phone")
    triage.get_by_role("button", name="Diff", exact=True).click()
    expect(triage.locator("#side")).to_contain_text("The texts are the same.")
    assert not triage.evaluate("document.documentElement.scrollWidth > innerWidth")


def test_without_scripts_a_prompt_is_edited_previewed_and_saved(
    triage: Page, context: BrowserContext, served: str
) -> None:
    assert context.browser is not None
    plain = context.browser.new_context(java_script_enabled=False)
    sign_in(plain, served, Role.ADMIN)
    page = plain.new_page()
    page.goto(served + "/prompts/triage/")
    field = page.get_by_role("textbox", name="Document")
    field.fill(example_prompts.PROMPT.replace("how urgent", "how very urgent"))
    page.get_by_role("button", name="Diff", exact=True).click()
    expect(page.locator("#side ins")).to_have_text("very ")
    page.get_by_role("button", name="Save v3").click()
    expect(page.locator("#toasts")).to_contain_text("Saved v3.")
    plain.close()
