"""The question what became of a step: what it shows, and what it refuses."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from tests import example_runs
from tests.engine import states
from tests.example_unsettled import UNKNOWN, lost_payment
from workflows.models import Run

FRAGMENT = {"HX-Request": "true"}


@pytest.fixture
def paying() -> Run:
    return lost_payment()


def address(run: Run, step: str = "paid") -> str:
    return f"/runs/{run.pk}/resolve/?step={step}"


def test_it_shows_what_was_sent_where_and_what_the_answer_has_to_fit(operator: Client, paying: Run) -> None:
    page = operator.get(address(paying), headers=FRAGMENT).content.decode()
    for text in (
        "POST https://pay.example.com/charges",
        "A-17",
        f'data-copy="{UNKNOWN}-paid-1"',
        "payment&quot;: &quot;…&quot;",
        "It took effect",
    ):
        assert text in page, text


def test_nothing_is_chosen_beforehand_and_nothing_happens_without_a_choice(
    operator: Client, paying: Run
) -> None:
    page = operator.get(address(paying)).content.decode()
    assert not re.search(r'type="radio"[^>]* checked', page)
    answer = operator.post(address(paying), {"step": "paid", "reason": "their list", "output": "{}"})
    assert answer.status_code == 409
    assert "Choose what became of it." in answer.content.decode()
    assert states(paying) == {"paid": "unknown"}


def test_an_output_that_does_not_fit_changes_nothing_and_stands_in_the_form(
    operator: Client, paying: Run
) -> None:
    sent = {"step": "paid", "action": "supply", "reason": "their list", "output": '{"payment": 9}'}
    page = operator.post(address(paying), sent)
    assert page.status_code == 409
    text = page.content.decode()
    assert "output.payment" in text
    assert "{&quot;payment&quot;: 9}" in text
    assert re.search(r'value="supply" checked', text)
    assert states(paying) == {"paid": "unknown"}


def test_a_step_that_is_settled_meanwhile_says_so(operator: Client) -> None:
    made = example_runs.succeeded_run()
    page = operator.get(address(made.run, "answer")).content.decode()
    assert "Nobody has to say: the step is succeeded." in page
    assert re.search(r'<button class="btn btn-primary" disabled>Settle', page)


def test_a_step_that_failed_is_asked_about_in_its_own_words(operator: Client) -> None:
    made = example_runs.failed_run()
    page = operator.get(address(made.run, "route/notify")).content.decode()
    assert "Supply its output" in page
    assert "It took effect" not in page
    assert "notify-channel answered 503" in page


def test_a_step_that_is_not_there_is_not_found(operator: Client, paying: Run) -> None:
    assert operator.get(address(paying, "gone")).status_code == 404
    assert operator.get(address(paying, "%00")).status_code == 404
    assert operator.get(f"/runs/{paying.pk}/resolve/").status_code == 404


def test_the_inspector_shows_what_a_lost_worker_sent(operator: Client, paying: Run) -> None:
    page = operator.get(f"/runs/{paying.pk}/step/?step=paid", headers=FRAGMENT).content.decode()
    assert "A-17" in page
    assert f"{UNKNOWN}-paid-1" in page
