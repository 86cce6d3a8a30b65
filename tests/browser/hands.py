"""Somebody at the console who never uses a mouse, or who holds a phone; what they do is counted.

One act is a key (a chord is one), a tap, or a text that is typed or pasted at once.
"""

from __future__ import annotations

import re
from typing import Final

from playwright.sync_api import Locator, Page, expect

_MOST_TABS: Final = 40


class Hands:
    """Either way of using a page; a task says for each act how it is done by keys and by taps."""

    def __init__(self, page: Page, *, touch: bool) -> None:
        self.page, self.touch, self.acts = page, touch, 0

    def do(self, keys: str, *taps: Locator) -> None:
        """Press keys (parted by blanks), or tap one after the other."""
        if self.touch:
            for place in taps:
                self.tap(place)
        else:
            for key in keys.split():
                self.press(key)

    def press(self, key: str) -> None:
        self.page.wait_for_load_state()  # before, no script hears keys
        self.page.keyboard.press(key)
        self.acts += 1

    def tap(self, place: Locator) -> None:
        place.tap()
        self.acts += 1

    def use(self, place: Locator) -> None:
        """Tap it; or go to it by the Tab key, each press counted, and press Enter."""
        if self.touch:
            self.tap(place)
        else:
            self.reach(place)
            self.press("Enter")

    def choose(self, place: Locator) -> None:
        """Choose one of several: tap it, or go to it by the Tab key and press Space."""
        if self.touch:
            self.tap(place)
        else:
            self.reach(place)
            self.press("Space")

    def reach(self, place: Locator) -> None:
        """Put the focus there with the Tab key, by the link past the navigation where that is shorter.

        Raises: AssertionError when that takes too long.
        """
        expect(place).to_be_visible()
        for _ in range(_MOST_TABS):
            if _is_focused(place):
                return
            self.press("Tab")
            if _is_focused(self.page.locator("a.skip").first) and _is_content(place):
                self.press("Enter")  # past the navigation, as everybody does who lives on the keyboard
        raise AssertionError(f"{_MOST_TABS} tabs do not lead to {place}")

    def type(self, text: str) -> None:
        """Type where the focus is; several lines are pasted."""
        if "\n" in text:
            self.page.keyboard.insert_text(text)
        else:
            self.page.keyboard.type(text)
        self.acts += 1

    def fill(self, place: Locator, text: str) -> None:
        """Go to a field and type; where it has the focus already, just type."""
        expect(place).to_be_visible()
        if self.touch and not _is_focused(place):
            self.tap(place)
        elif not self.touch:
            self.reach(place)
        self.type(text)

    def menu(self, entry: str, keys: str) -> None:
        """Open a page from the navigation: on a phone it is behind a button."""
        opens = self.page.get_by_role("button", name="Open navigation")
        named = re.compile(f"^{entry}( \\d|$)")  # with a number, where it has one
        self.do(keys, opens, self.page.locator("#navigation").get_by_role("link", name=named))


def _is_content(place: Locator) -> bool:
    return bool(place.evaluate("element => element.closest('#main') !== null"))


def _is_focused(place: Locator) -> bool:
    # An editor lives in a shadow root, which has a focus of its own.
    return bool(place.evaluate("element => element === element.getRootNode().activeElement"))
