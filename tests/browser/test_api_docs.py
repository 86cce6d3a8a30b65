"""The page that shows the OpenAPI document works under the console's own strict policy."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

from console.models import User
from tests.web_server import WebServer


@pytest.fixture(autouse=True)
def _loop_of_the_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    # Playwright keeps an event loop in this thread; the tests themselves are not asynchronous.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")


def test_it_lists_the_operations_and_breaks_no_rule_of_the_policy(web: WebServer, browser: Browser) -> None:
    user = User.objects.create_user("vera", password="a long password", role="viewer")
    with browser.new_context(base_url=web.url) as context:
        page = context.new_page()
        complaints: list[str] = []
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto("/sign-in/?next=/api/v1/docs/")
        page.get_by_label("Name").fill(user.username)
        page.get_by_label("Password").fill("a long password")
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("heading", name="Interlock API").wait_for()
        page.locator("#operations-runs-start_a_run").click()
        page.get_by_text("Try it out").first.wait_for()
        assert complaints == []
