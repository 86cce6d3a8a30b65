"""Every page, light and dark, wide and narrow: no accessibility violation, nothing wider than the screen."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.browser import pages

RULES = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]


def _violations(page: Page) -> list[str]:
    found = Axe().run(page, options={"runOnly": RULES}).response["violations"]
    return [f"{each['id']}: {node['html'][:160]}" for each in found for node in each["nodes"][:3]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", pages.SIZES)
def test_no_page_violates_a_rule_or_scrolls_sideways(
    console: Page, address: str, scheme: str, size: str
) -> None:
    pages.fill()
    width, height = pages.SIZES[size]
    console.set_viewport_size({"width": width, "height": height})
    console.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    problems = []
    for name, path in pages.PAGES.items():
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
