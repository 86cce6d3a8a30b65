"""One file per step kind. A new kind that does something itself is one file and one line here."""

from collections.abc import Mapping
from typing import Final

from workflows.step_kinds import prompt, retrieve, set_values, tool
from workflows.step_kinds.base import LeafKind

LEAVES: Final[Mapping[str, LeafKind]] = {
    "prompt": prompt.KIND,
    "retrieve": retrieve.KIND,
    "tool": tool.KIND,
    "set": set_values.KIND,
}
