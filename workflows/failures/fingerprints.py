"""What makes two failures alike (pure): workflow, step, class, provider, and the message without what varies in it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from workflows import payloads
from workflows.payloads import clean_text

MAX_MESSAGE: Final = 300
_INDEX: Final = re.compile(r"\[\d+\]")
# What varies from one failure to the next. The longest things first: a time holds numbers, an address holds words.
_VARYING: Final = tuple(
    (re.compile(pattern), stands)
    for pattern, stands in (
        (r"\b[a-z][a-z0-9+.-]*://[^\s\"'<>()]+", "…"),
        (r"\b[\w.+-]+@[\w-]+\.[\w.]+\b", "…"),
        (r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?", "…"),
        (r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b", "…"),
        (r"\b[a-z]{1,4}_(?=\w*\d)\w{6,}\b", "…"),
        (r"\b(?=[0-9a-fA-F]*\d)(?=[0-9a-fA-F]*[a-fA-F])[0-9a-fA-F]{8,}\b", "…"),
        (r"[^\s\"'<>()]{60,}", "…"),
        (r"\d+(?:[.,]\d+)*", "#"),
    )
)


@dataclass(frozen=True, kw_only=True)
class Print:
    """A kind of failure. `step` has no indexes; `message` has … and # for what varies."""

    workflow: str
    step: str
    error_class: str
    provider: str
    message: str

    def digest(self) -> bytes:
        """Return the 32 bytes by which the group is found."""
        return payloads.digest([self.workflow, self.step, self.error_class, self.provider, self.message])


def of(*, workflow: str, step: str, error_class: str, provider: str, message: str) -> Print:
    """Return what makes a failure one of a kind."""
    return Print(
        workflow=workflow,
        step=_INDEX.sub("[]", step),
        error_class=error_class,
        provider=provider,
        message=normalised(message),
    )


def normalised(message: str) -> str:
    """Replace what varies in a message, and shorten it."""
    text = clean_text(message, limit=4 * MAX_MESSAGE)
    for pattern, stands in _VARYING:
        text = pattern.sub(stands, text)
    return " ".join(text.split())[:MAX_MESSAGE]
