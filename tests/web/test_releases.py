"""The pages of releases: what goes on, what is deployed, one rollout, and what a person does about it."""

from __future__ import annotations

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from tests import engine, example_rollouts, factories, rolling
from workflows.models import AuditEntry, Deployment, Rollout

FRAGMENT = {"HX-Request": "true"}


@pytest.fixture
def filled(db: None) -> dict[str, Rollout]:
    factories.release()
    return example_rollouts.fill()


@pytest.fixture
def begun(transactional_db: None) -> Rollout:
    rolling.releases()
    rolling.environment()
    return rolling.deploy(now=rolling.now())


def test_the_list_shows_what_goes_on_what_is_deployed_and_what_has_ended(
    operator: Client, filled: dict[str, Rollout], django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    # Session and person; live, deployed, newest releases, ended.
    with django_assert_num_queries(6):
        page = operator.get("/releases/").content.decode()
    for text in (
        'aria-current="step"',
        "Every limit is kept, by 140 candidate runs.",
        "Rolled back",
        "Succeeded",
        "docs-assistant",
        "Deploying and promoting releases needs the role editor",
    ):
        assert text in page
    assert page.index("Rollouts that go on") < page.index("What new runs get") < page.index("have ended")


def test_without_rollouts_the_list_says_how_to_come_to_one(operator: Client) -> None:
    page = operator.get("/releases/").content.decode()
    assert "No rollout is going on." in page
    assert "Nothing is deployed yet" in page
    assert operator.get("/releases/?before=x").status_code == 200


def test_a_long_history_comes_in_pages(operator: Client, db: None) -> None:
    factories.release()
    for number in range(60):
        example_rollouts.rollout(number + 2, "aborted", step=1, weight=0.0, note=f"note-{number}.")
    first = operator.get("/releases/").content.decode()
    assert "note-10." in first
    assert "note-9." not in first
    older = first.split('rel="next"')[0].rsplit('href="', 1)[1].split('"')[0]
    assert "note-9." in operator.get(f"/releases/{older}").content.decode()


def test_a_rollout_shows_its_figures_with_intervals_and_why(
    operator: Client, filled: dict[str, Rollout], django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    row = filled["rolled back"]
    # Session and person; the rollout, failed runs, events.
    with django_assert_num_queries(5):
        page = operator.get(f"/rollouts/{row.pk}/").content.decode()
    for text in (
        "Rolled back.",
        "The limit is broken.",
        "18.3 %",
        "at most 2 points more",
        "dry run",
        "points",
        "A shorter prompt",
    ):
        assert text in page
    assert "Promote…" not in page  # it has ended
    assert "/prompts/answer/diff/1/2/" in page
    assert "v1 → v2" in page
    assert operator.get("/rollouts/99999/").status_code == 404


def test_a_poll_without_news_is_not_drawn_again(operator: Client, filled: dict[str, Rollout]) -> None:
    row = filled["running"]
    for address in ("/releases/", f"/rollouts/{row.pk}/"):
        first = operator.get(address, headers=FRAGMENT)
        assert b"<html" not in first.content
        mark = {**FRAGMENT, "HX-PTag": first["HX-PTag"]}
        assert operator.get(address, headers=mark).status_code == 304
    Rollout.objects.filter(pk=row.pk).update(moves=9)
    assert operator.get(address, headers=mark).status_code == 200


def test_an_editor_deploys_and_promotes(editor: Client, begun: Rollout) -> None:
    asked = editor.get(
        "/releases/deploy/?workflow=echo&environment=production", headers=FRAGMENT
    ).content.decode()
    assert "step by step" in asked
    given = {"workflow": "echo", "environment": "production", "release": "2", "strategy": "rollout"}
    refused = editor.post("/releases/deploy/", given, headers=FRAGMENT)
    assert refused.status_code == 409
    assert "supersedes it" in refused.content.decode()
    done = editor.post("/releases/deploy/", {**given, "supersede": "on", "reason": "again"}, headers=FRAGMENT)
    row = Rollout.objects.latest("pk")
    assert (done.status_code, done["HX-Redirect"]) == (204, f"/rollouts/{row.pk}/")
    asked = editor.get(f"/rollouts/{row.pk}/promote/").content.decode()
    assert "The next step: <b>errors</b>" in asked
    editor.post(f"/rollouts/{row.pk}/promote/", {"reason": "looks well"})
    assert rolling.shown(row) == ("running", 1, 20.0)
    editor.post(f"/rollouts/{row.pk}/promote/", {"fully": "1"})
    assert rolling.shown(row) == ("succeeded", 1, 100.0)
    assert Deployment.objects.get(workflow="echo").stable.number == 2
    assert AuditEntry.objects.get(action="rollout.promote").reason == "looks well"
    again = editor.post(f"/rollouts/{row.pk}/promote/", {}, headers=FRAGMENT)
    assert again.status_code == 409
    assert "Rollout" in again.content.decode()


def test_an_operator_stops_and_may_not_promote(operator: Client, begun: Rollout) -> None:
    at = f"/rollouts/{begun.pk}"
    assert operator.post(f"{at}/promote/").status_code == 403
    operator.post(f"{at}/pause/", {"reason": "lunch"})
    assert rolling.shown(begun)[0] == "paused"
    assert "lunch" in operator.get(f"{at}/").content.decode()
    engine.start("echo", who="x")
    assert "All new runs get release 1 again" in operator.get(f"{at}/abort/").content.decode()
    operator.post(f"{at}/abort/", {"in_flight": "cancel"})
    begun.refresh_from_db()
    assert (begun.state, begun.cancelling) == ("aborted", True)


def test_resume_begins_the_step_anew(editor: Client, begun: Rollout) -> None:
    at = f"/rollouts/{begun.pk}"
    editor.post(f"{at}/pause/")
    assert "begins anew" in editor.get(f"{at}/resume/").content.decode()
    editor.post(f"{at}/resume/")
    assert rolling.shown(begun)[0] == "running"


@pytest.mark.parametrize("release", ["", "x", "0", "99999999999", "-1"])
def test_a_release_that_is_none_is_refused_in_the_form(editor: Client, begun: Rollout, release: str) -> None:
    given = {"workflow": "echo", "environment": "production", "release": release, "strategy": "now"}
    answer = editor.post("/releases/deploy/", given, headers=FRAGMENT)
    assert answer.status_code == 409
    assert "has no release" in answer.content.decode()


def test_names_that_are_none_are_refused_in_the_form(editor: Client, db: None) -> None:
    given = {"workflow": "a\0b", "environment": "nowhere\0", "release": "1", "strategy": "rollout"}
    assert editor.post("/releases/deploy/", given, headers=FRAGMENT).status_code == 409
