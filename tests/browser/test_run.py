"""The page of a run as people use it: keyboard, deep links, attempts, folding, live updates, the phone."""

from __future__ import annotations

from django.utils import timezone
from playwright.sync_api import Page, expect

from tests import example_runs
from tests.browser.test_shell import check
from workflows.models import Run, StepRun

NAME = "#inspector h2"


def test_the_keyboard_walks_the_steps_and_the_address_follows(console: Page, address: str) -> None:
    example_runs.failed_run(number=1)
    console.goto(address + "/runs/r_0000000000001/?step=classify")
    console.locator('.step-row[aria-selected="true"]').focus()
    console.keyboard.press("ArrowDown")
    console.wait_for_url("**step=search")
    expect(console.locator(NAME)).to_have_text("search")
    console.keyboard.press("e")
    console.wait_for_url("**step=route%2Fnotify")
    expect(console.locator(NAME)).to_have_text("route/notify")
    console.reload()
    expect(console.locator(NAME)).to_have_text("route/notify")
    console.keyboard.press("Escape")
    expect(console.locator("#inspector")).to_be_hidden()
    assert "step=" not in console.url


def test_attempts_are_tabs_with_addresses_of_their_own(console: Page, address: str) -> None:
    example_runs.succeeded_run(number=1)
    console.goto(address + "/runs/r_0000000000001/?step=answer")
    console.locator("[data-attempt='1']").click()
    console.wait_for_url("**attempt=1")
    expect(console.locator("#inspector")).to_contain_text("The server is busy.")
    console.reload()
    expect(console.locator("#inspector")).to_contain_text("The server is busy.")


def test_a_map_unfolds_and_stays_unfolded(console: Page, address: str) -> None:
    example_runs.map_run(30, number=1)
    console.goto(address + "/runs/r_0000000000001/")
    rows = console.locator(".step-row:visible")
    expect(rows).to_have_count(1)
    rows.first.focus()
    console.keyboard.press("ArrowRight")
    expect(rows).to_have_count(91)
    console.keyboard.press("ArrowLeft")
    expect(rows).to_have_count(1)


def test_a_deep_link_into_a_long_run_shows_its_step(console: Page, address: str) -> None:
    example_runs.map_run(700, number=1)
    console.goto(address + "/runs/r_0000000000001/?step=each[650]/reply")
    expect(console.locator('[data-step="each[650]/reply"]')).to_be_in_viewport()
    expect(console.locator(NAME)).to_have_text("each[650]/reply")


def test_a_running_run_updates_by_itself_and_stops_when_it_has_ended(console: Page, address: str) -> None:
    made = example_runs.running_run(number=1)
    console.goto(address + "/runs/r_0000000000001/")
    expect(console.locator(".run-title .state")).to_have_text("Running")
    now = timezone.now()
    StepRun.objects.filter(run=made.run).exclude(state="succeeded").update(
        state="succeeded", lease=None, lease_until=None, started_at=now, ended_at=now
    )
    Run.objects.filter(pk=made.run.pk).update(state="succeeded", ended_at=now)
    made.journal("run.succeeded", 7)
    expect(console.locator(".run-title .state")).to_have_text("Succeeded", timeout=8000)
    expect(console.locator("#inspector .step-line .state")).to_have_text("Succeeded", timeout=8000)
    expect(console.locator("#run")).not_to_have_attribute("hx-trigger", "every 2s")


def test_filters_of_the_timeline_live_in_the_address(console: Page, address: str) -> None:
    example_runs.failed_run(number=1)
    console.goto(address + "/runs/r_0000000000001/?step=search")
    console.get_by_text("Errors", exact=True).click()
    console.wait_for_url("**errors=1**")
    expect(console.locator(".step-row")).to_have_count(4)
    assert "step=search" in console.url
    console.reload()
    expect(console.locator(".step-row")).to_have_count(4)


def test_a_question_opens_in_a_dialog_and_escape_closes_it(console: Page, address: str) -> None:
    example_runs.running_run(number=1)
    console.goto(address + "/runs/r_0000000000001/")
    console.get_by_role("link", name="Cancel…").click()
    expect(console.get_by_role("dialog")).to_contain_text("2 steps that did not begin will never run.")
    expect(console.get_by_label("Reason")).to_be_focused()
    console.keyboard.press("Escape")
    expect(console.get_by_role("dialog")).to_be_hidden()


def test_a_step_is_a_page_of_its_own_on_a_phone(console: Page, address: str) -> None:
    example_runs.succeeded_run(number=1)
    console.set_viewport_size({"width": 390, "height": 844})
    console.goto(address + "/runs/r_0000000000001/")
    expect(console.locator("#inspector")).to_be_hidden()
    console.locator('[data-step="search"]').click()
    console.wait_for_url("**step=search")
    expect(console.locator(NAME)).to_be_visible()
    expect(console.locator(".timeline")).to_be_hidden()
    console.go_back()
    expect(console.locator(".timeline")).to_be_visible()


def test_the_tools_of_the_timeline_fit_beside_the_inspector_on_a_small_screen(
    console: Page, address: str
) -> None:
    example_runs.failed_run(number=2)
    console.set_viewport_size({"width": 1024, "height": 768})
    console.goto(address + "/runs/r_0000000000002/")
    expect(console.locator("#inspector")).to_be_visible()
    bar = console.locator(".timeline-bar")
    assert bar.evaluate("bar => bar.scrollWidth <= bar.clientWidth")
    assert bar.evaluate("bar => bar.getBoundingClientRect().height") <= 2 * 28 + 24  # two lines
    edge = bar.evaluate("bar => bar.getBoundingClientRect().right")
    for tool in bar.locator("label, button").all():
        box = tool.bounding_box()
        assert box is not None
        assert box["height"] <= 28
        assert box["x"] + box["width"] <= edge
    check(console, "run-1024")
