"""How Postgres answers the runs list over twenty thousand runs, or PLAN_RUNS: by indexes, whatever the filter."""

from __future__ import annotations

import os
import re

import pytest
from django.db import connection
from django.http import QueryDict
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from console.forms import run_filter
from tests.benchmarks import console_data
from tests.benchmarks.console_data import Size
from workflows.queries import run_list, run_totals

# A tenth of all runs match: to count so many of so few, reading everything is right.
COMMON = "q=Meier&range=all"
# Each form of the filter, and indexes that may serve its rows.
FORMS = {
    "": "run_newest",
    "range=all": "run_newest",
    "state=failed&range=all": "run_by_state run_newest",
    "state=attention&range=all": "run_newest run_by_state",
    "state=active&range=all": "run_by_state run_open",
    "state=unknown&range=all": "workflows_run_pkey workflows_run_id_f6d3e90d_like",
    "state=stuck&range=all": "workflows_run_pkey workflows_run_id_f6d3e90d_like",
    "workflow=kyc-screening&range=all": "run_by_workflow run_newest",
    "q=release:2&range=all": "run_by_release run_newest",
    "q=session:customer-42&range=all": "run_by_session",
    "q=tag:customer:7&range=all": "run_by_tag",
    "q=error:nothing&range=all": "run_by_error",
    "q=group:1&range=all": "run_by_error_group",
    "q=taint:1&range=all": "workflows_run_pkey workflows_run_id_f6d3e90d_like",
    "q=cost>100&range=all": "run_by_cost",
    "q=duration>1h&range=all": "run_by_duration",
    "q=tokens>100k&range=all": "run_by_tokens",
    "q=order+100003&range=all": "run_text",
    COMMON: "run_newest run_text",
    "q=position+4711&range=all": "run_text",
    "q=zzzz&range=all": "run_text",
}


RUNS = int(os.environ.get("PLAN_RUNS", 20_000))


@pytest.fixture
def history(db: None) -> None:
    console_data.fill(Size(runs=RUNS, days=90, steps=3), settle=False)


def _plans(statements: list[str]) -> list[str]:
    found = []
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute("EXPLAIN " + statement)
            found.append("\n".join(line for (line,) in cursor.fetchall()))
    return found


def _asked(form: str) -> tuple[list[str], list[str]]:
    """Return the plans of a page of the list, and of what is counted over it."""
    chosen = run_filter.parse(QueryDict(form)).filter(timezone.now())
    with CaptureQueriesContext(connection) as rows:
        run_list.page(chosen)
    with CaptureQueriesContext(connection) as counts:
        run_totals.totals(chosen)
        run_totals.oldest(chosen)
    return tuple(_plans([query["sql"] for query in found]) for found in (rows, counts))  # type: ignore[return-value]


def test_every_form_of_the_list_is_served_by_an_index(history: None) -> None:
    for form, indexes in FORMS.items():
        rows, counts = _asked(form)
        plan_of_runs = next(plan for plan in rows if "on workflows_run" in plan)
        used = set(re.findall(r"(?:using|on) (\w+)", plan_of_runs))
        assert used & set(indexes.split()), f"{form}\n{plan_of_runs}"
        for plan in (*rows, *([] if form == COMMON else counts)):
            assert "Seq Scan on workflows_run" not in plan, f"{form}\n{plan}"
            assert "Seq Scan on workflows_steprun" not in plan, f"{form}\n{plan}"


def test_text_finds_what_reading_every_run_would(db: None) -> None:
    console_data.fill(Size(runs=2_000, days=90, steps=1), settle=False)
    for text, condition in {
        "meier": "title ILIKE '%meier%'",
        "Position 1": "error ->> 'message' ILIKE '%position 1%'",
        "customer-42": "session ILIKE '%customer-42%' OR title ILIKE '%customer-42%'",
    }.items():
        found = run_list.matching(run_list.RunFilter(text=text)).count()
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT count(*) FROM workflows_run WHERE {condition}")  # noqa: S608  ours
            assert (found,) == cursor.fetchone()
