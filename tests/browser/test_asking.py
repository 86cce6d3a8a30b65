"""A question that was opened as a page of its own, and an answer that is refused."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests import example_runs


def test_a_refused_answer_stands_in_the_page_once_with_what_was_typed(
    console: Page, address: str, refusals: set[int]
) -> None:
    refusals.add(409)
    run = example_runs.unknown_run().run
    console.goto(f"{address}/runs/{run.id}/resolve/?step=notify")
    console.get_by_role("radio", name="It took effect").check()
    console.locator("#output").fill("{")
    console.get_by_role("button", name="Settle").click()
    expect(console.locator(".ask")).to_contain_text("Not JSON")
    expect(console.locator(".ask")).to_contain_text("Say what you found out")
    expect(console.locator("#output")).to_have_value("{")
    expect(console.locator(".ask form form")).to_have_count(0)
    expect(console.locator(".ask form")).to_have_count(1)
