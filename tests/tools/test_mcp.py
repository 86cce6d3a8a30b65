"""Calls of tools of MCP servers, over both transports, with real servers in processes of their own."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.tools.calls import Sending
from tests.tools.mcp_calls import KEY, Server, calling, failing, serving
from tests.tools.test_python import gone
from workflows.tools.errors import LeaseLost
from workflows.tools.mcp import call, results

STDIO: Server = {"command": "tests"}
OLD: Server = {"command": "old"}


@pytest.fixture(scope="module", autouse=True)
def _children() -> Iterator[None]:
    yield
    call.POOL.close()


@pytest.fixture(scope="module")
def http_server() -> Iterator[Server]:
    with serving() as address:
        yield {"url": address}


@pytest.fixture(params=["http", "stdio"])
def server(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue("http_server") if request.param == "http" else STDIO


def noted(notes: Path) -> list[int]:
    """The processes that a tool left word of."""
    ends_at = time.monotonic() + 30
    while not notes.exists():
        assert time.monotonic() < ends_at
        time.sleep(0.01)
    return [int(number) for number in notes.read_text().split()]


def test_structured_content_is_the_output(server: Server) -> None:
    assert calling(server, "add", first=2, second=40) == {"sum": 42}


@pytest.mark.parametrize("status", [307, 308])
def test_a_call_that_may_be_made_once_is_not_sent_after_a_redirect(
    status: int, http_server: Server, tmp_path: Path
) -> None:
    """What the first request did is not known, whatever the redirect says."""
    address = str(http_server["url"]).replace("/mcp", f"/moved/{status}")
    notes = tmp_path / "notes"

    error = failing({"url": address}, "counts", notes=str(notes))

    assert (error.error_class, error.status, error.outcome_known) == ("tool_status", status, True)
    assert "redirected" in error.message
    assert not notes.exists()


def test_a_call_that_may_be_repeated_follows_a_redirect(http_server: Server, tmp_path: Path) -> None:
    address = str(http_server["url"]).replace("/mcp", "/moved/307")
    notes = str(tmp_path / "notes")

    assert calling({"url": address}, "counts", effect="idempotent", notes=notes) == {"calls": 1}


def test_texts_are_joined_and_other_content_comes_as_it_is(server: Server) -> None:
    assert calling(server, "words") == {"text": "one\ntwo"}
    assert calling(server, "picture") == {
        "content": [
            {"type": "text", "text": "look"},
            {"type": "image", "data": "AAAA", "mimeType": "image/png"},
        ]
    }


def test_a_server_of_the_era_of_the_handshake_is_understood() -> None:
    assert calling(OLD, "add", first=2, second=40) == {"text": "42"}
    assert calling(OLD, "mumbles") == {"text": "1"}


def test_a_number_that_json_cannot_hold_is_not_made_null() -> None:
    error = failing(OLD, "overflows")

    assert (error.error_class, error.outcome_known) == ("malformed_body", True)


def test_a_call_says_which_one_it_is(server: Server) -> None:
    ties = {"Idempotency-Key": KEY, "X-Interlock-Run": "r_1", "X-Interlock-Step": "score[17]/judge"}

    heard = calling(server, "told")

    assert ties.items() <= heard["meta"].items()
    if "url" in server:
        assert {name.lower(): text for name, text in ties.items()}.items() <= heard["headers"].items()


def test_headers_and_credential_are_sent_and_the_credential_does_not_come_back(http_server: Server) -> None:
    heard = calling(
        {**http_server, "headers": {"X-Team": "{{ team }}"}}, "told", credential="sesame-open", team="blue"
    )

    assert heard["headers"]["x-team"] == "blue"
    assert heard["headers"]["authorization"] == "Bearer [redacted]"


def test_a_tool_that_fails_is_known_and_says_why_within_a_bound(server: Server) -> None:
    error = failing(server, "fails", order="A-17")

    assert (error.error_class, error.outcome_known) == ("tool_error", True)
    assert "there is no order A-17" in error.message
    assert len(error.message) < results.MAX_MESSAGE + 200


def test_a_tool_that_is_not_there_is_not_called_and_the_others_are_named(server: Server) -> None:
    sending = Sending()

    error = failing(server, "remove", sending=sending)

    assert (error.error_class, error.outcome_known, sending.times) == ("unknown_tool", True, [])
    assert "it has add, counts, dies" in error.message


def test_arguments_that_the_server_refuses_are_a_known_failure(server: Server) -> None:
    error = failing(server, "add", first="many")

    assert (error.error_class, error.outcome_known) == ("tool_error", True)


def test_a_reply_of_50_mb_is_given_up(server: Server) -> None:
    error = failing(server, "large", size=50 * 1024 * 1024)

    assert (error.error_class, error.outcome_known) == ("too_large", True)
    assert "larger than 4 MB" in error.message
    assert calling(server, "add", first=1) == {"sum": 1}


@pytest.mark.parametrize("transport", ["http", "stdio"])
def test_a_call_that_hangs_is_stopped_and_its_outcome_unknown(
    transport: str, http_server: Server, tmp_path: Path
) -> None:
    server, notes = http_server if transport == "http" else OLD, tmp_path / "notes"
    calling(server, "add", first=1)  # so that a child is there
    began = time.monotonic()

    error = failing(server, "hangs", notes=str(notes), deadline_s=6)

    assert (error.error_class, error.outcome_known) == ("timeout", False)
    assert time.monotonic() - began < 8
    if transport == "stdio":
        assert all(gone(pid) for pid in noted(notes))


def test_a_call_that_is_not_wanted_any_more_is_stopped(tmp_path: Path) -> None:
    notes = tmp_path / "notes"

    error = failing(OLD, "hangs", notes=str(notes), cancelled=notes.exists)

    assert (error.error_class, error.outcome_known) == ("cancelled", False)
    assert all(gone(pid) for pid in noted(notes))


def test_a_server_that_dies_in_the_call_leaves_its_outcome_unknown(tmp_path: Path) -> None:
    with serving() as address:
        over_http = failing({"url": address}, "dies", notes=str(tmp_path / "http"))
    over_stdio = failing(OLD, "dies", notes=str(tmp_path / "stdio"))

    for error in (over_http, over_stdio):
        assert (error.error_class, error.outcome_known) == ("connection_lost", False), error.message


def test_a_child_that_dies_in_the_call_leaves_no_server_behind(tmp_path: Path) -> None:
    call.POOL.close()
    notes = tmp_path / "notes"

    def kill() -> None:
        noted(notes)
        call.POOL.close()

    thread = threading.Thread(target=kill)
    thread.start()

    error = failing(OLD, "hangs", notes=str(notes))

    thread.join()
    assert (error.error_class, error.outcome_known) == ("tool_crashed", False)
    assert all(gone(pid) for pid in noted(notes))


def test_servers_die_with_the_worker_that_is_killed(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    script = f"""
        from tests.tools.mcp_calls import calling
        calling({{"command": "old"}}, "hangs", notes={str(notes)!r})
    """
    worker = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)])
    left = noted(notes)

    worker.kill()
    worker.wait()

    assert all(gone(pid) for pid in left)


def test_the_call_is_marked_once_after_the_tool_was_found(server: Server) -> None:
    sending = Sending()

    calling(server, "add", first=1, sending=sending)

    assert len(sending.times) == 1


def test_nothing_is_called_without_the_lease(server: Server, tmp_path: Path) -> None:
    with pytest.raises(LeaseLost):
        calling(server, "counts", notes=str(tmp_path / "notes"), sending=Sending(False))

    assert not (tmp_path / "notes").exists()


def test_a_server_sees_little_of_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_API_KEY", "sesame")
    call.POOL.close()

    names = calling(STDIO, "environment")["names"]

    assert "PATH" in names
    assert not [name for name in names if name.startswith("INTERLOCK_") or name == "SHOP_API_KEY"]


def test_a_command_that_the_settings_do_not_have_is_not_allowed() -> None:
    error = failing({"command": "files"}, "add")

    assert error.error_class == "not_allowed"
    assert "INTERLOCK_MCP_COMMANDS" in error.message


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["no-such-program"], "there is no program no-such-program"),
        ([sys.executable, "-c", "raise SystemExit('no licence found')"], "it says: no licence found"),
        ([sys.executable, "-c", "print('hello')"], "no tool was called"),
    ],
)
def test_a_server_that_does_not_start_is_told(command: list[str], message: str) -> None:
    error = failing({"command": "broken"}, "add", commands={"broken": command})

    assert (error.error_class, error.outcome_known) == ("connect", True)
    assert message in error.message


def test_a_server_that_says_nothing_is_given_up_before_the_call() -> None:
    silent = [sys.executable, "-c", "import time; time.sleep(600)"]

    error = failing({"command": "silent"}, "add", commands={"silent": silent}, deadline_s=8)

    assert (error.error_class, error.outcome_known) == ("timeout", True)


def test_a_server_that_floods_us_is_given_up() -> None:
    flood = [sys.executable, "-c", "import sys\nwhile True: sys.stdout.write('x' * 65536)"]

    before = failing({"command": "flood"}, "add", commands={"flood": flood})
    during = failing(OLD, "floods")

    assert (before.error_class, before.outcome_known) == ("protocol_error", True)
    assert (during.error_class, during.outcome_known) == ("too_large", True)
    assert "larger than 4 MB" in before.message


def test_a_server_that_ends_while_the_call_is_marked_was_not_called() -> None:
    """The child is good for the next call: both sides have kept to their turns."""
    script = """
        from tests import mcp_old_server as old

        def last_words(number, **what):
            say(number, **what)
            if "tools" in what.get("result", {}):
                old.floods(0)

        old.TOOLS, old.say, say = ("add",), last_words, old.say
        old.main()
    """
    flood = [sys.executable, "-c", textwrap.dedent(script)]

    error = failing(
        {"command": "flood"},
        "add",
        commands={"flood": flood},
        sending=Sending(takes_s=1),
    )

    assert (error.error_class, error.outcome_known) == ("protocol_error", True)
    assert calling(OLD, "add", first=1) == {"text": "1"}


def test_nobody_else_needs_the_sdk() -> None:
    script = """
        import sys
        import workflows.tools.mcp.call
        print(sorted({"django", "celery", "mcp", "mcp_types"} & set(sys.modules)))
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]

    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "[]"
