"""The runs list as a tool: zooming by the bars, saved views, columns, the pill of new runs, menu and keys."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests import example_runs, factories

ROWS = "#runs tbody tr"


def test_dragging_over_the_bars_sets_the_range_and_a_double_click_leads_back(
    console: Page, address: str
) -> None:
    factories.many_runs(200)
    console.goto(address + "/runs/?state=succeeded")
    box = console.locator(".histogram").bounding_box()
    assert box
    console.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 20)
    console.mouse.down()
    console.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 20, steps=4)
    expect(console.locator(".band")).to_be_visible()
    console.mouse.up()
    console.wait_for_url(re.compile(r"from=.*to="))
    assert "state=succeeded" in console.url
    assert 10 < console.locator(ROWS).count() < 40
    expect(console.get_by_label("Filters that are set")).to_contain_text("since")
    console.locator(".histogram a").first.dblclick()
    console.wait_for_url(re.compile(r"/runs/\?state=succeeded$"))


def test_the_keyboard_marks_a_stretch_of_bars(console: Page, address: str) -> None:
    factories.many_runs(200)
    console.goto(address + "/runs/")
    console.locator(".histogram a[tabindex='0']").focus()
    console.keyboard.press("ArrowRight")
    console.keyboard.press("Shift+ArrowRight")
    console.keyboard.press("Shift+ArrowRight")
    expect(console.locator(".band")).to_be_visible()
    console.keyboard.press("Enter")
    console.wait_for_url(re.compile(r"from=.*to="))
    assert 2 <= console.locator(ROWS).count() <= 12


def test_a_wrong_term_is_told_while_the_list_stays(console: Page, address: str) -> None:
    factories.many_runs(3, states=("failed", "succeeded"))
    console.goto(address + "/runs/")
    console.locator("#q").press_sequentially("state:fai", delay=20)
    expect(console.get_by_role("alert")).to_contain_text("“fai” is no state")
    expect(console.locator(ROWS)).to_have_count(3)
    assert console.url.endswith("/runs/")
    console.locator("#q").press_sequentially("led", delay=20)
    expect(console.locator(ROWS)).to_have_count(2)
    expect(console.locator("#filter-problem")).to_be_hidden()
    console.wait_for_url(re.compile(r"/runs/\?q=state:failed$"))
    console.get_by_label("Remove state failed").click()
    expect(console.locator(ROWS)).to_have_count(3)


def test_more_filters_are_in_a_panel_and_in_the_address(console: Page, address: str) -> None:
    example_runs.succeeded_run(title="Important", tags=["vip"])
    example_runs.succeeded_run(title="Other")
    console.goto(address + "/runs/")
    console.get_by_role("button", name="Filter", exact=True).click()
    console.get_by_label("Tag", exact=True).fill("vip")
    console.keyboard.press("Enter")
    console.wait_for_url(re.compile(r"/runs/\?tag=vip$"))
    expect(console.locator(ROWS)).to_have_count(1)
    expect(console.locator("#more-filters")).to_be_hidden()
    expect(console.locator("#export")).to_have_attribute("href", re.compile("tag=vip"))


def test_a_filter_is_kept_as_a_view_renamed_and_deleted(console: Page, address: str) -> None:
    factories.many_runs(9, states=("failed", "succeeded", "succeeded"))
    console.goto(address + "/runs/?state=failed")
    console.get_by_label("Save this filter as a view").click()
    console.get_by_label("Name").fill("Broken ones")
    console.get_by_role("button", name="Save view").click()
    tab = console.get_by_role("link", name=re.compile("Broken ones 3"))
    expect(tab).to_have_attribute("aria-current", "page")
    console.locator("select[name=release]").select_option("1")
    expect(console.get_by_text("changed", exact=True)).to_be_visible()
    console.get_by_label("Change the view Broken ones").click()
    console.get_by_label("Name").fill("Broken ones of v1")
    console.get_by_label("Replace the view’s filter").check()
    console.get_by_label("Name").press("Enter")  # saves it; the button that deletes stands before in the row
    console.wait_for_url(re.compile(r"state=failed&release=1&view="))
    console.get_by_label("Change the view Broken ones of v1").click()
    console.get_by_role("button", name="Delete").click()
    console.wait_for_url(re.compile(r"/runs/$"))
    expect(console.get_by_role("link", name=re.compile("Broken"))).to_have_count(0)


def test_columns_and_density_are_chosen_and_stay(console: Page, address: str) -> None:
    example_runs.succeeded_run(number=1, tags=["vip"])
    console.goto(address + "/runs/")
    console.get_by_role("button", name="Columns and density").click()
    console.get_by_label("Tokens", exact=True).uncheck()
    console.locator("#columns").get_by_label("Tags").check()
    console.locator("#columns").get_by_text("Compact").click()
    console.get_by_role("button", name="Save").click()
    expect(console.get_by_role("columnheader", name="Tags")).to_be_visible()
    expect(console.get_by_role("columnheader", name="Tokens")).to_have_count(0)
    console.goto(address + "/runs/?range=7d")
    expect(console.locator("td.col-tags")).to_have_text("vip")
    expect(console.locator("html")).to_have_attribute("data-density", "compact")


def test_new_runs_do_not_move_what_is_being_read(console: Page, address: str) -> None:
    factories.many_runs(60)
    console.goto(address + "/runs/")
    console.locator(".table-scroll").evaluate("part => { part.scrollTop = 200 }")
    example_runs.running_run(number=7, title="Brand new", ago_s=-2)
    pill = console.get_by_role("link", name="1 new run")
    expect(pill).to_be_visible(timeout=8000)
    expect(console.locator(ROWS).first).to_contain_text("Question 00000")
    pill.click()
    expect(console.locator(ROWS).first).to_contain_text("Brand new")


def test_a_later_page_tells_of_new_runs(console: Page, address: str) -> None:
    factories.many_runs(120)
    console.goto(address + "/runs/")
    console.get_by_role("link", name="Older").click()
    example_runs.running_run(number=7, title="Brand new", ago_s=-2)
    expect(console.get_by_role("link", name="1 new run")).to_be_visible(timeout=8000)
    expect(console.locator(ROWS).first).to_contain_text("Question 00050")


def test_the_menu_of_a_row_offers_what_its_run_allows(console: Page, address: str) -> None:
    example_runs.failed_run(number=1, title="Bad")
    example_runs.succeeded_run(number=2, title="Good", ago_s=90)
    console.goto(address + "/runs/")
    console.get_by_label("Actions on Bad").click()
    menu = console.locator("#row-menu")
    expect(menu.get_by_text("Cancel…")).to_be_visible()
    expect(menu.locator("[data-to='cancel/']")).to_have_attribute("title", "It has ended.")
    menu.get_by_text("Retry…").click()
    expect(console.get_by_role("heading", name="Retry this run?")).to_be_visible()
    console.keyboard.press("Escape")
    console.get_by_label("Actions on Good").click()
    expect(menu.locator("[data-to='retry/']")).to_have_attribute("aria-disabled", "true")
    menu.get_by_text("Start again").click()
    console.wait_for_url("**/workflows/docs-assistant/start/**")


def test_keys_copy_and_retry_the_run_under_the_cursor(console: Page, address: str) -> None:
    console.context.grant_permissions(["clipboard-read", "clipboard-write"])
    example_runs.failed_run(number=1)
    console.goto(address + "/runs/?state=failed")
    console.keyboard.press("j")
    console.keyboard.press("c")
    expect(console.locator("#toasts")).to_contain_text("Link to the run copied")
    copied = console.evaluate("navigator.clipboard.readText()")
    assert copied == address + "/runs/r_0000000000001/"
    console.keyboard.press("r")
    expect(console.get_by_role("heading", name="Retry this run?")).to_be_visible()


def test_a_run_knows_the_list_that_it_was_opened_from(console: Page, address: str) -> None:
    example_runs.failed_run(number=1)
    console.goto(address + "/runs/?state=failed")
    console.keyboard.press("j")
    console.keyboard.press("Enter")
    console.wait_for_url("**/runs/r_0000000000001/?list=state%3Dfailed")


def test_on_a_phone_a_run_takes_three_lines_and_has_its_menu(console: Page, address: str) -> None:
    console.set_viewport_size({"width": 390, "height": 844})
    example_runs.failed_run(number=1, title="Bad")
    console.goto(address + "/runs/")
    row = console.locator(ROWS).first.bounding_box()
    assert row
    assert 70 <= row["height"] <= 96
    console.get_by_label("Actions on Bad").click()
    console.locator("#row-menu").get_by_text("Retry…").click()
    expect(console.get_by_role("heading", name="Retry this run?")).to_be_visible()
    console.keyboard.press("Escape")
    console.get_by_role("button", name="Filter", exact=True).click()
    console.get_by_label("Error class").fill("timeout")
    console.get_by_role("button", name="Apply").click()
    expect(console.get_by_text("No runs match these filters")).to_be_visible()
    assert not console.evaluate("document.documentElement.scrollWidth > innerWidth")


def test_an_export_tells_how_many_before_it_begins(console: Page, address: str) -> None:
    factories.many_runs(4, states=("failed", "succeeded"))
    console.goto(address + "/runs/?state=failed")
    console.get_by_role("link", name="Export").click()
    expect(console.get_by_role("heading", name="Export 2 runs?")).to_be_visible()
    with console.expect_download() as loading:
        console.get_by_role("link", name="CSV").click()
    lines = loading.value.path().read_text().splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("id,title,workflow,release")
