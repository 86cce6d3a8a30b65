"""The workers on stage and the faults that hit them, the broker and the database.

Every process is started by the main thread: the kernel ties a child's life to the thread that made it.
"""

from __future__ import annotations

import contextlib
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import psutil
import redis
from django.conf import settings

from console.embedded import EmbeddedServerError
from tests.servers import Servers
from tests.workers import Worker, Workers
from workflows.engine import faults as engine_faults

LEASE_S: Final = 3.0
ENV: Final = {
    "INTERLOCK_LEASE": str(LEASE_S),
    "INTERLOCK_HEARTBEAT": "0.7",
    "INTERLOCK_TOOL_ALLOW": "127.0.0.1",
    "INTERLOCK_TOOL_PYTHON": "tests.chaos.functions:*",
    "INTERLOCK_DRAIN_GRACE": "2",
}
THREADS: Final = 8
QUEUE: Final = "interlock"
SKEW: Final = Path(__file__).parent / "skew"
GARBAGE: Final = (
    b"",
    b"\x00\xff\xfe not a message",
    b"{",
    b"null",
    b"[]",
    b'{"body": 1}',
    b'{"body": "e30=", "properties": {}}',
    b'{"body": "e30=", "headers": {}, "properties": {"delivery_info": {}, "delivery_tag": "x"}}',
)


