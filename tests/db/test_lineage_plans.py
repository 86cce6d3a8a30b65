"""How much Postgres reads to say who used a piece of state, and to mark those runs, among very many uses.

Held by what the tables themselves count: no sequential scan, and not many more rows than are shown.
With PLAN_RUNS=50000 over 1.2 million uses.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest
from django.db import connection

from tests.benchmarks import lineage_data
from tests.engine import OPERATOR
from workflows import quarantine
from workflows.models import Call, Definition, DefinitionVersion, Lineage, Taint
from workflows.pieces import Piece
from workflows.quarantine import Ask
from workflows.queries import lineage

RUNS: Final = int(os.environ.get("PLAN_RUNS", 5_000))
LARGE: Final = (
    "workflows_lineage",
    "workflows_call",
    "workflows_run",
    "workflows_steprun",
    "workflows_memoryversion",
    "retrieval_hit",
    "retrieval_retrieval",
)
# What a page of fifty runs touches of each run: its uses of the piece, its first step, its row, what it left behind.
OF_A_PAGE: Final = 51 * 60
# What a count touches at the most: every use that it looks at, and what it joins to it.
OF_A_COUNT: Final = 2 * 10_001 + 1_000


@pytest.fixture
def history(db: None) -> None:
    lineage_data.fill(RUNS)


@contextmanager
def reading_at_most(rows: int, of: object) -> Iterator[None]:
    """Hold what is read within against a bound."""
    before = _read()
    yield
    after = _read()
    scanned = {table for table in LARGE if after[table][0] > before[table][0]}
    assert not scanned, f"{of}: sequential scan of {scanned}"
    read = {table: after[table][1] - before[table][1] for table in LARGE}
    assert sum(read.values()) <= rows, f"{of}: {read}"


def _read() -> dict[str, tuple[int, int]]:
    """Return by table: sequential scans, and rows that indexes led to, in this transaction so far."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname, seq_scan, coalesce(idx_tup_fetch, 0) FROM pg_stat_xact_user_tables "
            "WHERE relname = ANY(%s)",
            [list(LARGE)],
        )
        return {name: (scans, rows) for name, scans, rows in cursor.fetchall()}


def test_no_more_is_read_than_is_shown_or_marked(history: None) -> None:
    """One test for all of it: the history takes longer to make than everything that is asked of it."""
    for piece in lineage_data.pieces():
        _page_by_page(piece)
    _mark_a_rare_prompt()
    _mark_a_rare_model()


def _page_by_page(piece: Piece) -> None:
    with reading_at_most(OF_A_PAGE, piece):
        first = lineage.page(piece)
    with reading_at_most(OF_A_PAGE, piece):
        second = lineage.page(piece, after=first.next) if first.next else lineage.Users((), "")
    runs = [user.run.pk for user in (*first.rows, *second.rows)]
    assert len(set(runs)) == len(runs), piece
    assert bool(runs) == (piece.name != "never-asked"), piece
    with reading_at_most(OF_A_COUNT, piece):
        counted = lineage.totals(piece)
    assert counted.runs >= len(runs), piece


def _mark_a_rare_prompt() -> None:
    definition = Definition.objects.create(kind="Prompt", name="rare", latest_version=17)
    DefinitionVersion.objects.create(
        definition=definition, version=17, content_hash="", body={}, created_by="test"
    )
    used = Lineage.objects.filter(kind="prompt", ref="rare@17").values("run_id").distinct().count()
    with reading_at_most(400 * used, "marking who used a prompt"):
        found = quarantine.impose(Ask(kind="prompt", ref="rare@17", reason="wrong"), actor=OPERATOR)
    assert found.taints.count() >= used > 0


def _mark_a_rare_model() -> None:
    """What a provider answered by another model than was asked for, among all that it answered."""
    Definition.objects.create(kind="Provider", name="anthropic", latest_version=1)
    rare = list(Call.objects.filter(provider="anthropic").values_list("pk", flat=True)[:20])
    Call.objects.filter(pk__in=rare).update(model_returned="odd-1")
    with reading_at_most(400 * len(rare), "marking whom a model answered"):
        found = quarantine.impose(Ask(kind="provider", ref="anthropic/odd-1", reason="wrong"), actor=OPERATOR)
    direct = set(Call.objects.filter(pk__in=rare).values_list("run_id", flat=True))
    assert direct <= set(Taint.objects.filter(quarantine=found).values_list("run_id", flat=True))
