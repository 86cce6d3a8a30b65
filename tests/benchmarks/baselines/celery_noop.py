"""Baseline: a raw Celery worker with the options of ours, whose tasks do nothing. Run as a program."""

from __future__ import annotations

import os
import time

import redis
from celery import Celery
from celery.signals import worker_ready

URL = os.environ["BROKER_URL"]
app = Celery("baseline", broker=URL)
app.conf.update(
    task_default_queue="baseline",
    task_ignore_result=True,
    task_serializer="json",
    accept_content=["json"],
    worker_prefetch_multiplier=1,
    worker_enable_remote_control=False,
    worker_send_task_events=False,
)
client = redis.Redis.from_url(URL)


@app.task(name="baseline.noop", ignore_result=True)
def noop() -> None:
    """Do nothing."""


@app.task(name="baseline.late", ignore_result=True)
def late(sent_at: float) -> None:
    """Note how long the way took."""
    took = time.time() - sent_at
    client.rpush("baseline-latency", took)


@worker_ready.connect
def say(**_: object) -> None:
    print("ready", flush=True)


if __name__ == "__main__":
    app.Worker(
        pool="threads",
        concurrency=32,
        loglevel="ERROR",
        quiet=True,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    ).start()
