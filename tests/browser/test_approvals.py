"""Deciding in the browser: as it is, with the form filled in, and after somebody else."""

from __future__ import annotations

from playwright.sync_api import Page, expect

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
