"""The page that shows the OpenAPI document works under the console's own strict policy."""

from __future__ import annotations

from playwright.sync_api import Page

from tests import engine
from tests.web.api.test_start import ADD
from workflows.models import Run


def test_it_lists_the_operations(console: Page, address: str) -> None:
    console.goto(f"{address}/api/v1/docs/")
    console.get_by_role("heading", name="Interlock API").wait_for()
    console.locator("#operations-runs-start_a_run").click()
    console.get_by_text("Try it out").first.wait_for()


def test_a_signed_in_person_can_try_a_write(console: Page, address: str) -> None:
    """The page sends the CSRF token: the run is started."""
    engine.deploy(ADD)
    console.goto(f"{address}/api/v1/docs/")
    console.locator("#operations-runs-start_a_run").click()
    console.get_by_role("button", name="Try it out").click()
    console.locator("textarea.body-param__text").fill('{"workflow": "add", "input": {"a": 1}}')
    with console.expect_response("**/api/v1/runs**") as answer:
        console.get_by_role("button", name="Execute").click()
    assert answer.value.status == 201
    assert Run.objects.get().created_by == "operator.person"
