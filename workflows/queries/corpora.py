"""Corpora for their pages: with the workflows that search them, their ingests, and the runs that read a document."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import Count, Q

from retrieval import corpora, documents
from retrieval.models import Corpus, Document, Snapshot
from workflows import payloads
from workflows.builtin import ingest
from workflows.models import Deployment, Run, StepRun
from workflows.pieces import Piece
from workflows.queries import lineage
from workflows.queries.lineage import Totals
from workflows.queries.run_list import decode_cursor, encode_cursor, titles

INGESTS: Final = 25
_INGESTS_LOOKED_AT: Final = 500
RUNS: Final = 20
_ENVIRONMENT: Final = "production"


@dataclass(frozen=True)
class Ingest:
    """A run that takes documents in: how many of them, and what it said at its end."""

    run: Run
    done: int = 0
    failed: int = 0  # steps that failed; a document that could not be read is in `summary`
    total: int = 0
    summary: str = ""
    unreadable: int = 0

    @property
    def ended(self) -> bool:
        """Say whether nothing will change any more."""
        return self.run.ended_at is not None


@dataclass(frozen=True, kw_only=True)
class CorpusRow:
    """One line of the list of corpora."""

    corpus: Corpus
    head: Snapshot | None
    failed: int
    bytes: int
    ingest: Ingest | None
    used_by: tuple[str, ...]


@dataclass(frozen=True)
class Reader:
    """A run that was given passages of a document."""

    id: str
    title: str
    state: str
    workflow: str
    created_at: datetime
    step: str


def listed() -> tuple[CorpusRow, ...]:
    """Return all corpora by name; the number of queries does not depend on how many there are."""
    rows = corpora.listed()
    failed = dict(
        Document.objects.filter(state=Document.State.FAILED)
        .order_by()
        .values_list("corpus_id")
        .annotate(Count("id"))
    )
    sizes, newest, users = documents.sizes(), _newest_ingests(), _users()
    return tuple(
        CorpusRow(
            corpus=row.corpus,
            head=row.head,
            failed=failed.get(row.corpus.pk, 0),
            bytes=sizes.get(row.corpus.pk, 0),
            ingest=newest.get(row.corpus.name),
            used_by=tuple(users.get(row.corpus.name, ())),
        )
        for row in rows
    )


def used_by(corpus: str) -> tuple[str, ...]:
    """Return the workflows whose deployed release searches a corpus."""
    return tuple(_users().get(corpus, ()))


def _users() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    deployed = Deployment.objects.filter(environment_id=_ENVIRONMENT).order_by("workflow")
    for workflow, manifest in deployed.values_list("workflow", "stable__manifest"):
        for name in sorted({each.partition("@")[0] for each in manifest.get("corpora") or {}}):
            found.setdefault(name, []).append(workflow)
    return found


def _newest_ingests() -> dict[str, Ingest]:
    """Return the newest ingest of each corpus, looking at the newest of all."""
    runs: dict[str, Run] = {}
    newest = Run.objects.filter(workflow=ingest.WORKFLOW).order_by("-created_at", "-id")
    for run in newest[:_INGESTS_LOOKED_AT]:
        for tag in run.tags:
            runs.setdefault(tag.removeprefix("corpus:"), run)
    return dict(zip(runs, _progress(list(runs.values())), strict=True))


def ingests(corpus: str, *, after: str = "", limit: int = INGESTS) -> tuple[tuple[Ingest, ...], str]:
    """Return one page of the ingests of a corpus, newest first, and the cursor of the next.

    Raises: CursorError.
    """
    found = Run.objects.filter(workflow=ingest.WORKFLOW, tags__contains=[f"corpus:{corpus}"])
    if after:
        moment, run_id = decode_cursor(after)
        older = Q(created_at__lt=moment) | Q(created_at=moment, id__lt=run_id)
        found = found.filter(older, created_at__lte=moment)
    rows = list(found.order_by("-created_at", "-id")[: limit + 1])
    more = encode_cursor(rows[limit - 1].created_at, rows[limit - 1].id) if len(rows) > limit else ""
    return tuple(_progress(rows[:limit])), more


def ingest_of(corpus: str, run_id: str) -> Ingest | None:
    """Return one ingest of a corpus."""
    runs = Run.objects.filter(workflow=ingest.WORKFLOW, tags__contains=[f"corpus:{corpus}"])
    found = runs.filter(id=run_id.replace("\0", "")).first()
    return _progress([found])[0] if found else None


def _progress(runs: Sequence[Run]) -> list[Ingest]:
    steps = StepRun.objects.filter(run__in=runs, step_id="add", superseded=False).order_by()
    counts: dict[str, Any] = {
        row["run_id"]: row
        for row in steps.values("run_id").annotate(
            total=Count("id"),
            done=Count("id", filter=Q(state__in=["succeeded", "skipped"])),
            failed=Count("id", filter=Q(state="failed")),
        )
    }
    outputs = _outputs(runs)
    return [_ingest(run, counts.get(run.id, {}), outputs.get(run.id)) for run in runs]


def _ingest(run: Run, counts: dict[str, Any], output: Any) -> Ingest:
    told = output if isinstance(output, dict) else {}
    return Ingest(
        run,
        counts.get("done", 0),
        counts.get("failed", 0),
        counts.get("total", 0),
        str(told.get("summary") or (run.error or {}).get("message") or ""),
        int(told.get("failed") or 0),
    )


def _outputs(runs: Iterable[Run]) -> dict[str, Any]:
    keys = {run.id: bytes(run.output_hash) for run in runs if run.output_hash is not None}
    try:
        values = payloads.load(list(keys.values()))
    except payloads.PayloadMissing:  # removed by retention: the run itself still says how it ended
        return {}
    return {name: values[key.hex()] for name, key in keys.items()}


def readers(corpus: str, document: str) -> tuple[Reader, ...]:
    """Return the newest runs that were given passages of a document."""
    newest = lineage.page(_document(corpus, document), limit=RUNS).rows
    named = titles([each.run for each in newest])
    return tuple(
        Reader(run.id, named[run.id], run.state, run.workflow, run.created_at, each.use.path)
        for each in newest
        for run in (each.run,)
    )


def read_by(corpus: str, document: str) -> Totals:
    """Count the runs that were given passages of a document."""
    return lineage.totals(_document(corpus, document))


def _document(corpus: str, name: str) -> Piece:
    return Piece(kind="document", name=f"{corpus}/{name}")
