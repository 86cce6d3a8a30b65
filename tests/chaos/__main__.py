"""`python -m tests.chaos --seconds N`: the whole of it, on servers of its own. Ends with 1 if anything was wrong."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings

from tests import standalone
from tests.chaos import performance
from tests.chaos.brokers import Broker, Rabbit, Valkey
from tests.rabbitmq import RabbitMq
from tests.servers import Servers
from tests.workers import Workers


def main() -> int:
    parser = argparse.ArgumentParser(description="Break Interlock at random, and see what is left.")
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--pace", type=float, default=1.0, help="seconds between faults, on average")
    parser.add_argument("--broker", choices=("valkey", "rabbitmq"), default="valkey")
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="interlock-chaos-") as folder,
        standalone.serving() as servers,
        _serving_as(given.broker, servers) as broker,
    ):
        workers = Workers(Path(folder))
        try:
            report = performance.perform(
                servers, workers, seconds=given.seconds, seed=given.seed, broker=broker, pace_s=given.pace
            )
        finally:
            workers.stop_all()
    sys.stdout.write(report.as_text() + "\n")
    return 1 if report.wrong() else 0


@contextmanager
def _serving_as(name: str, servers: Servers) -> Iterator[Broker]:
    """Run the broker that was asked for. Nobody has rung yet: Celery has not read the settings."""
    if name == "valkey":
        yield Valkey(servers)
        return
    node = RabbitMq()
    try:
        node.start()
        settings.BROKER_URL = node.url
        yield Rabbit(node)
    finally:
        node.stop()


if __name__ == "__main__":
    sys.exit(main())
