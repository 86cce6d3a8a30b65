"""The question before a run is retried: what the chosen release runs again, or why it does not fit."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from tests import bulk, engine
from workflows.models import Run

pytestmark = pytest.mark.django_db(transaction=True)
FRAGMENT = {"HX-Request": "true"}
TWO = """
name: two
steps:
  - {id: first, set: {v: 1}}
  - {id: bad, needs: [first], set: {v: "{{ 1 / 0 }}"}}
output: "{{ steps.bad.output.v }}"
"""
MENDED = TWO.replace("1 / 0", "1")


@pytest.fixture
def failed() -> Run:
    """Failed on release 1; release 2 mends it, in release 3 its finished step is of another kind."""
    broken = engine.run(engine.deploy(TWO))
    engine.deploy(MENDED)
    engine.deploy(MENDED.replace("set: {v: 1}", "wait: {for: 0s}"))
    return broken


def reach(client: Client, run: Run, query: str = "") -> str:
    """Return the words that say what a retry would do."""
    page = client.get(f"/runs/{run.pk}/retry/{query}", headers=FRAGMENT).content.decode()
    inside = page.split('id="retry-reach"')[1].split("</div>")[0]
    return " ".join(re.sub(r"<[^>]+>", " ", inside).split())


def test_the_chosen_release_says_at_once_what_runs_again_there(operator: Client, failed: Run) -> None:
    assert "Runs again: bad" in reach(operator, failed)
    assert "Runs again: bad" in reach(operator, failed, "?release=2")
    told = reach(operator, failed, "?release=3")
    assert "first: in the other release first is a wait step" in told
    assert "Runs again" not in told
    assert "Runs again: first , bad" in reach(operator, failed, "?release=3&step=first")


def test_the_list_of_releases_asks_for_the_answer_and_keeps_the_step(operator: Client, failed: Run) -> None:
    page = operator.get(f"/runs/{failed.pk}/retry/?step=first&release=2", headers=FRAGMENT).content.decode()
    (chooser,) = re.findall(r'<select[^>]*name="release"[^>]*>', page)
    assert f'hx-get="/runs/{failed.pk}/retry/?step=first"' in chooser
    assert 'hx-trigger="change"' in chooser
    assert 'hx-target="#retry-reach"' in chooser
    assert '<option value="2" selected>' in page


def test_a_release_that_does_not_fit_is_refused_and_stays_chosen(operator: Client, failed: Run) -> None:
    answer = operator.post(f"/runs/{failed.pk}/retry/", {"release": "3"}, headers=FRAGMENT)
    page = answer.content.decode()
    assert answer.status_code == 409
    assert page.count("first is a wait step") == 1
    assert '<option value="3" selected>' in page
    failed.refresh_from_db()
    assert (failed.state, failed.release.number) == ("failed", 1)


def test_a_number_that_is_no_release_is_told(operator: Client, failed: Run) -> None:
    assert "has no release 9" in reach(operator, failed, "?release=9")
    for nonsense in ("x", "²", "1" * 30, ""):
        assert "Runs again: bad" in reach(operator, failed, f"?release={nonsense}")


def test_the_question_names_the_effects_of_child_runs(operator: Client) -> None:
    outer = bulk.note_below()
    child = outer.children.get()
    told = reach(operator, outer)
    assert f"Sent again, under the same idempotency key: note (note, in child run {child.pk} )" in told
