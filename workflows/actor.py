"""Who does something: a person, an API token, a schedule, or the system itself. Passed into every service."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Actor:
    kind: Literal["user", "token", "schedule", "system"]
    name: str

    def __str__(self) -> str:
        return self.name if self.kind == "user" else f"{self.kind}:{self.name}"


SYSTEM = Actor(kind="system", name="interlock")
