"""Fifteen things that people come for, by keyboard alone and on a phone, acts counted.

Seven begin on the overview, the others on the page of the list or object that they are about.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from django.core.cache import cache
from playwright.sync_api import Browser, Page, expect

from console.models import ApiToken, Role
from tests import bulk, engine, example_prompts, example_runs, example_workflows, factories
from tests.browser.conftest import session_cookie
from tests.browser.hands import Hands
from tests.browser.pages import SIZES
from tests.db.engine.test_control import unknown_run
from tests.db.retrieval import fixtures
from workflows import audit
from workflows.actor import Actor
from workflows.engine import bundle
from workflows.models import AuditEntry, BulkAction, Definition, Run

DAY_S = 86_400
Land = Callable[..., Page]
PROVIDER = "{kind: Provider, name: fake, api: scripted, models: [{name: e, embeds: 16}]}"


@pytest.fixture(params=["keyboard", "phone"])
def page(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    """A desktop's page, or a phone's; `clean` watches either."""
    width, height = SIZES["phone" if request.param == "phone" else "desktop"]
    context = browser.new_context(
        viewport={"width": width, "height": height},
        has_touch=request.param == "phone",
        reduced_motion="reduce",
        timezone_id="UTC",
    )
    yield context.new_page()
    context.close()


@pytest.fixture
def hands(clean: Page, served: str, transactional_db: None, request: pytest.FixtureRequest) -> Hands:
    """An admin's hands. `land` when the data is there. What the pages of another test left in the cache is gone."""
    cache.clear()
    clean.context.add_cookies([session_cookie(Role.ADMIN, served)])  # type: ignore[list-item]
    return Hands(clean, touch="phone" in request.node.callspec.id)


@pytest.fixture
def land(hands: Hands, served: str) -> Land:
    """Open the console where signing in leads."""

    def landed(path: str = "/") -> Page:
        hands.page.goto(served + path)
        return hands.page

    return landed


def within(hands: Hands, *, keys: int, taps: int) -> None:
    most = taps if hands.touch else keys
    assert hands.acts <= most, f"{hands.acts} acts"


def test_1_what_needs_somebody(hands: Hands, land: Land) -> None:
    example_runs.failed_run(number=2, title="Acme's invoice")
    page = land()
    hands.do("g a", page.get_by_role("link", name=re.compile("failed")).first)
    expect(page.get_by_text("Acme's invoice").first).to_be_visible()
    expect(page).to_have_url(re.compile("state=attention|r_0000000000002"))
    within(hands, keys=2, taps=1)


def test_2_the_run_that_failed_for_a_customer_yesterday(hands: Hands, land: Land) -> None:
    example_runs.failed_run(number=1, title="Of today", tags=["customer:acme"])
    example_runs.failed_run(number=2, title="Of yesterday", tags=["customer:acme"], ago_s=1.4 * DAY_S)
    example_runs.failed_run(number=3, title="Of another", tags=["customer:zeta"], ago_s=1.4 * DAY_S)
    page = land()
    hands.menu("Runs", "g r")
    page.wait_for_url("**/runs/")
    hands.do("/", page.locator("#q"))
    hands.type("tag:customer:acme state:failed since:2d until:1d")
    hands.press("Enter")
    page.wait_for_url("**until:1d")
    expect(page.locator("#runs tbody tr")).to_have_text(re.compile("Of yesterday"))
    hands.do("j Enter", page.get_by_role("link", name="Of yesterday"))
    page.wait_for_url("**/runs/r_0000000000002/**")
    within(hands, keys=7, taps=6)


def test_3_the_document_that_misled_it(hands: Hands, land: Land) -> None:
    example_runs.succeeded_run(number=1)
    page = land("/runs/r_0000000000001/")
    hands.do("4", page.get_by_role("link", name="Documents"))
    expect(page.locator("#main, main").get_by_text("typeiter.txt").first).to_be_visible()
    within(hands, keys=1, taps=1)


