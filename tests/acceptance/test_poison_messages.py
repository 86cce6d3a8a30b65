"""Whatever lies in the broker's queue, a worker goes on: it is a doorbell, and anybody may lean on it."""

from __future__ import annotations

import redis
from django.conf import settings

from tests.chaos.brokers import GARBAGE, QUEUE
from tests.engine import deploy, output, start
from tests.workers import Workers, until
from workflows.models import Run


def test_messages_that_are_none_do_not_end_a_worker(worker: Workers) -> None:
    survivor = worker.start()
    with redis.Redis.from_url(settings.BROKER_URL) as broker:
        for message in GARBAGE:
            broker.rpush(QUEUE, message)
        until(lambda: broker.llen(QUEUE) == 0, what="everything was taken")
    run = start(deploy("name: plain\nsteps:\n  - {id: a, set: {v: 1}}\noutput: '{{ steps.a.output.v }}'\n"))
    until(lambda: Run.objects.get(pk=run.pk).state == "succeeded", what="the run ended")
    assert output(run) == 1
    assert survivor.alive, survivor.log[-2000:]
    assert survivor.log.count("message_unreadable") >= 3
