"""The settings as another process sees them: read from an environment, wrong values refused by name."""

from __future__ import annotations

import base64
import importlib.util
import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from console.home import ROOT, HomeError

KEY = base64.urlsafe_b64encode(b"k" * 32).decode()


def settings(monkeypatch: pytest.MonkeyPatch, home: Path, **environment: str) -> ModuleType:
    """Load settings.py anew under an environment with nothing of ours but what is given."""
    for name in list(os.environ):
        if name.startswith("INTERLOCK_") or name in {"DATABASE_URL", "BROKER_URL"}:
            monkeypatch.delenv(name)
    base = {"INTERLOCK_HOME": str(home), "INTERLOCK_SECRET_KEY": "s", "INTERLOCK_ENCRYPTION_KEY": KEY}
    for name, value in {**base, **environment}.items():
        monkeypatch.setenv(name, value)
    spec = importlib.util.spec_from_file_location("settings_under_test", ROOT / "console" / "settings.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def database(module: ModuleType) -> Mapping[str, Any]:
    found: Mapping[str, Any] = module.DATABASES["default"]
    return found


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("INTERLOCK_WORKER_THREADS", "many", "a number from 1 to 2048"),
        ("INTERLOCK_WORKER_THREADS", "0", "a number from 1 to 2048"),
        ("INTERLOCK_WORKER_THREADS", "nan", "a number from 1 to 2048"),
        ("INTERLOCK_DB_POOL", "1e9", "a number from 2 to 200"),
        ("INTERLOCK_DEBUG", "yes", "1, 0, true or false"),
        ("INTERLOCK_LOG_LEVEL", "chatty", "DEBUG, INFO, WARNING, ERROR"),
        ("INTERLOCK_HEARTBEAT", "20", "two heartbeats"),
        ("DATABASE_URL", "mysql://x/y", "postgresql://user:password@host:port/name"),
        ("DATABASE_URL", "postgresql://u:p@h:port/n", "postgresql://user:password@host:port/name"),
        ("DATABASE_URL", "rubbish", "postgresql://user:password@host:port/name"),
        ("BROKER_URL", "http://x", "redis://:password@host:port/0"),
        ("INTERLOCK_MCP_COMMANDS", "mcp-files", "a JSON object of lists of texts"),
        ("INTERLOCK_MCP_COMMANDS", '{"files": "mcp-files"}', "a JSON object of lists of texts"),
        ("INTERLOCK_MCP_COMMANDS", '{"files": []}', "a JSON object of lists of texts"),
        ("INTERLOCK_MCP_COMMANDS", '{"files": ["mcp-files", 1]}', "a JSON object of lists of texts"),
        ("INTERLOCK_ENCRYPTION_KEY", "short", "32 random bytes"),
        ("INTERLOCK_ENCRYPTION_KEY", "ü" * 44, "32 random bytes"),
    ],
)
def test_a_wrong_value_is_refused_by_name_and_says_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, value: str, expected: str
) -> None:
    with pytest.raises(ImproperlyConfigured) as refused:
        settings(monkeypatch, tmp_path, **{name: value})
    assert name in str(refused.value)
    assert expected in str(refused.value)


def test_a_wrong_address_does_not_show_its_password(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(ImproperlyConfigured) as refused:
        settings(monkeypatch, tmp_path, DATABASE_URL="mysql://u:hunter2@h/n")
    assert "hunter2" not in str(refused.value)


def test_an_empty_value_is_no_value(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    loaded = settings(monkeypatch, tmp_path, INTERLOCK_WORKER_THREADS="", INTERLOCK_DEBUG="", DATABASE_URL="")
    assert loaded.WORKER_THREADS == 32
    assert loaded.DEBUG is False


def test_a_database_address_is_taken_apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    loaded = settings(
        monkeypatch, tmp_path, DATABASE_URL="postgresql://u:p%40ss@db:6432/lock?sslmode=require"
    )
    found = database(loaded)
    assert [found[key] for key in ("USER", "PASSWORD", "HOST", "PORT", "NAME")] == [
        "u", "p@ss", "db", "6432", "lock",
    ]  # fmt: skip
    assert found["OPTIONS"]["sslmode"] == "require"


def test_a_database_behind_a_socket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    loaded = settings(monkeypatch, tmp_path, DATABASE_URL="postgresql://u:p@/lock?host=/run/pg%20x")
    assert database(loaded)["HOST"] == "/run/pg x"


def test_the_running_installation_is_found_by_its_home(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    runtime = {"database_url": "postgresql://a:b@/c?host=/d", "broker_url": "redis://:x@127.0.0.1:1/0"}
    (tmp_path / "runtime.json").write_text(json.dumps({**runtime, "pid": 1, "local_llm_url": "http://l/v1"}))
    loaded = settings(monkeypatch, tmp_path)
    assert database(loaded)["NAME"] == "c"
    assert runtime["broker_url"] == loaded.BROKER_URL
    assert loaded.LOCAL_LLM_URL == "http://l/v1"
    assert loaded.OWN_DATABASE_URL == ""


def test_the_environment_wins_over_the_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "runtime.json").write_text(json.dumps({"database_url": "postgresql://a:b@/c"}))
    loaded = settings(monkeypatch, tmp_path, DATABASE_URL="postgresql://a:b@/mine")
    assert database(loaded)["NAME"] == "mine"


def test_secrets_come_from_the_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "secret_key").write_text("from the file\n")
    loaded = settings(monkeypatch, tmp_path, INTERLOCK_SECRET_KEY="")
    assert loaded.SECRET_KEY == "from the file"


def test_without_secrets_it_says_where_they_come_from(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"INTERLOCK_SECRET_KEY is not set .* `manage\.py up`"):
        settings(monkeypatch, tmp_path, INTERLOCK_SECRET_KEY="")


def test_a_damaged_runtime_file_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "runtime.json").write_text("{")
    with pytest.raises(HomeError, match="is damaged"):
        settings(monkeypatch, tmp_path)


def test_folders_are_parted_as_in_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    both = os.pathsep.join([str(tmp_path / "a b"), str(tmp_path / "c")])
    assert [
        tmp_path / "a b",
        tmp_path / "c",
    ] == settings(monkeypatch, tmp_path, INTERLOCK_CORPUS_ROOTS=both).CORPUS_ROOTS


def test_commands_of_mcp_servers_are_named_in_json(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given = '{"files": ["mcp-files", "--read-only"]}'

    assert settings(monkeypatch, tmp_path).MCP_COMMANDS == {}
    assert settings(monkeypatch, tmp_path, INTERLOCK_MCP_COMMANDS=given).MCP_COMMANDS == {
        "files": ["mcp-files", "--read-only"]
    }
