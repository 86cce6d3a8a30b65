"""From a document's bytes to what is stored: metadata, text, passages and hashes. Pure: no database."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from retrieval import chunking, parsing, roots
from retrieval.chunking import Passage
from retrieval.errors import RetrievalError
from retrieval.sources import SourceDocument

MAX_NAME: Final = 512
MAX_METADATA: Final = 16_384
_NUL: Final = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


@dataclass(frozen=True)
class Settings:
    """What decides, with the bytes and the metadata, how a document becomes passages and vectors."""

    model: str
    tokens: int
    overlap: int

    @property
    def sha(self) -> str:
        return chunking.settings_hash(model=self.model, tokens=self.tokens, overlap=self.overlap)


@dataclass(frozen=True)
class Content:
    """A document parsed and cut, ready to be written."""

    source: SourceDocument
    media_type: str
    metadata: Mapping[str, object]
    text: str
    passages: tuple[Passage, ...]
    source_sha: bytes
    content_sha: bytes


def check(source: SourceDocument) -> SourceDocument:
    """Return the document with its media type settled. Raises: RetrievalError `bad_name`, `bad_metadata`."""
    name = source.name
    broken = "\0" in name or name != name.encode(errors="replace").decode()
    if broken or not name.strip() or len(name) > MAX_NAME:
        raise RetrievalError(
            "bad_name",
            f"{name[:80]!r} cannot name a document: 1 to {MAX_NAME} characters of valid text are needed.",
        )
    try:
        text = canonical(source.metadata)
        size = len(text.encode())
    except (TypeError, ValueError, RecursionError) as error:
        raise RetrievalError("bad_metadata", f"The metadata of {name!r} is not JSON: {error}.") from error
    if size > MAX_METADATA or _NUL.search(text):
        raise RetrievalError(
            "bad_metadata",
            f"The metadata of {name!r} has more than {MAX_METADATA:,} bytes, or NUL characters.",
        )
    kind = parsing.media_type_of(name, source.media_type)
    return SourceDocument(name, kind, source.data, json.loads(text), source.source or name)


def source_sha(source: SourceDocument, settings: Settings) -> bytes:
    """Hash all that decides a version, so that the same again is recognised before it is parsed."""
    data = hashlib.sha256(source.data).hexdigest()
    parts = (
        settings.sha,
        parsing.VERSION,
        source.media_type,
        data,
        canonical(source.metadata),
        source.source,
    )
    return hashlib.sha256("\0".join(parts).encode(errors="replace")).digest()


def prepare(source: SourceDocument, settings: Settings, *, max_bytes: int) -> Content:
    """Parse and cut a checked document. Raises: RetrievalError `too_large`, `unreadable_document`."""
    parsed = parsing.parse(source.data, name=source.name, media_type=source.media_type, max_bytes=max_bytes)
    passages = chunking.split(
        parsed.text,
        tokens=settings.tokens,
        overlap=settings.overlap,
        markdown=source.media_type == "text/markdown",
    )
    metadata = {**parsed.metadata, **source.metadata}
    leaf = roots.leaf(
        source.name,
        model=settings.model,
        metadata=canonical(metadata),
        chunk_shas=[passage.sha for passage in passages],
    )
    return Content(
        source=source,
        media_type=source.media_type,
        metadata=metadata,
        text=parsed.text,
        passages=passages,
        source_sha=source_sha(source, settings),
        content_sha=leaf,
    )


def canonical(metadata: Mapping[str, object]) -> str:
    return json.dumps(metadata, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
