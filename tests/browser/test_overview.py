"""The overview as people use it: keys, ranges, tiles that fail alone, the first run that appears by itself."""

from __future__ import annotations

from django.core.cache import cache
from django.db import connection
from playwright.sync_api import Page, expect

from tests import example_runs, factories


def test_number_keys_lead_to_what_needs_somebody(console: Page, address: str) -> None:
    factories.worker()
    example_runs.failed_run(number=1)
    example_runs.failed_run(number=2)
    example_runs.unknown_run(number=3)
    console.goto(address + "/overview/")
    expect(console.locator(".needs li").first).to_contain_text("outcome unknown")
    console.keyboard.press("3")
    console.wait_for_url("**/runs/?state=failed&range=24h")
    console.go_back()
    # Going back counts as done at any navigation, that of htmx's own entry in the history too.
    console.wait_for_url("**/overview/")
    expect(console.locator(".needs li").first).to_contain_text("outcome unknown")
    console.keyboard.press("1")
    console.wait_for_url("**/runs/r_0000000000003/?step=notify")


def test_the_range_lives_in_the_address(console: Page, address: str) -> None:
    factories.many_runs(200)
    console.goto(address + "/overview/")
    console.get_by_role("link", name="1 h", exact=True).click()
    console.wait_for_url("**range=1h")
    expect(console.locator("#tile-activity")).to_contain_text("per minute")
    console.get_by_role("link", name="Show as table").click()
    expect(console.get_by_role("group", name="Runs by outcome")).to_be_visible()
    console.go_back()
    expect(console.get_by_role("img", name="runs in the last hour").first).to_be_visible()


def test_the_keyboard_walks_workflows_and_errors(console: Page, address: str) -> None:
    example_runs.failed_run(number=1)
    console.goto(address + "/overview/")
    console.keyboard.press("j")
    console.keyboard.press("j")
    console.keyboard.press("o")
    console.wait_for_url("**/runs/?state=failed&workflow=docs-assistant&error=http_status**")


def test_a_tile_fails_alone_and_comes_back(console: Page, address: str) -> None:
    example_runs.succeeded_run(number=1)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE workflows_run RENAME COLUMN cost_usd TO gone")
    try:
        console.goto(address + "/overview/")
        expect(console.locator("#tile-costs")).to_contain_text("Costs unavailable.")
        expect(console.locator("#tile-activity")).to_contain_text("Runs")
        expect(console.locator("#tile-costs")).to_contain_text("Request ")
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE workflows_run RENAME COLUMN gone TO cost_usd")
    console.locator("#tile-costs").get_by_role("link", name="Retry").click()
    expect(console.locator("#tile-costs")).to_contain_text("Cost today")


def test_a_slow_tile_comes_after_the_page(console: Page, address: str) -> None:
    example_runs.succeeded_run(number=1)
    cache.set("tile-workflows-24h-UTC-slow", True)
    console.goto(address + "/overview/")
    expect(console.locator("#tile-workflows")).to_contain_text("docs-assistant")


def test_the_first_run_appears_by_itself(console: Page, address: str) -> None:
    factories.release()
    console.goto(address + "/overview/")
    expect(console.locator("main")).to_contain_text("No runs yet")
    example_runs.succeeded_run(number=1)
    expect(console.locator("#tile-needs")).to_be_visible(timeout=8000)


def test_new_trouble_appears_by_itself(console: Page, address: str) -> None:
    factories.worker()
    example_runs.succeeded_run(number=1)
    console.goto(address + "/overview/")
    expect(console.locator("#tile-needs")).to_contain_text("Nothing needs you.")
    example_runs.failed_run(number=2)
    expect(console.locator("#tile-needs")).to_contain_text("1 failed run", timeout=12_000)
    expect(console.locator("#tile-needs")).not_to_contain_text("Nothing needs you.")


def test_the_phone_shows_what_needs_somebody_first(console: Page, address: str) -> None:
    console.set_viewport_size({"width": 390, "height": 844})
    example_runs.failed_run(number=1)
    console.goto(address + "/")
    console.locator(".needs a").first.click()
    console.wait_for_url("**/runs/r_0000000000001/**")
