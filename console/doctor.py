"""What is wrong with this installation, and what to do about it. Reads; changes nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models.functions import Now
from django.utils import timezone
from kombu import Connection
from kombu.exceptions import KombuError

from console.installation import local_models_installed
from providers import credentials
from providers.errors import ProviderError
from workflows.models import ClockLease, DefinitionVersion, Prune, Worker
from workflows.retention import pruning
from workflows.retention.report import Report

_EXTENSIONS = ("vector", "pg_trgm", "unaccent")
_OLDEST_POSTGRES = 160000
_SEEN_WITHIN = timedelta(seconds=60)
_DISK_WANTED = 2 * 2**30
_PRUNE_LATE = timedelta(days=1)


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `todo`: what to do, if anything; a fault fails the command."""

    what: str
    says: str
    todo: str = ""
    fault: bool = False


def _fault(what: str, says: str, todo: str) -> Finding:
    return Finding(what, says, todo, fault=True)


def examine() -> Iterator[Finding]:
    """Look at everything; without a database, at what can be looked at without one."""
    yield check_disk(Path(settings.HOME))
    yield check_broker(settings.BROKER_URL)
    yield check_local_models()
    database = check_database()
    yield database
    if not database.fault:
        yield from check_extensions()
        migrations = check_migrations()
        yield migrations
        if not migrations.fault:
            for check in _WITH_TABLES:
                yield from check()


def check_database(timeout_s: int = 5) -> Finding:
    """Connect without the pool, which would wait for longer than a person does."""
    named: dict[str, Any] = settings.DATABASES["default"]
    try:
        with psycopg.connect(
            dbname=named["NAME"], user=named["USER"], password=named["PASSWORD"],
            host=named["HOST"], port=named["PORT"] or None,
            **{key: value for key, value in named["OPTIONS"].items() if key != "pool"}
            | {"connect_timeout": timeout_s},
        ) as found:  # fmt: skip
            version = found.info.server_version
    except psycopg.Error as error:
        return _fault(
            "database",
            str(error).strip().splitlines()[0],
            "start the system (`manage.py up`), name its home (--home DIR), or set DATABASE_URL",
        )
    if version < _OLDEST_POSTGRES:
        return _fault("database", f"Postgres {version // 10000}", "Postgres 16 or newer is needed")
    return Finding("database", f"Postgres {version // 10000}.{version % 10000}")


def check_extensions() -> Iterator[Finding]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, installed_version FROM pg_available_extensions")
        available: dict[str, str | None] = dict(cursor.fetchall())
    for name in _EXTENSIONS:
        if name not in available:
            todo = f"install the package that brings {name} to the database's machine (for vector: pgvector)"
            yield _fault(f"extension {name}", "not available", todo)
        elif available[name] is None:
            yield Finding(f"extension {name}", "available; migrations create it where they need it")
        else:
            yield Finding(f"extension {name}", f"version {available[name]}")


def check_migrations() -> Finding:
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if plan:
        return _fault("migrations", f"{len(plan)} are not applied", "run `manage.py setup`")
    return Finding("migrations", "all applied")


def check_broker(url: str, timeout_s: int = 5) -> Finding:
    try:
        with Connection(url, connect_timeout=timeout_s) as broker:
            broker.ensure_connection(max_retries=1, timeout=timeout_s)
            return Finding("broker", f"answers at {broker.as_uri()}")
    except (KombuError, OSError) as error:
        todo = "start it, or set BROKER_URL; meanwhile runs go on, but wake up late"
        return _fault("broker", f"{type(error).__name__}: {error}", todo)


def check_workers() -> Iterator[Finding]:
    alive = Worker.objects.filter(seen_at__gt=Now() - _SEEN_WITHIN)
    working = alive.filter(draining=False)
    if not working:
        todo = "start one: `manage.py worker`, or `manage.py up`; its log says why one that was started ended"
        yield _fault("workers", "none was seen in the last minute", todo)
        return
    threads = sum(worker.threads for worker in working)
    hosts = len({worker.host for worker in working})
    yield Finding("workers", f"{len(working)} on {hosts} machine(s), {threads} threads")


