"""One file per step kind. A new kind that does something itself is one file and one line here."""

from collections.abc import Mapping
from typing import Final

from workflows.step_kinds import approval, child, prompt, retrieve, set_values, tool, wait
from workflows.step_kinds.base import LeafKind

LEAVES: Final[Mapping[str, LeafKind]] = {
    "prompt": prompt.KIND,
    "retrieve": retrieve.KIND,
    "tool": tool.KIND,
    "workflow": child.KIND,
    "approval": approval.KIND,
    "wait": wait.KIND,
    "set": set_values.KIND,
}
