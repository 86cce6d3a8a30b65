"""How much work it would be to check a batch, so that one which would take minutes is refused at once (pure).

What costs time is code: expressions are parsed, patterns compiled. Both are counted without doing either.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from workflows.spec import templates
from workflows.spec.documents import Document
from workflows.spec.places import SpecError

MAX_CODE = 1_000_000  # characters of expressions; about 5 µs each
MAX_PATTERNS = 1_000  # regular expressions; up to 5 ms each
_PATTERN_KEYS = frozenset({"pattern", "match", "patternProperties"})
_BARE_KEYS = frozenset({"when", "over", "until"})


def problem(documents: Sequence[Document]) -> SpecError | None:
    """Why the documents are too much for one batch; None if they are not."""
    code = patterns = 0
    for document in documents:
        for key, text in _texts("", document.body):
            code += len(text) if key in _BARE_KEYS else templates.code_length(text)
            patterns += key in _PATTERN_KEYS
        if code > MAX_CODE:
            return document.where.error(
                (), f"more than {MAX_CODE:,} characters of expressions; split the batch"
            )
        if patterns > MAX_PATTERNS:
            return document.where.error((), f"more than {MAX_PATTERNS:,} patterns; split the batch")
    return None


def _texts(key: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(key, item)
    elif isinstance(value, dict):
        for name, item in value.items():
            if key == "patternProperties":  # here the names are patterns
                yield key, name
            yield from _texts(name, item)
