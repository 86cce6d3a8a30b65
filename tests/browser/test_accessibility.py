"""Every page, light and dark, wide and narrow: no accessibility violation, nothing wider than the screen."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Page

from console.models import Role
from tests.browser import pages
from tests.browser.conftest import sign_in

RULES = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]
PARTS = 3  # so that no test takes minutes


def _violations(page: Page) -> list[str]:
    found = Axe().run(page, options={"runOnly": RULES}).response["violations"]
    return [f"{each['id']}: {node['html'][:160]}" for each in found for node in each["nodes"][:3]]


@pytest.mark.timeout(600)  # dozens of pages, each looked at by a checker that takes its time
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", pages.SIZES)
def test_no_page_violates_a_rule_or_scrolls_sideways(
    clean: Page,
    context: BrowserContext,
    address: str,
    transactional_db: None,
    scheme: str,
    size: str,
    part: int,
) -> None:
    pages.fill()
    sign_in(context, address, Role.ADMIN)  # who may open all of them
    width, height = pages.SIZES[size]
    clean.set_viewport_size({"width": width, "height": height})
    clean.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    problems = []
    for name, path in list(pages.PAGES.items())[part::PARTS]:
        clean.goto(address + path)
        problems += [f"{name}: {each}" for each in _violations(clean)]
        if clean.evaluate("document.documentElement.scrollWidth > innerWidth"):
            problems.append(f"{name}: wider than the screen")
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_sign_in_page_violates_no_rule(
    clean: Page, address: str, scheme: str, transactional_db: None
) -> None:
    clean.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    clean.goto(address + "/sign-in/")
    assert not _violations(clean)
