"""The console in Chromium over a long history: when the largest thing is painted, what a click takes, what is sent.

The history is that of `console_pages`. Left out where there is no Chromium.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final

from playwright.sync_api import Browser, BrowserContext, sync_playwright

from tests import chromium
from tests.benchmarks import console_data, console_pages, frame
from tests.benchmarks.console_pages import Console
from tests.benchmarks.frame import Row, Stand, percentile

LCP_MS: Final = 600.0
LARGE_RUN_MS: Final = 1_000.0
CLICK_MS: Final = 150.0
# Compressed, in 1024 bytes: the scripts that every page loads, the styles and fonts of any one page.
JS_KB: Final = 25.0
CSS_KB: Final = 12.0
FONTS_KB: Final = 55.0
_PAINTED: Final = """
() => new Promise((resolve) => {
  let last = 0;
  new PerformanceObserver((list) => { for (const entry of list.getEntries()) last = entry.startTime; })
    .observe({ type: "largest-contentful-paint", buffered: true });
  setTimeout(() => resolve(last), 250);
})
"""
_SENT: Final = """
() => performance.getEntriesByType("resource").map((entry) => [new URL(entry.name).pathname, entry.encodedBodySize])
"""
# From the click to the frame in which the step's details stand there.
_CLICKED: Final = """
(path) => new Promise((resolve) => {
  const began = performance.now();
  const look = () => {
    const there = document.querySelector(`#step[data-shows="${path}"]`);
    requestAnimationFrame(there ? () => resolve(performance.now() - began) : look);
  };
  document.querySelector(`[data-step="${path}"]`).click();
  look();
})
"""
_STEPS: Final = ("search", "extract", "check", "draft", "review", "answer")


@dataclass(frozen=True)
class Page:
    """An address, and by when its largest thing has to be painted."""

    name: str
    path: str
    goal_ms: float = LCP_MS


def measure(stand: Stand, rounds: int, scale: float) -> list[Row]:
    """Return the rows of this benchmark."""
    if not chromium.find():
        frame.note("no Chromium on this machine: the browser's figures are left out")
        return []
    url = console_data.history(stand, "console_long", console_pages.chosen_size(scale))
    console = Console(url, stand.folder / "console-browser")
    try:
        return seen(console, count=rounds * 2)
    finally:
        console.stop()


def seen(console: Console, *, count: int) -> list[Row]:
    """Open the main pages in a browser, `count` times each."""
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"  # Playwright runs an event loop in this thread
    run = f"/runs/{console.known['succeeded']}/"
    pages = (
        Page("overview", "/overview/"),
        Page("runs", "/runs/"),
        Page("runs, text, any time", "/runs/?q=Meier&range=all"),
        Page("run", run),
        Page("run of 2,000 steps", f"/runs/{console_data.LARGE_RUN}/", LARGE_RUN_MS),
        Page("workflow", "/workflows/claims-triage/"),
    )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium.find(whole=True), args=["--no-sandbox"])
        found = [_painted(browser, console, page, count) for page in pages]
        clicked = _clicked(browser, console, run, count)
        browser.close()
    return [*(row for row, _ in found), clicked, *_weighed([sent for _, sent in found])]


def _open(browser: Browser, console: Console) -> BrowserContext:
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.add_cookies([{"name": "sessionid", "value": console.known["session"], "url": console.server.url}])
    return context


def _painted(browser: Browser, console: Console, page: Page, count: int) -> tuple[Row, dict[str, int]]:
    """Open a page with nothing in the browser's cache, again and again; return the bytes of each file too."""
    samples: list[float] = []
    sent: dict[str, int] = {}
    for turn in range(count + 1):
        context = _open(browser, console)
        tab = context.new_page()
        tab.goto(console.server.url + page.path)
        found = float(tab.evaluate(_PAINTED))
        if turn:  # the first one warms up
            samples.append(found)
        sent = dict(tab.evaluate(_SENT))
        context.close()
    half, most = percentile(samples, 0.5), percentile(samples, 0.95)
    frame.note(f"{page.name}: LCP {half:.0f} / {most:.0f} ms")
    painted = Row(
        what=f"{page.name}, largest paint",
        ours=f"{half:.0f} / {most:.0f} ms",
        goal=f"p50 ≤ {page.goal_ms:g} ms",
        met=half <= page.goal_ms,
    )
    return painted, sent


def _weighed(pages: list[dict[str, int]]) -> list[Row]:
    """Weigh what is sent: scripts of every page, and the heaviest page's scripts, styles and fonts."""
    common = set.intersection(*(set(files) for files in pages))
    shared = _kb({path: size for path, size in pages[0].items() if path in common}, "js")
    scripts, styles, fonts = (max(_kb(files, kind) for files in pages) for kind in ("js", "css", "woff2"))
    return [
        _kept("scripts of every page, KB", shared, JS_KB),
        Row(what="scripts of the page with the most, KB", ours=f"{scripts:.1f}"),
        _kept("styles of the page with the most, KB", styles, CSS_KB),
        _kept("fonts, KB", fonts, FONTS_KB),
    ]


def _kb(files: dict[str, int], kind: str) -> float:
    return sum(size for path, size in files.items() if path.endswith(f".{kind}")) / 1024


def _kept(what: str, kb: float, budget: float) -> Row:
    return Row(what=what, ours=f"{kb:.1f}", goal=f"≤ {budget:g}", met=kb <= budget)


def _clicked(browser: Browser, console: Console, run: str, count: int) -> Row:
    """Click one step after the other."""
    context = _open(browser, console)
    tab = context.new_page()
    tab.goto(console.server.url + run)
    samples = [float(tab.evaluate(_CLICKED, _STEPS[turn % len(_STEPS)])) for turn in range(count + 2)][2:]
    context.close()
    half, most = percentile(samples, 0.5), percentile(samples, 0.95)
    return Row(
        what="click on a step → its details",
        ours=f"{half:.0f} / {most:.0f} ms",
        goal=f"p95 ≤ {CLICK_MS:g} ms",
        met=most <= CLICK_MS,
    )


if __name__ == "__main__":
    frame.alone(measure)
