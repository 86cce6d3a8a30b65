"""Fixtures for every test. The servers themselves: tests/servers.py."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import SERVERS, Servers
from tests.workers import Workers

_UNIT = Path(__file__).parent / "unit"


@pytest.fixture(scope="session")
def servers() -> Servers:
    """The session's Postgres and Valkey, to be killed and started again by tests of faults."""
    return SERVERS


@pytest.fixture
def worker(transactional_db: None, tmp_path: Path) -> Iterator[Workers]:
    """A factory of real workers on the test database: `worker.start()`, `worker.start(threads=2).kill()`."""
    workers = Workers(tmp_path)
    yield workers
    workers.stop_all()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Unit tests have no server: a database mark there is a mistake."""
    for item in items:
        if _UNIT in item.path.parents and item.get_closest_marker("django_db"):
            raise pytest.UsageError(f"{item.nodeid} asks for the database: move it to tests/db.")
