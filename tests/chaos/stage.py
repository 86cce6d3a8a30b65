"""The workers on stage and the faults that hit them, the broker and the database.

Every process is started by the main thread: the kernel ties a child's life to the thread that made it.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import psutil

from console.embedded import EmbeddedServerError
from tests.chaos.brokers import Broker
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
WANTED: Final = 2
SKEW: Final = Path(__file__).parent / "skew"


class Stage:
    """Keeps so many workers alive, as a supervisor would, and lets things happen to them."""

    def __init__(self, servers: Servers, broker: Broker, workers: Workers, *, chance: random.Random) -> None:
        self.servers, self.broker, self.workers, self.chance = servers, broker, workers, chance
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
        while len(self.alive) < WANTED:
            self._start(env)

    def _start(self, env: Mapping[str, str] | None = None) -> None:
        env = {**ENV, "BROKER_URL": self.broker.url, **(env or {})}
        self.alive.append(self.workers.start(threads=THREADS, env=env, wait=False))

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
        if "postgres" not in self.servers.processes:
            _patiently(self.servers.start_postgres)
        if not self.broker.is_up():
            _patiently(self.broker.start)
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

    def drop_messages(self) -> None:
        self.broker.drop(self.chance.randint(1, 20))

    def double_messages(self) -> None:
        self.broker.double()

    def reorder_messages(self) -> None:
        self.broker.reorder()

    def poison_message(self) -> None:
        """Put something into the queue that no sender of ours would."""
        self.broker.poison(self.chance)

    # Servers

    def flush_broker(self) -> None:
        self.broker.flush()

    def kill_broker(self) -> None:
        self.broker.kill()
        time.sleep(self.chance.uniform(0, 3))
        _patiently(self.broker.start)

    def kill_database(self) -> None:
        self.servers.kill("postgres")
        time.sleep(self.chance.uniform(0, 3))
        _patiently(self.servers.start_postgres)


def _patiently(start: Callable[[], None]) -> None:
    for pause_s in (0.5, 1.0, 2.0, 4.0, 8.0):  # what was killed may still be letting go of its files
        with contextlib.suppress(EmbeddedServerError):
            return start()
        time.sleep(pause_s)
    return start()
