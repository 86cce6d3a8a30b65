"""The numbers in the navigation: they come after the page, go on by themselves, and trouble nobody when they cannot."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests import example_runs
from tests.browser.test_runs import listeners_off


def test_the_numbers_come_after_the_page_and_go_on(console: Page, address: str) -> None:
    example_runs.failed_run(number=1)
    console.goto(address + "/settings/")
    count = console.locator("#count-runs")
    expect(count).to_have_text("1")
    expect(count).to_have_attribute("title", "1 run needs attention")
    expect(console.locator("#count-approvals")).to_be_hidden()
    expect(
        console.locator("#navigation").get_by_role("link", name="Runs 1 run needs attention")
    ).to_be_visible()


def test_numbers_that_do_not_come_are_no_trouble(console: Page, address: str) -> None:
    listeners_off(console)
    console.route("**/navigation/counts/", lambda route: route.fulfill(status=503))
    with console.expect_response("**/navigation/counts/"):
        console.goto(address + "/settings/")
    expect(console.get_by_role("heading", name="Time zone")).to_be_visible()
    expect(console.get_by_role("alert")).to_have_count(0)
