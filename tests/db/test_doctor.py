from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command

from console import doctor
from workflows.models import ClockLease, Definition, Worker

pytestmark = pytest.mark.django_db


def provider(name: str, credential: str | None) -> None:
    definition = Definition.objects.create(kind="Provider", name=name, latest_version=1)
    definition.versions.create(
        version=1, content_hash="x", body={"api": "openai", "credential": credential}, created_by="test"
    )


def test_a_system_without_workers_is_at_fault() -> None:
    [finding] = doctor.check_workers()
    assert finding.fault
    assert "manage.py worker" in finding.todo


def test_workers_that_were_seen_lately_count() -> None:
    Worker.objects.create(id="a:1:x", host="a", pid=1, threads=32)
    Worker.objects.create(id="b:1:x", host="b", pid=1, threads=8)
    Worker.objects.create(id="c:1:x", host="c", pid=1, threads=8, draining=True)
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    Worker.objects.create(id="d:1:x", host="d", pid=1, threads=8, seen_at=long_ago)
    [finding] = doctor.check_workers()
    assert not finding.fault
    assert finding.says == "2 on 2 machine(s), 40 threads"


def test_the_clock_and_its_holder() -> None:
    ClockLease.objects.all().delete()
    [finding] = doctor.check_clock()
    assert finding.fault
    now = datetime.now(UTC)
    lease = ClockLease.objects.create(name="clock", holder="a:1:x", held_until=now - timedelta(seconds=9))
    assert [found.fault for found in doctor.check_clock()] == [True]
    lease.held_until = now + timedelta(seconds=9)
    lease.save()
    assert [found.says for found in doctor.check_clock()] == ["held by a:1:x"]


def test_keys_that_providers_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THERE_API_KEY", "k-secret")
    monkeypatch.delenv("MISSING_API_KEY", raising=False)
    provider("a-there", "env:THERE_API_KEY")
    provider("b-missing", "env:MISSING_API_KEY")
    provider("c-local", None)
    there, missing = doctor.check_credentials()
    assert not there.fault
    assert missing.fault
    assert "MISSING_API_KEY" in missing.todo
    assert "k-secret" not in f"{there}{missing}"


def test_commands_of_mcp_tools_are_in_the_settings_and_on_the_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    commands = {"there": [sys.executable], "gone": ["no-such-program"]}
    monkeypatch.setattr(settings, "MCP_COMMANDS", commands)
    for name in ("there", "gone", "unknown"):
        definition = Definition.objects.create(kind="Tool", name=name, latest_version=1)
        body = {"mcp": {"server": {"command": name}, "tool": "add"}}
        definition.versions.create(version=1, content_hash="x", body=body, created_by="test")

    found = {finding.what: finding for finding in doctor.check_commands()}

    assert not found["tool there"].fault
    assert found["tool gone"].fault
    assert "INTERLOCK_MCP_COMMANDS" in found["tool unknown"].todo


def test_everything_that_needs_no_worker_is_well_here() -> None:
    findings = {finding.what: finding for finding in doctor.examine()}
    assert not findings["database"].fault
    assert not findings["broker"].fault
    assert not findings["migrations"].fault
    assert not any(findings[f"extension {name}"].fault for name in ("vector", "pg_trgm", "unaccent"))
    assert "password" not in str(findings["broker"])


def test_a_fault_says_what_to_do_and_fails_the_command() -> None:
    output = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("doctor", stdout=output)
    assert ended.value.code == 1
    assert "FAULT  workers" in output.getvalue()
    assert "→ start one" in output.getvalue()


def test_a_database_that_is_away_is_said_and_the_rest_still_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(settings.DATABASES["default"], "HOST", str(tmp_path))
    monkeypatch.setitem(settings.DATABASES["default"], "PASSWORD", "hunter2")
    findings = list(doctor.examine())
    assert findings[-1].what == "database"
    assert findings[-1].fault
    assert "hunter2" not in str(findings)


def test_a_broker_that_is_away_is_said() -> None:
    finding = doctor.check_broker("redis://:hunter2@127.0.0.1:9/0", timeout_s=1)
    assert finding.fault
    assert "hunter2" not in str(finding)
