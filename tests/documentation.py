"""The pages that people read, taken apart for the tests that hold them to the code. Reads files only."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
_FENCE: Final = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block: what stands behind its fence, its text, and where it begins."""

    info: str
    text: str
    line: int


@dataclass(frozen=True)
class Page:
    path: Path

    def __str__(self) -> str:
        return str(self.path.relative_to(ROOT))

    @property
    def text(self) -> str:
        return self.path.read_text()

    def blocks(self) -> Iterator[Block]:
        """Return the fenced blocks, in order."""
        for found in _FENCE.finditer(self.text):
            line = self.text.count("\n", 0, found.start()) + 2
            yield Block(found["info"].strip(), found["text"], line)

    def definitions(self) -> list[Block]:
        """Return the blocks that hold whole documents; a part of one is marked `yaml fragment`."""
        return [block for block in self.blocks() if block.info == "yaml" and "kind:" in block.text]

    def anchors(self) -> set[str]:
        """Return what links can point at: the headings, as GitHub writes them."""
        titles = re.findall(r"^#+ (.+)$", self.text, re.MULTILINE)
        return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}

    def links(self) -> list[str]:
        """Return the targets of links and pictures that lead to files of ours."""
        found = re.findall(r"\]\(([^)\s]+)\)|(?:src|srcset)=\"([^\"]+)\"", self.text)
        return [one for pair in found for one in pair if one and "://" not in one]


def pages() -> list[Page]:
    """Return README and everything in docs."""
    return [Page(ROOT / "README.md"), *(Page(path) for path in sorted((ROOT / "docs").rglob("*.md")))]
