"""Acting on many runs from the list: picking over pages and polls, all that match, the preview, and the progress."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from tests import bulk, engine, example_runs, factories
from tests.browser.conftest import sign_in
from workflows.models import BulkAction, Run

BOX = "#runs .col-pick input[name=pick]"


def pick(console: Page, title: str) -> None:
    console.get_by_label(f"Select {title}", exact=True).check()


def test_a_selection_survives_paging_polling_and_reloading(console: Page, address: str) -> None:
    factories.many_runs(70, states=("failed", "succeeded", "running"))
    console.goto(address + "/runs/")
    expect(console.locator("#bulk-bar")).to_be_hidden()
    pick(console, "Question 00000")
    pick(console, "Question 00001")
    console.get_by_role("link", name="Older").click()
    console.wait_for_url("**after=**")
    expect(console.locator("#bulk-bar")).to_contain_text("2 selected")
    pick(console, "Question 00069")
    expect(console.locator("#bulk-bar")).to_contain_text("3 selected")
    console.get_by_role("link", name="Newer").click()
    console.wait_for_url("**before=**")
    expect(console.get_by_label("Select Question 00000", exact=True)).to_be_checked()
    example_runs.running_run(number=2, title="Brand new")
    console.goto(address + "/runs/")
    expect(console.get_by_label("Select Question 00001", exact=True)).to_be_checked()
    Run.objects.filter(title="Brand new").update(title="Another name")
    factories.run("failed", number=7, title="Newer still")
    expect(console.get_by_role("link", name="Newer still")).to_be_visible(timeout=8000)
    expect(console.get_by_label("Select Question 00000", exact=True)).to_be_checked()
    expect(console.locator("#bulk-bar")).to_contain_text("3 selected")
    console.goto(address + "/runs/?state=failed")
    expect(console.locator("#bulk-bar")).to_be_hidden()


def test_the_bar_counts_only_what_an_action_applies_to(console: Page, address: str) -> None:
    factories.many_runs(9, states=("failed", "succeeded", "running"))
    console.goto(address + "/runs/")
    console.get_by_label("Select all runs on this page").check()
    bar = console.locator("#bulk-bar")
    expect(bar).to_contain_text("9 selected")
    expect(bar.get_by_role("button", name="Retry failed step 3")).to_be_enabled()
    expect(bar.get_by_role("button", name="Cancel 3")).to_be_enabled()
    console.get_by_label("Clear the selection").click()
    expect(bar).to_be_hidden()
    pick(console, "Question 00001")
    expect(bar.get_by_role("button", name="Retry failed step 0")).to_be_disabled()


def test_the_keyboard_picks_rows_and_ranges(console: Page, address: str) -> None:
    factories.many_runs(9, states=("failed",))
    console.goto(address + "/runs/")
    for key in ("j", "x", "j", "j", "j", "X"):
        console.keyboard.press(key)
    expect(console.locator("#bulk-bar")).to_contain_text("4 selected")
    console.keyboard.press("x")
    expect(console.locator("#bulk-bar")).to_contain_text("3 selected")
    console.keyboard.press("r")
    console.wait_for_url("**/runs/bulk/new/**")
    assert len(re.findall("pick=", console.url)) == 3


def test_a_pressed_twice_while_it_is_counted_asks_once(console: Page, address: str) -> None:
    factories.many_runs(60, states=("failed",))
    console.goto(address + "/runs/")
    held: list[Route] = []
    console.route("**/runs/bulk/counts/**", lambda route: held.append(route))
    console.keyboard.press("x")
    with console.expect_request("**/runs/bulk/counts/**"):
        console.keyboard.press("a")
    console.keyboard.press("a")
    expect(console.locator("#bulk-bar")).to_contain_text("1 selected")
    held[0].continue_()
    expect(console.locator("#bulk-bar")).to_contain_text("60 selected")
    console.keyboard.press("a")
    expect(console.locator("#bulk-bar")).to_contain_text("60 selected")
    assert len(held) == 1


def test_a_click_with_shift_picks_what_lies_between(console: Page, address: str) -> None:
    factories.many_runs(9, states=("failed",))
    console.goto(address + "/runs/")
    console.locator(BOX).nth(1).click()
    console.locator(BOX).nth(6).click(modifiers=["Shift"])
    expect(console.locator(f"{BOX}:checked")).to_have_count(6)


def test_all_that_match_are_frozen_counted_by_the_server_and_retried(console: Page, address: str) -> None:
    failed = bulk.outage(3)
    bulk.many_failed(60)
    bulk.mend()
    factories.run("succeeded", of=failed[0].release, number=1, title="Fine")
    console.goto(address + "/runs/?q=question")
    pick(console, "Question 00059")
    console.get_by_role("button", name="Select all 63 matching").click()
    bar = console.locator("#bulk-bar")
    expect(bar).to_contain_text("63 selected")
    expect(console.locator(f"{BOX}:checked")).to_have_count(50)
    Run.objects.filter(pk=failed[0].pk).update(title="question of old")
    late = factories.run(
        "failed", of=failed[0].release, number=2, title="question of late", ago_s=0, lasted_s=0
    )
    late.step("ask", "prompt", "failed", tries=[(0, 1, "failed")])
    bar.get_by_role("button", name="Retry failed step 63").click()
    console.wait_for_url("**matching=1**")
    expect(console.locator(".reach-count")).to_have_text("63 of 63 runs will be retried")
    expect(console.get_by_label("Reason")).to_be_focused()
    console.get_by_label("Runs a second").fill("500")
    console.get_by_label("Reason").fill("key renewed")
    console.keyboard.press("Enter")
    console.wait_for_url("**/runs/bulk/b_**")
    expect(console.get_by_role("heading", name="Retry 63 runs")).to_be_visible()
    expect(console.locator(".bulk-title .state")).to_have_text("Starting")
    action = BulkAction.objects.get()
    BulkAction.objects.update(starts_at=action.created_at)
    bulk.carried(action)
    expect(console.locator(".bulk-title .state")).to_have_text("Finished", timeout=8000)
    expect(console.get_by_role("link", name="Succeeded 63")).to_be_visible()
    late.run.refresh_from_db()
    assert late.run.state == "failed"


def test_undo_takes_it_back_before_anything_happens(console: Page, address: str) -> None:
    bulk.outage(2)
    console.goto(address + "/runs/?state=failed")
    console.get_by_label("Select all runs on this page").check()
    console.get_by_role("button", name="Retry failed step 2").click()
    console.get_by_label("Reason").fill("too early")
    console.get_by_role("button", name="Retry 2 runs").click()
    toast = console.locator(".toast").filter(has_text="2 runs will be retried in 5 seconds")
    toast.get_by_role("button", name="Undo").click()
    expect(console.locator(".bulk-title .state")).to_have_text("Stopped")
    engine.drain()
    assert set(Run.objects.filter(workflow="asking").values_list("state", flat=True)) == {"failed"}
    expect(console.get_by_role("link", name="Retry the other 2")).to_be_visible()


def test_it_is_paused_resumed_and_the_rest_retried(console: Page, address: str) -> None:
    bulk.outage(2)
    action = bulk.start()
    BulkAction.objects.update(state="running")
    console.goto(f"{address}/runs/bulk/{action.pk}/")
    console.get_by_role("button", name="Pause").click()
    expect(console.locator(".bulk-title .state")).to_have_text("Paused")
    console.get_by_role("button", name="Resume").click()
    expect(console.locator(".bulk-title .state")).to_have_text("Running")
    console.get_by_role("button", name="Stop").click()
    expect(console.locator(".bulk-title .state")).to_have_text("Stopped")
    console.get_by_role("link", name="Retry the other 2").click()
    expect(console.locator(".reach-count")).to_have_text("2 of 2 runs will be retried")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_bar_fits_on_a_phone(console: Page, address: str, scheme: str) -> None:
    factories.many_runs(60, states=("failed", "running"))
    console.set_viewport_size({"width": 390, "height": 844})
    console.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    console.goto(address + "/runs/")
    console.locator(BOX).first.check()
    bar = console.locator("#bulk-bar")
    expect(bar.get_by_role("button", name="Select all 60 matching")).to_be_in_viewport()
    expect(bar.get_by_role("button", name="Cancel")).to_be_in_viewport()
    assert not console.evaluate("document.documentElement.scrollWidth > innerWidth")


def test_a_viewer_sees_why_nothing_can_be_done(
    clean: Page, context: BrowserContext, served: str, transactional_db: None
) -> None:
    sign_in(context, served, "viewer")
    factories.many_runs(3, states=("failed",))
    clean.goto(served + "/runs/")
    clean.locator(BOX).first.check()
    expect(clean.locator("#bulk-bar [aria-disabled]").first).to_have_attribute(
        "title", re.compile("Retrying a run needs the role operator")
    )
