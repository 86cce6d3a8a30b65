"""Saved views: one's own tabs over the runs list, shared ones, and what they count."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from console import saved_views
from console.models import Role, SavedView
from tests import factories

pytestmark = pytest.mark.django_db


def _save(client: Client, name: str, query: str, **values: str) -> int:
    answer = client.post("/runs/views/new/", {"name": name, "query": query, **values})
    assert answer.status_code == 302, answer.content.decode()
    return int(re.findall(r"view=(\d+)", answer["Location"])[0])


def test_a_view_is_a_tab_with_its_count(operator: Client) -> None:
    factories.many_runs(6, states=("failed", "succeeded"))
    view = _save(operator, "Broken", "state=failed&range=7d")
    assert f'id="view-count-{view}"></span>' in operator.get("/runs/").content.decode()
    counts = operator.get("/runs/views/counts/", headers={"HX-Request": "true"}).content.decode()
    assert f'<span id="view-count-{view}" hx-swap-oob="true">3</span>' in counts
    page = operator.get(f"/runs/?state=failed&range=7d&view={view}").content.decode()
    assert re.search(
        rf'range=7d&amp;view={view}" aria-current="page">Broken <span id="view-count-{view}">3<', page
    )
    assert "changed</em>" not in page
    assert "changed</em>" in operator.get(f"/runs/?state=failed&view={view}").content.decode()


def test_a_shared_view_is_seen_by_all_and_changed_by_its_owner_only(operator: Client, client: Client) -> None:
    view = _save(operator, "Broken <b>", "state=failed", shared="1")
    mine = _save(operator, "Mine", "state=active")
    other = Client()
    other.force_login(factories.user(Role.ADMIN, "ada"))
    page = other.get("/runs/").content.decode()
    assert "Broken &lt;b&gt;" in page
    assert "Shared by otto" in page
    assert "Mine" not in page
    for address in (f"/runs/views/{view}/", f"/runs/views/{view}/delete/", f"/runs/views/{mine}/"):
        assert other.post(address, {"name": "Taken"}).status_code == 404
    assert SavedView.objects.get(pk=view).name == "Broken <b>"


def test_a_view_is_renamed_replaced_and_deleted(operator: Client) -> None:
    view = _save(operator, "Broken", "state=failed")
    operator.post(f"/runs/views/{view}/", {"name": "Worse", "query": "state=failed&range=7d"})
    assert (SavedView.objects.get().name, SavedView.objects.get().query) == ("Worse", "state=failed")
    operator.post(f"/runs/views/{view}/", {"name": "Worse", "query": "state=failed&range=7d", "replace": "1"})
    assert SavedView.objects.get().query == "state=failed&range=7d"
    operator.post(f"/runs/views/{view}/delete/", {})
    assert not SavedView.objects.exists()


@pytest.mark.parametrize(
    ("name", "query", "told"),
    [
        ("  ", "", "Give the view a name."),
        ("x" * 61, "", "this one has 61"),
        ("Broken", "state=failed", "You have a view named “Broken” already"),
        ("Odd", "q=state:nope", "cannot be kept: “nope” is no state"),
    ],
)
def test_what_cannot_be_kept_is_told_and_the_name_stays(
    operator: Client, name: str, query: str, told: str
) -> None:
    _save(operator, "Broken", "state=failed")
    answer = operator.post("/runs/views/new/", {"name": name, "query": query})
    assert answer.status_code == 422
    assert told in answer.content.decode()
    assert f'value="{name}"' in answer.content.decode()


def test_nobody_keeps_more_views_than_can_be_found_again(operator: Client) -> None:
    for number in range(saved_views.MOST):
        _save(operator, f"View {number}", "")
    answer = operator.post("/runs/views/new/", {"name": "One more", "query": ""})
    assert "delete one of them first" in answer.content.decode()


def test_the_page_takes_no_more_queries_for_many_views(
    operator: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    factories.many_runs(3)
    for number in range(15):
        _save(operator, f"View {number}", f"q=word{number}")
    with django_assert_max_num_queries(19):
        operator.get("/runs/")
    operator.get("/runs/views/counts/")
    with django_assert_max_num_queries(4):
        operator.get("/runs/views/counts/")
