"""The overview: what needs somebody and where it leads, figures, tiles that fail alone, polls that are 304."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from console import tiles
from console.tiles import Shown
from retrieval import drafts
from tests import example_runs, factories
from tests.db.retrieval import fixtures
from workflows.failures import grouping
from workflows.models import Environment, Run, StepRun, Worker
from workflows.models import ErrorGroup as FailureGroup
from workflows.models.releases import IMPORTED
from workflows.queries import attention, overview

FRAGMENT = {"HX-Request": "true"}
TILES = ("needs", "activity", "durations", "costs", "workflows", "errors")
# Session and person (2), any run, pauses, for each of 6 tiles a savepoint, its release and its bound (18); their reads:
# troubles 9, activity, durations, costs 2, workflows 2, errors.
QUERIES = 2 + 1 + 1 + 18 + 16


def _tile(page: str, key: str) -> str:
    found = re.search(rf'<section class="tile tile-{key}".*?</section>', page, re.DOTALL)
    assert found, key
    return found[0]


def test_the_first_page_is_the_overview(viewer: Client) -> None:
    assert viewer.get("/")["Location"] == "/overview/"


def test_before_the_first_run_it_says_how_to_start_one(operator: Client) -> None:
    assert b"manage.py apply workflows/" in operator.get("/overview/").content
    factories.release()
    page = operator.get("/overview/").content.decode()
    assert "/api/v1/runs" in page
    assert "&quot;workflow&quot;: &quot;docs-assistant&quot;" in page
    assert "&quot;question&quot;: &quot;a question&quot;" in page
    assert operator.get("/overview/first-run/").status_code == 304
    example_runs.running_run()
    assert operator.get("/overview/first-run/")["HX-Refresh"] == "true"
    assert b"tile-needs" in operator.get("/overview/").content


def test_nothing_to_do_is_said(operator: Client) -> None:
    factories.worker()
    example_runs.succeeded_run()
    page = operator.get("/overview/").content.decode()
    assert "Nothing needs you." in _tile(page, "needs")
    assert "No run failed in the last 24 h." in _tile(page, "errors")


def test_what_needs_somebody_leads_to_just_that(operator: Client) -> None:
    factories.worker()
    example_runs.failed_run(number=1)
    example_runs.failed_run(number=2)
    example_runs.unknown_run(number=3)
    needs = _tile(operator.get("/overview/").content.decode(), "needs")
    assert "2 failed runs" in needs
    assert "/runs/?state=failed&amp;range=24h" in needs
    assert "1 outcome unknown" in needs
    assert "/runs/r_0000000000003/?step=notify" in needs
    # An outcome that nobody knows weighs more than failures, and is older.
    assert needs.index("outcome unknown") < needs.index("failed runs")
    assert 'data-jump="1"' in needs


def test_a_single_failed_run_is_named_itself(operator: Client) -> None:
    example_runs.failed_run(number=7)
    assert "/runs/r_0000000000007/" in _tile(operator.get("/overview/").content.decode(), "needs")


def test_runs_that_stand_still_are_stuck(operator: Client) -> None:
    factories.worker()
    made = example_runs.running_run(number=1, ago_s=3600)
    late = timezone.now() - timedelta(minutes=20)
    StepRun.objects.filter(run=made.run, path="answer").update(lease_until=late)
    needs = _tile(operator.get("/overview/").content.decode(), "needs")
    assert "1 run is stuck" in needs
    assert "/runs/r_0000000000001/?step=answer" in needs


def test_without_a_worker_open_runs_wait(operator: Client) -> None:
    example_runs.running_run(number=1)
    Worker.objects.create(
        id="gone", host="h", pid=1, threads=1, seen_at=timezone.now() - timedelta(minutes=5)
    )
    needs = _tile(operator.get("/overview/").content.decode(), "needs")
    assert "No worker is running" in needs
    assert "1 run waits" in needs


def test_a_provider_that_fails_is_told_with_its_share(operator: Client) -> None:
    factories.worker()
    made = example_runs.succeeded_run(number=1)
    answer = made.steps["answer"]
    for number in range(2, 8):
        made.call(answer, second=3, number=number, error={"class": "overloaded", "message": "busy"})
    needs = _tile(operator.get("/overview/").content.decode(), "needs")
    assert "local-llm: 78% of calls fail" in needs
    assert "overloaded" in needs
    assert "/runs/r_0000000000001/?step=answer" in needs


def test_documents_that_could_not_be_read_are_told(operator: Client) -> None:
    example_runs.succeeded_run()
    fixtures.make_corpus("handbook")
    draft = drafts.open_draft("handbook", actor="test")
    fixtures.put(draft, "empty.md", "")
    needs = _tile(operator.get("/overview/").content.decode(), "needs")
    assert "1 document could not be read" in needs
    assert "/corpora/handbook/?state=failed" in needs


def test_figures_of_the_window(operator: Client) -> None:
    for number in range(3):
        example_runs.succeeded_run(number=number, ago_s=60)
    example_runs.failed_run(number=8, ago_s=120)
    example_runs.succeeded_run(number=9, ago_s=5 * 3600, cost="2.5")
    page = operator.get("/overview/?range=1h").content.decode()
    activity = _tile(page, "activity")
    assert "4 runs in the last hour, 1 failed, per minute" in activity
    assert "<dd>75.0%</dd>" in activity
    durations = _tile(page, "durations")
    assert "<dt>p50</dt><dd>4.6 s</dd>" in durations
    assert "<dt>p95</dt><dd>46 s</dd>" in durations
    assert "docs-assistant" in _tile(page, "workflows")
    assert "5 runs in the last 24 h" in operator.get("/overview/?range=nonsense").content.decode()


def test_costs_of_today_stand_beside_the_week(operator: Client) -> None:
    now = timezone.now()
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    for back in (1, 2, 3):
        ago = (now - midnight).total_seconds() + back * 86_400
        example_runs.succeeded_run(number=back, ago_s=ago - 1, cost=f"{back}.00")
    example_runs.succeeded_run(number=9, ago_s=0.5, cost="9.50")
    costs = _tile(operator.get("/overview/?table=costs").content.decode(), "costs")
    assert "$9.50" in costs
    assert "$3.00" in costs


def test_the_band_ends_at_this_time_of_day() -> None:
    midnight = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    yesterday = midnight - timedelta(days=1)
    before = {
        yesterday + timedelta(hours=2): Decimal(4),
        yesterday: Decimal(1),
        yesterday - timedelta(days=1): Decimal(7),
    }
    found = overview.compared({}, before, midnight=midnight, now=midnight + timedelta(hours=2, minutes=30))
    assert found.today_usd is None
    assert found.band == (Decimal(3), Decimal(7))
    assert found.before[-1].usd == 5


def test_errors_that_read_alike_are_one_group(operator: Client) -> None:
    for number, told in enumerate(["order 1234 of 'anna'", "order 99 of 'bert'"]):
        error = {
            "class": "tool_status",
            "message": f"refund answered 503: {told}",
            "step": f"pay[{number}]/go",
        }
        factories.run("failed", error=error, number=number)
    factories.run(
        "failed",
        error={"class": "tool_status", "message": "refund answered 404", "step": "pay[0]/go"},
        number=5,
    )
    errors = _tile(operator.get("/overview/").content.decode(), "errors")
    assert "refund answered 503: order 99 of &#x27;bert&#x27;" in errors  # the newest one's words
    assert "anna" not in errors
    assert "refund answered 404" in errors
    assert "<b>2</b>" in errors
    assert "state=failed&amp;workflow=docs-assistant&amp;error=tool_status&amp;range=24h" in errors
    assert 'href="/recovery/"' in errors
    assert "/recovery/errors/" not in errors  # they are sorted into groups a little later
    grouping.settle()
    cache.clear()
    errors = _tile(operator.get("/overview/").content.decode(), "errors")
    assert FailureGroup.objects.count() == 3  # of two different people
    for group in FailureGroup.objects.all():
        assert f'data-href="/recovery/errors/{group.pk}/"' in errors
    error = {"class": "tool_status", "message": "refund answered 404", "step": "pay[7]/go"}
    factories.run("failed", error=error, number=6)
    cache.clear()
    errors = _tile(operator.get("/overview/").content.decode(), "errors")
    assert errors.count("data-href=") == 3  # one that is not sorted yet counts with those that read alike
    assert "<b>2</b>" in errors


def test_text_from_outside_is_escaped(operator: Client) -> None:
    hostile = "<script>alert(1)</script>\ud800"
    error = {"class": "<b>", "message": hostile.encode("utf-8", "replace").decode(), "step": "a\"b'"}
    factories.run("failed", error=error)
    page = operator.get("/overview/").content.decode()
    assert "<script>alert" not in page
    assert "<b></code>" not in page


def test_a_poll_is_304_until_something_changes(operator: Client) -> None:
    factories.worker()
    example_runs.succeeded_run(number=1, ago_s=3600)
    mark = re.search(r'hx-ptag="([^"]+)"', _tile(operator.get("/overview/").content.decode(), "activity"))
    assert mark
    headers = {**FRAGMENT, "HX-PTag": mark[1]}
    answer = operator.get("/overview/activity/", headers=headers)
    assert answer.status_code == 304
    assert answer["Cache-Control"] == "no-store"
    cache.clear()  # as if its value were no longer fresh
    assert operator.get("/overview/activity/", headers=headers).status_code == 304
    example_runs.failed_run(number=2)
    cache.clear()
    changed = operator.get("/overview/activity/", headers=headers)
    assert changed.status_code == 200
    assert changed["HX-PTag"] != mark[1]
    assert "<html" not in changed.content.decode()


@pytest.mark.parametrize("key", TILES)
def test_each_tile_has_an_address_of_its_own(operator: Client, key: str) -> None:
    example_runs.failed_run()
    assert f'id="tile-{key}"' in operator.get(f"/overview/{key}/?range=7d", headers=FRAGMENT).content.decode()
    assert "<html" in operator.get(f"/overview/{key}/").content.decode()
    assert operator.get("/overview/nothing/").status_code == 404


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        ("ALTER TABLE workflows_call RENAME TO gone", {"needs"}),
        ("ALTER TABLE workflows_run RENAME COLUMN cost_usd TO gone", {"costs", "workflows"}),
    ],
)
def test_a_tile_fails_alone(operator: Client, change: str, broken: set[str]) -> None:
    example_runs.succeeded_run()
    with connection.cursor() as cursor:
        cursor.execute(change)
    answer = operator.get("/overview/")
    assert answer.status_code == 200
    page = answer.content.decode()
    failed = {key for key in TILES if "unavailable." in _tile(page, key)}
    assert failed == broken
    for key in broken:
        assert answer["X-Request-Id"] in _tile(page, key)
        assert "Retry" in _tile(page, key)


def test_a_tile_that_failed_shows_what_it_had_with_its_time(operator: Client) -> None:
    example_runs.succeeded_run(cost="3.21")
    assert "$3.21" in _tile(operator.get("/overview/").content.decode(), "costs")
    kept: Shown = cache.get("tile-costs-24h-UTC")
    assert kept.at
    cache.set("tile-costs-24h-UTC", Shown(kept.value, kept.at - timedelta(minutes=5)))
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE workflows_run RENAME COLUMN cost_usd TO gone")
    costs = _tile(operator.get("/overview/costs/", headers=FRAGMENT).content.decode(), "costs")
    assert "it could not be read again" in costs
    assert "$3.21" in costs


def test_a_slow_tile_comes_after_the_page(operator: Client) -> None:
    example_runs.succeeded_run()
    cache.set("tile-costs-24h-UTC-slow", True)
    costs = _tile(operator.get("/overview/").content.decode(), "costs")
    assert "load, every" in costs
    assert "skeleton" in costs
    assert "skeleton" not in operator.get("/overview/costs/", headers=FRAGMENT).content.decode()


def test_runs_that_were_taken_in_are_in_no_figure(db: None) -> None:
    ours = example_runs.succeeded_run(number=1).run
    Environment.objects.create(name=IMPORTED)
    theirs = example_runs.failed_run(number=2).run
    now = timezone.now()
    window = overview.Window(now - timedelta(hours=1), now, 60)

    def failed() -> tuple[bool, int]:
        troubles = attention.troubles(since=window.since, now=now)
        return any(each.kind == "failed" for each in troubles), len(overview.errors(window))

    assert failed() == (True, 1)
    Run.objects.filter(pk=theirs.pk).update(environment=IMPORTED)
    assert failed() == (False, 0)
    counted = overview.activity(window)
    assert (counted.total("runs"), counted.total("failed")) == (1, 0)
    assert overview.durations(window).runs == 1
    assert [(each.runs, each.failed) for each in overview.workflows(window)] == [(1, 0)]
    ours.refresh_from_db()
    assert sum(overview.hourly_costs(since=window.since, until=window.until).values()) == ours.cost_usd


def test_a_page_does_not_wait_for_a_slow_statement(db: None) -> None:
    def slow() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(0.7)")

    assert tiles.show("slow", slow, fresh_s=9, may_wait=True).later
    assert not tiles.show("slow", slow, fresh_s=9, may_wait=False).later  # its own request waits
    assert not tiles.show("slow", slow, fresh_s=9, may_wait=True).later  # and what it brought is kept


def test_number_of_queries(operator: Client, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    factories.many_runs(300, states=("succeeded", "failed"))
    with django_assert_num_queries(QUERIES):
        operator.get("/overview/")
    with django_assert_num_queries(4):  # session, person, any run, pauses; every tile is fresh
        operator.get("/overview/")


def test_no_statement_reads_the_runs_from_end_to_end(operator: Client) -> None:
    """With many runs outside of the window, every statement goes through an index."""
    factories.many_runs(4_000, states=(*["succeeded"] * 19, "failed"), over_s=90 * 86_400)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE workflows_run")
    with CaptureQueriesContext(
        connection,
    ) as asked:
        operator.get("/overview/?range=1h")
    statements = [each["sql"] for each in asked if "FROM workflows_run" in each["sql"]]
    assert len(statements) >= 6
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute("EXPLAIN " + statement)
            plan = "\n".join(row[0] for row in cursor.fetchall())
            assert "Seq Scan on workflows_run" not in plan or "LIMIT 1" in statement, plan


def test_a_single_stretch_of_durations_says_that_it_is_one(operator: Client) -> None:
    factories.run("succeeded", lasted_s=4.2)
    tile = _tile(operator.get("/overview/").content.decode(), "durations")
    assert "1 run, all in one stretch of" in tile
    assert re.search(r'd="M[\d.]+ [\d.]+H[\d.]+"', tile)  # a level line as wide as its stretch
    factories.run("succeeded", ago_s=40_000, lasted_s=2)
    cache.clear()
    assert "all in one stretch" not in _tile(operator.get("/overview/").content.decode(), "durations")


def test_without_durations_the_tile_says_what_is_missing(operator: Client) -> None:
    factories.run("queued")
    assert "No run has ended" in _tile(operator.get("/overview/").content.decode(), "durations")