def check_clock() -> Iterator[Finding]:
    lease = ClockLease.objects.filter(held_until__gt=Now()).first()
    if lease:
        yield Finding("clock", f"held by {lease.holder}")
    else:
        todo = "a worker takes it within 5 seconds: look again, then at the workers' logs"
        yield _fault("clock", "held by no worker: timers and recovery stand still", todo)


def check_credentials() -> Iterator[Finding]:
    """Every credential that a provider's newest version names can be resolved here."""
    for version in _newest("Provider"):
        reference = version.body.get("credential")
        if not reference:
            continue
        name = f"provider {version.definition.name}"
        try:
            credentials.resolve(reference)
            yield Finding(name, f"{reference} is set")
        except ProviderError as error:
            yield _fault(name, f"{reference} is not there", error.message)


def check_commands() -> Iterator[Finding]:
    """Every command that the newest version of a tool by MCP names is in the settings, and its program is here."""
    for version in _newest("Tool"):
        name = version.body.get("mcp", {}).get("server", {}).get("command")
        if name is None:
            continue
        tool, command = f"tool {version.definition.name}", settings.MCP_COMMANDS.get(name)
        if command is None:
            yield _fault(tool, f"there is no command {name}", "add it to INTERLOCK_MCP_COMMANDS")
        elif shutil.which(command[0]) is None:
            yield _fault(
                tool, f"{command[0]} is not on this machine", f"install it, or mend the command {name}"
            )
        else:
            yield Finding(tool, f"{command[0]} is there")


def check_retention() -> Iterator[Finding]:
    """Say what is kept for how long, and what the last prune did; one that has not come to its end is at fault."""
    terms = pruning.terms()
    if not terms:
        yield Finding("retention", "everything is kept", "set INTERLOCK_RETENTION, if that is not wanted")
        return
    for name, each in terms.items():
        yield Finding(f"retention {name}", str(each))
    last, now = Prune.objects.order_by("-began_at", "-pk").first(), timezone.now()
    if last is None or (last.ended_at is None and now - last.began_at > _PRUNE_LATE):
        says = "none yet" if last is None else f"began at {last.began_at:%Y-%m-%d %H:%M} UTC, has not ended"
        yield Finding("last prune", says, "a worker prunes once a day; `manage.py prune` does it now")
    else:
        told = ", ".join(f"{count:,} {name}" for name, count in Report.of(last).told()) or "nothing was due"
        yield Finding("last prune", f"{last.began_at:%Y-%m-%d %H:%M} UTC by {last.by}: {told}")


def _newest(kind: str) -> Iterator[DefinitionVersion]:
    versions = DefinitionVersion.objects.filter(definition__kind=kind).order_by(
        "definition__name", "-version"
    )
    yield from versions.distinct("definition__name").select_related("definition")


def check_disk(home: Path) -> Finding:
    folder = next(path for path in (home, *home.parents) if path.exists())
    free = shutil.disk_usage(folder).free
    says = f"{free / 2**30:.1f} GB free at {folder}"
    if free < _DISK_WANTED:
        return _fault("disk", says, "make room: Postgres stops when there is none")
    return Finding("disk", says)


def check_local_models() -> Finding:
    if not local_models_installed():
        return Finding("local model", "not installed", "`make up` installs it, if it is wanted")
    if settings.LOCAL_LLM_URL:
        return Finding("local model", f"served at {settings.LOCAL_LLM_URL}")
    return Finding("local model", "installed, not running", "`manage.py up` runs it")


_WITH_TABLES: tuple[Callable[[], Iterator[Finding]], ...] = (
    check_workers,
    check_clock,
    check_credentials,
    check_commands,
    check_retention,
)
