"""What a page violates of the rules of accessibility, as axe finds it.

The checker is put into a page once for all its looks, and brings back what is wrong alone: most of its time would go
into telling what is right.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page

RULES: Final = ("wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice")
# All rules among those whose answer can change with the theme alone.
OF_COLOUR: Final = ("color-contrast", "link-in-text-block")
_MOST: Final = 3  # places told of one violation


def violations(page: Page, *, only: Sequence[str] = ()) -> list[str]:
    """Return what is violated and where, of all RULES or `only` of those named."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    chosen = {"type": "rule", "values": [*only]} if only else {"type": "tag", "values": [*RULES]}
    options = {"runOnly": chosen, "resultTypes": ["violations"], "preload": False}
    found: list[dict[str, Any]] = page.evaluate(
        "async (options) => (await axe.run(document, options)).violations", options
    )
    return [f"{each['id']}: {node['html'][:160]}" for each in found for node in each["nodes"][:_MOST]]
