"""Which payloads the retained runs need: every hash that their record names. Raw SQL.

Whoever writes a hash into a table touches its payload, at the latest twelve hours before (`interlock_keep`,
`payloads.touch`). So a payload that nobody has touched since a moment is named, if at all, by runs that were created
before that moment and half a day, and by what belongs to no run. Nobody else has to be read.

A hash is told by its first eight bytes: two that begin alike keep each other, which loses nothing.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from workflows.payloads import PARTS
from workflows.retention import batches

Marks = NDArray[np.uint64]  # sorted, each once
RUNS: Final = 500  # whose record is read with one statement
LAZY: Final = timedelta(hours=12)  # how old a touch may be that is not renewed: see sql/keep.sql
_PREFIX: Final = 8
_HASH: Final = re.compile(rb'"([0-9a-f]{64})"')
_RUNS: Final = """
SELECT id, created_at FROM workflows_run
WHERE archived_at IS NULL AND created_at < %(before)s AND (created_at, id) > (%(after)s, %(after_id)s)
ORDER BY created_at, id LIMIT %(limit)s
"""
_NAMED: Final = """
SELECT string_agg(DISTINCT substr(hash, 1, 8), ''::bytea) FROM (
    SELECT unnest(ARRAY[input_hash, output_hash]) FROM workflows_run WHERE id = ANY(%(ids)s)
    UNION ALL SELECT unnest(ARRAY[input_hash, output_hash, item_hash, answer_hash])
                FROM workflows_steprun WHERE run_id = ANY(%(ids)s)
    UNION ALL SELECT unnest(ARRAY[request_hash, response_hash, answer_hash])
                FROM workflows_call WHERE run_id = ANY(%(ids)s)
    UNION ALL SELECT payload_hash FROM workflows_signal WHERE run_id = ANY(%(ids)s)
    UNION ALL SELECT decode(found[1], 'hex')
                FROM workflows_journalevent, regexp_matches(data::text, '"([0-9a-f]{64})"', 'g') AS found
               WHERE run_id = ANY(%(ids)s)
) AS named (hash) WHERE hash IS NOT NULL
"""
# Values that name others: requests whose messages lie in payloads of their own, and the rows that a fork begins with.
_NAMING: Final = """
SELECT payload.compressed, payload.body FROM workflows_payload AS payload
WHERE payload.hash IN (SELECT request_hash FROM workflows_call WHERE run_id = ANY(%(ids)s))
  AND substr(payload.body, 1, 1) = '\\x00'::bytea
UNION ALL
SELECT payload.compressed, payload.body FROM workflows_payload AS payload
WHERE payload.hash IN (SELECT decode(data ->> 'rows', 'hex') FROM workflows_journalevent
                       WHERE run_id = ANY(%(ids)s) AND type = 'run.forked' AND data ->> 'rows' ~ '^[0-9a-f]{64}$')
"""
_WITHOUT_RUN: Final = """
SELECT string_agg(DISTINCT substr(hash, 1, 8), ''::bytea) FROM (
    SELECT value_hash FROM workflows_memoryversion WHERE NOT memory_id = ANY(%(memory)s)
    UNION ALL SELECT documents_hash FROM workflows_release
    UNION ALL SELECT output_hash FROM workflows_cachedresult WHERE NOT run_id = ANY(%(deleted)s)
) AS named (hash) WHERE hash IS NOT NULL
"""


@dataclass(frozen=True, kw_only=True)
class Without:
    """What counts as gone already, where somebody only wants to know: runs, archived runs, keys of memory."""

    deleted: frozenset[str] = frozenset()
    archived: frozenset[str] = frozenset()
    memory: frozenset[int] = frozenset()

    @property
    def runs(self) -> frozenset[str]:
        """Return the runs whose record names nothing any more."""
        return self.deleted | self.archived


def marks(before: datetime, *, without: Without = Without()) -> Marks:
    """Return the beginnings of all hashes that may be in use of payloads that were touched before a moment."""
    of_nobody = batches.rows(_WITHOUT_RUN, deleted=list(without.deleted), memory=list(without.memory))
    parts = [_of_bytes(of_nobody[0][0])]
    gone = without.runs
    for ids in _runs(before + LAZY):
        kept = [each for each in ids if each not in gone]
        if kept:
            parts += _of_runs(kept)
    return np.unique(np.concatenate(parts))


def _runs(before: datetime) -> Iterable[list[str]]:
    """Return the runs whose record counts, the oldest first.

    In this order a fork, which is younger than its run, is read after it: what it took over meanwhile was seen.
    """
    after, after_id, found = datetime.fromisoformat("0001-01-02T00:00:00+00:00"), "", RUNS
    while found == RUNS:
        rows = batches.rows(_RUNS, before=before, after=after, after_id=after_id, limit=RUNS)
        found = len(rows)
        if rows:
            after_id, after = rows[-1]
            yield [row[0] for row in rows]


def _of_runs(ids: list[str]) -> list[Marks]:
    inner = [
        key for compressed, body in batches.rows(_NAMING, ids=ids) for key in _inner(compressed, bytes(body))
    ]
    return [_of_bytes(batches.rows(_NAMED, ids=ids)[0][0]), _of_bytes(b"".join(inner))]


def _inner(compressed: bool, body: bytes) -> list[bytes]:
    if body.startswith(PARTS):
        text = zlib.decompress(body[len(PARTS) :])
    else:
        text = zlib.decompress(body) if compressed else body
    return [bytes.fromhex(key.decode())[:_PREFIX] for key in _HASH.findall(text)]


def _of_bytes(prefixes: bytes | memoryview | None) -> Marks:
    return np.unique(np.frombuffer(bytes(prefixes or b""), dtype=">u8").astype(np.uint64))


def unmarked(hashes: list[bytes], found: Marks) -> list[bytes]:
    """Return those hashes that are not marked."""
    if not hashes:
        return []
    prefixes = np.frombuffer(b"".join(key[:_PREFIX] for key in hashes), dtype=">u8").astype(np.uint64)
    return [key for key, held in zip(hashes, np.isin(prefixes, found).tolist(), strict=True) if not held]
