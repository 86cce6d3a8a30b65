"""Several hosts: workers in network namespaces of their own, cut off from the database or the broker, and back."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from django.db import connection

from console.embedded import ROLE
from console.processes import Command, spawn
from tests import namespaces
from tests.engine import check_journal, deploy, output, start
from tests.namespaces import Forwarder, Host
from tests.servers import SERVERS
from tests.workers import ROOT, Worker, until
from workflows import database
from workflows.models import Run

pytestmark = pytest.mark.needs("namespaces")
FAST = {"INTERLOCK_LEASE": "4", "INTERLOCK_HEARTBEAT": "0.5"}
WORKFLOW = """
name: far
steps:
  - id: each
    map:
      over: input.xs
      as: x
      max_parallel: 4
      steps:
        - {id: ask, prompt: far, route: far, with: {x: "{{ x }}"}}
        - {id: twice, set: {v: "{{ x * 2 }}"}}
output: "{{ steps.each.output | map(attribute='v') | sum }}"
"""
OTHERS = """
kind: Provider
name: far
api: scripted
models: [{name: m, context_tokens: 1000}]
rules: [{match: ".", reply: "ok", latency: 150ms}]
---
{kind: Route, name: far, targets: [far/m]}
---
kind: Prompt
name: far
variables: {x: {type: integer}}
messages: [{role: user, content: "{{ x }}"}]
"""


class Site:
    """Two hosts with a worker each."""

    def __init__(self, hosts: list[Host], folder: Path) -> None:
        self.hosts, self.folder = hosts, folder
        self.workers: dict[Host, Worker] = {}
        self.forwarders: list[Forwarder] = []

    def start(self, host: Host) -> Worker:
        """Start a worker on a host; it reaches Postgres and Valkey only by the host's cables."""
        postgres = self._forward(host, "database", SERVERS.postgres.socket_dir / ".s.PGSQL.5432")
        valkey = self._forward(host, "broker", ("127.0.0.1", SERVERS.valkey.port))
        name = quote(connection.settings_dict["NAME"])
        env = {
            **FAST,
            "DATABASE_URL": f"postgresql://{ROLE}:{quote(SERVERS.postgres.password)}@{postgres}/{name}",
            "BROKER_URL": f"redis://:{quote(SERVERS.valkey.password)}@{valkey}/0",
        }
        argv = host.command(sys.executable, "manage.py", "worker", "--threads", "4")
        log = self.folder / f"{host.name}.log"
        worker = Worker(spawn(Command(argv, cwd=ROOT, env=env), log=log), log)
        self.workers[host] = worker
        until(lambda: "worker_ready" in worker.log, within_s=40, what="worker ready")
        return worker

    def _forward(self, host: Host, cable: str, target: tuple[str, int] | Path) -> str:
        forwarder = Forwarder(host.address(cable), target)
        self.forwarders.append(forwarder)
        return f"{host.address(cable)}:{forwarder.port}"

    def stop(self) -> None:
        for worker in self.workers.values():
            if worker.alive:
                worker.kill()
        for forwarder in self.forwarders:
            forwarder.close()


@pytest.fixture
def site(transactional_db: None, tmp_path: Path) -> Iterator[Site]:
    SERVERS.flush_valkey()
    with namespaces.hosts(2) as hosts:
        site = Site(hosts, tmp_path)
        try:
            yield site
        finally:
            site.stop()


def clock_holder() -> str | None:
    rows = database.fetch_all("SELECT holder FROM workflows_clocklease WHERE held_until > now()", [])
    return str(rows[0][0]) if rows else None


def ended(run: Run, *, within_s: float) -> None:
    until(lambda: Run.objects.filter(pk=run.pk, ended_at__isnull=False).exists(), within_s=within_s)
    run.refresh_from_db()


def begin(count: int) -> Run:
    deploy(WORKFLOW, others=OTHERS)
    return start("far", xs=list(range(count)))


@pytest.mark.parametrize("cable", namespaces.CABLES)
def test_a_host_that_is_cut_off_loses_and_repeats_nothing(site: Site, cable: str) -> None:
    first, second = site.hosts
    site.start(first)
    site.start(second)
    run = begin(60)
    until(lambda: run.steps.filter(step_id="ask", state="succeeded").count() > 5, within_s=30)
    second.pull(cable)
    time.sleep(6)  # longer than its leases
    second.plug_in(cable)
    ended(run, within_s=60)
    assert (run.state, output(run)) == ("succeeded", 2 * sum(range(60)))
    check_journal(run)
    later = begin(20)
    ended(later, within_s=60)
    assert output(later) == 2 * sum(range(20))


def test_the_clock_moves_over_when_its_holder_is_cut_off(site: Site) -> None:
    first, second = site.hosts
    site.start(first)
    until(lambda: clock_holder() is not None)
    holder = clock_holder()
    site.start(second)
    first.pull("database")
    # Its lease is 4 s, and the others ask for it four times a second; the bound is for a busy machine.
    until(lambda: clock_holder() not in (None, holder), within_s=15)
