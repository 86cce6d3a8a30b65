"""The queue page and pauses of a scope."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models import F
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from tests import engine, factories
from tests.db.engine.test_fairness import KEYED, ONE
from workflows import database, pauses, runs
from workflows.actor import Actor
from workflows.models import JournalEvent, Pause, Run, StepRun
from workflows.queries import attention, run_matching


@pytest.fixture(autouse=True)
def _real(transactional_db: None) -> None:
    """The engine commits on connections of its own."""


def test_an_empty_queue_says_so_and_that_no_worker_is_there(operator: Client) -> None:
    page = operator.get("/queue/").content.decode()
    assert "No step waits for a worker" in page
    assert "No worker was seen for a minute" in page


def test_the_queue_shows_lanes_places_and_what_workers_do(operator: Client) -> None:
    flood, keyed = engine.deploy(ONE.replace("NAME", "flood")), engine.deploy(KEYED)
    for _ in range(4):
        engine.start(keyed, customer="acme")
    engine.drain()
    for _ in range(7):
        engine.start(flood)
    database.call("interlock_heartbeat", "test", "host-1", 4711, 8, False, [], 30)
    taken = engine.claim()
    page = operator.get("/queue/").content.decode()
    assert ">6<" in page
    assert "flood" in page
    assert "<code>acme</code>" in page
    assert taken.run in page
    assert "1 of 8 threads busy" in page


def test_the_queue_takes_the_same_queries_however_much_waits(
    operator: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for n in range(6):
        name = engine.deploy(ONE.replace("NAME", f"w{n}"))
        for _ in range(5):
            engine.start(name)
    with django_assert_num_queries(3):  # session, person, pauses; the rest goes past the ORM
        assert operator.get("/queue/").content.decode().count("is-title") == 6


def test_a_workflow_is_paused_with_a_reason_and_let_go_again(operator: Client) -> None:
    name = engine.deploy(ONE.replace("NAME", "one"))
    asked = operator.get("/queue/pause/?workflow=one").content.decode()
    assert "<option selected>one</option>" in asked
    refused = operator.post("/queue/pause/", {"workflow": name, "environment": "", "reason": " "})
    assert refused.status_code == 409
    assert (
        operator.post(
            "/queue/pause/", {"workflow": name, "environment": "", "reason": "bad prompt"}
        ).status_code
        == 302
    )
    run = engine.run(name)
    assert run.state == "queued"
    page = operator.get("/queue/").content.decode()
    assert "Workflow one is paused" in page
    assert "bad prompt" in page
    assert (
        operator.post("/queue/pause/", {"workflow": name, "environment": "", "reason": "again"}).status_code
        == 409
    )
    assert operator.post(f"/queue/pauses/{Pause.objects.get().pk}/end/").status_code == 302
    engine.drain()
    run.refresh_from_db()
    assert run.state == "succeeded"
    assert operator.post("/queue/pauses/1/end/").status_code == 302


def test_what_a_pause_holds_up_is_not_stuck(operator: Client) -> None:
    name = engine.deploy(ONE.replace("NAME", "one"))
    pauses.add(environment=None, workflow=name, actor=engine.OPERATOR, reason="x")
    run = engine.start(name)
    StepRun.objects.filter(run=run, state="ready").update(ready_at=timezone.now() - timedelta(hours=1))
    now = timezone.now()

    def stuck() -> bool:
        found = attention.troubles(since=now, now=now)
        listed = StepRun.objects.filter(run_matching.overdue_steps()).exists()
        assert any(each.kind == "stuck" for each in found) is listed
        return listed

    assert not stuck()
    pauses.end(Pause.objects.get().pk, actor=engine.OPERATOR)
    assert stuck()


WAITING = {
    "a time": "steps: [{id: nap, wait: {for: 30d}}]",
    "a signal": "steps: [{id: paid, wait: {signal: paid}}]",
    "a person": "steps: [{id: sure, approval: {title: Sure}}]",
    "a child run": "steps: [{id: call, workflow: child}]",
    "a place": "concurrency: {key: one, limit: 1}\nsteps: [{id: paid, wait: {signal: paid}}]",
}


@pytest.mark.parametrize("what", WAITING)
def test_what_waits_for_something_is_never_stuck(operator: Client, what: str) -> None:
    engine.deploy("name: child\nsteps: [{id: paid, wait: {signal: paid}}]")
    name = engine.deploy(f"name: waits\n{WAITING[what]}")
    factories.worker()
    waiting = [engine.start(name) for _ in range(2)]
    engine.drain()
    long_ago = timedelta(days=3)
    Run.objects.update(created_at=F("created_at") - long_ago, started_at=F("started_at") - long_ago)
    StepRun.objects.update(ready_at=F("ready_at") - long_ago, started_at=F("started_at") - long_ago)
    JournalEvent.objects.update(at=F("at") - long_ago)
    now = timezone.now()
    assert "stuck" not in {each.kind for each in attention.troubles(since=now - 2 * long_ago, now=now)}
    listed = operator.get("/runs/?range=all&state=stuck").content.decode()
    for run in waiting:
        assert run.pk not in listed
        assert ">Stuck<" not in operator.get(f"/runs/{run.pk}/").content.decode()


def test_pages_that_a_pause_concerns_say_so(operator: Client) -> None:
    one, other = (engine.deploy(ONE.replace("NAME", name)) for name in ("one", "other"))
    ended = engine.run(other)
    run, elsewhere = engine.start(one), engine.start(other)
    pauses.add(environment=None, workflow=one, actor=engine.OPERATOR, reason="Wrong <prices>.")
    said = "Workflow one is paused"
    for path in (
        "/overview/",
        "/runs/",
        f"/runs/{run.pk}/",
        "/workflows/one/",
        "/queue/notice/?workflow=one",
    ):
        page = operator.get(path).content.decode()
        assert said in page, path
        assert "Wrong &lt;prices&gt;." in page
        assert f"by {engine.OPERATOR}" in page
    for path in (
        f"/runs/{elsewhere.pk}/",
        "/workflows/other/",
        "/queue/notice/?workflow=other",
        "/settings/",
    ):
        assert said not in operator.get(path).content.decode(), path
    pauses.add(environment=None, workflow=None, actor=engine.OPERATOR, reason="The provider is down.")
    page = operator.get(f"/runs/{run.pk}/").content.decode()
    assert page.index("Everything is paused") < page.index(said)
    assert "Everything is paused" in operator.get(f"/runs/{elsewhere.pk}/").content.decode()
    assert "is paused" not in operator.get(f"/runs/{ended.pk}/").content.decode()


def test_many_pauses_are_told_in_three_lines_and_a_number(operator: Client) -> None:
    for n in range(5):
        name = engine.deploy(ONE.replace("NAME", f"w{n}"))
        pauses.add(environment=None, workflow=name, actor=engine.OPERATOR, reason="x")
    page = operator.get("/queue/notice/").content.decode()
    assert page.count("is paused") == 3
    assert "And 2 more pauses." in page


def test_a_paused_run_says_who_holds_it_and_why(operator: Client) -> None:
    run = engine.start(engine.deploy(ONE.replace("NAME", "one")))
    runs.pause(run.pk, actor=engine.OPERATOR, reason="An old reason.")
    runs.resume(run.pk, actor=engine.OPERATOR)
    runs.pause(run.pk, actor=Actor(kind="user", name="otto"), reason="Wait for the price list")
    page = operator.get(f"/runs/{run.pk}/").content.decode()
    assert "otto paused this run</b> <span><time" in page  # the page counts on since when
    assert "Wait for the price list. Nothing new starts in it until somebody resumes it." in page
    runs.resume(run.pk, actor=engine.OPERATOR)
    assert "paused this run" not in operator.get(f"/runs/{run.pk}/").content.decode()
