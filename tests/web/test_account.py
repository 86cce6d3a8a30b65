"""Time zones, and what pages say when the database is slow or away."""

from __future__ import annotations

from datetime import UTC, datetime

import psycopg
import pytest
from django.db import connection, connections
from django.test import Client
from django.utils import timezone
from psycopg.conninfo import make_conninfo
from pytest_django import DjangoAssertNumQueries

from console import formats, time_zones
from console.models import Role, User
from console.statement_limit import limit_statements
from tests import example_runs, factories

pytestmark = pytest.mark.django_db


def test_a_time_zone_holds_for_every_page_of_its_person_only(client: Client) -> None:
    example_runs.succeeded_run(number=1)
    client.force_login(factories.user(Role.VIEWER, "vera"))
    other = Client()
    other.force_login(factories.user(Role.VIEWER, "otto"))
    answer = client.post("/settings/time-zone/", {"time_zone": "Asia/Kolkata"})
    assert answer["Location"] == "/settings/"
    assert "(UTC+5:30)" in client.get("/runs/").content.decode()
    assert "UTC+5:30" in client.get("/runs/r_0000000000001/?tab=events").content.decode()
    assert "times in UTC<" in other.get("/runs/").content.decode()
    assert timezone.get_current_timezone_name() == "UTC"
    assert client.get("/api/v1/runs").json()["results"][0]["created_at"].endswith(("Z", "+00:00"))


@pytest.mark.parametrize("name", ["", "Mars/Olympus", "US/Eastern", "../../etc/passwd", "\0"])
def test_an_unknown_zone_is_refused(client: Client, name: str) -> None:
    person = factories.user(Role.VIEWER, "vera")
    client.force_login(person)
    answer = client.post("/settings/time-zone/", {"time_zone": name})
    assert answer.status_code == 422
    assert b"Choose a time zone of the list" in answer.content
    person.refresh_from_db()
    assert person.time_zone == "UTC"


def test_a_zone_that_the_system_forgot_is_shown_as_utc(client: Client) -> None:
    person = factories.user(Role.VIEWER, "vera")
    User.objects.filter(pk=person.pk).update(time_zone="Europe/Atlantis")
    client.force_login(person)
    assert client.get("/runs/").status_code == 200


def test_moments_are_written_where_somebody_is() -> None:
    when = datetime(timezone.now().year, 11, 3, 14, 31, 35, tzinfo=UTC)
    assert formats.instant(when) == "Nov 3, 14:31:35"
    with timezone.override(time_zones.zone("America/St_Johns")):
        assert formats.instant(when) == "Nov 3, 11:01:35"
        assert formats.exact(when).endswith("11-03 11:01:35 UTC−3:30")
        assert formats.time_zone(when) == "America/St_Johns (UTC−3:30)"
    assert formats.instant(when.replace(year=2019)) == "Nov 3 2019, 14:31:35"


def test_the_account_takes_two_queries(
    client: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    client.force_login(factories.user(Role.VIEWER, "vera"))
    with django_assert_num_queries(2):
        assert b"Europe/Berlin" in client.get("/settings/").content
    with django_assert_num_queries(2):
        client.get("/settings/appearance/")


# --- a database that is slow


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}])
def test_a_slow_database_is_told_in_words(client: Client, headers: dict[str, str]) -> None:
    client.force_login(factories.user(Role.VIEWER, "vera"))
    client.raise_request_exception = False
    with psycopg.connect(_address()) as other:
        other.execute("LOCK TABLE workflows_definition")
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = '150ms'")
        try:
            answer = client.get("/prompts/", headers=headers)
        finally:
            with connection.cursor() as cursor:
                cursor.execute("RESET statement_timeout")
    assert answer.status_code == 503
    assert answer["Retry-After"] == "5"
    assert "took too long" in answer.content.decode()
    assert answer["X-Request-Id"] in answer.content.decode()


def _address() -> str:
    given = connections["default"].get_connection_params()
    names = ("dbname", "user", "password", "host", "port")
    return make_conninfo(**{name: given[name] for name in names if given.get(name)})


def test_the_web_process_limits_its_statements() -> None:
    database = {"OPTIONS": {"sslmode": "require", "options": "-c work_mem=8MB"}}
    limit_statements(database, seconds=15)
    assert database["OPTIONS"]["options"] == "-c work_mem=8MB -c statement_timeout=15000"
    untouched: dict[str, object] = {}
    limit_statements(untouched, seconds=0)
    assert untouched == {}
