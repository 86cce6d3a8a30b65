"""How Postgres answers a prune over twenty thousand runs, or PLAN_RUNS: by indexes, and in short statements."""

from __future__ import annotations

import os
import re
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.benchmarks import console_data
from tests.benchmarks.console_data import Size
from tests.engine import OPERATOR
from workflows.models import Run
from workflows.retention import batches, pruning

RUNS = int(os.environ.get("PLAN_RUNS", 20_000))
# Nothing of these is read from end to end, whatever is due.
LARGE = ("run", "steprun", "attempt", "journalevent", "call")
LONGEST_S = 2.0


@pytest.fixture
def history(transactional_db: None, settings: Any) -> None:
    settings.RETENTION = {"*": {"runs": 80, "failed": 85, "payloads": 70}}
    console_data.fill(Size(runs=RUNS, days=90, steps=3), settle=False)


def test_a_prune_reads_no_large_table_whole_and_holds_nothing_for_long(history: None) -> None:
    with CaptureQueriesContext(connection) as surveyed:
        told = pruning.survey(now=timezone.now())
    with CaptureQueriesContext(connection) as pruned:
        done = pruning.prune(actor=OPERATOR, now=timezone.now())
    assert done.counts["runs"] > RUNS / 20
    assert done.counts["archived"] > RUNS / 20
    assert (done.counts, done.bytes) == (told.counts, told.bytes)
    statements = [query for each in (surveyed, pruned) for query in each.captured_queries]
    assert max(float(query["time"]) for query in statements) < LONGEST_S
    shapes = {
        re.sub(r"'[^']*'|\b\d+\b|ARRAY\[[^]]*\]", "?", query["sql"])[:400]: query["sql"]
        for query in statements
    }
    for statement in shapes.values():
        plan = _plan(statement)
        for table in LARGE:
            assert f"Seq Scan on workflows_{table} " not in plan, f"{statement[:2000]}\n{plan}"
    assert not pruning.survey(now=timezone.now()).counts
    assert Run.objects.filter(archived_at=None).exists()


def _plan(statement: str) -> str:
    if not re.match(r"\s*(SELECT|DELETE|UPDATE|INSERT|WITH)", statement):
        return ""
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN " + statement)
        return "\n".join(line for (line,) in cursor.fetchall())


def test_no_statement_changes_more_than_a_thousand_rows_of_a_run(
    history: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[int] = []
    changed = batches.changed

    def count(statement: str, params: Any) -> int:
        counted.append(found := changed(statement, params))
        return found

    monkeypatch.setattr(batches, "changed", count)
    pruning.prune(actor=OPERATOR, now=timezone.now())
    assert len(counted) > 10
    assert max(counted) <= batches.ROWS
