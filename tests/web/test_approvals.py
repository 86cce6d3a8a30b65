"""The approvals pages, and pausing, resuming and signalling a run from its page."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from tests import engine
from tests.web.api.test_steering import ASKING
from workflows import approvals, runs
from workflows.models import Approval, Run


@pytest.fixture(autouse=True)
def _real(transactional_db: None) -> None:
    """The engine commits on connections of its own."""


def asking(group: str = "operators", count: int = 1) -> list[Run]:
    name = engine.deploy(
        ASKING.replace("GROUP", group).replace("steps:\n", "steps:\n  - {id: first, set: {seen: 42}}\n", 1)
    )
    return [engine.run(name, n=n) for n in range(count)]


def test_the_queue_shows_what_waits_and_says_so_when_nothing_does(operator: Client) -> None:
    assert "Nothing waits for a decision" in operator.get("/approvals/").content.decode()
    asking()
    page = operator.get("/approvals/").content.decode()
    assert "Sure about 0?" in page
    assert "operators" in page
    assert "Nothing was decided yet" in operator.get("/approvals/?show=closed").content.decode()


def test_the_queue_takes_the_same_queries_however_many_wait(
    operator: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    asking(count=12)
    # session, person, the page, how many wait; what the first one rests on, and its output
    with django_assert_num_queries(6):
        page = operator.get("/approvals/").content.decode()
    assert page.count("<li data-href") == 12


def test_a_question_shows_its_form_and_what_it_rests_on_and_is_decided(operator: Client) -> None:
    (run,) = asking()
    asked = Approval.objects.get()
    page = operator.get(f"/approvals/{asked.pk}/").content.decode()
    assert "first" in page
    assert "42" in page
    assert 'name="input.sum"' in page
    done = operator.post(
        f"/approvals/{asked.pk}/decide/", {"decision": "approve", "input.sum": "7", "comment": "ok"}
    )
    assert (done.status_code, done["Location"]) == (302, "/approvals/")
    asked.refresh_from_db()
    assert (asked.outcome, asked.comment) == ("approved", "ok")
    assert "Approved" in operator.get("/approvals/?show=closed").content.decode()
    assert run.approvals.count() == 1


def test_a_form_that_does_not_fit_keeps_what_was_typed(operator: Client) -> None:
    asking()
    asked = Approval.objects.get()
    page = operator.post(
        f"/approvals/{asked.pk}/decide/", {"decision": "approve", "input.sum": "700", "comment": "why"}
    )
    assert page.status_code == 422
    text = page.content.decode()
    assert 'value="700"' in text
    assert "why" in text
    assert approvals.get(asked.pk).closed_at is None


def test_a_late_decision_is_told_who_was_faster_and_keeps_what_was_typed(operator: Client) -> None:
    asking()
    asked = Approval.objects.get()
    approvals.decide(asked.pk, approved=False, actor=engine.OPERATOR, groups=None)
    page = operator.post(
        f"/approvals/{asked.pk}/decide/", {"decision": "approve", "input.sum": "7", "comment": "mine"}
    )
    assert page.status_code == 409
    text = page.content.decode()
    assert f"rejected by {engine.OPERATOR}" in text
    assert "mine" in text


def test_who_does_not_belong_to_the_group_cannot_decide(operator: Client) -> None:
    asking("finance")
    asked = Approval.objects.get()
    assert "you do not belong to it" in operator.get(f"/approvals/{asked.pk}/").content.decode()
    assert operator.post(f"/approvals/{asked.pk}/decide/", {"decision": "reject"}).status_code == 422
    assert approvals.get(asked.pk).closed_at is None


def test_a_run_leads_to_its_question_and_is_paused_resumed_and_signalled(operator: Client) -> None:
    (run,) = asking()
    asked = Approval.objects.get()
    page = operator.get(f"/runs/{run.pk}/").content.decode()
    assert "Decide…" in page
    assert operator.get(f"/runs/{run.pk}/approval/")["Location"] == f"/approvals/{asked.pk}/"
    assert "Pause this run?" in operator.get(f"/runs/{run.pk}/pause/").content.decode()
    assert operator.post(f"/runs/{run.pk}/pause/", {"reason": "x"}).status_code == 302
    assert "Resume…" in operator.get(f"/runs/{run.pk}/").content.decode()
    assert operator.post(f"/runs/{run.pk}/pause/").status_code == 409
    assert operator.post(f"/runs/{run.pk}/resume/").status_code == 302
    assert operator.post(f"/runs/{run.pk}/signal/", {"name": "go", "payload": "{"}).status_code == 422
    assert operator.post(f"/runs/{run.pk}/signal/", {"name": "go", "payload": "[1]"}).status_code == 302
    assert run.signals.count() == 1
    runs.cancel(run.pk, actor=engine.OPERATOR)
    assert operator.get(f"/runs/{run.pk}/approval/").status_code == 404


def test_the_list_stands_beside_a_question_and_keeps_its_filter(operator: Client) -> None:
    asking(count=2)
    first, second = Approval.objects.order_by("pk")
    name = first.workflow
    page = operator.get(f"/approvals/?workflow={name}").content.decode()
    assert (
        page.count("Sure about 0?") > page.count("Sure about 1?") > 0
    )  # the first one is open beside the list
    page = operator.get(f"/approvals/{second.pk}/?workflow={name}").content.decode()
    (marked,) = re.findall(r'<a href="([^"]+)"[^>]* aria-current="true"', page)
    assert marked == f"/approvals/{second.pk}/?workflow={name}"
    done = operator.post(f"/approvals/{second.pk}/decide/?workflow={name}", {"decision": "reject"})
    assert done["Location"] == f"/approvals/?workflow={name}"
    page = operator.get(f"/approvals/{second.pk}/").content.decode()
    assert "Decided</a>" in page
    assert 'aria-current="page">Decided' in page  # its list is that of the decided ones


def test_a_click_in_the_list_gets_the_question_and_the_list_that_marks_it(operator: Client) -> None:
    asking(count=2)
    second = Approval.objects.order_by("pk")[1]
    part = operator.get(f"/approvals/{second.pk}/", headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in part
    assert 'id="approvals"' in part
    assert 'hx-swap-oob="outerMorph"' in part
    assert f"chosen={second.pk}" in part  # the poll keeps the mark
    rows = operator.get(f"/approvals/?chosen={second.pk}", headers={"HX-Request": "true"}).content.decode()
    assert 'id="approval"' not in rows
    assert rows.count('aria-current="true"') == 1
