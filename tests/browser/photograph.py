"""Photograph pages of the console: `python -m tests.browser.photograph FOLDER [--pages NAME…] [--as ROLE] [--whole]`.

Every page of `pages.PAGES` (or other addresses), light and dark, wide and narrow, over example data. To be looked at
beside the mock-ups; nothing is compared.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests import standalone

standalone.set_up(durable=False)
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"  # Playwright runs an event loop in this thread

from django.conf import settings  # noqa: E402
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright  # noqa: E402

from console.models import Role  # noqa: E402
from tests import chromium  # noqa: E402
from tests.browser import pages  # noqa: E402
from tests.browser.conftest import session_cookie  # noqa: E402
from tests.browser.server import serve  # noqa: E402

SCHEMES = ("light", "dark")
# How high a screen has to be for all of a page to be seen at once, within reason.
_WHOLE = """Math.min(6000, Math.max(innerHeight,
  ...[...document.querySelectorAll("html, #main, #main *")].map((each) => {
    const grows = each.scrollHeight > each.clientHeight && getComputedStyle(each).overflowY !== "visible";
    return grows || each === document.documentElement ? innerHeight + each.scrollHeight - each.clientHeight : 0;
  })))"""


def main() -> None:
    """Take the pictures."""
    asked = _arguments()
    asked.folder.mkdir(parents=True, exist_ok=True)
    settings.ROOT_URLCONF = "tests.browser.broken_urls"
    with standalone.serving(), _browser() as browser, serve() as address:
        cookie = session_cookie(Role(asked.role), address)
        empty, filled = _chosen(asked.pages)
        _photograph(empty, asked, browser, address, cookie)
        if filled:
            pages.fill()
            _photograph(filled, asked, browser, address, cookie)


def _photograph(
    chosen: dict[str, str], asked: argparse.Namespace, browser: Browser, address: str, cookie: dict[str, str]
) -> None:
    for size in asked.sizes:
        for scheme in asked.schemes:
            for name, path in chosen.items():
                file = asked.folder / f"{name}-{size}-{scheme}.png"
                with _opened(browser, address + path, size=size, scheme=scheme, cookie=cookie) as page:
                    if asked.whole:
                        page.set_viewport_size(_tall(page))
                    page.screenshot(path=file)
                sys.stdout.write(f"{file}\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--pages", nargs="+", default=[], help="names of pages.PAGES, or addresses; default: all"
    )
    parser.add_argument("--as", dest="role", default=Role.ADMIN, choices=Role.values)
    parser.add_argument("--sizes", nargs="+", default=list(pages.SIZES), choices=list(pages.SIZES))
    parser.add_argument("--schemes", nargs="+", default=list(SCHEMES), choices=SCHEMES)
    parser.add_argument("--whole", action="store_true", help="all of a page, not only its first screen")
    return parser.parse_args()


def _chosen(names: list[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return what is photographed of an empty console, and of a filled one, by the name of the file."""
    trouble = {name: path for name, (path, _) in pages.TROUBLE.items()}
    known = {**pages.EMPTY, **pages.PAGES, **trouble}
    found = {name: known.get(name, name) for name in names} or known
    empty = {_file_name(name): path for name, path in found.items() if name in pages.EMPTY}
    return empty, {_file_name(name): path for name, path in found.items() if name not in pages.EMPTY}


def _file_name(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


@contextmanager
def _browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium.find(), args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def _opened(browser: Browser, url: str, *, size: str, scheme: str, cookie: dict[str, str]) -> Iterator[Page]:
    width, height = pages.SIZES[size]
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=scheme,  # type: ignore[arg-type]
        reduced_motion="reduce",
        timezone_id="UTC",
    )
    context.add_cookies([cookie])  # type: ignore[list-item]
    page = context.new_page()
    page.goto(url)
    yield page
    context.close()


def _tall(page: Page) -> ViewportSize:
    width = page.evaluate("innerWidth")
    return {"width": width, "height": page.evaluate(_WHOLE)}


if __name__ == "__main__":
    main()
