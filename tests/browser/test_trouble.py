"""Trouble in the middle of work: signed out, another tab's token, a lost server, a refusal. Nothing typed is lost."""

from __future__ import annotations

import pytest
from django.contrib.sessions.models import Session
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from console.models import Role, User
from tests import example_runs, factories
from tests.browser.conftest import sign_in
from tests.browser.test_runs import listeners_off
from tests.browser.test_shell import check
from workflows.actor import Actor
from workflows.failures import grouping, groups
from workflows.failures.groups import Change
from workflows.models import AuditEntry, ErrorGroup, Run

pytestmark = pytest.mark.django_db(transaction=True)
START = "/workflows/docs-assistant/start/"


@pytest.fixture
def otto(clean: Page, served: str) -> Page:
    """An operator with a password, signed in through the page."""
    factories.prompts()
    factories.release()
    factories.user(Role.OPERATOR, "otto", password=factories.PASSWORD)
    clean.goto(served + "/sign-in/")
    _fill_in(clean)
    clean.wait_for_url("**/overview/**")
    return clean


def _fill_in(page: Page) -> None:
    page.get_by_label("Name").fill("otto")
    page.get_by_label("Password").fill(factories.PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def _sign_out_behind(page: Page) -> None:
    """The session ends, as by its age; from here on the browser is expected to complain of 401."""
    Session.objects.all().delete()
    listeners_off(page)


def test_a_form_that_outlived_its_session_comes_back_filled(otto: Page, served: str) -> None:
    otto.goto(served + START)
    otto.get_by_label("Question").fill('How do I "quote"?\n\nTwice.')
    otto.get_by_label("audience").select_option("expert")
    otto.get_by_role("checkbox", name="notify").check()
    _sign_out_behind(otto)
    otto.get_by_role("button", name="Start run").click()
    expect(otto.get_by_text("what you typed comes back")).to_be_visible()
    _fill_in(otto)
    otto.wait_for_url("**" + START)
    expect(otto.get_by_text("What you had typed is back")).to_be_visible()
    expect(otto.get_by_label("Question")).to_have_value('How do I "quote"?\n\nTwice.')
    expect(otto.get_by_label("audience")).to_have_value('"expert"')
    expect(otto.get_by_role("checkbox", name="notify")).to_be_checked()
    assert not Run.objects.exists()
    otto.reload()
    expect(otto.get_by_text("What you had typed is back")).to_be_hidden()


def test_without_scripts_the_fields_are_shown_to_be_sent_again(browser: Browser, served: str) -> None:
    factories.user(Role.OPERATOR, "otto", password=factories.PASSWORD)
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(served + "/sign-in/?next=/settings/")
    _fill_in(page)
    page.get_by_label("Time zone").select_option("Europe/Berlin")
    Session.objects.all().delete()
    page.get_by_role("button", name="Save").click()
    _fill_in(page)
    expect(page.get_by_label("time_zone")).to_have_value("Europe/Berlin")
    page.get_by_role("button", name="Send now").click()
    expect(page.get_by_text("Times are shown in Europe/Berlin.")).to_be_visible()
    context.close()


def test_a_question_that_outlived_its_session_is_answered_after_signing_in_over_it(
    otto: Page, served: str
) -> None:
    example_runs.running_run(number=3)
    otto.goto(served + "/runs/r_0000000000003/")
    otto.get_by_role("link", name="Cancel").first.click()
    otto.get_by_label("Reason").fill("wrong input")
    _sign_out_behind(otto)
    otto.get_by_role("button", name="Cancel run").click()
    expect(otto.get_by_role("heading", name="You were signed out")).to_be_visible()
    expect(otto.locator("#signed-out [name=username]")).to_have_value("otto")
    expect(otto.locator("#signed-out [name=password]")).to_be_focused()
    check(otto, "signed-out")
    otto.keyboard.type("not my password")
    otto.keyboard.press("Enter")
    expect(otto.locator("#signed-out")).to_contain_text("do not belong together")
    otto.locator("#signed-out [name=password]").fill(factories.PASSWORD)
    otto.keyboard.press("Enter")
    expect(otto.locator("#toasts")).to_contain_text("The run is being cancelled.")
    assert AuditEntry.objects.get(action="run.cancel").reason == "wrong input"


def test_signing_in_in_another_tab_makes_no_open_form_worthless(
    otto: Page, context: BrowserContext, served: str
) -> None:
    """The token turns with each signing in; the form of the first tab is sent with the newest."""
    otto.goto(served + "/settings/")
    other = context.new_page()
    other.goto(served + "/runs/")
    other.get_by_role("button", name="settings and signing out").click()
    other.get_by_role("button", name="Sign out").click()
    _fill_in(other)
    other.wait_for_url("**/overview/**")
    otto.get_by_label("Time zone").select_option("Europe/Berlin")
    otto.get_by_role("button", name="Save").click()
    expect(otto.get_by_text("Times are shown in Europe/Berlin.")).to_be_visible()


def test_a_lost_server_keeps_the_page_and_offers_the_same_once_more(otto: Page, served: str) -> None:
    for _ in range(2):
        AuditEntry.objects.create(actor="otto", action="run.retry", object_kind="run", object_id="r_1")
    otto.goto(served + "/audit/?object=r_1")
    listeners_off(otto)
    otto.route("**/audit/?**", lambda route: route.abort())
    otto.get_by_label("Object").fill("nothing")
    otto.keyboard.press("Enter")
    expect(otto.get_by_role("alert")).to_contain_text("The server did not answer.")
    expect(otto.locator("#entries tbody tr")).to_have_count(2)
    otto.unroute("**/audit/?**")
    otto.get_by_role("button", name="Retry").click()
    expect(otto.locator("#entries")).to_contain_text("No entry matches these filters")
    expect(otto.get_by_role("alert")).to_be_hidden()


def test_a_failing_server_is_told_with_the_id_of_the_request(otto: Page, served: str) -> None:
    otto.goto(served + "/audit/")
    listeners_off(otto)
    answer = {
        "status": 503,
        "content_type": "text/plain",
        "body": "The database took too long over this page. Request 8f3a6c1d.",
    }
    otto.route("**/audit/?**", lambda route: route.fulfill(**answer))
    otto.get_by_label("Object").fill("x")
    otto.keyboard.press("Enter")
    expect(otto.get_by_role("alert")).to_contain_text("Request 8f3a6c1d")


def test_a_refusal_says_who_may(clean: Page, context: BrowserContext, served: str) -> None:
    """The role is taken away while the page is open."""
    example_runs.running_run(number=3)
    sign_in(context, served, Role.OPERATOR)
    clean.goto(served + "/runs/r_0000000000003/")
    listeners_off(clean)
    clean.keyboard.press("p")  # a refresh would take the link away with the role
    expect(clean.locator("[data-live]")).to_have_text("Paused")
    User.objects.update(role=Role.VIEWER)
    clean.get_by_role("link", name="Cancel").first.click()
    expect(clean.locator("#toasts")).to_contain_text("needs the role operator or higher; yours is viewer")


def test_what_is_gone_is_told_in_its_place(otto: Page, served: str) -> None:
    example_runs.succeeded_run(number=1)
    otto.goto(served + "/runs/r_0000000000001/?step=answer")
    listeners_off(otto)
    gone = {"status": 404, "content_type": "text/plain", "body": "There is no such step."}
    otto.route("**/step/**", lambda route: route.fulfill(**gone))
    otto.locator(".step-row", has_text="search").first.click()
    expect(otto.locator("#inspector")).to_contain_text("There is no such step.")


def test_a_dialog_with_text_in_it_does_not_vanish_by_a_slip(otto: Page, served: str) -> None:
    example_runs.running_run(number=3)
    otto.goto(served + "/runs/r_0000000000003/")
    otto.get_by_role("link", name="Cancel").first.click()
    otto.get_by_label("Reason").fill("wrong input")
    otto.mouse.click(5, 5)
    expect(otto.get_by_label("Reason")).to_have_value("wrong input")
    otto.keyboard.press("Escape")
    expect(otto.get_by_label("Reason")).to_be_visible()
    expect(otto.locator("#toasts")).to_contain_text("once more")
    otto.keyboard.press("Escape")
    expect(otto.get_by_label("Reason")).to_be_hidden()


def test_two_people_at_one_error_group_see_each_other(otto: Page, served: str, refusals: set[int]) -> None:
    factories.run("failed", number=1, error={"class": "timeout", "message": "no answer", "step": "answer"})
    grouping.settle()
    group = ErrorGroup.objects.get()
    otto.goto(f"{served}/recovery/errors/{group.pk}/")
    otto.get_by_label("Note").fill("It is DNS.")
    groups.change(group.pk, Change(note="It is the proxy."), actor=Actor(kind="user", name="anna"))
    refusals.add(409)
    otto.get_by_role("button", name="Resolve").click()
    expect(otto.get_by_role("alert")).to_contain_text("anna changed this")
    expect(otto.get_by_label("Note")).to_have_value("It is DNS.")
    expect(otto.locator(".theirs")).to_have_text("It is the proxy.")
    check(otto, "two-at-one-group")
    otto.get_by_label("Note").fill("It is DNS, not the proxy.")
    otto.get_by_role("button", name="Resolve").click()
    expect(otto.locator("#toasts")).to_contain_text("Resolved.")
    group.refresh_from_db()
    assert (group.note, group.state) == ("It is DNS, not the proxy.", "resolved")


def test_a_list_whose_session_is_over_says_so_and_lets_sign_in(otto: Page, served: str) -> None:
    example_runs.succeeded_run(number=1)
    otto.goto(served + "/runs/")
    _sign_out_behind(otto)
    expect(otto.locator("[data-live]")).to_have_text("Signed out", timeout=8000)
    banner = otto.locator(".stale-bar")
    expect(banner).to_contain_text("You were signed out. What you see is of")
    check(otto, "stale")
    banner.get_by_role("button", name="Sign in").click()
    otto.locator("#signed-out [name=password]").fill(factories.PASSWORD)
    otto.keyboard.press("Enter")
    expect(otto.locator("[data-live]")).to_have_text("Live", timeout=8000)
    expect(banner).to_have_count(0)


def test_a_poll_that_fails_is_told_until_one_works_again(otto: Page, served: str) -> None:
    """One failure is no news; what is told stands still, and goes by itself."""
    otto.clock.install()
    otto.goto(served + "/queue/")
    listeners_off(otto)
    answers = iter(["aaaa1111", "bbbb2222", "cccc3333"])

    def fail(route: Route) -> None:
        body = f"The database does not answer. Try again. Request {next(answers, 'dddd4444')}."
        route.fulfill(status=503, content_type="text/plain", body=body)

    otto.route("**/queue/", fail)
    banner, live = otto.locator(".stale-bar"), otto.locator("[data-live]")
    otto.clock.run_for(3_100)
    expect(live).to_contain_text("Stale since")
    expect(banner).to_have_count(0)
    otto.clock.run_for(3_100)
    expect(banner).to_contain_text("The database does not answer. Try again. What you see is of")
    expect(banner).to_contain_text("Request bbbb2222.")
    otto.clock.run_for(3_100)
    expect(banner).to_contain_text("Request bbbb2222.")
    expect(otto.get_by_role("heading", name="Waits for a worker")).to_be_visible()
    otto.unroute("**/queue/")
    otto.clock.run_for(3_100)
    expect(banner).to_have_count(0)
    expect(live).to_have_text("Live")
