"""A performance of chaos: load and faults for a while, then quiet, then a person's work, then the checks."""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from tests import connections, replaying
from tests.chaos import checks, documents
from tests.chaos.brokers import Broker, Valkey
from tests.chaos.load import AWAY, Accepted, Load
from tests.chaos.people import People
from tests.chaos.stage import Stage
from tests.engine import OPERATOR
from tests.servers import Servers
from tests.witness import Behaviour, Witness
from tests.workers import Workers
from workflows import recovery
from workflows.models import Run

# How long everything may take to end once the faults are over.
QUIET_S: Final = 180.0
# How long a tool call takes: long enough to be struck in the middle.
CALL_S: Final = 0.15


@dataclass
class Report:
    """What happened and what was wrong. Each list names the objects; all of them empty is the goal."""

    seed: int
    runs: int = 0
    calls: int = 0
    repeated_requests: int = 0
    unknown: int = 0
    condemned: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    people: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    diverged: list[str] = field(default_factory=list)
    journal: list[str] = field(default_factory=list)
    replays: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    bad_exits: list[str] = field(default_factory=list)
    last_words: list[str] = field(default_factory=list)  # of stuck runs: their rows and events

    def wrong(self) -> dict[str, list[str]]:
        names = ("lost", "repeated", "stuck", "diverged", "journal", "replays", "left", "bad_exits")
        return {name: found for name in names if (found := getattr(self, name))}

    def as_text(self) -> str:
        injected = ", ".join(f"{name} {count}" for name, count in sorted(self.faults.items()))
        figures = ", ".join(
            f"{name} {len(getattr(self, name))}"
            for name in ("lost", "repeated", "stuck", "diverged", "journal", "replays", "left", "bad_exits")
        )
        lines = [
            f"runs {self.runs}, tool calls {self.calls}, requests repeated {self.repeated_requests}, "
            f"steps left unknown for a person {self.unknown}, condemned after repeated losses {self.condemned}",
            f"faults {self.faults.total()}: {injected}",
            "people: " + ", ".join(f"{what} {count}" for what, count in sorted(self.people.items())),
            f"{figures}   (seed {self.seed})",
        ]
        for name, found in self.wrong().items():
            lines += [f"  {name}: {each}" for each in found[:20]]
        lines += self.last_words
        return "\n".join(lines)


def perform(
    servers: Servers,
    workers: Workers,
    *,
    seconds: float,
    seed: int,
    broker: Broker | None = None,
    pace_s: float = 1.0,
    least: int = 0,
) -> Report:
    """Break things for `seconds`, a fault each `pace_s` on average; then look at what is left.

    `broker`: the one that the settings name; None: the session's Valkey. Goes on until `least` faults were there:
    on a busy machine one alone can take many seconds.
    """
    chance = random.Random(seed)
    report = Report(seed)
    with Witness() as witness:
        witness.behave("*", Behaviour(delay_s=CALL_S))
        documents.deploy_all(witness)
        stage = Stage(servers, broker or Valkey(servers), workers, chance=chance)
        stage.fill()
        load = Load(witness, seed=seed)
        load.start()
        people = People(seed=seed)
        people.start()
        try:
            _break(stage, seconds=seconds, pace_s=pace_s, chance=chance, least=least)
        finally:  # what comes after this test needs servers, too
            stage.settle()
            _reconnect()
        load.finish()
        people.calm.set()
        _tend(report, witness, load.accepted)
        people.finish()
        report.people = people.did
        _end(report, stage)
        report.runs, report.repeated_requests = len(load.accepted), load.repeated_requests
        report.faults, report.bad_exits = stage.counts, stage.bad_exits
        report.lost = checks.lost(load.accepted)
        report.diverged = checks.diverged(load.accepted)
        report.repeated, report.calls = checks.repeated(witness), len(witness.calls)
    report.journal = checks.journal()
    report.replays = replaying.differences(Run.objects.order_by("pk").iterator())
    return report


def _break(stage: Stage, *, seconds: float, pace_s: float, chance: random.Random, least: int) -> None:
    ends = time.monotonic() + seconds
    time.sleep(min(4.0, seconds / 4))  # let the load arrive
    while time.monotonic() < ends or stage.counts.total() < least:
        stage.fill()
        stage.strike()
        time.sleep(chance.uniform(0, 2 * pace_s))


def _tend(report: Report, witness: Witness, accepted: list[Accepted]) -> None:
    """Wait for the end, and do what a person would do where the system rightly waits for one."""
    while not report.stuck:
        report.stuck = _wait_for_the_end()
        waiting, condemned = checks.unknown(), checks.texts(checks.CONDEMNED)
        if report.stuck:
            report.last_words = [line for run in report.stuck[:3] for line in checks.all_of(run)]
        if report.stuck or not (waiting or condemned):
            return
        report.unknown += len(waiting)
        report.condemned += len(condemned)
        for run, path in waiting:
            if checks.called(witness, run, path):
                given = {"action": "supply", "output": {"ok": True}}
            else:
                given = {"action": "retry"}
            recovery.resolve(run, path, actor=OPERATOR, reason="asked the other side", **given)  # type: ignore[arg-type]
        for run in condemned:
            recovery.retry(run, actor=OPERATOR, reason="the workers were at fault")


def _wait_for_the_end() -> list[str]:
    """Wait until nothing goes on by itself any more; returns what does not end although it should."""
    ends = time.monotonic() + QUIET_S
    while (open_runs := checks.texts(checks.OPEN)) and time.monotonic() < ends:
        time.sleep(0.25)
    return open_runs


def _end(report: Report, stage: Stage) -> None:
    """Ask the last workers to stop; a thread that hangs would keep one from it."""
    for worker in stage.alive:
        status = worker.terminate(grace_s=20)
        if status != 0:
            report.left.append(f"a worker ended with status {status}: {worker.log[-500:]}")
    report.left += checks.texts(checks.LEFT_BEHIND)


def _reconnect() -> None:
    """Throw away this process' connections to servers that were killed."""
    connections.drop()
    for _ in range(20):
        try:
            checks.texts("SELECT 1")
        except AWAY:
            time.sleep(0.5)
        else:
            return
