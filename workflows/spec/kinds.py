"""What this version knows: the kinds of documents, and the one table of what it does not support (pure)."""

from __future__ import annotations

import re
from collections.abc import Mapping

DOCUMENT_KINDS = ("Provider", "Route", "Prompt", "Tool", "Corpus", "Workflow")
NAME = re.compile(r"[a-z][a-z0-9-]{0,62}\Z")
NAME_EXPECTED = "lower-case letters, digits and hyphens, starting with a letter, 63 characters at the most"

# The language has them, the engine has not: kinds of documents, kinds of steps, and keys by where they stand.
UNSUPPORTED_DOCUMENTS = frozenset({"Environment", "Schedule", "Budget", "Alert", "Webhook"})
UNSUPPORTED_STEPS = frozenset({"agent", "workflow", "loop", "approval", "wait", "memory"})
UNSUPPORTED_APIS = frozenset({"openai-responses", "google"})
UNSUPPORTED_KEYS: Mapping[str, frozenset[str]] = {
    "Workflow": frozenset({"concurrency", "finally"}),
    "Tool": frozenset({"mcp", "workflow"}),
    "step": frozenset({"cache"}),
    "source": frozenset({"url"}),
}


def unsupported(what: str) -> str:
    return f"{what} is not supported by this version"
