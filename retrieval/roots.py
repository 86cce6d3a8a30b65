"""The root hash of a snapshot: equal exactly when two snapshots hold the same documents. Pure.

The sum, modulo 2^256, of one sha-256 per document: it can be carried from snapshot to snapshot at the cost of
what changed (an additive multiset hash, as in Bellare and Micciancio 1997). It is there to catch faults, not
an adversary who chooses documents.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

EMPTY: Final = "0" * 64
_MODULUS: Final = 1 << 256


def advance(root: str, *, added: Iterable[bytes], removed: Iterable[bytes]) -> str:
    """Return the root after documents came and went; all are 32-byte hashes of `leaf`."""
    total = int(root, 16)
    total += sum(int.from_bytes(leaf) for leaf in added)
    total -= sum(int.from_bytes(leaf) for leaf in removed)
    return f"{total % _MODULUS:064x}"


def leaf(name: str, *, model: str, metadata: str, chunk_shas: Iterable[bytes]) -> bytes:
    """Hash one document: its name, the embedding model, canonical metadata and its passages in order."""
    digest = hashlib.sha256()
    for part in (name.encode(), model.encode(), metadata.encode(), *chunk_shas):
        digest.update(len(part).to_bytes(8) + part)
    return digest.digest()
