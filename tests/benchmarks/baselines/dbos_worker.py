"""Baseline: a DBOS Transact worker process that serves one queue. Run as a program: URL and polling interval in s."""

from __future__ import annotations

import sys
import threading
import time

from dbos import DBOS

QUEUE = "bench"
url, polling_s = sys.argv[1], float(sys.argv[2])
DBOS(config={"name": "bench", "system_database_url": url, "log_level": "ERROR", "application_version": "1"})


@DBOS.step()
def add(value: int) -> dict[str, int]:
    return {"v": value + 1}


@DBOS.workflow()
def five(start: int) -> int:
    a = add(start)
    b = add(a["v"])
    c = add(b["v"])
    d = add(c["v"])
    return add(d["v"])["v"]


@DBOS.step()
def clock(sent_at: float) -> float:
    return time.time() - sent_at


@DBOS.workflow()
def late(sent_at: float) -> float:
    return clock(sent_at)


if __name__ == "__main__":
    DBOS.launch()
    DBOS.register_queue(QUEUE, polling_interval_sec=polling_s, on_conflict="always_update")
    print("ready", flush=True)
    threading.Event().wait()
