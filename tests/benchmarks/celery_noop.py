"""The Celery baseline, driven from here: tasks that do nothing, on the same Valkey, in a worker of their own."""

from __future__ import annotations

import os
import time
from types import TracebackType
from typing import Self

import redis
from celery import Celery

from tests.benchmarks import frame
from tests.benchmarks.frame import Stand
from tests.workers import Worker

QUEUE = "baseline"


class Noop:
    """Context manager: send tasks and wait for them."""

    def __init__(self, stand: Stand) -> None:
        self.worker: Worker = stand.start_baseline("celery_noop")
        url = os.environ["BROKER_URL"]
        self.app = Celery("baseline", broker=url, set_as_current=False)
        self.app.conf.task_default_queue = QUEUE
        self.valkey = redis.Redis.from_url(url)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | TracebackType | BaseException | None) -> None:
        frame.stop_all(self.worker)
        self.valkey.close()
        self.app.close()

    def send(self) -> None:
        self.app.send_task("baseline.noop", ignore_result=True)

    def done(self) -> bool:
        return self.valkey.llen(QUEUE) == 0 and self.valkey.hlen("unacked") == 0

    def way_ms(self) -> float:
        """Send one task to the idle worker; return the milliseconds until it ran."""
        self.app.send_task("baseline.late", args=[time.time()], ignore_result=True)
        found = self.valkey.blpop(["baseline-latency"], timeout=10)
        if found is None:
            raise RuntimeError("The baseline's worker did not answer within 10 s.")
        return float(found[1]) * 1000  # type: ignore[index, unused-ignore]
