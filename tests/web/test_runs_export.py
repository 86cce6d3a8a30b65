"""Exports of the runs list: whole, streamed in portions, harmless in a spreadsheet."""

from __future__ import annotations

import csv
import io
import json

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient, Client

from console.drawing import run_tables
from console.models import Role, User
from tests import example_runs, factories
from workflows.models import Run
from workflows.queries import run_export


def _file(address: str) -> str:
    """Fetch a file as the ASGI server streams it."""

    async def fetched() -> str:
        client = AsyncClient()
        await client.aforce_login(person)
        answer = await client.get(address)
        assert answer.status_code == 200
        return b"".join([part async for part in answer.streaming_content]).decode()  # type: ignore[attr-defined]

    person = User.objects.filter(username="vera").first() or factories.user(Role.VIEWER, "vera")
    # In this thread, so that the connection is the test's.
    return async_to_sync(fetched)()


@pytest.mark.django_db(transaction=True)
def test_a_csv_file_holds_every_matching_run_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_export, "PORTION", 7)
    factories.many_runs(30, states=("failed", "succeeded"))
    Run.objects.update(created_at=Run.objects.order_by("created_at").values("created_at")[:1])
    rows = list(csv.DictReader(io.StringIO(_file("/runs/export/?format=csv&q=state:failed"))))
    assert len({row["id"] for row in rows}) == len(rows) == 15
    assert rows[0]["error_class"] == "timeout"
    assert (rows[0]["input_tokens"], rows[0]["cost_usd"]) == ("500", "0.0011000000")
    assert rows[0]["created_at"].endswith("Z")


@pytest.mark.django_db(transaction=True)
def test_a_json_file_is_one_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_export, "PORTION", 2)
    example_runs.failed_run(title="Bad", tags=["vip"])
    example_runs.running_run(title="Going", ago_s=120)
    factories.many_runs(3)
    found = json.loads(_file("/runs/export/?format=json"))
    assert len(found) == 5
    assert list(found[0]) == list(run_export.FIELDS)
    bad = next(each for each in found if each["title"] == "Bad")
    assert (bad["tags"], bad["duration_s"], bad["error_step"]) == (["vip"], 45.96, "route/notify")
    assert json.loads(_file("/runs/export/?format=json&q=nowhere")) == []


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1+1", "＝1"])
def test_a_cell_never_begins_a_formula(text: str) -> None:
    cell = next(csv.reader(io.StringIO(run_tables.csv_rows([{"title": text}]))))[0]
    assert cell.startswith("'")


def test_numbers_and_plain_text_stay_as_they_are() -> None:
    told = run_tables.csv_rows(
        [{"a": -1.5, "b": 'He said "no", twice', "c": None, "d": ["x", "=y"], "e": "\0"}]
    )
    assert told == '-1.5,"He said ""no"", twice",,x =y,␀\r\n'


def test_an_export_first_tells_how_many(operator: Client) -> None:
    factories.many_runs(5, states=("failed", "succeeded"))
    page = operator.get("/runs/export/?state=failed").content.decode()
    assert "Export 3 runs?" in page
    assert "format=csv" in page
    assert operator.get("/runs/export/?q=state:nope&format=csv").status_code == 422
