"""Which runs were given a passage: by the hits that searches recorded. Run and step are opaque names here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import connection


@dataclass(frozen=True)
class Reading:
    """A run that was given a passage: by how many steps, the first one's path, and when that was."""

    run: str
    steps: int
    path: str
    at: datetime


@dataclass(frozen=True)
class Read:
    """How often a passage was given. `counted`: readings that were looked at, the newest."""

    runs: int
    steps: int
    counted: int
    first: datetime | None
    last: datetime | None


_GIVEN: Final = """
retrieval_hit AS hit JOIN retrieval_retrieval AS search ON search.id = hit.retrieval_id
WHERE hit.doc_version_id = %(version)s AND hit.chunk_id = %(chunk)s
"""
# A run stands where its newest reading stands, once.
_RUNS: Final = f"""
SELECT search.run FROM {_GIVEN} AND hit.retrieval_id < coalesce((
    SELECT max(hit.retrieval_id) FROM {_GIVEN} AND search.run = %(after)s), 9223372036854775807)
  AND hit.retrieval_id = (
    SELECT max(later.id) FROM retrieval_retrieval AS later WHERE later.run = search.run AND EXISTS (
        SELECT FROM retrieval_hit AS other WHERE other.doc_version_id = %(version)s
           AND other.chunk_id = %(chunk)s AND other.retrieval_id = later.id))
ORDER BY hit.retrieval_id DESC LIMIT %(limit)s
"""  # noqa: S608  our own text
_READINGS: Final = """
SELECT DISTINCT ON (search.run) search.run, count(*) OVER (PARTITION BY search.run), search.step, search.created_at
FROM retrieval_retrieval AS search
WHERE search.run = ANY(%(runs)s) AND EXISTS (
    SELECT FROM retrieval_hit AS hit WHERE hit.doc_version_id = %(version)s
       AND hit.chunk_id = %(chunk)s AND hit.retrieval_id = search.id)
ORDER BY search.run, search.id
"""
_COUNT: Final = f"""
SELECT count(DISTINCT run), count(DISTINCT (run, step)), count(*) FROM (
    SELECT search.run, search.step FROM {_GIVEN} ORDER BY hit.retrieval_id DESC LIMIT %(limit)s) AS newest
"""  # noqa: S608
_EDGES: Final = f"""
SELECT (SELECT search.created_at FROM {_GIVEN} ORDER BY hit.retrieval_id LIMIT 1),
       (SELECT search.created_at FROM {_GIVEN} ORDER BY hit.retrieval_id DESC LIMIT 1)
"""  # noqa: S608


def runs(version: int, chunk: int, *, after: str, limit: int) -> list[str]:
    """Return the runs that were given a chunk of a document version, newest first; `after`: those past this run."""
    return [run for (run,) in _rows(_RUNS, version=version, chunk=chunk, after=after, limit=limit)]


def readings(version: int, chunk: int, runs: Sequence[str]) -> dict[str, Reading]:
    """Say of some runs how they were given a chunk."""
    found = _rows(_READINGS, version=version, chunk=chunk, runs=list(runs))
    return {row[0]: Reading(*row) for row in found}


def read(version: int, chunk: int, *, limit: int) -> Read:
    """Count who was given a chunk, among the newest `limit` readings."""
    given = {"version": version, "chunk": chunk}
    ((run_count, steps, counted),) = _rows(_COUNT, **given, limit=limit)
    ((first, last),) = _rows(_EDGES, **given)
    return Read(run_count, steps, counted, first, last)


def _rows(statement: str, **params: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        return list(cursor.fetchall())
