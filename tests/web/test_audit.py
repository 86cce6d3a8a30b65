"""The audit log: filters, pages, what is shown of an entry, who may read it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from console.models import Role
from tests import factories
from workflows import audit
from workflows.actor import Actor
from workflows.models import AuditEntry
from workflows.queries import audit_log

pytestmark = pytest.mark.django_db
ANNA = Actor(kind="user", name="anna")
CI = Actor(kind="token", name="ci")


def _fill() -> None:
    audit.record(ANNA, "run.cancel", "run", "r_0000000000001", reason="wrong <b>input</b>")
    audit.record(CI, "definition.save", "Prompt", "triage@3", data={"diff": "+ be kind"})
    audit.record(ANNA, "deployment.deploy", "deployment", "support/production", data={"release": 4})


def _many(count: int) -> None:
    now = timezone.now()
    AuditEntry.objects.bulk_create(
        AuditEntry(actor="anna", action="run.retry", object_kind="run", object_id=f"r_{number:013}")
        for number in range(count)
    )
    # Everything of one transaction has one time: the order of such entries is that of their numbers.
    AuditEntry.objects.update(at=now)


def test_entries_show_who_did_what_to_which_object_and_why(operator: Client) -> None:
    _fill()
    page = operator.get("/audit/").content.decode()
    assert "wrong &lt;b&gt;input&lt;/b&gt;" in page
    assert 'href="/runs/r_0000000000001/"' in page
    assert 'href="/prompts/triage/"' in page
    assert 'href="/workflows/support/"' in page
    assert "token:ci" in page
    assert "be kind" in page


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"actor": "anna"}, 2),
        ({"actor": "token:ci"}, 1),
        ({"action": "run.cancel"}, 1),
        ({"object": "triage"}, 1),
        ({"object": "support/production"}, 1),
        ({"object": "r_0000000000001", "actor": "token:ci"}, 0),
        ({"object": "\0 \ud800"}, 0),
        ({"from": "not a day", "to": "2026-13-44"}, 3),
    ],
)
def test_filters_narrow(operator: Client, asked: dict[str, str], found: int) -> None:
    _fill()
    page = operator.get(
        "/audit/", {name: value.encode("utf-8", "surrogatepass") for name, value in asked.items()}
    )
    assert page.content.decode().count("<code>") == found


def test_days_are_those_of_who_looks(client: Client) -> None:
    person = factories.user(Role.OPERATOR, "otto")
    person.time_zone = "Pacific/Auckland"  # UTC+13 in November
    person.save()
    client.force_login(person)
    _fill()
    AuditEntry.objects.update(at=datetime(2026, 11, 3, 12, 30, tzinfo=UTC))  # the 4th there
    assert client.get("/audit/?from=2026-11-04&to=2026-11-04").content.count(b"<code>") == 3
    assert client.get("/audit/?to=2026-11-03").content.count(b"<code>") == 0
    page = client.get("/audit/").content.decode()
    assert "Nov 4, 01:30:00" in page
    assert "times in Pacific/Auckland (UTC+13)" in page


def test_paging_goes_there_and_back_and_misses_nothing(operator: Client) -> None:
    _many(120)
    seen: list[str] = []
    address, pages = "/audit/", []
    while address:
        page = operator.get(address).content.decode()
        pages.append(address)
        seen += [part.split('"')[0] for part in page.split('<tr id="a')[1:]]
        older = (
            page.split('rel="next"')[0].rpartition('href="')[2].split('"')[0] if 'rel="next"' in page else ""
        )
        address = f"/audit/{older}" if older else ""
    assert len(pages) == 3
    assert len(seen) == len(set(seen)) == 120
    last = operator.get(pages[-1]).content.decode()
    newer = last.split('rel="prev"')[0].rpartition('href="')[2].split('"')[0]
    assert seen[50] in operator.get(f"/audit/{newer}").content.decode()
    assert operator.get("/audit/?after=rubbish")["Location"] == "/audit/?"


def test_nothing_yet_and_nothing_found_are_told_apart(operator: Client) -> None:
    assert b"Nothing was changed yet" in operator.get("/audit/").content
    _fill()
    assert b"Clear all filters" in operator.get("/audit/?actor=nobody").content


def test_a_filter_answers_with_the_part_that_changes(operator: Client) -> None:
    _fill()
    part = operator.get("/audit/?actor=anna", headers={"HX-Request": "true"})
    assert part.content.startswith(b'<div class="table-scroll" id="entries">')
    assert part["Cache-Control"] == "no-store"


def test_viewers_are_told_who_may(viewer: Client) -> None:
    page = viewer.get("/audit/")
    assert page.status_code == 403
    assert b"Reading the audit log needs the role operator" in page.content


def test_a_page_takes_five_queries_and_a_next_one_three(
    operator: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    _many(120)
    with django_assert_num_queries(5):  # session, person, entries, actions, actors
        operator.get("/audit/")
    with django_assert_num_queries(3):
        operator.get("/audit/?actor=anna")


@pytest.mark.parametrize(
    ("asked", "index"),
    [
        ({}, "audit_newest"),
        ({"actor": "user-7"}, "audit_actor"),
        ({"action": "run.7"}, "audit_action"),
        ({"object_id": "r_0000000000007"}, "audit_object"),
    ],
)
def test_every_filter_is_served_by_an_index(asked: dict[str, Any], index: str) -> None:
    now = timezone.now()
    AuditEntry.objects.bulk_create(
        AuditEntry(
            actor=f"user-{number % 50}",
            action=f"run.{number % 40}",
            object_kind="run",
            object_id=f"r_{number:013}",
        )
        for number in range(8000)
    )
    AuditEntry.objects.filter(pk__lt=0).update(at=now - timedelta(days=1))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE workflows_auditentry")
    entries = audit_log.matching(audit_log.AuditFilter(**asked)).order_by("-at", "-id")[:51]
    assert index in entries.explain()


def test_times_in_what_was_recorded_are_those_of_who_looks(client: Client) -> None:
    reader = factories.user(Role.OPERATOR, "rita")
    reader.time_zone = "Europe/Berlin"
    reader.save()
    client.force_login(reader)
    audit.record(
        ANNA, "token.create", "token", "ci", data={"expires_at": "2030-12-25T22:15:04+00:00", "note": "To Do"}
    )
    page = client.get("/audit/").content.decode()
    brief = page[page.index("<summary") :].split("</summary>")[0]
    assert "expires_at Dec 25 2030, 23:15:04" in brief
    assert "note To Do" in brief
