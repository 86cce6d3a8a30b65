"""Deciding in the browser: as it is, with the form filled in, and after somebody else."""

from __future__ import annotations

from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests import engine
from tests.browser.test_shell import check
from tests.web.test_approvals import asking
from workflows import approvals
from workflows.actor import Actor
from workflows.models import Approval


def test_a_question_is_found_filled_in_and_approved(console: Page, address: str) -> None:
    asking()
    console.goto(address + "/approvals/")
    console.keyboard.press("j")
    console.keyboard.press("Enter")
    console.wait_for_url("**/approvals/*/")
    expect(console.get_by_role("heading", name="Sure about 0?")).to_be_visible()
    console.get_by_label("sum").fill("7")
    console.get_by_label("Comment").fill("Looks right.")
    console.get_by_role("button", name="Approve").click()
    expect(console.locator("#toasts")).to_contain_text("Approved: the run goes on.")
    expect(console.get_by_text("Nothing waits for a decision")).to_be_visible()
    asked = Approval.objects.get()
    assert (asked.outcome, asked.comment) == ("approved", "Looks right.")


def test_what_does_not_fit_is_mended_and_then_approved(
    console: Page, address: str, refusals: set[int]
) -> None:
    refusals.add(422)
    asking()
    asked = Approval.objects.get()
    console.goto(f"{address}/approvals/{asked.pk}/")
    console.get_by_label("sum").fill("700")
    console.get_by_role("button", name="Approve").click()
    expect(console.get_by_role("alert").first).to_contain_text("Nothing was decided: 1 field needs a look.")
    expect(console.get_by_label("sum")).to_have_value("700")
    check(console, "approval-mended")
    console.get_by_label("sum").fill("70")
    console.get_by_role("button", name="Approve").click()
    expect(console.locator("#toasts")).to_contain_text("Approved")
    asked.refresh_from_db()
    assert asked.outcome == "approved"


def test_somebody_else_was_faster(console: Page, address: str, refusals: set[int]) -> None:
    refusals.add(409)
    asking()
    asked = Approval.objects.get()
    console.goto(f"{address}/approvals/{asked.pk}/")
    console.get_by_label("sum").fill("7")
    console.get_by_label("Comment").fill("Mine.")
    osei = Actor(kind="user", name="d.osei")
    approvals.decide(asked.pk, approved=False, actor=osei, groups=None, comment="No.")
    console.get_by_role("button", name="Approve").click()
    expect(console.get_by_role("alert").first).to_contain_text("rejected by d.osei")
    expect(console.get_by_label("Comment")).to_have_value("Mine.")
    expect(console.get_by_role("button", name="Approve")).to_have_count(0)
    check(console, "approval-late")
    engine.drain()
    asked.refresh_from_db()
    assert (asked.outcome, asked.comment) == ("rejected", "No.")


def test_questions_open_beside_the_list_and_back_leads_to_the_one_before(console: Page, address: str) -> None:
    asking(count=3)
    console.goto(address + "/approvals/")
    title = console.locator("#approval-title")
    expect(title).to_have_text("Sure about 0?")
    console.get_by_role("link", name="Sure about 2?").click()
    expect(title).to_have_text("Sure about 2?")
    console.wait_for_url("**/approvals/*/")
    expect(console.locator("#approvals [aria-current=true]")).to_contain_text("Sure about 2?")
    assert "Sure about 2?" in console.title()
    console.keyboard.press("k")
    console.keyboard.press("Enter")
    expect(title).to_have_text("Sure about 1?")
    console.go_back()
    expect(title).to_have_text("Sure about 2?")
    expect(console.locator("#approvals [aria-current=true]")).to_contain_text("Sure about 2?")
    check(console, "approvals-beside")


def test_a_question_is_decided_by_keys_alone(console: Page, address: str) -> None:
    asking(count=2)
    console.goto(address + "/approvals/")
    expect(console.locator("#approval-title")).to_have_text("Sure about 0?")
    console.keyboard.press("a")
    expect(console.get_by_role("button", name="Approve")).to_be_focused()
    assert not Approval.objects.exclude(outcome="").exists(), "one key alone decides nothing"
    console.keyboard.press("r")
    expect(console.get_by_role("button", name="Reject")).to_be_focused()
    console.keyboard.press("Enter")
    expect(console.locator("#toasts")).to_contain_text("Rejected")
    assert list(Approval.objects.exclude(outcome="").values_list("outcome", flat=True)) == ["rejected"]


def test_a_phone_shows_the_list_and_then_the_question(console: Page, address: str) -> None:
    asking(count=2)
    console.set_viewport_size({"width": 390, "height": 844})
    console.goto(address + "/approvals/")
    expect(console.locator("#approval")).to_be_hidden()
    console.get_by_role("link", name="Sure about 1?").click()
    expect(console.locator("#approval-title")).to_have_text("Sure about 1?")
    expect(console.locator("#approvals")).to_be_hidden()
    check(console, "approval-phone")
    console.get_by_role("link", name="Back to the queue").click()
    expect(console.get_by_role("link", name="Sure about 1?")).to_be_visible()


def test_without_scripts_the_address_chooses_the_question(
    console: Page, browser: Browser, context: BrowserContext, address: str
) -> None:
    asking(count=2)
    plain = browser.new_context(java_script_enabled=False)
    plain.add_cookies(context.cookies())  # type: ignore[arg-type]
    page = plain.new_page()
    page.goto(address + "/approvals/")
    page.get_by_role("link", name="Sure about 1?").click()
    page.get_by_label("Comment").fill("No.")
    page.get_by_role("button", name="Reject").click()
    expect(page.locator("#approval-title")).to_have_text("Sure about 0?")
    plain.close()
    assert Approval.objects.get(title="Sure about 1?").outcome == "rejected"
