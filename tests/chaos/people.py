"""The people of the installation: they decide, signal, pause, resume and cancel, through every outage."""

from __future__ import annotations

import contextlib
import random
import threading
from collections import Counter
from collections.abc import Callable
from typing import Final

from django.db import connection

from tests.chaos.load import AWAY
from tests.engine import OPERATOR
from workflows import approvals, database, pauses, runs
from workflows.errors import WorkflowError

# A person whose request was not answered asks again, and then hears that it was done: that is no error.
WAITS_FOR_SIGNAL: Final = """
SELECT run_id FROM workflows_steprun WHERE state = 'waiting' AND reason = 'signal' AND awaits = 'go' LIMIT 20
"""
GOING: Final = (
    "SELECT id FROM workflows_run WHERE ended_at IS NULL AND state <> 'paused' ORDER BY random() LIMIT 2"
)
PAUSED: Final = "SELECT id FROM workflows_run WHERE state = 'paused' LIMIT 50"
DOOMED: Final = """
SELECT id FROM workflows_run WHERE workflow = 'doomed' AND ended_at IS NULL AND stopping = ''
   AND created_at < clock_timestamp() - interval '1 second' LIMIT 5
"""


class People(threading.Thread):
    """`calm`: no more pauses; what waits for a person still gets one."""

    def __init__(self, *, seed: int) -> None:
        super().__init__(name="people", daemon=True)
        self.chance = random.Random(seed)
        self.calm = threading.Event()
        self.ending = threading.Event()
        self.did: Counter[str] = Counter()
        self.failure: Exception | None = None

    def run(self) -> None:
        try:
            while not self.ending.wait(0.1):
                with contextlib.suppress(*AWAY):
                    self._look_around()
                self._hang_up()
        except Exception as error:
            self.failure = error

    def finish(self) -> None:
        """Go home; raises what a person should never meet."""
        self.ending.set()
        self.join(60)
        if self.failure is not None:
            raise self.failure

    def _look_around(self) -> None:
        for asked in list(approvals.open_ones()[:20]):
            self._do("decide", approvals.decide, asked.pk, approved=True, actor=OPERATOR, groups=None)
        for run in self._found(WAITS_FOR_SIGNAL):
            self._do("signal", runs.signal, run, "go", "gone", actor=OPERATOR)
        for run in self._found(DOOMED):
            self._do("cancel", runs.cancel, run, actor=OPERATOR)
        self._let_go()
        if not self.calm.is_set():
            self._hold_up()

    def _let_go(self) -> None:
        for run in self._found(PAUSED):
            if self._now():
                self._do("resume", runs.resume, run, actor=OPERATOR)
        for pause in pauses.all_():
            if self._now():
                self._do("end_pause", pauses.end, pause.pk, actor=OPERATOR)

    def _now(self) -> bool:
        return self.calm.is_set() or self.chance.random() < 0.3

    def _hold_up(self) -> None:
        if self.chance.random() < 0.3:
            for run in self._found(GOING):
                self._do("pause", runs.pause, run, actor=OPERATOR)
        if self.chance.random() < 0.05:
            workflow = self.chance.choice((None, "whole", "mapping", "helping"))
            self._do(
                "pause_scope", pauses.add, environment=None, workflow=workflow, actor=OPERATOR, reason="x"
            )

    def _found(self, sql: str) -> list[str]:
        return [row[0] for row in database.fetch_all(sql, [])]

    def _do(self, what: str, act: Callable[..., object], *given: object, **more: object) -> None:
        """Do something; that somebody or something was faster is an answer."""
        with contextlib.suppress(WorkflowError):
            act(*given, **more)
            self.did[what] += 1

    def _hang_up(self) -> None:
        with contextlib.suppress(*AWAY):
            connection.close()
