"""Fixtures for every test, the order of the tiers, and what a run says at its end.

The servers themselves: tests/servers.py.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from django.db import connection
from pytest_django import DjangoDbBlocker

from tests import chromium, connections, emptying, namespaces, rabbitmq
from tests.servers import SERVERS, Servers
from tests.web_server import WebServer
from tests.workers import Workers

# How long an example takes is no property of the code: the machine may be busy.
hypothesis.settings.register_profile("tests", deadline=None)
hypothesis.settings.load_profile("tests")
_ROOT = Path(__file__).parent
# Fast ones first.
_TIERS = ("unit", "tools", "db", "web", "acceptance", "browser")
_NO_BROWSER = "no Chromium on this machine"
# What a test may need of the machine (`@pytest.mark.needs("rabbitmq")`), and how to see whether it is there.
_NEEDS = {"rabbitmq": rabbitmq.is_installed, "namespaces": namespaces.allowed}
_left_out: Counter[str] = Counter()
_seconds: dict[str, float] = {}
_counts: dict[str, int] = {}


@pytest.fixture(scope="session")
def servers() -> Servers:
    """The session's Postgres and Valkey, to be killed and started again by tests of faults."""
    return SERVERS


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """The test database; after a test that commits those tables are emptied that it wrote to."""
    with pytest.MonkeyPatch.context() as patch:
        emptying.instead_of_flushing(patch)
        yield
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        # A thread that is slow to end may hold a connection still, and the database could not be dropped.
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


@pytest.fixture(autouse=True)
def _open_runs_are_counted_anew() -> None:
    """A process remembers for a second how many runs are open: the ones of another test are none of this one's."""
    from workflows import admission  # noqa: PLC0415  once Django is set up

    admission.forget()


@pytest.fixture
def worker(transactional_db: None, tmp_path: Path) -> Iterator[Workers]:
    """A factory of real workers on the test database: `worker.start()`, `worker.start(threads=2).kill()`.

    The queue is empty at first: a bell that another test left would wake a worker with nothing to do.
    """
    SERVERS.flush_valkey()
    workers = Workers(tmp_path)
    yield workers
    workers.stop_all()


def tier(path: Path) -> str:
    """Name the tier of a test by its folder."""
    return path.relative_to(_ROOT).parts[0] if path.is_relative_to(_ROOT) else ""


@pytest.fixture
def web(transactional_db: None, tmp_path: Path) -> Iterator[WebServer]:
    """A real web process on the test database; uploads up to 8 MB."""
    server = WebServer(tmp_path, {"INTERLOCK_UPLOAD_MAX_MB": "8"})
    yield server
    server.stop()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    _leave_out(config, items)
    items.sort(key=_turn)
    for item in items:
        if tier(item.path) == "unit" and item.get_closest_marker("django_db"):
            raise pytest.UsageError(f"{item.nodeid} asks for the database: move it to tests/db.")
        if tier(item.path) == "browser" and not chromium.find():
            item.add_marker(pytest.mark.skip(reason=_NO_BROWSER))


def _turn(item: pytest.Item) -> tuple[int, float]:
    """Say when a test has its turn: by tier; within it first what is given the longest, so that no core ends alone."""
    name = tier(item.path)
    timeout = item.get_closest_marker("timeout")
    return _TIERS.index(name) if name in _TIERS else len(_TIERS), -timeout.args[0] if timeout else 0


def _leave_out(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out tests that need what the machine has not; the end of the run says so."""
    there: dict[str, bool] = {}
    kept, out = [], []
    for item in items:
        marker = item.get_closest_marker("needs")
        need = marker.args[0] if marker else None
        if need is not None and not there.setdefault(need, _NEEDS[need]()):
            _left_out[need] += 1
            out.append(item)
        else:
            kept.append(item)
    if out:
        config.hook.pytest_deselected(items=out)
        items[:] = kept


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown() -> None:
    """A test that leaves a server dead or its connection broken spoils none after it, nor what empties the tables."""
    mended = SERVERS.mend()
    broken = connection.connection is not None and connection.connection.closed
    if mended or broken:
        connections.drop()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    name = tier(Path(_ROOT.parent, report.location[0]))
    _seconds[name] = _seconds.get(name, 0) + report.duration
    _counts[name] = _counts.get(name, 0) + (report.when == "call")


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """With CI=true, a test that is skipped is one that fails."""
    if _in_ci() and _skipped(session.config) and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    terminalreporter.section("tiers")
    for name in _TIERS:
        if name in _counts:
            terminalreporter.line(f"{name:<12} {_counts[name]:>5} tests  {_seconds[name]:7.1f} s")
    for need, count in _left_out.items():
        terminalreporter.line(f"LEFT OUT: {count} tests, which need {need}.", yellow=True, bold=True)
    skipped = _skipped(config)
    if skipped:
        said = "and CI=true makes that a failure" if _in_ci() else "so nothing is known of what they test"
        terminalreporter.line(f"NOT RUN: {skipped} tests were skipped, {said}.", red=True, bold=True)


def _in_ci() -> bool:
    return os.environ.get("CI", "").lower() in {"1", "true"}


def _skipped(config: pytest.Config) -> int:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    return len(reporter.stats.get("skipped", [])) if reporter else 0
