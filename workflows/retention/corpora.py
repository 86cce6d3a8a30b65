"""Collect snapshots of corpora that no retained run, environment or rollback needs. Raw SQL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from retrieval import collecting, snapshots
from retrieval.models import Corpus
from workflows import quarantine
from workflows.retention import batches

NEWEST: Final = 5  # published snapshots that are kept whatever happens, to go back to
SPANS: Final = 500  # each is looked at by a trigger of its own
CHUNKS: Final = 1000
_PINS: Final = """
SELECT DISTINCT (pins ->> %(corpus)s)::integer FROM workflows_run
WHERE pins ? %(corpus)s AND archived_at IS NULL AND NOT id = ANY(%(without)s)
"""


def to_collect(corpus: Corpus, *, before: datetime, without: Sequence[str] = ()) -> list[int]:
    """Return the snapshots that nobody needs and that were replaced before a moment.

    `without`: runs that count as gone.
    """
    candidates = collecting.replaced(corpus, _always(corpus), before=before)
    pinned = _pinned(corpus, without) if candidates else set()
    return [number for number in candidates if number not in pinned]


def _always(corpus: Corpus) -> set[int]:
    """Return what new runs would pin, and the newest."""
    newest = snapshots.published(corpus.name).filter(state="published").values_list("number", flat=True)
    clean = quarantine.clean_pins({corpus.name: corpus.head}) if corpus.head is not None else {}
    return {*newest[:NEWEST], *clean.values()}


def _pinned(corpus: Corpus, without: Sequence[str] = ()) -> set[int]:
    """Return the snapshots that retained runs pin; a run that is archived can not be done again."""
    return {row[0] for row in batches.rows(_PINS, corpus=corpus.name, without=list(without))}


def collect(corpus: Corpus, *, before: datetime) -> int:
    """Mark snapshots that nobody needs as collected; return how many."""
    candidates = to_collect(corpus, before=before)
    if not candidates:
        return 0

    def work() -> int:
        with batches.batch():
            return len(collecting.collect(corpus, candidates, lambda: _pinned(corpus)))

    return batches.patiently(work, otherwise=0)


def drop(corpus: Corpus) -> Iterator[tuple[str, int]]:
    """Delete the rows that only collected snapshots saw, batch by batch: (what, how many) of each."""
    for gap in collecting.gaps(corpus):
        while (count := _drop_spans(corpus, gap)) > 0:
            yield "spans", count
            if count < SPANS:
                break
    if not corpus.snapshots.filter(state="collected").exists():
        return
    after: int | None = 0
    while after is not None:
        count, after = _drop_chunks(corpus, after)
        if count:
            yield "chunks", count


def _drop_spans(corpus: Corpus, gap: tuple[int, int]) -> int:
    def work() -> int:
        with batches.batch():
            return collecting.drop_spans(corpus, gap, limit=SPANS)

    return batches.patiently(work, otherwise=0)


def _drop_chunks(corpus: Corpus, after: int) -> tuple[int, int | None]:
    def work() -> tuple[int, int | None]:
        with batches.batch():
            return collecting.drop_chunks(corpus, after=after, limit=CHUNKS)

    nothing: tuple[int, int | None] = (0, None)
    return batches.patiently(work, otherwise=nothing)


def would_drop(corpus: Corpus, numbers: Sequence[int]) -> Iterator[tuple[str, int]]:
    """Count what `drop` would delete once some snapshots are collected."""
    found = collecting.gaps(corpus, without=numbers)
    yield "spans", sum(collecting.count_spans(corpus, gap) for gap in found)
    if numbers or corpus.snapshots.filter(state="collected").exists():
        yield "chunks", collecting.count_chunks(corpus, found)
