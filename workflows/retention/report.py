"""What a prune removed, or would remove."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from workflows.models import Prune

# In the order in which people are told; all else is rows of deleted runs.
NAMES: Final = {
    "runs": "runs",
    "archived": "runs archived",
    "steps": "step runs",
    "attempts": "attempts",
    "events": "journal events",
    "calls": "model calls",
    "lineage": "lineage rows",
    "approvals": "approvals",
    "signals": "signals",
    "taints": "taint marks",
    "sightings": "sightings of errors",
    "memory_pins": "pins of memory",
    "fork_keys": "keys that forks remembered",
    "fork_memory": "values that forks remembered",
    "cached_results": "cached results",
    "searches": "searches and hits",
    "bulk_actions": "actions on many runs",
    "snapshots": "snapshots collected",
    "spans": "places of passages",
    "chunks": "passages",
    "payloads": "payloads",
    "uploads": "uploaded documents",
}


@dataclass
class Report:
    """Counts by the keys of NAMES; `bytes` of payloads and uploads, as they were stored."""

    counts: Counter[str] = field(default_factory=Counter)
    bytes: int = 0

    @classmethod
    def of(cls, prune: Prune) -> Report:
        """Return what an earlier prune removed."""
        return cls(Counter(prune.removed), prune.bytes)

    def add(self, what: str, count: int) -> None:
        """Count something."""
        if count:
            self.counts[what] += count

    def told(self) -> list[tuple[str, int]]:
        """Return what there is to tell, in the order of NAMES."""
        return [(name, self.counts[what]) for what, name in NAMES.items() if self.counts[what]]
