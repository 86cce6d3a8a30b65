"""How Postgres answers the runs list over twenty thousand runs, or PLAN_RUNS: by indexes, whatever the filter.

Over a million of them: `make bench ARGS=plans`, which prints the plans.
"""

from __future__ import annotations

import os

import pytest
from django.db import connection

from tests.benchmarks import console_data, copied_runs, plans
from tests.benchmarks.console_data import Size
from workflows.queries import run_list

RUNS = int(os.environ.get("PLAN_RUNS", 20_000))


@pytest.fixture
def history(db: None) -> None:
    copied_runs.fill(RUNS)


def test_every_form_of_the_list_is_served_by_an_index(history: None) -> None:
    for form in plans.FORMS:
        rows, counts = plans.of_form(form)
        assert not (fault := plans.wrong(form, rows, counts)), "\n".join([form, fault, *rows, *counts])


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
