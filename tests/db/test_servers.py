"""The session's servers are what production runs: Postgres 18 with our extensions, a closed Valkey."""

from __future__ import annotations

import pytest
import redis
from django.conf import settings
from django.db import connection


@pytest.mark.django_db
def test_postgres_is_18_and_has_the_extensions() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version_num")
        assert cursor.fetchone()[0].startswith("18")
        cursor.execute("SELECT name FROM pg_available_extensions")
        assert {"vector", "pg_trgm", "unaccent"} <= {name for (name,) in cursor.fetchall()}


@pytest.mark.django_db
def test_postgres_sorts_the_same_on_every_machine() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT datlocprovider, datlocale FROM pg_database WHERE datname = current_database()")
        assert cursor.fetchone() == ("b", "C.UTF-8")


def test_valkey_answers_and_wants_its_password() -> None:
    with redis.Redis.from_url(settings.BROKER_URL) as client:
        assert client.ping()
    bare = settings.BROKER_URL.split("@")[1]
    with redis.Redis.from_url(f"redis://{bare}") as client, pytest.raises(redis.AuthenticationError):
        client.ping()
