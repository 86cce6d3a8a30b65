"""The memory pages: keys, one with its versions, restore and forget."""

from __future__ import annotations

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from tests.engine import OPERATOR
from workflows import memory, remembering
from workflows.models import Environment
from workflows.remembering import Place, Writer


@pytest.fixture(autouse=True)
def _production(transactional_db: None) -> None:
    Environment.objects.get_or_create(name="production")


def place(key: str = "rules", scope: str = "global") -> Place:
    return memory.place("production", scope, key)


ADDRESS = "/memory/key/?environment=production&scope=global&key=rules"


def test_the_list_shows_keys_and_finds_them(operator: Client) -> None:
    assert "Nothing is remembered yet" in operator.get("/memory/").content.decode()
    memory.put(place(), {"a": 1}, expected=None, actor=OPERATOR)
    memory.put(place("asked", "session:ada"), ["x"], expected=None, actor=OPERATOR)
    page = operator.get("/memory/?q=ADA").content.decode()
    assert "session:ada" in page
    assert "rules" not in page
    assert "No key matches" in operator.get("/memory/?q=zzz").content.decode()


def test_what_forks_wrote_is_listed_where_it_is_asked_for(operator: Client) -> None:
    memory.put(place(), 1, expected=None, actor=OPERATOR)
    overlay = Place(environment="production", scope="fork:r_0000000000971:global", key="overlaid")
    remembering.change(overlay, "write", 2, by=Writer(actor="t"), expected=None)
    page = operator.get("/memory/").content.decode()
    assert ("rules" in page, "overlaid" in page) == (True, False)
    assert "overlaid" in operator.get("/memory/?q=fork:").content.decode()


def test_the_list_takes_the_same_queries_and_pages(
    operator: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(130):
        remembering.change(place(f"k{number:03d}"), "write", number, by=Writer(actor="t"), expected=None)
    with django_assert_num_queries(4):  # session, person, keys, environments
        page = operator.get("/memory/").content.decode()
    assert page.count("is-title") == 100
    further = page.partition('rel="next"')[0].rpartition('href="')[2].partition('"')[0].replace("&amp;", "&")
    assert operator.get(f"/memory/{further}").content.decode().count("is-title") == 30


def test_a_key_shows_its_versions_and_an_older_one_is_restored(operator: Client) -> None:
    memory.put(place(), {"rule": "be kind"}, expected=None, actor=OPERATOR)
    memory.put(place(), {"rule": "be brief"}, expected=None, actor=OPERATOR, reason="shorter")
    assert "be brief" in operator.get(ADDRESS).content.decode()
    older = operator.get(f"{ADDRESS}&version=1").content.decode()
    assert "be kind" in older
    assert "shorter" in older
    change = ADDRESS.replace("/key/?", "/key/change/?")
    assert operator.post(change, {"do": "restore", "version": "1"}).status_code == 302
    assert memory.get(place()).value == {"rule": "be kind"}
    assert operator.post(change, {"do": "restore", "version": "99"}).status_code == 409


def test_forgetting_asks_for_a_reason_and_leaves_a_mark(operator: Client) -> None:
    memory.put(place(), "secret words", expected=None, actor=OPERATOR)
    change = ADDRESS.replace("/key/?", "/key/change/?")
    assert "Every version loses its value" in operator.get(change).content.decode()
    assert operator.post(change, {"do": "forget", "reason": " "}).status_code == 409
    assert operator.post(change, {"do": "forget", "reason": "asked to"}).status_code == 302
    page = operator.get(ADDRESS).content.decode()
    assert "secret words" not in page
    assert "asked to" in page


@pytest.mark.parametrize(
    "address",
    [
        "/memory/key/",
        "/memory/key/?environment=none&scope=global&key=a",
        "/memory/key/?environment=production&scope=world&key=a",
        ADDRESS,
    ],
)
def test_what_is_not_there_is_not_found(operator: Client, address: str) -> None:
    assert operator.get(address).status_code == 404
