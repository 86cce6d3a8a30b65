"""A run's page while the run goes on: told by a stream, cut off, stale, deleted; and without a stream."""

from __future__ import annotations

import pytest
from django.db import transaction
from django.utils import timezone
from playwright.sync_api import APIResponse, BrowserContext, Page, Route, expect

from console.models import Role
from console.streaming import HEARTBEAT_S
from tests import example_runs
from tests.browser.conftest import sign_in
from tests.factories import RunMaker
from workflows.engine import hints
from workflows.models import Run, StepRun

STATE = ".run-title .state"
LIVE = "[data-live]"


@pytest.fixture
def watched(page: Page, context: BrowserContext, served: str, transactional_db: None) -> Page:
    """A page whose connection may fail: what the browser says of that is no complaint here."""
    sign_in(context, served, Role.OPERATOR)
    return page


def finish(made: RunMaker) -> None:
    now = timezone.now()
    StepRun.objects.filter(run=made.run).exclude(state="succeeded").update(
        state="succeeded", lease=None, lease_until=None, started_at=now, ended_at=now
    )
    Run.objects.filter(pk=made.run.pk).update(state="succeeded", ended_at=now)
    made.journal("run.succeeded", 7)
    hints.tell(made.run.id)


def open_run(page: Page, address: str) -> RunMaker:
    made = example_runs.running_run(number=1)
    with page.expect_request("**/live/**"):
        page.goto(address + "/runs/r_0000000000001/")
    expect(page.locator(STATE)).to_have_text("Running")
    return made


def test_a_change_is_on_the_page_before_the_stream_looks_by_itself(console: Page, address: str) -> None:
    made = open_run(console, address)
    console.wait_for_timeout(1500)  # the stream stands, and nothing is due
    with console.expect_response("**/runs/r_0000000000001/**", timeout=HEARTBEAT_S * 500):
        finish(made)
    expect(console.locator(STATE)).to_have_text("Succeeded")
    expect(console.locator("#inspector .step-line .state")).to_have_text("Succeeded")
    expect(console.locator(LIVE)).to_have_count(0)


def test_without_a_stream_the_page_asks_by_itself(watched: Page, address: str) -> None:
    watched.route("**/live/**", lambda route: route.fulfill(status=429))
    made = open_run(watched, address)
    finish(made)
    expect(watched.locator(STATE)).to_have_text("Succeeded", timeout=8000)


def test_a_lost_server_makes_the_page_stale_and_retry_brings_it_back(
    watched: Page, context: BrowserContext, address: str
) -> None:
    open_run(watched, address)
    context.set_offline(True)
    expect(watched.locator(LIVE)).to_contain_text("Stale since", timeout=15_000)
    banner = watched.locator(".stale-bar")
    expect(banner).to_contain_text("This computer is offline. What you see is of", timeout=15_000)
    expect(watched.locator(STATE)).to_have_text("Running")
    context.set_offline(False)
    banner.get_by_role("button", name="Try now").click()
    expect(watched.locator(LIVE)).to_have_text("Live", timeout=15_000)
    expect(banner).to_have_count(0)


def test_a_stream_that_breaks_once_is_taken_up_again(watched: Page, address: str) -> None:
    opened: list[str] = []
    watched.on("request", lambda request: opened.append(request.url) if "/live/" in request.url else None)
    done: list[bool] = []

    def break_once(route: object) -> None:
        if done:
            route.continue_()  # type: ignore[attr-defined]
        else:
            done.append(True)
            route.fulfill(  # type: ignore[attr-defined]
                status=200, content_type="text/event-stream", body="retry: 100\n\nevent: change\ndata: {}\n\n"
            )

    watched.route("**/live/**", break_once)
    made = open_run(watched, address)
    watched.wait_for_timeout(1500)
    assert len(opened) == 2
    finish(made)
    expect(watched.locator(STATE)).to_have_text("Succeeded", timeout=3000)


def test_a_run_deleted_meanwhile_keeps_what_the_page_shows(watched: Page, address: str) -> None:
    made = open_run(watched, address)
    with transaction.atomic():
        Run.objects.filter(pk=made.run.pk).delete()
    hints.tell(made.run.id)
    expect(watched.get_by_role("alert")).to_contain_text("This run was deleted.", timeout=8000)
    expect(watched.locator(LIVE)).to_have_text("Deleted")
    expect(watched.locator(".step-row")).to_have_count(5)


def test_what_was_asked_for_before_a_run_was_deleted_changes_nothing_after(
    watched: Page, address: str
) -> None:
    held: list[tuple[Route, APIResponse]] = []

    def hold(route: Route) -> None:
        if route.request.headers.get("hx-request") and not held:
            held.append((route, route.fetch()))
        else:
            route.fallback()

    made = open_run(watched, address)
    watched.route(lambda url: "/runs/r_0000000000001/" in url and "/live/" not in url, hold)
    hints.tell(made.run.id)
    made.journal("step.progress", 6, step=made.steps["search"])
    while not held:
        watched.wait_for_timeout(100)
    with transaction.atomic():
        Run.objects.filter(pk=made.run.pk).delete()
    hints.tell(made.run.id)
    expect(watched.get_by_role("alert")).to_contain_text("This run was deleted.", timeout=8000)
    route, answer = held[0]
    with watched.expect_event("requestfinished"):
        route.fulfill(response=answer)
    watched.wait_for_timeout(3000)  # longer than a poll's beat
    expect(watched.get_by_role("alert")).to_contain_text("This run was deleted.")
    expect(watched.locator(LIVE)).to_have_text("Deleted")


def test_a_paused_page_stands_still_and_catches_up(console: Page, address: str) -> None:
    made = open_run(console, address)
    console.wait_for_timeout(1500)  # what was asked before is answered
    console.keyboard.press("p")
    expect(console.locator(LIVE)).to_have_text("Paused")
    finish(made)
    console.wait_for_timeout(2500)
    expect(console.locator(STATE)).to_have_text("Running")
    console.keyboard.press("p")
    expect(console.locator(STATE)).to_have_text("Succeeded", timeout=3000)
