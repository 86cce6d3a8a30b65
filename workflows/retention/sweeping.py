"""Delete values that nobody needs any more: payloads, and the bytes of uploaded documents. Raw SQL.

What is used again meanwhile is safe: `interlock_keep` and `uploads.keep` touch the row, and a deletion looks again,
under the row's lock, whether it was touched. Either sees the other, or the value is written anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from workflows import payloads
from workflows.builtin.ingest import WORKFLOW
from workflows.retention import batches, marking
from workflows.retention.marking import Marks

LOOKED_AT: Final = 5000  # hashes of one statement
_OLD: Final = """
SELECT hash FROM workflows_payload WHERE hash > %(after)s AND touched_at < %(before)s ORDER BY hash LIMIT %(limit)s
"""
_DROP: Final = """
WITH doomed AS (
    SELECT hash FROM workflows_payload WHERE hash = ANY(%(hashes)s) AND touched_at < %(before)s
    ORDER BY hash FOR UPDATE SKIP LOCKED)
DELETE FROM workflows_payload AS payload USING doomed WHERE payload.hash = doomed.hash
RETURNING octet_length(payload.body)
"""
_SIZES: Final = "SELECT octet_length(body) FROM workflows_payload WHERE hash = ANY(%(hashes)s)"
_INGESTS: Final = """
SELECT id, input_hash FROM workflows_run
WHERE workflow = %(workflow)s AND archived_at IS NULL AND NOT id = ANY(%(without)s)
"""
_OLD_UPLOADS: Final = "SELECT sha FROM workflows_upload WHERE kept_at < %(before)s ORDER BY sha"
_DROP_UPLOADS: Final = """
WITH doomed AS (
    SELECT sha FROM workflows_upload WHERE sha = ANY(%(shas)s) AND kept_at < %(before)s
    ORDER BY sha FOR UPDATE SKIP LOCKED)
DELETE FROM workflows_upload AS upload USING doomed WHERE upload.sha = doomed.sha RETURNING upload.size
"""
_UPLOAD_SIZES: Final = "SELECT size FROM workflows_upload WHERE sha = ANY(%(shas)s)"
_UPLOADS_AT_ONCE: Final = 20  # they may have many megabytes each


@dataclass(frozen=True)
class Swept:
    """How many values went, and how many bytes they had as they were stored."""

    count: int
    bytes: int


def payloads_of_nobody(before: datetime, found: Marks) -> Iterator[list[bytes]]:
    """Return the hashes of payloads that were not touched since a moment and are not marked, some at a time."""
    after, looked_at = b"", LOOKED_AT
    while looked_at == LOOKED_AT:
        rows = batches.rows(_OLD, after=after, before=before, limit=LOOKED_AT)
        hashes = [bytes(row[0]) for row in rows]
        looked_at = len(hashes)
        if hashes:
            after = hashes[-1]
            free = marking.unmarked(hashes, found)
            for low in range(0, len(free), batches.ROWS):
                yield free[low : low + batches.ROWS]


def drop_payloads(hashes: Sequence[bytes], *, before: datetime) -> Swept:
    """Delete payloads, but for those that were touched meanwhile."""

    def work() -> Swept:
        with batches.batch():
            return _swept(batches.rows(_DROP, hashes=list(hashes), before=before))

    return batches.patiently(work, otherwise=Swept(0, 0))


def weigh_payloads(hashes: Sequence[bytes]) -> Swept:
    """Say what `drop_payloads` would delete."""
    return _swept(batches.rows(_SIZES, hashes=list(hashes)))


def uploads_of_nobody(before: datetime, *, without: Sequence[str] = ()) -> Iterator[list[bytes]]:
    """Return the uploads that came before a moment and that no ingest which is retained names, some at a time."""
    old = [bytes(row[0]) for row in batches.rows(_OLD_UPLOADS, before=before)]
    if not old:
        return
    needed = _uploads_of_ingests(without)
    free = [sha for sha in old if sha.hex() not in needed]
    for low in range(0, len(free), _UPLOADS_AT_ONCE):
        yield free[low : low + _UPLOADS_AT_ONCE]


def _uploads_of_ingests(without: Sequence[str]) -> set[str]:
    """Return the uploads that ingests name: a retry of one would read them again."""
    rows = batches.rows(_INGESTS, workflow=WORKFLOW, without=list(without))
    needed: set[str] = set()
    for low in range(0, len(rows), payloads.AT_ONCE):
        inputs = payloads.kept(bytes(row[1]) for row in rows[low : low + payloads.AT_ONCE])
        needed |= {upload["sha"] for given in inputs.values() for upload in given.get("uploads", [])}
    return needed


def drop_uploads(shas: Sequence[bytes], *, before: datetime) -> Swept:
    """Delete uploads, but for those that came in again meanwhile."""

    def work() -> Swept:
        with batches.batch():
            return _swept(batches.rows(_DROP_UPLOADS, shas=list(shas), before=before))

    return batches.patiently(work, otherwise=Swept(0, 0))


def weigh_uploads(shas: Sequence[bytes]) -> Swept:
    """Say what `drop_uploads` would delete."""
    return _swept(batches.rows(_UPLOAD_SIZES, shas=list(shas)))


def _swept(rows: Sequence[tuple[int]]) -> Swept:
    return Swept(len(rows), sum(row[0] for row in rows))
