"""Starts runs without a pause, through every outage, and remembers what was accepted."""

from __future__ import annotations

import contextlib
import random
import threading
from dataclasses import dataclass
from typing import Final

from django.db import InterfaceError, OperationalError, connection

from tests.chaos import documents
from tests.chaos.order import Order
from tests.engine import OPERATOR
from tests.witness import Witness
from workflows import database, runs

OPEN_AT_ONCE: Final = 80
# What a client sees while the database is away: it cannot know whether its request was accepted.
AWAY: Final = (*database.AWAY, OperationalError, InterfaceError)


@dataclass(frozen=True)
class Accepted:
    run: str
    order: Order


class Load(threading.Thread):
    """One client that repeats a doubtful request under the same idempotency key until it has an answer."""

    def __init__(self, witness: Witness, *, seed: int) -> None:
        super().__init__(name="load", daemon=True)
        self.witness = witness
        self.chance = random.Random(seed)
        self.ending = threading.Event()
        self.accepted: list[Accepted] = []
        self.repeated_requests = 0
        self.failure: Exception | None = None

    def run(self) -> None:
        number = 0
        try:
            while not self.ending.is_set():
                if self._crowded():
                    self.ending.wait(0.1)
                    continue
                number += 1
                self._start(number)
        except Exception as error:
            self.failure = error
        finally:
            connection.close()

    def finish(self) -> None:
        """Stop; raises what the client met that no client should meet."""
        self.ending.set()
        self.join(60)
        if self.failure is not None:
            raise self.failure

    def _crowded(self) -> bool:
        try:
            rows = database.fetch_all("SELECT count(*) FROM workflows_run WHERE ended_at IS NULL", [])
            return int(rows[0][0]) >= OPEN_AT_ONCE
        except AWAY:
            self._hang_up()
            return True

    def _start(self, number: int) -> None:
        order = documents.order(number, self.chance, self.witness)
        asked = runs.Order(workflow=order.workflow, input=order.input)
        while True:
            try:
                started = runs.start(asked, actor=OPERATOR, trigger="api", idempotency_key=f"chaos {number}")
            except AWAY:
                self.repeated_requests += 1
                self._hang_up()
                self.ending.wait(0.2)
            else:
                self.accepted.append(Accepted(started.run.pk, order))
                return

    def _hang_up(self) -> None:
        with contextlib.suppress(*AWAY):
            connection.close()