def test_4_change_a_prompt_and_try_it(hands: Hands, land: Land) -> None:
    example_prompts.documents()
    example_prompts.runs("I want a refund")
    page = land()
    hands.menu("Prompts", "g t")
    page.wait_for_url("**/prompts/")
    hands.do("j Enter", page.get_by_role("link", name="triage", exact=True))
    page.wait_for_url("**/prompts/triage/")
    if hands.touch:
        hands.tap(page.get_by_role("textbox", name="Document. Escape").get_by_text("by how urgent"))
        hands.type(" kindly ")
    else:
        hands.do("e Control+f")
        hands.type("how urgent")
        hands.do("Enter Escape")
        hands.type("how very urgent")
    expect(page.locator("#problems")).to_contain_text("Can be saved")
    hands.do("Control+Enter", page.get_by_role("button", name="Preview"))
    expect(page.locator("#side")).to_contain_text("Ticket: I want a refund")
    hands.do("Control+s", page.get_by_role("button", name="Save"))
    expect(page.locator("#toasts")).to_contain_text("Saved v3.")
    within(hands, keys=12, taps=8)


def test_5_retry_all_that_failed_alike(hands: Hands, land: Land) -> None:
    bulk.outage(2)
    bulk.many_failed(60)
    page = land("/runs/?state=failed")
    if hands.touch:
        hands.tap(page.locator("#runs .col-pick input[name=pick]").first)
    hands.do("j x")
    expect(page.locator("#bulk-bar")).to_contain_text("1 selected")
    hands.do("a", page.get_by_role("button", name="Select all 62 matching"))
    expect(page.locator("#bulk-bar")).to_contain_text("62 selected")
    hands.do("r", page.get_by_role("button", name=re.compile("Retry")).first)
    hands.fill(page.get_by_label("Reason"), "key renewed")
    hands.press("Enter")
    page.wait_for_url(re.compile("/runs/bulk/b_"))
    assert BulkAction.objects.get().action == "retry"
    within(hands, keys=6, taps=6)


def test_6_start_a_run_like_a_recent_one(hands: Hands, land: Land) -> None:
    example_prompts.documents()
    example_prompts.runs("I want a refund")
    page = land("/workflows/support/")
    hands.do(".", page.get_by_role("link", name="Start run").first)
    page.wait_for_url("**/start/")
    hands.do("j Enter", page.locator("ol.plain-rows a").first)
    page.wait_for_url("**like=**")
    hands.do(".", page.get_by_role("button", name="Start run"))
    page.wait_for_url("**/runs/r_**")
    assert Run.objects.count() == 2
    within(hands, keys=4, taps=3)


def test_7_cancel_a_run(hands: Hands, land: Land) -> None:
    example_runs.running_run(number=3)
    page = land("/runs/r_0000000000003/")
    hands.do(".", page.get_by_role("link", name="Cancel").first)
    hands.fill(page.get_by_label("Reason"), "the customer called it off")
    hands.press("Enter")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.locator("#toasts")).to_contain_text("ancel")
    assert AuditEntry.objects.get().action == "run.cancel"
    within(hands, keys=3, taps=4)


def test_8_settle_what_is_unknown(hands: Hands, land: Land) -> None:
    waiting = unknown_run()
    page = land(f"/runs/{waiting.pk}/?step=a")
    hands.do(".", page.get_by_role("link", name="Settle a…"))
    took_effect = page.get_by_role("radio", name="It took effect")
    expect(took_effect).not_to_be_checked()  # nothing is chosen beforehand: a wrong answer may pay twice
    hands.choose(took_effect)
    hands.fill(page.get_by_role("textbox", name="Output"), '{"v": 5}')
    hands.fill(page.get_by_label("Reason"), "found at the other side")
    hands.press("Enter")
    expect(page.locator("#toasts")).to_contain_text("a is settled.")
    engine.drain()
    assert engine.output(waiting) == 6
    within(hands, keys=8, taps=7)


def test_9_compare_two_versions_of_a_workflow(hands: Hands, land: Land) -> None:
    example_workflows.documents()
    page = land("/workflows/claims/")
    if hands.touch:
        hands.tap(page.get_by_role("link", name="Versions"))
        hands.tap(page.get_by_role("button", name="Compare"))
    else:
        hands.press("d")
    page.wait_for_url("**/workflows/claims/diff/1/2/")
    expect(page.locator(".marks")).to_be_visible()
    within(hands, keys=1, taps=2)