class Stage:
    """Keeps `wanted` workers alive, as a supervisor would, and lets things happen to them."""

    def __init__(self, servers: Servers, workers: Workers, *, chance: random.Random, wanted: int = 2) -> None:
        self.servers, self.workers, self.chance, self.wanted = servers, workers, chance, wanted
        self.alive: list[Worker] = []
        self.leaving: list[Worker] = []
        self.frozen: list[tuple[Worker, float]] = []
        self.counts: Counter[str] = Counter()
        self.bad_exits: list[str] = []
        self.faults: Mapping[Callable[[], None], int] = {
            self.kill_worker: 4,
            self.kill_child: 2,
            self.fault_point: 5,
            self.freeze: 3,
            self.deploy: 5,
            self.skew_clock: 1,
            self.drop_messages: 4,
            self.double_messages: 4,
            self.reorder_messages: 4,
            self.poison_message: 3,
            self.flush_broker: 2,
            self.kill_broker: 2,
            self.kill_database: 2,
        }

    def fill(self, env: Mapping[str, str] | None = None) -> None:
        """Replace what is gone, wake what froze long enough."""
        now = time.monotonic()
        for worker, until in list(self.frozen):
            if now >= until:
                self.frozen.remove((worker, until))
                worker.resume()
        self.leaving = [worker for worker in self.leaving if worker.alive]
        gone = [worker for worker in self.alive if not worker.alive]
        self.alive = [worker for worker in self.alive if worker.alive]
        for worker in gone:
            if worker.process.returncode != -9:
                self.bad_exits.append(f"{worker.process.returncode}: {worker.log[-1500:]}")
        while len(self.alive) < self.wanted:
            self._start(env)

    def _start(self, env: Mapping[str, str] | None = None) -> None:
        self.alive.append(self.workers.start(threads=THREADS, env={**ENV, **(env or {})}, wait=False))

    def strike(self) -> None:
        """Let one fault happen, at random."""
        (fault,) = self.chance.choices(list(self.faults), list(self.faults.values()))
        fault()
        self.counts[fault.__name__] += 1

    def settle(self) -> None:
        """No more faults: everything up again, workers without fault points."""
        for worker, _ in self.frozen:
            worker.resume()
        self.frozen.clear()
        for name in ("postgres", "valkey"):
            if name not in self.servers.processes:
                self._start_server(name)
        for worker in [*self.alive, *self.leaving]:
            worker.kill()
        self.alive.clear()
        self.fill()

    def _victim(self) -> Worker:
        frozen = [worker for worker, _ in self.frozen]
        return self.chance.choice([worker for worker in self.alive if worker not in frozen] or self.alive)

    # Workers

    def kill_worker(self) -> None:
        self._victim().kill()

    def kill_child(self) -> None:
        """Kill one child of a worker: a tool in its own process."""
        with contextlib.suppress(psutil.NoSuchProcess):
            children = psutil.Process(self._victim().pid).children(recursive=True)
            if children:
                self.chance.choice(children).kill()

    def fault_point(self) -> None:
        """Put a worker in a victim's place that dies by itself, at a point inside a step."""
        point = self.chance.choice((*sorted(engine_faults.POINTS), "before_act@pay", "after_act@pay"))
        victim = self._victim()
        victim.kill()
        self.alive.remove(victim)
        self._start({"INTERLOCK_FAULTS": f"{point}:kill:0.05"})

    def freeze(self) -> None:
        """Stop a worker for longer than its leases last, then let it go on."""
        victim = self._victim()
        if victim not in [worker for worker, _ in self.frozen]:
            victim.pause()
            self.frozen.append((victim, time.monotonic() + LEASE_S * self.chance.uniform(0.3, 2.5)))

    def deploy(self) -> None:
        """SIGTERM a worker, and start the next at once."""
        victim = self._victim()
        victim.process.terminate()
        self.alive.remove(victim)
        self.leaving.append(victim)
        self._start()

    def skew_clock(self) -> None:
        """Put a worker in a victim's place whose clock is an hour off."""
        victim = self._victim()
        victim.kill()
        self.alive.remove(victim)
        shift = self.chance.choice(("-3600", "3600"))
        self._start({"PYTHONPATH": str(SKEW), "CHAOS_SKEW_S": shift})

    # Messages

    def _broker(self) -> redis.Redis:
        return redis.Redis.from_url(settings.BROKER_URL, socket_timeout=5)

    def drop_messages(self) -> None:
        with contextlib.suppress(redis.RedisError), self._broker() as broker:
            broker.lpop(QUEUE, self.chance.randint(1, 20))

    def double_messages(self) -> None:
        with contextlib.suppress(redis.RedisError), self._broker() as broker:
            for message in broker.lrange(QUEUE, 0, 10):
                broker.rpush(QUEUE, message, message)

    def reorder_messages(self) -> None:
        with contextlib.suppress(redis.RedisError), self._broker() as broker:
            for _ in range(10):
                broker.lmove(QUEUE, QUEUE, "LEFT", "RIGHT")
                broker.lmove(QUEUE, QUEUE, "LEFT", "LEFT")

    def poison_message(self) -> None:
        """Put something into the queue that no sender of ours would."""
        with contextlib.suppress(redis.RedisError), self._broker() as broker:
            broker.rpush(QUEUE, self.chance.choice((*GARBAGE, *self._misshapen())))

    def _misshapen(self) -> list[bytes]:
        """Well-formed messages of Celery that make no sense: an unknown task, wrong arguments."""
        head = {"lang": "py", "id": "x", "root_id": "x", "parent_id": None, "group": None}
        properties = {
            "delivery_mode": 2,
            "delivery_tag": str(self.chance.random()),
            "delivery_info": {"exchange": "", "routing_key": QUEUE},
            "priority": 0,
            "body_encoding": "base64",
        }
        bodies = {"workflows.none": "W1tdLCB7fSwge31d", "workflows.ring": "WyJ4Il0="}
        return [
            json.dumps(
                {
                    "body": body,
                    "content-encoding": "utf-8",
                    "content-type": "application/json",
                    "headers": {**head, "task": task},
                    "properties": properties,
                }
            ).encode()
            for task, body in bodies.items()
        ]

    # Servers

    def flush_broker(self) -> None:
        with contextlib.suppress(redis.RedisError):
            self.servers.flush_valkey()

    def kill_broker(self) -> None:
        self._restart("valkey", away_s=self.chance.uniform(0, 3))

    def kill_database(self) -> None:
        self._restart("postgres", away_s=self.chance.uniform(0, 3))

    def _restart(self, name: str, *, away_s: float) -> None:
        self.servers.kill(name)
        time.sleep(away_s)
        self._start_server(name)

    def _start_server(self, name: str) -> None:
        start = self.servers.start_postgres if name == "postgres" else self.servers.start_valkey
        for pause_s in (0.5, 1.0, 2.0, 4.0):  # what was killed may still be letting go of its files
            with contextlib.suppress(EmbeddedServerError):
                return start()
            time.sleep(pause_s)
        return start()
