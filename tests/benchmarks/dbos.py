"""The DBOS baseline, driven from here: a client, a worker process, a database of its own in the same cluster."""

from __future__ import annotations

import os
from types import TracebackType
from typing import Any, Self

import psycopg
from dbos import DBOSClient

from tests.benchmarks import frame
from tests.benchmarks.frame import Stand
from tests.workers import Worker


class Dbos:
    """Context manager: `enqueue` workflows and wait for them."""

    def __init__(self, stand: Stand, *, polling_s: float = 0.02) -> None:
        self.name = f"dbos_{os.urandom(3).hex()}"
        self.url = stand.database(self.name)
        self.worker: Worker = stand.start_baseline("dbos_worker", self.url, str(polling_s))
        self.client = DBOSClient(system_database_url=self.url)
        self.connection = psycopg.connect(self.url, autocommit=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | TracebackType | BaseException | None) -> None:
        self.connection.close()
        self.client.destroy()
        frame.stop_all(self.worker)

    def enqueue(self, workflow: str, *arguments: Any) -> Any:
        return self.client.enqueue({"queue_name": "bench", "workflow_name": workflow}, *arguments)

    def done(self) -> bool:
        row = self.connection.execute(
            "SELECT count(*) FROM dbos.workflow_status WHERE status IN ('ENQUEUED', 'PENDING')"
        ).fetchone()
        assert row is not None
        return bool(row[0] == 0)
