"""Vectors of texts, each computed once per model and kept in the cache table.

Raw SQL. May not call a provider itself: the caller hands in the function, which runs outside transactions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Final

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from retrieval.errors import RetrievalError

Embed = Callable[[Sequence[str]], NDArray[np.float32]]

BATCH: Final = 64

_CACHED: Final = """
SELECT text_sha FROM retrieval_embeddingcache
WHERE model = %s AND text_sha = ANY(%s) AND vector_dims(emb) = %s
"""
# Overwritten only where the model's size changed. Sorted: two writers of the same texts do not deadlock.
_STORE: Final = """
INSERT INTO retrieval_embeddingcache (model, text_sha, emb)
SELECT %s, text_sha, emb::halfvec FROM unnest(%s::bytea[], %s::text[]) AS new (text_sha, emb)
ORDER BY text_sha
ON CONFLICT (model, text_sha) DO UPDATE SET emb = excluded.emb, created_at = now()
WHERE vector_dims(retrieval_embeddingcache.emb) <> vector_dims(excluded.emb)
"""


def text_sha(text: str) -> bytes:
    """Hash a text as the cache and the chunks name it."""
    return hashlib.sha256(text.encode()).digest()


def fill_cache(texts: Mapping[bytes, str], *, model: str, dims: int, embed: Embed) -> int:
    """Embed those texts (by their sha-256) that the cache lacks, a batch at a time; return how many.

    A crash loses one batch.

    Raises: RetrievalError `wrong_dimensions`, `wrong_embedding`; what `embed` raises.
    """
    missing = _missing(texts, model=model, dims=dims)
    remaining = iter(missing)
    while batch := list(islice(remaining, BATCH)):
        vectors = checked(embed([texts[sha] for sha in batch]), count=len(batch), dims=dims, model=model)
        with connection.cursor() as cursor:
            cursor.execute(_STORE, [model, batch, [literal(vector) for vector in vectors]])
    return len(missing)


def _missing(shas: Iterable[bytes], *, model: str, dims: int) -> list[bytes]:
    wanted = list(dict.fromkeys(shas))
    with connection.cursor() as cursor:
        cursor.execute(_CACHED, [model, wanted, dims])
        cached = {bytes(row[0]) for row in cursor.fetchall()}
    return [sha for sha in wanted if sha not in cached]


def checked(vectors: object, *, count: int, dims: int, model: str) -> NDArray[np.float32]:
    """Return an embedder's answer as `(count, dims) float32` of length 1, or say what is wrong with it."""
    array = np.asarray(vectors, dtype=np.float32)
    if array.shape != (count, dims):
        raise RetrievalError(
            "wrong_dimensions",
            f"{model} answered {array.shape} for {count} texts; ({count}, {dims}) is expected. "
            f"The corpus was made for {dims} dimensions: mend `embeds` of the model, or use another corpus.",
        )
    if not np.isfinite(array).all():
        raise RetrievalError("wrong_embedding", f"{model} answered numbers that are not finite.")
    # A text without any known word has the zero vector: kept, and found by text search only.
    lengths = np.linalg.norm(array, axis=1, keepdims=True)
    unit: NDArray[np.float32] = np.divide(array, lengths, out=np.zeros_like(array), where=lengths > 0)
    return unit


def literal(vector: NDArray[np.float32]) -> str:
    """Write a vector the way Postgres reads it; five digits are all that half precision holds."""
    return "[" + ",".join([f"{number:.5g}" for number in vector.tolist()]) + "]"
