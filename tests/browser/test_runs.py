"""The runs list as people use it: filters in the address, Back, keyboard, live updates, the phone."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests import example_runs, factories
from workflows.models import Run

ROWS = "#runs tbody tr"


def test_signing_in_and_out(clean: Page, address: str, transactional_db: None) -> None:
    factories.user("operator", "otto", factories.PASSWORD)
    clean.goto(address + "/runs/?state=failed")
    clean.get_by_label("Name").fill("otto")
    clean.get_by_label("Password").fill(factories.PASSWORD)
    clean.get_by_role("button", name="Sign in").click()
    clean.wait_for_url("**/runs/?state=failed")
    clean.get_by_role("button", name="settings and signing out").click()
    clean.get_by_role("button", name="Sign out").click()
    clean.wait_for_url("**/sign-in/")


def test_filters_live_in_the_address_and_survive_back(console: Page, address: str) -> None:
    factories.many_runs(60)
    example_runs.failed_run(title="The odd one", number=1)
    console.goto(address + "/runs/")
    console.keyboard.press("/")
    console.keyboard.type("odd")
    console.wait_for_url("**q=odd**")
    expect(console.locator(ROWS)).to_have_count(1)
    console.locator("#runs tbody a").first.click()
    console.wait_for_url("**/runs/r_0000000000001/?list=q%3Dodd")
    console.go_back()
    console.wait_for_url("**q=odd**")
    expect(console.locator("#q")).to_have_value("odd")
    expect(console.locator(ROWS)).to_have_count(1)
    console.go_back()
    expect(console.locator("#q")).to_have_value("")
    expect(console.locator(ROWS)).to_have_count(50)


def test_typing_goes_on_while_the_list_changes(console: Page, address: str) -> None:
    factories.many_runs(60)
    console.goto(address + "/runs/")
    console.locator("#q").press_sequentially("Question 0003", delay=60)
    expect(console.locator("#q")).to_have_value("Question 0003")
    expect(console.locator("#q")).to_be_focused()
    expect(console.locator(ROWS)).to_have_count(10)


def test_the_keyboard_walks_the_list_and_opens_a_run(console: Page, address: str) -> None:
    for number in range(3):
        example_runs.succeeded_run(number=number, ago_s=10 + number)
    console.goto(address + "/runs/")
    console.keyboard.press("j")
    console.keyboard.press("j")
    expect(console.locator("tr.is-cursor")).to_have_attribute("id", "r_0000000000001")
    console.keyboard.press("k")
    console.keyboard.press("o")
    console.wait_for_url("**/runs/r_0000000000000/")


def test_a_poll_is_304_and_a_new_run_appears_by_itself(console: Page, address: str) -> None:
    example_runs.succeeded_run(number=1)
    console.goto(address + "/runs/")
    with console.expect_response(lambda r: "hx-ptag" in r.request.headers) as polled:
        pass
    assert polled.value.status == 304
    example_runs.running_run(number=2, title="Brand new")
    expect(console.get_by_role("link", name="Brand new")).to_be_visible(timeout=8000)


def test_a_paused_list_stays_as_it_is(console: Page, address: str) -> None:
    example_runs.succeeded_run(number=1)
    console.goto(address + "/runs/")
    console.keyboard.press("p")
    expect(console.locator("[data-live]")).to_have_text("Paused")
    example_runs.running_run(number=2, title="Brand new")
    console.wait_for_timeout(3500)
    expect(console.locator(ROWS)).to_have_count(1)
    console.keyboard.press("p")
    expect(console.get_by_role("link", name="Brand new")).to_be_visible(timeout=8000)


def test_ten_thousand_runs_can_be_paged(console: Page, address: str) -> None:
    factories.many_runs(10_000)
    console.goto(address + "/runs/")
    expect(console.locator(".pager")).to_contain_text("of 10,000", timeout=15_000)
    console.get_by_role("link", name="Older").click()
    expect(console.locator(ROWS).first).to_contain_text("Question 00050")
    console.get_by_role("link", name="Newer").click()
    expect(console.locator(ROWS).first).to_contain_text("Question 00000")


def test_the_drawer_opens_on_a_phone(console: Page, address: str) -> None:
    console.set_viewport_size({"width": 390, "height": 844})
    console.goto(address + "/runs/")
    expect(console.get_by_role("link", name="Workflows", exact=True)).to_be_hidden()
    console.get_by_role("button", name="Open navigation").click()
    console.get_by_role("link", name="Workflows", exact=True).click()
    console.wait_for_url("**/workflows/")


def test_the_theme_switches_at_once_and_stays(console: Page, address: str) -> None:
    console.goto(address + "/runs/")
    console.get_by_role("button", name="Switch theme").click()
    expect(console.locator("html")).to_have_attribute("data-theme", "dark")
    console.reload()
    expect(console.locator("html")).to_have_attribute("data-theme", "dark")


def test_a_lost_server_is_told_as_stale(page: Page, console: Page, address: str) -> None:
    example_runs.succeeded_run(number=1)
    console.goto(address + "/runs/")
    listeners_off(page)
    page.route("**/runs/", lambda route: route.abort())
    expect(console.locator("[data-live]")).to_contain_text("Stale since", timeout=8000)
    page.unroute("**/runs/")
    expect(console.locator("[data-live]")).to_have_text("Live", timeout=8000)
    assert Run.objects.count() == 1


def listeners_off(page: Page) -> None:
    """From here on the browser is expected to complain."""
    for event in ("console", "requestfailed"):
        page._impl_obj.remove_all_listeners(event)
