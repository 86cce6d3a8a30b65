"""The pages of schedules: the list, one with its history, pause, resume, fire now."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from tests import engine, example_schedules, factories
from tests.example_schedules import fire, schedule
from workflows.models import AuditEntry, Deployment, Fire, Run, Schedule

FRAGMENT = {"HX-Request": "true"}
ECHO = "kind: Workflow\nname: echo\nsteps: [{id: note, set: {a: 1}}]\n"
EVERY_DAY = "kind: Schedule\nname: daily\nworkflow: echo\ncron: 0 6 * * *\n"


@pytest.fixture
def filled(db: None) -> None:
    factories.release()
    example_schedules.fill()


def test_the_list_puts_what_is_in_trouble_first_and_what_is_paused_last(
    operator: Client, filled: None
) -> None:
    page = operator.get("/schedules/").content.decode()
    order = ["support-sweep", "month-end"]
    places = [page.index(f'data-href="/schedules/{name}/"') for name in order]
    assert places[0] == min(page.index(f'data-href="/schedules/{n}/"') for n in example_schedules.BODIES)
    assert places[1] == max(page.index(f'data-href="/schedules/{n}/"') for n in example_schedules.BODIES)
    assert "Could not start" in page
    assert "by d.osei" in page
    assert "has no release in environment production" in page


def test_the_list_says_how_to_make_the_first_one(operator: Client) -> None:
    assert b"No schedules yet" in operator.get("/schedules/").content
    assert "No schedule&#x27;s name contains" in operator.get("/schedules/?q=zzz").content.decode().replace(
        "schedule's", "schedule&#x27;s"
    )


def test_the_list_takes_the_same_queries_however_many_there_are(
    operator: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    factories.release()
    for number in range(120):
        schedule(f"s-{number:03d}")
        fire(f"s-{number:03d}", 1, run_id=factories.run(number=1000 + number).run.pk if number < 3 else "")
    # Session and person, order, schedules, documents, last fire times, their runs.
    with django_assert_num_queries(7):
        page = operator.get("/schedules/").content.decode()
    assert "<b>100</b> of 120" in page
    assert "<b>20</b> of 120" in operator.get("/schedules/?after=s-099").content.decode()


def test_a_poll_without_news_is_not_drawn_again(operator: Client, filled: None) -> None:
    for address in ("/schedules/", "/schedules/nightly-digest/"):
        first = operator.get(address, headers=FRAGMENT)
        assert b"<html" not in first.content
        mark = {**FRAGMENT, "HX-PTag": first["HX-PTag"]}
        assert operator.get(address, headers=mark).status_code == 304
    fire("nightly-digest", 0, "skipped", note="x")
    assert operator.get(address, headers=mark).status_code == 200


def test_a_schedule_shows_its_next_times_and_its_history(
    operator: Client, filled: None, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    # Session and person, schedule, document, last, its run; history, its runs; counts of five outcomes.
    with django_assert_num_queries(14):
        page = operator.get("/schedules/nightly-digest/").content.decode()
    for text in (
        "At 06:00 on Monday through Friday",
        "3 fire times until",
        "r_0000000000042",
        "by hand",
        "Run r_0000000000041 of this schedule had not ended.",
        "tag%3Aschedule%3Anightly-digest",
    ):
        assert text in page
    assert page.count("06:00 CE") == 10
    only = operator.get("/schedules/nightly-digest/?outcome=missed").content.decode()
    assert "3 fire times until" in only
    assert "r_0000000000042</code>" not in only
    assert operator.get("/schedules/nope/").status_code == 404


def test_a_long_history_comes_in_pages(operator: Client) -> None:
    factories.release()
    schedule("busy")
    for hour in range(60):
        fire("busy", hour, "skipped", note=f"note-{hour}")
    first = operator.get("/schedules/busy/").content.decode()
    assert "note-49" in first
    assert "note-50" not in first
    older = first.split('rel="next"')[0].rsplit('href="', 1)[1].split('"')[0].replace("&amp;", "&")
    assert "note-59" in operator.get(f"/schedules/busy/{older}").content.decode()


def test_pausing_and_resuming_ask_first_and_are_audited(operator: Client, filled: None) -> None:
    asked = operator.get("/schedules/hourly-triage/pause/", headers=FRAGMENT).content.decode()
    assert "r_0000000000041" in asked
    done = operator.post("/schedules/hourly-triage/pause/", {"reason": "too loud"}, headers=FRAGMENT)
    assert done["HX-Redirect"] == "/schedules/hourly-triage/"
    assert Schedule.objects.get(pk="hourly-triage").pause_reason == "too loud"
    page = operator.get("/schedules/hourly-triage/").content.decode()
    assert "Paused by otto" in page
    assert "The schedule was paused." in page
    again = operator.post("/schedules/hourly-triage/pause/", {"reason": "typed"}, headers=FRAGMENT)
    assert again.status_code == 409
    assert 'value="typed"' in again.content.decode()
    assert operator.post("/schedules/hourly-triage/resume/").status_code == 302
    assert [entry.action for entry in AuditEntry.objects.order_by("id")] == [
        "schedule.pause",
        "schedule.resume",
    ]


@pytest.mark.django_db(transaction=True)
def test_firing_now_starts_one_run_for_one_dialog(operator: Client) -> None:
    engine.apply(ECHO, EVERY_DAY)
    asked = operator.get("/schedules/daily/fire/", headers=FRAGMENT).content.decode()
    key = asked.split('name="key" value="')[1].split('"')[0]
    for _ in range(2):
        done = operator.post("/schedules/daily/fire/", {"reason": "now", "key": key}, headers=FRAGMENT)
        assert done.status_code == 204
    run = Run.objects.get()
    assert (run.trigger, run.created_by) == ("schedule", "schedule:daily")
    assert Fire.objects.get().fired_by == "otto"
    assert f"/runs/{run.pk}/" in operator.get("/schedules/daily/").content.decode()


def test_firing_what_cannot_start_says_why(operator: Client, filled: None) -> None:
    Deployment.objects.all().delete()
    answer = operator.post("/schedules/support-sweep/fire/", {"key": "k"}, headers=FRAGMENT)
    assert answer.status_code == 409
    assert "has no release in environment production" in answer.content.decode()


def test_the_overview_and_the_search_lead_to_what_does_not_fire(operator: Client, filled: None) -> None:
    needs = operator.get("/overview/needs/").content.decode()
    assert "schedule did not fire" in needs
    assert 'href="/schedules/support-sweep/"' in needs
    found = operator.get("/search/?q=nightly", headers=FRAGMENT).content.decode()
    assert 'href="/schedules/nightly-digest/"' in found


def test_a_workflow_names_the_schedules_that_start_it(operator: Client, filled: None) -> None:
    page = operator.get("/workflows/docs-assistant/").content.decode()
    named = [name for name in example_schedules.BODIES if f'href="/schedules/{name}/"' in page]
    assert len(named) == 2
    assert "month-end" not in named
    assert '<a href="/schedules/">more</a>' in page


def test_a_viewer_may_look_but_not_lead(viewer: Client, filled: None) -> None:
    page = viewer.get("/schedules/nightly-digest/").content.decode()
    assert "Pausing and firing schedules needs the role operator or higher" in page
    for what in ("pause", "resume", "fire"):
        assert viewer.post(f"/schedules/nightly-digest/{what}/").status_code == 403


def test_hostile_notes_are_escaped(operator: Client) -> None:
    factories.release()
    row = schedule("bad")
    fire("bad", 1, "failed", note="<script>alert(1)</script>")
    Schedule.objects.filter(pk=row.pk).update(
        paused_at=timezone.now() - timedelta(hours=1), paused_by="<b>x", pause_reason="<i>y"
    )
    page = operator.get("/schedules/bad/").content.decode()
    for text in ("<script>alert", "<b>x", "<i>y"):
        assert text not in page
