"""Every key that does something, in one list: the help is made of it, and a test holds the scripts to it.

Keys that lead to a page are not here but with the page: `context.jumps`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from django.http import HttpRequest

from console import context


@dataclass(frozen=True)
class Shortcut:
    """Keys as they are printed (`then` between those of a sequence; of a row the ends), and what they do."""

    keys: tuple[str, ...]
    does: str
    sequence: bool = False
    row: bool = False


@dataclass(frozen=True)
class Group:
    """Shortcuts of one place."""

    title: str
    shortcuts: tuple[Shortcut, ...]


EVERYWHERE: Final = Group(
    "Everywhere",
    (
        Shortcut(("⌘K", "Ctrl K"), "Search, or jump anywhere"),
        Shortcut(("?",), "Show this list"),
        Shortcut(("/",), "Go to the filter of this page"),
        Shortcut(("1", "2", "3", "4", "5", "6", "7", "8"), "Open a tab, counted from the left", row=True),
        Shortcut((".",), "Do what the page is for: its dark button, such as Start run, Retry or Save"),
        Shortcut(("d",), "Compare: a version with the one before, a run with another"),
        Shortcut(("[",), "Fold or unfold the sidebar"),
        Shortcut(("p",), "Pause a page that updates by itself, or let it go on"),
        Shortcut(("Esc",), "Leave a field, close what is open"),
    ),
)
LISTS: Final = Group(
    "Lists",
    (
        Shortcut(("j", "k"), "Next row, row before"),
        Shortcut(("o", "Enter"), "Open the row"),
        Shortcut(("x", "X"), "Select the run, or all from the last one to here"),
        Shortcut(("a",), "Select all runs that match the filter, once one is selected"),
        Shortcut(("r",), "Retry the run, or the selected runs…"),
        Shortcut(("e",), "Export the runs that match…"),
        Shortcut(("c",), "Copy the link to the run"),
        Shortcut(
            ("→", "←"), "In the bars over the list: next one, one before; with Shift they mark a stretch"
        ),
    ),
)
RUN: Final = Group(
    "A run",
    (
        Shortcut(("↓", "↑"), "Next step, step before; also j and k"),
        Shortcut(("→", "←"), "Unfold, fold"),
        Shortcut(("Home", "End"), "First step, last step"),
        Shortcut(("e",), "Next error"),
        Shortcut(("c",), "Copy the link to this step"),
        Shortcut(("f",), "Filter the steps or events"),
        Shortcut(("z",), "Zoom to this step"),
        Shortcut(("0",), "Show the whole run again"),
        Shortcut(("J", "K"), "Older run, newer run of the list that you came from"),
        Shortcut(("r",), "Retry the run…"),
        Shortcut(("F",), "Fork the run…"),
    ),
)
APPROVAL: Final = Group(
    "An approval",
    (
        Shortcut(("j", "k"), "Next question, question before"),
        Shortcut(("a", "r"), "Go to Approve, to Reject; Enter decides"),
    ),
)
EDITOR: Final = Group(
    "An editor",
    (
        Shortcut(("e",), "Go to the text"),
        Shortcut(("⌘S", "Ctrl S"), "Save"),
        Shortcut(("⌘Enter", "Ctrl Enter"), "Preview a prompt"),
        Shortcut(("⌘⇧D", "Ctrl Shift D"), "Show what changed in a prompt"),
        Shortcut(("Esc", "Tab"), "Leave the editor; Tab alone indents", sequence=True),
    ),
)
GROUPS: Final = (EVERYWHERE, LISTS, RUN, APPROVAL, EDITOR)


def groups(request: HttpRequest) -> tuple[Group, ...]:
    """List the shortcuts for somebody: pages that they may not open are left out."""
    going = tuple(
        Shortcut(("g", jump.key), jump.label, sequence=True) for jump in context.jumps(request) if jump.key
    )
    return (EVERYWHERE, Group("Go to", going), *GROUPS[1:])
