"""What the page of a prompt sends: the edited text, and what its tabs are asked. Shape only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.http import HttpRequest, QueryDict

TABS: Final = {"preview": "Preview", "diff": "Diff", "test": "Test", "usage": "Usage"}
OWN: Final = "own"  # the sample whose values are typed by hand
_VALUES: Final = 200_000  # characters


@dataclass(frozen=True, kw_only=True)
class Draft:
    """The text as it stands in the editor, the version that it began on, and what to show beside it."""

    text: str
    base: int
    note: str = ""
    sample: str = ""
    values: str = ""
    choice: str = ""
    against: int = 0
    split: bool = False


class ValuesError(Exception):
    """The values that were typed are no JSON object; says why."""


def read(request: HttpRequest, *, text: str, base: int) -> Draft:
    """Read what was sent, else begin with the text and version at hand."""
    sent: QueryDict = request.POST if request.method == "POST" else request.GET
    typed = sent.get("text") if request.method == "POST" else None
    return Draft(
        # Browsers send a text area's lines with CRLF.
        text=text if typed is None else typed.replace("\r\n", "\n"),
        base=_number(sent.get("over")) or _number(sent.get("base")) or base,
        note=sent.get("note", "").strip(),
        sample=sent.get("sample", "")[:40],
        values=sent.get("values", "")[:_VALUES].replace("\r\n", "\n"),
        choice=sent.get("choice", "")[:400],
        against=_number(sent.get("against")),
        split=sent.get("as") == "split",
    )


def _number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 9 else 0


def typed_values(text: str) -> Mapping[str, Any]:
    """Read values that were typed as JSON. Raises: ValuesError."""
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError) as error:
        raise ValuesError(f"The values are no JSON: {error}.") from None
    if not isinstance(found, dict):
        raise ValuesError("The values are a JSON object: a name and a value for each variable.")
    return found
