"""`GET /runs`: filters, pages, shapes, and how many queries it takes."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection
from pytest_django import DjangoAssertNumQueries

from console.api import pages
from tests.web.api import records
from tests.web.api.conftest import Api, assert_problem
from workflows.models import Run

pytestmark = pytest.mark.django_db


def _ids(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.content
    return [run["id"] for run in answer.json()["results"]]


def test_newest_first(api: Api) -> None:
    old, new = records.run(), records.run()
    assert _ids(api.get("/runs")) == [new.id, old.id]


def test_pages_see_every_run_once_even_within_one_moment(api: Api) -> None:
    made = [records.run(created_at=records.START).id for _ in range(7)]
    seen, cursor = [], ""
    while True:
        answer = api.get("/runs", limit=3, cursor=cursor)
        seen += _ids(answer)
        cursor = answer.json()["next"]
        if cursor is None:
            break
        records.run()  # newer ones do not shift the pages
    assert seen == made[::-1]


def test_an_empty_list_has_no_next(api: Api) -> None:
    assert api.get("/runs").json() == {"results": [], "next": None}


@pytest.mark.parametrize(
    ("query", "matches"),
    [
        ({"workflow": "answer"}, {"workflow": "answer"}),
        ({"environment": "staging"}, {"environment_id": "staging"}),
        ({"state": "failed"}, {"state": "failed"}),
        ({"session": "acme"}, {"session": "acme"}),
        ({"tag": "vip"}, {"tags": ["vip", "x"]}),
        ({"error": "timeout"}, {"error": {"class": "timeout", "message": "late", "step": "a"}}),
        ({"q": "Refund"}, {"title": "a refund of 42"}),
        ({"q": "late"}, {"error": {"class": "timeout", "message": "too late", "step": "a"}}),
    ],
)
def test_a_filter_narrows(api: Api, query: dict[str, str], matches: dict[str, Any]) -> None:
    records.run()
    wanted = records.run(**matches)
    assert _ids(api.get("/runs", **query)) == [wanted.id]


def test_bounds_narrow_and_leave_out_what_is_not_known(api: Api) -> None:
    records.run()
    cheap = records.run(**_ended(cost="0.10", tokens=100, seconds=3))
    dear = records.run(**_ended(cost="0.5000001", tokens=9_000, seconds=90.5))
    assert _ids(api.get("/runs", cost_min="0.5")) == [dear.id]
    assert _ids(api.get("/runs", cost_max="0.10")) == [cheap.id]
    assert _ids(api.get("/runs", tokens_min=100, tokens_max=8_999)) == [cheap.id]
    assert _ids(api.get("/runs", duration_min="90.5")) == [dear.id]
    assert _ids(api.get("/runs", duration_max=90)) == [cheap.id]
    assert _ids(api.get("/runs", cost_min=0, tokens_min=999_999_999)) == []


def _ended(*, cost: str, tokens: int, seconds: float) -> dict[str, Any]:
    return {
        "state": "succeeded",
        "cost_usd": Decimal(cost),
        "tokens": {"input": tokens - 1, "output": 1},
        "started_at": records.START,
        "ended_at": records.START + timedelta(seconds=seconds),
    }


def test_stuck_and_unknown_are_states_to_ask_for(api: Api) -> None:
    failed, stuck, unknown = records.run(state="failed"), records.run(), records.run()
    records.step(stuck, "a", state="running", attempts_made=1)  # its lease ran out in March
    records.step(unknown, "a", state="unknown")
    records.step(records.run(), "a")
    assert _ids(api.get("/runs", state="stuck")) == [stuck.id]
    assert _ids(api.get("/runs", state=["unknown", "failed"])) == [unknown.id, failed.id]
    assert _ids(api.get("/runs", state="attention")) == [unknown.id, stuck.id, failed.id]


def test_an_empty_name_is_the_name_of_nothing(api: Api) -> None:
    records.run()
    assert _ids(api.get("/runs", workflow="")) == []
    assert len(_ids(api.get("/runs", q=""))) == 1


def test_a_release_narrows_by_its_number(api: Api) -> None:
    records.run()
    wanted = records.run(release=records.release("triage", 7))
    assert _ids(api.get("/runs", workflow="triage", release=7)) == [wanted.id]


def test_several_states_are_any_and_several_tags_are_all(api: Api) -> None:
    failed = records.run(state="failed", tags=["a", "b"])
    queued = records.run(state="queued", tags=["a"])
    records.run(state="succeeded", tags=["a", "b"])
    assert _ids(api.get("/runs", state=["failed", "queued"])) == [queued.id, failed.id]
    assert _ids(api.get("/runs", state=["failed", "queued"], tag=["a", "b"])) == [failed.id]


def test_since_is_included_and_until_is_not(api: Api) -> None:
    first, second = records.run(), records.run()
    between = second.created_at.isoformat()
    assert _ids(api.get("/runs", since=between)) == [second.id]
    assert _ids(api.get("/runs", until=between)) == [first.id]


def test_text_finds_a_run_by_how_its_id_begins(api: Api) -> None:
    run = records.run()
    records.run()
    assert _ids(api.get("/runs", q=run.id.upper()[:15])) == [run.id]
    assert _ids(api.get("/runs", q="100%_")) == []


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ({"stat": "failed"}, "stat"),
        ({"state": "broken"}, "state[0]"),
        ({"limit": 0}, "limit"),
        ({"limit": 201}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"limit": "1" * 5000}, "limit"),
        ({"since": "yesterday"}, "since"),
        ({"since": "2026-01-01T00:00:00"}, "since"),
        ({"since": "0001-01-01T00:00:00+23:59"}, "since"),
        ({"until": "9999-12-31T23:59:59-23:59"}, "until"),
        ({"release": -1}, "release"),
        ({"cost_min": "-0.1"}, "cost_min"),
        ({"cost_min": "NaN"}, "cost_min"),
        ({"cost_max": "much"}, "cost_max"),
        ({"tokens_min": "1.5"}, "tokens_min"),
        ({"duration_max": "inf"}, "duration_max"),
        ({"duration_min": 10**9}, "duration_min"),
        ({"release": 2**40}, "release"),
        ({"workflow": ["a", "b"]}, "workflow"),
        ({"workflow": "a\0b"}, "workflow"),
        ({"cursor": "nonsense!"}, "cursor"),
        ({"cursor": "bnVsbA"}, "cursor"),
        ({"cursor": pages.encode("2026-01-01T00:00:00+00:00", 3)}, "cursor"),
        ({"cursor": pages.encode("not a time", "r_x")}, "cursor"),
        ({"cursor": pages.encode("0001-01-01T00:00:00+23:59", "r_x")}, "cursor"),
        ({"cursor": pages.encode("2026-01-01T00:00:00", "r_x")}, "cursor"),
        ({"cursor": pages.encode("2026-01-01T00:00:00Z", "a\0b")}, "cursor"),
    ],
)
def test_a_wrong_parameter_is_named(api: Api, query: dict[str, Any], path: str) -> None:
    problem = assert_problem(api.get("/runs", **query), 422, "invalid_request")
    assert [fault["path"] for fault in problem["errors"]] == [path]


def test_bytes_that_are_no_text_are_refused(api: Api) -> None:
    answer = api.client.get("/api/v1/runs?workflow=%ff%fe", headers=api.headers)
    assert answer.status_code == 200
    answer = api.client.get(
        "/api/v1/runs?workflow=" + quote("\ud800", errors="surrogatepass"), headers=api.headers
    )
    assert answer.status_code == 200


def test_a_page_of_two_hundred_takes_as_many_queries_as_one_of_two(
    api: Api, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(2):
        records.step(records.run(), "a")
    api.get("/runs")
    # token, page with releases, sizes of payloads, totals of runs that go on; payloads go around the ORM
    with django_assert_num_queries(5):
        assert len(_ids(api.get("/runs", limit=200))) == 2
    for _ in range(30):
        records.step(records.run(output={"a": 1}, state="succeeded"), "a")
    with django_assert_num_queries(5):
        assert len(_ids(api.get("/runs", limit=200))) == 32


def test_a_page_ends_early_where_its_values_are_large(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "PAGE_BYTES", 2500)
    made = [records.run(value="x" * 1000 + str(number)).id for number in range(5)]
    seen, cursor = [], ""
    while cursor is not None:
        answer = api.get("/runs", cursor=cursor)
        assert len(answer.json()["results"]) <= 2
        seen += _ids(answer)
        cursor = answer.json()["next"]
    assert seen == made[::-1]


def test_one_value_beyond_the_bound_is_still_shown(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "PAGE_BYTES", 10)
    assert _ids(api.get("/runs")) == []
    run = records.run(value="x" * 1000)
    assert _ids(api.get("/runs")) == [run.id]


def test_an_index_serves_the_page() -> None:
    records.run()
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL enable_sort = off")
    place = pages.encode((records.START + timedelta(days=1)).isoformat(), "r_z")
    when, key = pages._moment_and_key(place, str)
    plan = (
        Run.objects.filter(created_at__lte=when)
        .exclude(created_at=when, pk__gte=key)
        .order_by("-created_at", "-pk")[:51]
        .explain()
    )
    assert "run_newest" in plan
