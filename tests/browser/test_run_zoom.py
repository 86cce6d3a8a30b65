"""The run's page in time and place: zoom, critical path, tabs by key, the list around it, links to events."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Page, expect

from tests import example_runs, factories

RUN = "/runs/r_0000000000001/"


def window(page: Page) -> tuple[float, float]:
    query = parse_qs(urlsplit(page.url).query)
    return float(query["from"][0]), float(query["to"][0])


def drag(page: Page, start: float, end: float) -> None:
    """Drag over the minimap, from one share of its width to another."""
    box = page.locator(".overview").bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * start, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * (start + end) / 2, middle)
    page.mouse.move(box["x"] + box["width"] * end, middle)
    page.mouse.up()


def test_dragging_over_the_minimap_zooms_and_a_double_click_resets(console: Page, address: str) -> None:
    example_runs.failed_run(number=1)  # 46 s
    console.goto(address + RUN)
    drag(console, 0.5, 0.25)
    console.wait_for_url("**from=**")
    low, high = window(console)
    assert abs(low - 11.5) < 0.5
    assert abs(high - 23) < 0.5
    expect(console.locator(".zoomed")).to_contain_text("12 s – 23 s")
    expect(console.locator(".brush")).to_be_visible()
    assert console.locator(".step-row:visible").count() == 1  # and only what ran then
    console.reload()
    expect(console.locator(".zoomed")).to_be_visible()
    console.locator(".overview").dblclick()
    expect(console.locator(".zoomed")).to_have_count(0)
    assert "from=" not in console.url
    assert console.locator(".step-row:visible").count() == 6


def test_keys_zoom_to_a_step_and_back(console: Page, address: str) -> None:
    example_runs.succeeded_run(number=1)
    console.goto(address + RUN + "?step=answer")
    console.keyboard.press("z")
    expect(console.locator(".zoomed")).to_be_visible()
    low, high = window(console)
    assert low < 1.75 < 4.1 < high < 4.6
    assert "step=answer" in console.url
    console.keyboard.press("0")
    expect(console.locator(".zoomed")).to_have_count(0)


def test_the_critical_path_can_be_shown(console: Page, address: str) -> None:
    example_runs.failed_run(number=1)
    console.goto(address + RUN)
    console.get_by_text("Critical path").click()
    console.wait_for_url("**critical=1**")
    expect(console.locator(".is-critical")).not_to_have_count(0)
    expect(console.locator(".is-aside .step-name")).to_have_text(["sources"])


def test_digits_open_tabs_and_letters_walk_the_list(console: Page, address: str) -> None:
    example_runs.failed_run(number=1, ago_s=300)
    example_runs.failed_run(number=2, ago_s=200)
    factories.run("succeeded", number=3, ago_s=250)
    console.goto(address + RUN + "?list=state%3Dfailed")
    console.keyboard.press("3")  # the graph is the second
    console.wait_for_url("**tab=events**")
    assert "list=" in console.url
    console.keyboard.press("1")
    expect(console.locator("#step-rows")).to_be_visible()
    console.keyboard.press("f")
    expect(console.locator("#step-filter")).to_be_focused()
    console.keyboard.press("Escape")
    console.keyboard.press("Shift+K")
    console.wait_for_url("**/runs/r_0000000000002/**")
    expect(console.locator("[data-newer]")).to_have_count(0)
    console.keyboard.press("Shift+J")
    console.wait_for_url("**/runs/r_0000000000001/**")
    expect(console.get_by_role("link", name="Runs", exact=True).last).to_have_attribute(
        "href", "/runs/?state=failed"
    )


def test_retry_is_a_key_and_the_menu_closes_with_escape(console: Page, address: str) -> None:
    example_runs.failed_run(number=1)
    console.goto(address + RUN)
    console.get_by_label("More actions").click()
    expect(console.get_by_text("Copy as Markdown")).to_be_visible()
    console.keyboard.press("Escape")
    expect(console.get_by_text("Copy as Markdown")).to_be_hidden()
    console.keyboard.press("r")
    expect(console.get_by_role("dialog")).to_contain_text("Retry this run?")


def test_a_link_to_an_event_finds_it_in_a_long_journal(console: Page, address: str) -> None:
    made = example_runs.succeeded_run(number=1)
    for number in range(450):
        made.journal("step.progress", number / 100, step=made.steps["answer"])
    seq = made.run.journal.order_by("seq").values_list("seq", flat=True)[400]
    console.goto(f"{address}{RUN}#e{seq}")
    console.wait_for_url(f"**tab=events&event={seq}#e{seq}")
    expect(console.locator(f"#e{seq}")).to_be_in_viewport()
    console.get_by_role("link", name="Earlier").click()
    expect(console.locator("tbody tr")).to_have_count(200)
    expect(console.locator(f"#e{seq}")).to_have_count(0)


def test_a_folded_part_of_a_very_long_run_is_fetched_when_it_is_opened(console: Page, address: str) -> None:
    example_runs.map_run(400, number=1)
    console.goto(address + RUN)
    rows = console.locator(".step-row")
    expect(rows).to_have_count(1)
    rows.first.focus()
    console.keyboard.press("ArrowRight")
    console.wait_for_url("**open=**")
    expect(console.locator('[data-step="each[3]/reply"]')).to_be_visible()


def test_a_prompt_is_shown_as_its_template(console: Page, address: str) -> None:
    factories.prompts()
    example_runs.succeeded_run(number=1)
    console.goto(address + RUN + "?step=answer")
    expect(console.locator(".as-rendered")).to_be_visible()
    console.get_by_label("Template").check()
    expect(console.locator(".as-template")).to_contain_text("{{ question }}")
    expect(console.locator(".as-rendered")).to_be_hidden()


def test_a_large_payload_is_loaded_when_it_is_asked_for(console: Page, address: str) -> None:
    factories.run(number=1, asked={"texts": [f"text {number}" for number in range(9000)]})
    console.goto(address + RUN + "?tab=io")
    expect(console.locator(".io pre")).not_to_contain_text("text 8999")
    console.get_by_text("Load all").click()
    expect(console.locator(".io pre")).to_contain_text("text 8999")


def test_the_page_fits_a_phone(console: Page, address: str) -> None:
    console.set_viewport_size({"width": 390, "height": 844})
    example_runs.failed_run(number=1)
    for query in (
        "",
        "?tab=events",
        "?tab=documents",
        "?tab=io",
        "?tab=cost",
        "?from=10&to=20",
        "?critical=1",
    ):
        console.goto(address + RUN + query)
        wide = console.evaluate("document.documentElement.scrollWidth")
        assert wide <= 390, query
