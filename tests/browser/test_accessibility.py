"""Every page, light and dark, wide and narrow: no accessibility violation, nothing wider than the screen."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests import example_runs, factories
from tests.db.retrieval import fixtures

RULES = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]
SIZES = {"desktop": (1440, 900), "phone": (390, 844)}
PAGES = {
    "runs": "/runs/",
    "runs, nothing found": "/runs/?q=zzzz",
    "run": "/runs/r_0000000000001/?step=answer",
    "run, failed": "/runs/r_0000000000002/",
    "run, failed step": "/runs/r_0000000000002/?step=route/notify",
    "run, running": "/runs/r_0000000000003/",
    "run, unknown": "/runs/r_0000000000004/",
    "run, map": "/runs/r_0000000000005/",
    "run, search": "/runs/r_0000000000001/?step=search",
    "run, events": "/runs/r_0000000000002/?tab=events",
    "run, documents": "/runs/r_0000000000001/?tab=documents",
    "run, input": "/runs/r_0000000000001/?tab=io",
    "run, cost": "/runs/r_0000000000001/?tab=cost",
    "cancel": "/runs/r_0000000000003/cancel/",
    "retry": "/runs/r_0000000000002/retry/",
    "settle": "/runs/r_0000000000004/resolve/?step=notify",
    "workflows": "/workflows/",
    "workflow": "/workflows/docs-assistant/",
    "start": "/workflows/docs-assistant/start/",
    "corpora": "/corpora/",
    "corpus": "/corpora/handbook/?q=leave&mode=text",
    "prompts": "/prompts/",
    "prompt": "/prompts/answer/",
}


def _examples() -> None:
    factories.prompts()
    factories.worker()
    example_runs.succeeded_run(number=1)
    example_runs.failed_run(number=2)
    example_runs.running_run(number=3)
    example_runs.unknown_run(number=4)
    example_runs.map_run(30, failed=[4], number=5)
    fixtures.make_corpus("handbook")
    fixtures.publish("handbook", {"leave.md": "Thirty days of leave a year."})


def _violations(page: Page) -> list[str]:
    found = Axe().run(page, options={"runOnly": RULES}).response["violations"]
    return [f"{each['id']}: {node['html'][:160]}" for each in found for node in each["nodes"][:3]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_no_page_violates_a_rule_or_scrolls_sideways(
    console: Page, address: str, scheme: str, size: str
) -> None:
    _examples()
    width, height = SIZES[size]
    console.set_viewport_size({"width": width, "height": height})
    console.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    problems = []
    for name, path in PAGES.items():
        console.goto(address + path)
        problems += [f"{name}: {each}" for each in _violations(console)]
        if console.evaluate("document.documentElement.scrollWidth > innerWidth"):
            problems.append(f"{name}: wider than the screen")
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_sign_in_page_violates_no_rule(
    clean: Page, address: str, scheme: str, transactional_db: None
) -> None:
    clean.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    clean.goto(address + "/sign-in/")
    assert not _violations(clean)
