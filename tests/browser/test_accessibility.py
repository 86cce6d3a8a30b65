"""Every page, light and dark, wide and narrow: no accessibility violation, nothing wider than the screen."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.conf import LazySettings
from playwright.sync_api import BrowserContext, Page, ViewportSize

from console.models import Role
from tests.browser import axe, pages
from tests.browser.conftest import sign_in

PARTS = 3  # so that no test takes minutes
# The main action stands last: after the way back in a form, at the right end of a page's head.
ORDER = """() => [...document.querySelectorAll("#main .form-actions, #main .topbar")].every(row => {
  const seen = [...row.querySelectorAll(".btn, [type=submit]")].filter(each => each.checkVisibility());
  const last = seen.sort((a, b) => a.getBoundingClientRect().x - b.getBoundingClientRect().x).at(-1);
  return !row.querySelector(".btn-primary") || !seen.length || last.matches(".btn-primary")
})"""
# A dark button that does not answer to the key of the page's main action; questions are answered by Enter.
NO_KEY = """() => [...document.querySelectorAll("#main .btn-primary")].some(each => each.checkVisibility()
  && !each.closest("[data-ask], [data-decide], [popover], .style"))
  && !document.querySelector('#main [data-primary][aria-keyshortcuts~="."]')"""


@pytest.mark.timeout(600)  # dozens of pages, each looked at by a checker that takes its time
@pytest.mark.parametrize("part", range(PARTS))
def test_no_page_violates_a_rule_scrolls_sideways_or_lacks_its_key(
    clean: Page, context: BrowserContext, address: str, transactional_db: None, part: int
) -> None:
    pages.fill()
    sign_in(context, address, Role.ADMIN)  # who may open all of them
    problems = []
    for name, path in list(pages.PAGES.items())[part::PARTS]:
        clean.set_viewport_size(_size("desktop"))
        clean.goto(address + path)
        problems += [f"{name}, {each}" for each in _seen(clean)]
        if clean.evaluate(NO_KEY):
            problems.append(f"{name}: its dark button has no key")
        if not clean.evaluate(ORDER):
            problems.append(f"{name}: its dark button is not the last")
    assert not problems, "\n".join(problems)


@pytest.mark.timeout(300)
def test_no_page_of_an_empty_console_violates_a_rule(
    clean: Page, context: BrowserContext, address: str, transactional_db: None
) -> None:
    sign_in(context, address, Role.ADMIN)
    problems = []
    for name, path in pages.EMPTY.items():
        clean.set_viewport_size(_size("desktop"))
        clean.goto(address + path)
        problems += [f"{name}, {each}" for each in _seen(clean)]
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("name", pages.TROUBLE)
def test_no_page_of_trouble_violates_a_rule(
    clean: Page,
    context: BrowserContext,
    address: str,
    refusals: set[int],
    settings: LazySettings,
    transactional_db: None,
    name: str,
) -> None:
    settings.ROOT_URLCONF = "tests.browser.broken_urls"
    path, status = pages.TROUBLE[name]
    refusals.add(status)
    sign_in(context, address, Role.ADMIN)
    answer = clean.goto(address + path)
    assert answer is not None
    assert answer.status == status
    assert not list(_seen(clean))


def _size(name: str) -> ViewportSize:
    width, height = pages.SIZES[name]
    return {"width": width, "height": height}


def _seen(page: Page) -> Iterator[str]:
    """Look at a page in every size and theme, without asking for it anew: the server sends the same for all."""
    for size in pages.SIZES:
        page.set_viewport_size(_size(size))
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            yield f"{size}: wider than the screen"
        page.emulate_media(color_scheme="light")
        yield from (f"{size}: {each}" for each in axe.violations(page))
        page.emulate_media(color_scheme="dark")
        yield from (f"{size}, dark: {each}" for each in axe.violations(page, only=axe.OF_COLOUR))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_sign_in_page_violates_no_rule(
    clean: Page, address: str, scheme: str, transactional_db: None
) -> None:
    clean.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    clean.goto(address + "/sign-in/")
    assert not axe.violations(clean)


def test_the_checker_finds_what_is_wrong_in_either_theme(clean: Page) -> None:
    """What would make all of the above worthless: a checker that is not asked, or asked for nothing."""
    clean.set_content(
        "<html lang=en><title>x</title><main><h1>x</h1><img src='data:,'><p style='color:#aaa'>faint"
    )
    told = axe.violations(clean)
    assert any(each.startswith("image-alt") for each in told)
    assert any(each.startswith("color-contrast") for each in told)
    assert [each.split(":")[0] for each in axe.violations(clean, only=axe.OF_COLOUR)] == ["color-contrast"]
