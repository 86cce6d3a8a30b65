"""The frame as people use it: command menu, shortcuts, sidebar, toasts, looks, time zone."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from console.home import ROOT
from console.models import ApiToken, Role, User
from tests import example_runs, factories
from tests.browser import axe, pages
from tests.browser.conftest import sign_in
from tests.browser.test_runs import listeners_off

ARTIFACTS = ROOT / "tests" / "artifacts"
FIELD = "#menu input"
CHOSEN = '#menu-list [aria-selected="true"]'


@pytest.fixture
def admin(clean: Page, context: BrowserContext, served: str, transactional_db: None) -> Page:
    sign_in(context, served, Role.ADMIN)
    return clean


def test_the_command_menu_works_by_keyboard_alone(console: Page, address: str) -> None:
    factories.release()
    example_runs.failed_run(number=2)
    console.goto(address + "/corpora/")
    console.keyboard.press("Control+k")
    expect(console.locator(FIELD)).to_be_focused()
    expect(console.locator(CHOSEN)).to_contain_text("Runs that need attention")
    console.keyboard.press("ArrowDown")
    console.keyboard.press("ArrowDown")
    expect(console.locator(CHOSEN)).to_contain_text("Runs")
    console.keyboard.press("End")
    expect(console.locator(CHOSEN)).to_contain_text("Sign out")
    console.keyboard.press("ArrowDown")
    expect(console.locator(CHOSEN)).to_contain_text("Runs that need attention")
    console.keyboard.type("start docs")
    expect(console.locator(CHOSEN)).to_contain_text("Look for")
    console.keyboard.press("End")
    expect(console.locator(CHOSEN)).to_contain_text("Start run of docs-assistant")
    active = console.locator(FIELD).get_attribute("aria-activedescendant")
    assert active == console.locator(CHOSEN).get_attribute("id")
    console.keyboard.press("Enter")
    console.wait_for_url("**/workflows/docs-assistant/start/")


def test_a_pasted_id_opens_its_run_and_is_recent_afterwards(console: Page, address: str) -> None:
    example_runs.failed_run(number=2)
    console.goto(address + "/runs/")
    console.get_by_role("link", name="Search or jump to").click()
    console.keyboard.type("r_0000000000002")
    expect(console.locator(CHOSEN)).to_contain_text("docs-assistant")
    console.keyboard.press("Enter")
    console.wait_for_url("**/runs/r_0000000000002/")
    console.goto(address + "/runs/")
    console.keyboard.press("Control+k")
    expect(console.get_by_role("group", name="Recent").get_by_role("option")).to_have_count(1)
    console.keyboard.press("Escape")
    expect(console.locator("#menu")).to_be_hidden()
    expect(console.get_by_role("link", name="Search or jump to")).not_to_be_focused()


def test_the_menu_says_when_nothing_is_found_or_nobody_answers(
    console: Page, page: Page, address: str
) -> None:
    console.goto(address + "/workflows/")
    console.keyboard.press("Control+k")
    console.keyboard.type("zzzz")
    expect(console.locator(CHOSEN)).to_contain_text("Look for “zzzz” in all runs")
    listeners_off(page)
    page.route("**/search/**", lambda route: route.abort())
    console.keyboard.type("y")
    expect(console.locator("#menu")).to_contain_text("The server did not answer.")
    page.unroute("**/search/**")
    console.get_by_role("button", name="Try again").click()
    expect(console.locator(CHOSEN)).to_contain_text("zzzzy")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", pages.SIZES)
def test_menu_dialog_and_person_menu_violate_no_rule(
    console: Page, address: str, scheme: str, size: str
) -> None:
    width, height = pages.SIZES[size]
    console.set_viewport_size({"width": width, "height": height})
    console.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    console.goto(address + "/workflows/")
    console.keyboard.press("Control+k")
    expect(console.locator(CHOSEN)).to_be_visible()
    check(console, f"menu-{size}-{scheme}")
    console.keyboard.press("Escape")
    console.keyboard.press("?")
    expect(console.get_by_role("heading", name="Keyboard shortcuts")).to_be_visible()
    check(console, f"shortcuts-{size}-{scheme}")
    console.keyboard.press("Escape")
    if size == "phone":
        console.get_by_role("button", name="Open navigation").click()
    console.get_by_role("button", name="settings and signing out").click()
    expect(console.get_by_role("link", name="Appearance")).to_be_visible()
    check(console, f"person-{size}-{scheme}")


def check(page: Page, name: str) -> None:
    """Photograph the page as it stands, and find no violation on it."""
    ARTIFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTIFACTS / f"{name}.png")
    told = axe.violations(page)
    assert not told, f"{name}: {told}"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", pages.SIZES)
def test_every_component_is_photographed(admin: Page, address: str, scheme: str, size: str) -> None:
    width, _ = pages.SIZES[size]
    admin.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    admin.set_viewport_size({"width": width, "height": 900})
    admin.goto(address + "/style/")
    height = admin.evaluate("document.querySelector('.style').scrollHeight + 60")
    admin.set_viewport_size({"width": width, "height": height})
    check(admin, f"style-{size}-{scheme}")
    assert not admin.evaluate("document.documentElement.scrollWidth > innerWidth")


def test_g_and_a_letter_lead_to_a_page(console: Page, address: str) -> None:
    console.goto(address + "/runs/")
    console.keyboard.press("g")
    console.keyboard.press("w")
    console.wait_for_url("**/workflows/")
    console.keyboard.press("g")
    console.keyboard.press("a")
    console.wait_for_url("**/runs/?state=attention")
    console.locator("#q").focus()
    console.keyboard.type("gw")
    expect(console.locator("#q")).to_have_value("gw")


def test_the_sidebar_folds_and_stays_folded(console: Page, address: str) -> None:
    console.goto(address + "/workflows/")
    console.keyboard.press("[")
    expect(console.locator("html")).to_have_attribute("data-sidebar", "narrow")
    console.goto(address + "/runs/")
    expect(console.locator("html")).to_have_attribute("data-sidebar", "narrow")
    assert console.locator("#navigation").bounding_box()["width"] == 56  # type: ignore[index]
    expect(console.get_by_role("link", name="Workflows")).to_be_visible()
    console.get_by_role("button", name="Fold or unfold").click()
    expect(console.locator("html")).to_have_attribute("data-sidebar", "wide")


def test_single_keys_can_be_switched_off(console: Page, address: str) -> None:
    example_runs.succeeded_run(number=1)
    console.goto(address + "/settings/appearance/")
    console.get_by_text("Off", exact=False).first.click()
    console.goto(address + "/runs/")
    for key in ("j", "g", "w", "[", "?", "/", "p"):
        console.keyboard.press(key)
    expect(console.locator("tr.is-cursor")).to_have_count(0)
    expect(console.locator("#dialog")).to_be_hidden()
    expect(console.locator("[data-live]")).to_have_text("Live")
    expect(console.locator("#q")).not_to_be_focused()
    assert console.url.endswith("/runs/")
    console.keyboard.press("Control+k")
    expect(console.locator(FIELD)).to_be_focused()
    console.keyboard.type("jp")
    expect(console.locator(FIELD)).to_have_value("jp")


def test_looks_are_tried_on_at_once_and_kept(console: Page, address: str) -> None:
    console.goto(address + "/settings/appearance/")
    console.get_by_text("Compact").click()
    console.get_by_text("Dark", exact=True).click()
    expect(console.locator("html")).to_have_attribute("data-density", "compact")
    console.goto(address + "/workflows/")
    expect(console.locator("html")).to_have_attribute("data-density", "compact")
    expect(console.locator("html")).to_have_attribute("data-theme", "dark")


def test_the_time_zone_of_the_browser_is_offered_and_used(
    browser_type_launch_args: object, browser: object, served: str, transactional_db: None
) -> None:
    example_runs.succeeded_run(number=1)
    context = browser.new_context(timezone_id="Asia/Tokyo")  # type: ignore[attr-defined]
    sign_in(context, served, Role.VIEWER)
    page = context.new_page()
    page.goto(served + "/settings/")
    page.get_by_role("button", name="This browser's: Asia/Tokyo").click()
    expect(page.locator("#toasts")).to_contain_text("Times are shown in Asia/Tokyo.")
    page.goto(served + "/runs/")
    expect(page.locator(".pager")).to_contain_text("times in Asia/Tokyo (UTC+9)")
    assert User.objects.get().time_zone == "Asia/Tokyo"
    context.close()


def test_an_admin_makes_a_token_copies_it_and_revokes_it_by_keyboard(
    admin: Page, address: str, context: BrowserContext
) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    admin.goto(address + "/settings/tokens/")
    admin.get_by_label("Name").fill("billing")
    admin.keyboard.press("Enter")
    admin.get_by_role("button", name="Copy").click()
    expect(admin.locator("#toasts")).to_contain_text("Token copied")
    secret = admin.evaluate("navigator.clipboard.readText()")
    assert secret.startswith("ilk_")
    assert "ilk_" not in admin.locator("#toasts").inner_text()
    admin.goto(address + "/settings/tokens/")
    admin.get_by_role("link", name="Revoke billing").press("Enter")
    admin.get_by_role("button", name="Revoke token").press("Enter")
    expect(admin.locator(".tokens")).to_contain_text("revoked")
    expect(admin.locator("#toasts")).to_contain_text("The token billing is revoked.")
    assert ApiToken.objects.get().revoked_at


def test_switching_a_member_off_can_be_undone_from_the_toast(admin: Page, address: str) -> None:
    otto = factories.user(Role.OPERATOR, "otto")
    admin.goto(address + "/settings/members/")
    admin.get_by_role("link", name="Switch off otto").click()
    admin.get_by_label("Reason").fill("left")
    admin.get_by_role("button", name="Switch off").click()
    expect(admin.locator(f"#member-{otto.pk}")).to_contain_text("switched off")
    admin.get_by_role("button", name="Undo").click()
    expect(admin.locator("#toasts")).to_contain_text("otto can sign in again.")
    admin.get_by_label("Role of otto").select_option("editor")
    admin.get_by_role("button", name="Set", exact=True).click()
    expect(admin.locator("#toasts")).to_contain_text("otto is editor now.")


def test_at_most_three_toasts_are_shown_and_one_undoes(admin: Page, address: str) -> None:
    admin.goto(address + "/style/")
    admin.get_by_role("button", name="Show toasts").click()
    toasts = admin.locator("#toasts .toast")
    expect(toasts).to_have_count(3)
    toasts.nth(1).get_by_role("button", name="Undo").click()
    expect(toasts).to_have_count(3)
    expect(admin.locator("#toasts")).to_contain_text("This one waits until another has gone.")
    for _ in range(3):
        toasts.first.get_by_role("button", name="Close this message").click()
    expect(admin.locator("#toasts")).to_contain_text("Undone: nothing is retried.")


def test_artifacts_are_not_kept_in_the_repository() -> None:
    assert "artifacts" in Path(ROOT, ".gitignore").read_text()
