"""Calls of Python functions in real child processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from workflows.tools import children, python
from workflows.tools.errors import LeaseLost, ToolError
from workflows.tools.waiting import Patience

HERE = "tests.tools.functions"


@pytest.fixture(scope="module", autouse=True)
def _children() -> Iterator[None]:
    yield
    children.POOL.close()


def run(function: str, **input: Any) -> Any:
    return python.run_python(f"{HERE}:{function}", input, deadline_s=20, allowed=[f"{HERE}:*"])


def failing(
    function: str,
    *,
    deadline_s: float = 20,
    cancelled: Callable[[], bool] = lambda: False,
    **input: Any,
) -> ToolError:
    with pytest.raises(ToolError) as caught:
        python.run_python(
            f"{HERE}:{function}",
            input,
            deadline_s=deadline_s,
            cancelled=cancelled,
            allowed=[f"{HERE}:*"],
        )
    return caught.value


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def gone(pid: int, *, within_s: float = 5) -> bool:
    ends_at = time.monotonic() + within_s
    while is_alive(pid) and time.monotonic() < ends_at:
        time.sleep(0.01)
    return not is_alive(pid)


def started(pid_file: Path) -> int:
    """The process of a call of `sleeps`, once it is in it."""
    ends_at = time.monotonic() + 10
    while not (pid_file.exists() and pid_file.read_text()):
        assert time.monotonic() < ends_at
        time.sleep(0.01)
    return int(pid_file.read_text())


def test_a_function_gets_the_input_as_keywords_and_its_result_comes_back() -> None:
    assert run("add", first=2, second=40) == {"sum": 42}
    assert run("add", first=2) == {"sum": 2}


def test_any_json_goes_there_and_back() -> None:
    value = {"a": [1, 2.5, None, True, "é\n\0\ud800"], "b": {"c": "x" * 300_000}}

    assert run("echo", **value) == value


def test_a_child_is_another_process_and_used_again() -> None:
    assert run("process") == run("process") != os.getpid()


def test_a_child_has_neither_django_nor_our_secrets() -> None:
    assert "django" not in run("modules")
    assert not [name for name in run("environment") if name.startswith(("INTERLOCK_", "DATABASE_URL"))]


def test_what_a_function_prints_does_not_reach_the_protocol() -> None:
    assert run("noisy") == "heard"


@pytest.mark.parametrize(
    ("function", "input", "message"),
    [
        ("fails", {}, "LookupError: no such order"),
        ("leaves", {}, "SystemExit: 3"),
        ("missing", {}, "AttributeError"),
        ("add", {}, "TypeError"),
        ("unprintable", {}, "not JSON"),
        ("not_a_number", {}, "not JSON"),
        ("endless", {}, "not JSON"),
    ],
)
def test_a_function_that_fails_is_known_and_shows_no_traceback(
    function: str, input: dict[str, Any], message: str
) -> None:
    error = failing(function, **input)

    assert (error.error_class, error.outcome_known) == ("tool_error", True)
    assert message in error.message
    assert "Traceback" not in error.message
    assert run("add", first=1) == {"sum": 1}


def test_a_module_that_is_missing_is_a_known_error() -> None:
    with pytest.raises(ToolError, match="ModuleNotFoundError") as caught:
        python.run_python("no.such.module:f", {}, deadline_s=20, allowed=["*"])

    assert caught.value.outcome_known


def test_a_result_that_is_too_large_is_a_known_error() -> None:
    error = failing("large", size=python.MAX_OUTPUT + 1)

    assert (error.error_class, error.outcome_known) == ("too_large", True)


@pytest.mark.parametrize(
    ("entry", "patterns"),
    [
        ("os:system", ["shop.tools:*"]),
        ("os:system", []),
        ("shop.tools.secret:f", ["shop.tools:*"]),
        ("shop.tools:f", ["shop.tools:refund"]),
        ("Shop.tools:f", ["shop.tools:f"]),
        ("shop.tools", ["*"]),
        ("shop.tools:a.b", ["*"]),
        ("shop.tools:a:b", ["*"]),
        ("../evil:f", ["*"]),
        ("", ["*"]),
        ("shop.tools:f\n", ["*"]),
    ],
)
def test_only_what_the_settings_allow_is_called(entry: str, patterns: list[str]) -> None:
    with pytest.raises(ToolError) as caught:
        python.run_python(entry, {}, deadline_s=1, allowed=patterns)

    assert (caught.value.error_class, caught.value.outcome_known) == ("not_allowed", True)
    assert "INTERLOCK_TOOL_PYTHON" in caught.value.message


def test_input_that_is_not_json_is_refused() -> None:
    assert failing("echo", x={1, 2}).error_class == "invalid_request"


def test_a_call_that_takes_too_long_is_stopped_and_unknown(tmp_path: Path) -> None:
    run("add", first=1)
    pid_file = tmp_path / "pid"

    error = failing("sleeps", deadline_s=0.5, seconds=60, pid_file=str(pid_file))

    assert (error.error_class, error.outcome_known) == ("timeout", False)
    assert gone(started(pid_file))
    assert run("add", first=1) == {"sum": 1}


def test_a_call_that_is_cancelled_is_stopped(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"

    error = failing("sleeps", cancelled=pid_file.exists, seconds=60, pid_file=str(pid_file))

    assert (error.error_class, error.outcome_known) == ("cancelled", False)
    assert gone(started(pid_file))


def test_a_child_that_dies_in_a_call_leaves_it_unknown() -> None:
    error = failing("dies")

    assert (error.error_class, error.outcome_known) == ("tool_crashed", False)
    assert "signal 9" in error.message


def test_a_child_that_died_between_calls_is_replaced() -> None:
    pid = run("process")
    os.kill(pid, signal.SIGKILL)
    assert gone(pid)

    assert run("process") != pid


def test_the_mark_is_set_before_the_child_hears_of_the_call(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    seen: list[bool] = []

    def sending() -> bool:
        time.sleep(0.1)
        seen.append(pid_file.exists())
        return True

    input = {"seconds": 0, "pid_file": str(pid_file)}
    python.run_python(f"{HERE}:sleeps", input, deadline_s=20, allowed=["*"], sending=sending)

    assert seen == [False]
    assert pid_file.exists()


def test_nothing_is_called_when_the_lease_is_lost(tmp_path: Path) -> None:
    input = {"seconds": 0, "pid_file": str(tmp_path / "pid")}

    with pytest.raises(LeaseLost):
        python.run_python(f"{HERE}:sleeps", input, deadline_s=20, allowed=["*"], sending=lambda: False)

    assert run("add", first=1) == {"sum": 1}
    assert not (tmp_path / "pid").exists()


def test_time_that_the_mark_uses_up_leaves_nothing_called(tmp_path: Path) -> None:
    run("add", first=1)

    def sending() -> bool:
        time.sleep(0.3)
        return True

    input = {"seconds": 0, "pid_file": str(tmp_path / "pid")}
    with pytest.raises(ToolError) as caught:
        python.run_python(f"{HERE}:sleeps", input, deadline_s=0.2, allowed=["*"], sending=sending)

    assert (caught.value.error_class, caught.value.outcome_known) == ("timeout", True)
    assert not (tmp_path / "pid").exists()


def test_a_child_is_recycled_after_a_number_of_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    pid = run("process")
    monkeypatch.setattr(children, "CALLS_PER_CHILD", 1)

    assert run("process") == pid
    assert gone(pid)


def test_calls_wait_for_a_free_child_but_not_past_their_deadline(tmp_path: Path) -> None:
    pool = children.Pool(size=1)
    child = pool.take(Patience.within(20))

    with pytest.raises(Exception, match="timeout"):
        pool.take(Patience.within(0.1))
    threading.Timer(0.1, pool.give_back, (child,)).start()
    assert pool.take(Patience.within(20)) is child

    pool.close()
    assert gone(child.process.pid)


def test_many_threads_share_a_few_children() -> None:
    with ThreadPoolExecutor(32) as threads:
        sums = list(threads.map(lambda number: run("add", first=number)["sum"], range(1000)))
        processes = set(threads.map(lambda _: run("process"), range(100)))

    assert sums == list(range(1000))
    assert len(processes) <= children.CHILDREN + 1  # one may have been recycled meanwhile


def test_a_closed_pool_begins_anew() -> None:
    pid = run("process")

    children.POOL.close()

    assert gone(pid)
    assert run("process") != pid


def test_a_fork_has_children_of_its_own() -> None:
    ours = run("process")
    reader, writer = os.pipe()
    fork = os.fork()
    if fork == 0:
        os.write(writer, str(run("process")).encode())
        os._exit(0)
    os.close(writer)
    theirs = int(os.read(reader, 100))
    os.close(reader)
    os.waitpid(fork, 0)

    assert theirs != ours
    assert gone(theirs)
    assert run("process") == ours


def test_children_outlive_the_thread_that_called(tmp_path: Path) -> None:
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(run("process")))
    thread.start()
    thread.join()
    time.sleep(0.1)

    assert is_alive(found[0])


def test_children_die_with_their_parent_also_in_the_middle_of_a_call(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    script = f"""
        from workflows.tools.python import run_python
        input = {{"seconds": 60, "pid_file": {str(pid_file)!r}}}
        run_python("{HERE}:sleeps", input, deadline_s=60, allowed=["*"])
    """
    parent = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)])
    pid = started(pid_file)

    parent.kill()
    parent.wait()

    assert gone(pid)


def test_this_package_needs_neither_django_nor_celery() -> None:
    script = """
        import sys
        import workflows.tools.config, workflows.tools.http, workflows.tools.keys, workflows.tools.python
        print(sorted({"django", "celery", "structlog"} & set(sys.modules)))
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]

    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "[]"
