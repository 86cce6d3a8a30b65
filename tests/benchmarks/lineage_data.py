"""What runs used and wrote, over `console_data`: eight uses and a search of each step, a memory of each run."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from django.db import connection
from django.utils import timezone

from retrieval import documents
from tests.benchmarks import console_data
from tests.benchmarks.console_data import Size
from tests.db.retrieval import fixtures
from workflows.models import Run
from workflows.pieces import Piece

STEPS: Final = 3
USES_OF_A_STEP: Final = 8
# Every step of every run: what all use, what one in a thousand uses, and a great many other things.
USES: Final = """
INSERT INTO workflows_lineage (run_id, step_run_id, kind, ref)
SELECT step.run_id, step.id, each.kind, each.ref FROM workflows_steprun step CROSS JOIN LATERAL (VALUES
    ('prompt', 'classify@1'), ('snapshot', 'handbook@3'), ('tool', 'refund@' || step.id %% 2),
    ('document', 'handbook/' || (%(versions)s)[1 + step.id %% 2]), ('document', 'handbook/' || 1000 + step.id %% 5000),
    ('prompt', 'rare@' || step.id %% 1000), ('memory', 'production/global/rates@' || step.id %% 1000),
    ('document', 'handbook/' || 9000 + step.id %% 7000)) each(kind, ref)
 ORDER BY step.id
"""
WRITES: Final = """
WITH made AS (INSERT INTO workflows_memory (environment_id, scope, key, head)
              VALUES ('production', 'global', 'notes', 5000) RETURNING id)
INSERT INTO workflows_memoryversion (memory_id, number, operation, run_id, path, epoch, actor, reason)
SELECT made.id, row_number() OVER (), 'write', run.id, 'note', 1, 'run', '' FROM made, workflows_run run
"""
SEARCHES: Final = """
INSERT INTO retrieval_retrieval (corpus_id, snapshot, quarantine_epoch, run, step, epoch, attempt, query, params, mode,
                                 index, result_sha, created_at)
SELECT %(corpus)s, 3, 0, run_id, path, 1, 1, '', '{}', 'text', 'exact', '', coalesce(started_at, now())
  FROM workflows_steprun ORDER BY id;
INSERT INTO retrieval_hit (retrieval_id, rank, chunk_id, doc_version_id, score)
SELECT id, rank, CASE rank WHEN 1 THEN %(chunk)s ELSE 100000 + id %% 5000 END, %(version)s, 0.5
  FROM retrieval_retrieval CROSS JOIN generate_series(1, 2) rank;
ANALYZE workflows_lineage, workflows_memoryversion, retrieval_retrieval, retrieval_hit
"""


def fill(runs: int) -> None:
    """Put so many runs, and what they used, into the tables."""
    console_data.fill(Size(runs=runs, days=90, steps=STEPS), settle=False)
    corpus = fixtures.make_corpus("handbook")
    for text in ("Thirty days.", "Thirty-two days."):
        fixtures.publish("handbook", {"leave.md": text})
    versions = documents.version_ids("handbook", "leave.md")
    chunk = documents.chunk_at(versions[0], 0)
    given: Any = {"versions": versions, "corpus": corpus.pk, "version": versions[0], "chunk": chunk}
    with connection.cursor() as cursor:
        for statement in (USES, WRITES, SEARCHES):
            cursor.execute(statement, given)


def pieces() -> list[Piece]:
    """Name what is looked for: what all runs used, what few did, and what none did."""
    now = timezone.now()
    release = Run.objects.order_by("-created_at")[0].release
    return [
        Piece(kind="prompt", name="classify@1"),
        Piece(kind="prompt", name="rare@17"),
        Piece(kind="snapshot", name="handbook@3"),
        Piece(kind="tool", name="refund@1"),
        Piece(kind="memory", name="production/global/rates@7"),
        Piece(kind="document", name="handbook/leave.md"),
        Piece(kind="revision", name="handbook/leave.md@1"),
        Piece(kind="chunk", name="handbook/leave.md@1#0"),
        Piece(kind="release", name=f"{release.workflow}@{release.number}"),
        Piece(kind="provider", name="openai-eu"),
        Piece(kind="provider", name="anthropic/small-1"),
        Piece(
            kind="provider", name="openai-eu", since=now - timedelta(days=9), until=now - timedelta(days=8)
        ),
        Piece(kind="model", name="small-1"),
        Piece(kind="model", name="small-1-0711", since=now - timedelta(days=9)),
        Piece(kind="model", name="never-asked"),
    ]
