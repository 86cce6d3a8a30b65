"""What this version knows: the kinds of documents, and the one table of what it does not support (pure)."""

from __future__ import annotations

import re
from collections.abc import Mapping

DOCUMENT_KINDS = (
    "Provider",
    "Route",
    "Prompt",
    "Tool",
    "Corpus",
    "Workflow",
    "Environment",
    "Schedule",
    "Webhook",
)
NAME = re.compile(r"[a-z][a-z0-9-]{0,62}\Z")
NAME_EXPECTED = "lower-case letters, digits and hyphens, starting with a letter, 63 characters at the most"

# What webhooks can be told of: families of events, and the events of those families that are complete.
EVENTS: Mapping[str, tuple[str, ...]] = {
    "run": ("succeeded", "failed", "cancelled"),
    "schedule": ("failed", "missed", "skipped"),
    "approval": (),
    "rollout": (
        "started",
        "promoted",
        "paused",
        "resumed",
        "succeeded",
        "rolled_back",
        "aborted",
        "superseded",
    ),
    "alert": (),
}

# The language has them, the engine has not: kinds of documents, kinds of steps, and keys by where they stand.
UNSUPPORTED_DOCUMENTS = frozenset({"Budget", "Alert"})
UNSUPPORTED_STEPS: frozenset[str] = frozenset()
UNSUPPORTED_APIS = frozenset({"openai-responses", "google"})
UNSUPPORTED_KEYS: Mapping[str, frozenset[str]] = {
    "source": frozenset({"url"}),
    "Environment": frozenset({"budget"}),
    "Environment.rollout.steps[]": frozenset({"shadow", "backtest"}),
}


def unsupported(what: str) -> str:
    return f"{what} is not supported by this version"
