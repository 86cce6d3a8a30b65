"""Cut a text into overlapping passages that keep their place in it. Pure: no database, no I/O.

Boundaries are semantic (headings of Markdown, paragraphs, sentences, words; `semantic-text-splitter`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from semantic_text_splitter import MarkdownSplitter, TextSplitter

# Part of what makes a document version: a change here makes new versions at the next ingest.
VERSION: Final = "1"
# English prose has about 4 bytes of UTF-8 a token under the usual vocabularies; scripts whose characters take
# 3 bytes come out near one token a character, which is right to within a third.
BYTES_PER_TOKEN: Final = 4
# A tokenizer may call a megabyte of base64 one unknown token: no passage is longer than this a token.
MAX_CHARACTERS_PER_TOKEN: Final = 12
# The splitter's time grows with the square of a text that has no boundaries, so it gets blocks; and with each
# length that a run of line ends has, every one a level of its own, so it gets no long runs.
BLOCK_CHARACTERS: Final = 10_000
BLOCK_CAPACITIES: Final = 8
_LONG_RUN: Final = re.compile(r"(?:\r\n|\n|\r){4,}")


@dataclass(frozen=True)
class Passage:
    """`text` is `source[start:stop]`."""

    ordinal: int
    start: int
    stop: int
    text: str

    @property
    def sha(self) -> bytes:
        """The sha-256 that vectors and chunks are stored under."""
        return hashlib.sha256(self.text.encode()).digest()


def split(
    text: str, *, tokens: int, overlap: int, markdown: bool = False, tokenizer_json: str | None = None
) -> tuple[Passage, ...]:
    """Cut `text` into passages of at most `tokens`, the neighbours sharing up to `overlap`.

    Tokens are counted by the tokenizer whose JSON is given, else estimated from the length. Blank passages
    are left out; offsets count characters.
    """
    splitter = _splitter(text, tokens, overlap, markdown=markdown, tokenizer_json=tokenizer_json)
    ceiling = TextSplitter(tokens * MAX_CHARACTERS_PER_TOKEN)
    passages: list[Passage] = []
    size = max(BLOCK_CHARACTERS, BLOCK_CAPACITIES * BYTES_PER_TOKEN * tokens)
    for base, block in _blocks(text, size):
        for start, body in splitter.chunk_indices(block):
            fits = len(body) <= tokens * MAX_CHARACTERS_PER_TOKEN
            for offset, piece in [(0, body)] if fits else ceiling.chunk_indices(body):
                if piece.strip():
                    begin = base + start + offset
                    passages.append(Passage(len(passages), begin, begin + len(piece), piece))
    return tuple(passages)


def settings_hash(*, model: str, tokens: int, overlap: int) -> str:
    """Hash what decides how a text becomes passages and vectors."""
    parts = (VERSION, model, str(tokens), str(overlap))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _blocks(text: str, size: int) -> Iterator[tuple[int, str]]:
    """Yield the parts of a text between long runs of line ends, and of these at most `size` characters."""
    start = 0
    for run in _LONG_RUN.finditer(text):
        yield from _cut(text, start, run.start(), size)
        start = run.end()
    yield from _cut(text, start, len(text), size)


def _cut(text: str, start: int, stop: int, size: int) -> Iterator[tuple[int, str]]:
    """Cut at the best boundary in the last half of each block."""
    while stop - start > size:
        middle, end = start + size // 2, start + size
        found = (text.rfind(mark, middle, end) for mark in ("\n\n", "\n", ". ", " "))
        cut = next((at for at in found if at > 0), end)
        yield start, text[start:cut]
        start = cut
    yield start, text[start:stop]


def _splitter(
    text: str, tokens: int, overlap: int, *, markdown: bool, tokenizer_json: str | None
) -> TextSplitter | MarkdownSplitter:
    kind = MarkdownSplitter if markdown else TextSplitter
    if tokenizer_json is not None:
        return kind.from_huggingface_tokenizer_str(tokenizer_json, tokens, overlap=overlap)
    per_token = BYTES_PER_TOKEN * len(text) / max(1, len(text.encode()))
    capacity = max(1, int(tokens * per_token))
    return kind(capacity, overlap=min(capacity - 1, int(overlap * per_token)))
