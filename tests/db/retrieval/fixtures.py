"""A deterministic embedder and small corpora for the tests of retrieval."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from retrieval import corpora, ingest
from retrieval.ingest import DocumentReport, Draft, SourceDocument
from retrieval.models import Corpus, Snapshot

DIMS = 16


def embed(texts: Sequence[str]) -> NDArray[np.float32]:
    """Sum one fixed vector per word: texts that share words are near. Words of no letters count nothing."""
    return np.stack([vector(text) for text in texts])


def vector(text: str, dims: int = DIMS) -> NDArray[np.float32]:
    total = np.zeros(dims, dtype=np.float32)
    for word in text.lower().split():
        if any(letter.isalnum() for letter in word):
            seed = int.from_bytes(hashlib.sha256(word.strip(".,!?").encode()).digest()[:8])
            total += np.random.default_rng(seed).standard_normal(dims).astype(np.float32)
    return total


class CountingEmbed:
    """Counts the texts it embeds."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.texts += texts
        return embed(texts)


def make_corpus(name: str = "handbook", *, tokens: int = 40, overlap: int = 0, dims: int = DIMS) -> Corpus:
    return corpora.ensure(
        name,
        embedding="fake/e",
        dims=dims,
        chunk_tokens=tokens,
        chunk_overlap=overlap,
        publish="auto",
    )


def put(draft: Draft, name: str, text: str, **metadata: object) -> DocumentReport:
    return ingest.add_document(
        draft, SourceDocument(name, "text/plain", text.encode(), metadata=metadata), embed
    )


def publish(corpus: str, documents: Mapping[str, str | None], *, actor: str = "test") -> Snapshot | None:
    """Ingest texts (null: remove the document) and publish."""
    draft = ingest.open_draft(corpus, actor=actor)
    for name, text in documents.items():
        if text is None:
            ingest.remove_document(draft, name)
        else:
            assert put(draft, name, text).state != "failed"
    return ingest.publish(draft)
