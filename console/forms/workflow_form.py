"""What the editor of a workflow sends: the text, the version that it began on, and what is to be done. Shape only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from django.http import HttpRequest

ACTIONS: Final = ("review", "save", "edit")


@dataclass(frozen=True, kw_only=True)
class Draft:
    """The text as it stands in the editor. `seen` names the plan that was shown for it."""

    text: str
    base: int
    note: str = ""
    seen: str = ""
    action: str = ""


def read(request: HttpRequest, *, text: str, base: int) -> Draft:
    """Read what was sent, else begin with the text and version at hand."""
    sent = request.POST
    if request.method != "POST":
        return Draft(text=text, base=base)
    action = sent.get("do", "review")
    over, began = number(sent.get("over")), number(sent.get("base"))
    return Draft(
        # Browsers send a text area's lines with CRLF.
        text=sent.get("text", text).replace("\r\n", "\n"),
        base=over if over is not None else began if began is not None else base,
        note=sent.get("note", "").strip(),
        seen=sent.get("seen", "")[:64],
        action=action if action in ACTIONS else "review",
    )


def number(text: str | None) -> int | None:
    """Read a whole number as it stands in an address or a hidden field; None where it is none."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 9 else None
