"""Tools of MCP servers in runs: steps and agents, effects that happen once, secrets that stay secret."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from tests.engine import OPERATOR, check_journal, deploy, drain, output, run, start, states, wake
from tests.threads import DatabaseThread
from tests.tools.mcp_calls import SERVER, serving
from tests.workers import until
from workflows import runs
from workflows.engine import execute, heartbeat
from workflows.engine.leases import Process
from workflows.models import Attempt, JournalEvent, Run
from workflows.tools.mcp import call


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serving() as found:
        yield found
    call.POOL.close()


@pytest.fixture(autouse=True)
def _settings(settings: Settings) -> None:
    settings.TOOL_ALLOW = ["127.0.0.1"]
    settings.MCP_COMMANDS = {"tests": [*SERVER, "stdio"]}


def tool(name: str, server: str = "{command: tests}", *, effect: str = "read", timeout: str = "60s") -> str:
    return (
        f"name: tested\ninput: {{type: object}}\neffect: {effect}\ntimeout: {timeout}\n"
        f"mcp: {{server: {server}, tool: {name}}}"
    )


def workflow(tools: str, *, attempts: int = 1, **given: Any) -> str:
    """Deploy a workflow that calls the tool with these arguments."""
    step = {"id": "call", "tool": "tested", "with": given, "retry": {"attempts": attempts, "max": "1ms"}}
    return deploy(
        json.dumps({"name": "calling", "steps": [step], "output": "{{ steps.call.output }}"}), tools=tools
    )


def calling(tools: str, *, attempts: int = 1, **given: Any) -> Run:
    return run(workflow(tools, attempts=attempts, **given))


def calls(notes: Path) -> int:
    return len(notes.read_text())


def test_a_step_calls_a_tool_over_http_and_says_which_one_it_used(address: str) -> None:
    ended = calling(tool("add", f"{{url: '{address}'}}"), first=2, second=40)

    assert output(ended) == {"sum": 42}
    assert ended.lineage.filter(kind="tool", ref="tested@1").exists()
    check_journal(ended)


def test_a_secret_is_nowhere_in_the_run(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_API_KEY", "sesame-open")
    server = f"{{url: '{address}', credential: 'env:SHOP_API_KEY'}}"

    heard = calling(tool("told", server))
    failed = calling(tool("fails", server), order="sesame-open")

    assert output(heard)["headers"]["authorization"] == "Bearer [redacted]"
    assert "there is no order [redacted]" in (failed.error or {})["message"]
    kept = [json.dumps(event) for event in JournalEvent.objects.values_list("data", flat=True)]
    kept += [json.dumps(error) for error in Attempt.objects.values_list("error", flat=True)]
    assert "sesame-open" not in "".join(kept)


@pytest.mark.parametrize("attempts", [1, 2])
def test_a_tool_that_fails_is_called_again_only_if_the_policy_says_so(attempts: int, address: str) -> None:
    ended = calling(tool("fails", f"{{url: '{address}'}}"), attempts=attempts, order="A-17")
    wake()
    drain()

    ended.refresh_from_db()
    assert (ended.error or {})["class"] == "tool_error"
    assert ended.attempts.count() == attempts


def test_a_command_that_only_the_document_knows_is_not_started(settings: Settings) -> None:
    settings.MCP_COMMANDS = {}

    ended = calling(tool("add"), first=1)

    assert (ended.error or {})["class"] == "not_allowed"


def test_an_effect_that_must_happen_once_is_unknown_when_its_child_is_killed(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    started = start(workflow(tool("hangs", effect="once"), attempts=3, notes=str(notes)))
    thread = DatabaseThread(target=execute.work, args=[Process()])
    thread.start()
    until(notes.exists, within_s=40)

    call.POOL.close()

    thread.join()
    assert states(started)["call"] == "unknown"
    assert drain() == 0
    check_journal(started)


def test_an_effect_that_happened_is_not_repeated_because_its_reply_is_too_large(
    address: str, tmp_path: Path
) -> None:
    notes = tmp_path / "notes"

    ended = calling(
        tool("large", f"{{url: '{address}'}}", effect="once"), attempts=3, size=5_000_000, notes=str(notes)
    )

    assert (ended.error or {})["class"] == "effect_happened"
    assert calls(notes) == 1


def test_a_call_that_takes_too_long_ends_with_its_attempt(address: str, tmp_path: Path) -> None:
    server = f"{{url: '{address}'}}"

    ended = calling(tool("hangs", server, timeout="10s"), notes=str(tmp_path / "notes"))

    assert (ended.error or {})["class"] == "timeout"


def test_a_run_that_is_cancelled_stops_its_call(address: str, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    here = Process()
    started = start(workflow(tool("hangs", f"{{url: '{address}'}}"), notes=str(notes)))
    thread = DatabaseThread(target=execute.work, args=[here])
    thread.start()
    until(notes.exists, within_s=40)

    runs.cancel(started.pk, actor=OPERATOR)
    heartbeat.listen(here)

    thread.join(10)
    assert not thread.is_alive()
    started.refresh_from_db()
    assert started.state == "cancelled"
