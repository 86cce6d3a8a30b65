"""`/healthz` and `/readyz`: what a load balancer learns."""

from __future__ import annotations

import socket
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client, override_settings
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from console.celery import app
from workflows.models import Worker

pytestmark = pytest.mark.django_db(transaction=True)


def _worker(**more: object) -> None:
    Worker.objects.create(id="host:1:a", host="host", pid=1, threads=4, **more)


def test_alive_without_touching_the_database(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(0):
        answer = Client().get("/healthz")
    assert answer.status_code == 200
    assert answer.json() == {"status": "alive"}


def test_ready_when_database_broker_and_a_worker_answer() -> None:
    _worker()
    answer = Client().get("/readyz")
    assert answer.status_code == 200, answer.content
    assert answer.json()["checks"]["workers"] == {"ok": True, "detail": "1 alive"}
    assert answer["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "worker", [None, {"draining": True}, {"seen_at": timezone.now() - timedelta(hours=1)}]
)
def test_not_ready_without_a_live_worker(worker: dict[str, object] | None) -> None:
    if worker is not None:
        _worker(**worker)
    answer = Client().get("/readyz")
    assert answer.status_code == 503
    assert "manage.py worker" in answer.json()["checks"]["workers"]["detail"]
    assert answer.json()["checks"]["database"]["ok"]


def test_a_broker_that_is_away_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound, not listening: refused
        away = f"redis://127.0.0.1:{held.getsockname()[1]}/0"
        monkeypatch.setattr(app.conf, "broker_write_url", away)
        answer = Client().get("/readyz")
    assert answer.status_code == 503
    assert not answer.json()["checks"]["broker"]["ok"]


def test_a_database_that_is_away_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    there = connection.get_connection_params()
    monkeypatch.setattr(connection, "get_connection_params", lambda: {**there, "dbname": "nowhere"})
    answer = Client().get("/readyz")
    assert answer.status_code == 503
    assert "does not answer" in answer.json()["checks"]["database"]["detail"]
    assert "nowhere" not in answer.content.decode()


def test_writes_are_refused() -> None:
    assert Client().post("/readyz").status_code == 405


@override_settings(LEASE_S=3600.0)
def test_a_worker_counts_as_alive_for_one_lease() -> None:
    _worker(seen_at=timezone.now() - timedelta(minutes=30))
    assert Client().get("/readyz").status_code == 200