def test_10_apply_a_definition(hands: Hands, land: Land) -> None:
    example_workflows.documents()
    page = land()
    hands.menu("Apply files", "g y")
    page.wait_for_url("**/apply/")
    document = page.locator(".editor .cm-content").first
    hands.do("e", document)
    hands.type(example_workflows.FIRST.replace("name: claims", "name: complaints"))
    hands.do("Control+Enter", page.locator("[data-keys='mod+Enter']"))
    expect(page.locator(".plan")).to_contain_text("goes live at once in production")
    hands.do("Control+Enter", page.locator("[data-keys='mod+Enter']"))
    page.wait_for_url("**/workflows/complaints/")
    assert Definition.objects.filter(name="complaints").exists()
    within(hands, keys=6, taps=6)


def test_11_search_what_a_step_would_get(hands: Hands, land: Land) -> None:
    engine.apply(PROVIDER)
    fixtures.make_corpus("handbook")
    fixtures.publish("handbook", {"leave.md": "Thirty days of leave a year."})
    bundle.forget_providers()
    page = land()
    hands.menu("Corpora", "g c")
    page.wait_for_url("**/corpora/")
    hands.do("j Enter", page.get_by_role("link", name="handbook", exact=True))
    page.wait_for_url("**/corpora/handbook/")
    hands.do("4", page.get_by_role("link", name="Search", exact=True))
    page.wait_for_url("**tab=search")
    hands.do("/", page.get_by_role("searchbox").first)
    hands.type("leave")
    hands.press("Enter")
    expect(page.locator(".hits li").first).to_contain_text("Thirty days")
    within(hands, keys=8, taps=7)


def test_12_make_a_token(hands: Hands, land: Land) -> None:
    page = land("/settings/tokens/")
    hands.do(".")
    hands.fill(page.get_by_label("Name"), "billing")
    hands.press("Enter")
    expect(page.get_by_role("button", name="Copy")).to_be_visible()
    assert ApiToken.objects.get().name == "billing"
    within(hands, keys=3, taps=3)


def test_13_who_changed_it(hands: Hands, land: Land) -> None:
    marta = Actor(kind="user", name="marta.ferri")
    audit.record(marta, "run.cancel", "run", "r_0000000000003", reason="Called off.")
    audit.record(marta, "definition.save", "Prompt", "triage")
    page = land()
    hands.menu("Audit log", "g u")
    page.wait_for_url("**/audit/")
    hands.do("/", page.get_by_label("Object"))
    hands.type("r_0000000000003")
    hands.press("Enter")
    expect(page.locator("#entries tbody tr")).to_have_count(1)
    expect(page.locator("#entries")).to_contain_text("marta.ferri")
    assert AuditEntry.objects.count() == 2
    within(hands, keys=5, taps=5)


def test_14_open_a_run_by_its_id(hands: Hands, land: Land) -> None:
    example_runs.failed_run(number=2)
    page = land()
    opens = page.get_by_role("button", name="Open navigation")
    hands.do("Control+k", opens, page.get_by_role("link", name="Search or jump to"))
    hands.type("r_0000000000002")
    expect(page.locator('#menu-list [aria-selected="true"]')).to_contain_text("docs-assistant")
    hands.press("Enter")
    page.wait_for_url("**/runs/r_0000000000002/**")
    within(hands, keys=3, taps=4)


def test_15_take_the_failed_runs_home(hands: Hands, land: Land) -> None:
    factories.many_runs(9, states=("failed", "succeeded"))
    page = land("/runs/?state=failed")
    hands.do("e", page.get_by_role("link", name=re.compile("Export")).first)
    as_csv = page.get_by_role("link", name="CSV")
    expect(as_csv).to_be_focused()
    with page.expect_download() as taken:
        hands.do("Enter", as_csv)
    assert len(taken.value.path().read_text().splitlines()) == 6
    within(hands, keys=2, taps=2)
