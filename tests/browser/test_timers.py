"""Schedules and webhooks by hand: a dialog is asked, answered, and the page shows what came of it."""

from __future__ import annotations

from playwright.sync_api import BrowserContext, Page, expect

from console.models import Role
from tests import example_schedules, example_webhooks, factories
from tests.browser.conftest import sign_in


def test_an_operator_pauses_a_schedule_and_sends_what_was_given_up_again(
    clean: Page, context: BrowserContext, address: str, transactional_db: None
) -> None:
    factories.release()
    example_schedules.fill()
    example_webhooks.fill()
    sign_in(context, address, Role.OPERATOR)

    clean.goto(address + "/schedules/")
    row = clean.get_by_role("row").filter(has_text="nightly-digest")
    row.get_by_role("link", name="Pause nightly-digest").click()
    dialog = clean.get_by_role("dialog")
    dialog.get_by_label("Reason").fill("The books are closed.")
    dialog.get_by_role("button", name="Pause").click()
    expect(clean).to_have_url(f"{address}/schedules/nightly-digest/")
    expect(clean.get_by_text("The books are closed.")).to_be_visible()
    expect(clean.get_by_role("link", name="Resume")).to_be_visible()

    clean.goto(address + "/settings/webhooks/data-lake/")
    clean.get_by_role("link", name="Send 1 again").click()
    clean.get_by_role("dialog").get_by_role("button", name="Send 1 again").click()
    expect(clean.get_by_text("1 delivery is sent again.")).to_be_visible()
    expect(clean.get_by_role("link", name="Waiting 3")).to_be_visible()
