"""Every page, light and dark, wide and narrow: no accessibility violation, nothing wider than the screen."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Page

from console.models import Role
from tests.browser import pages
from tests.browser.conftest import sign_in

RULES = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]


def _violations(page: Page) -> list[str]:
    found = Axe().run(page, options={"runOnly": RULES}).response["violations"]
    return [f"{each['id']}: {node['html'][:160]}" for each in found for node in each["nodes"][:3]]


@pytest.mark.timeout(600)  # every page there is
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", pages.SIZES)
def test_no_page_violates_a_rule_or_scrolls_sideways(
    clean: Page, context: BrowserContext, address: str, transactional_db: None, scheme: str, size: str
) -> None:
    pages.fill()
    sign_in(context, address, Role.ADMIN)  # who may open all of them
    problems = _problems(clean, address, pages.PAGES, size=size, scheme=scheme)
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", pages.SIZES)
def test_no_page_of_admins_violates_a_rule_or_scrolls_sideways(
    clean: Page, context: BrowserContext, served: str, scheme: str, size: str, transactional_db: None
) -> None:
    sign_in(context, served, Role.ADMIN)
    pages.people()
    problems = _problems(clean, served, pages.ADMIN_PAGES, size=size, scheme=scheme)
    assert not problems, "\n".join(problems)


def _problems(page: Page, address: str, paths: Mapping[str, str], *, size: str, scheme: str) -> list[str]:
    width, height = pages.SIZES[size]
    page.set_viewport_size({"width": width, "height": height})
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    problems = []
    for name, path in paths.items():
        page.goto(address + path)
        problems += [f"{name}: {each}" for each in _violations(page)]
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            problems.append(f"{name}: wider than the screen")
    return problems


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_sign_in_page_violates_no_rule(
    clean: Page, address: str, scheme: str, transactional_db: None
) -> None:
    clean.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    clean.goto(address + "/sign-in/")
    assert not _violations(clean)
