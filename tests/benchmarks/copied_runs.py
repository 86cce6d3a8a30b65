"""Very many minimal runs, written by COPY: a run, a step and what the step used are a line each.

As varied as filters of the runs list need it: what many have, what few have, and what goes on. Indexes that only
serve reading are built once the rows are there. May not know what is asked of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Final

from django.db import connection
from django.utils import timezone

from tests.benchmarks import console_data
from workflows.models import Release

DAYS: Final = 90
_DIGITS: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS: Final = tuple(a + b for a in _DIGITS for b in _DIGITS)
_RUN: Final = (
    "id, workflow, environment_id, release_id, state, stopping, title, trigger, created_by, session, tags, priority, "
    "pins, variables, input_hash, error, events, created_at, started_at, ended_at, cost_usd, tokens"
)
_STEP: Final = (
    "id, run_id, path, step_id, kind, epoch, superseded, ordinal, state, reason, waiting_on, held, settling, alone, "
    "priority, rings, sent, attempts_made, failures, losses, events, lease, lease_until, started_at, ended_at"
)
_USE: Final = "run_id, step_run_id, kind, ref"
_TITLES: Final = (
    "Refund for order {}",
    "Claim {}: water damage",
    "Question from customer {}",
    "Invoice {} of Meier & Söhne",
    "Contract {}, second reading",
    "Summary of call {}",
)
_FAULTS: Final = (
    ("timeout", "No answer within 30 s from attempt {}"),
    ("server_error", "503 upstream connect timeout, request {}"),
    ("rate_limited", "429 rate limit reached for key {}"),
    ("schema", "Output does not match the schema: amount of position {} is missing"),
)
_NULL: Final = "\\N"
_ENDED: Final = frozenset({"succeeded", "failed", "cancelled"})
_STEPS: Final = {"queued": "ready"}  # the state of a run's step, where it has another name


@dataclass(frozen=True, kw_only=True)
class Made:
    """What is drawn by chance of one run."""

    n: int
    id: str
    at: datetime
    state: str
    chances: tuple[float, float, float, float]


def fill(runs: int) -> None:
    """Put so many runs into the tables, with a step each and four uses of that; what was in them is gone."""
    console_data.definitions()
    releases = {(each.workflow, each.number): each.pk for each in Release.objects.all()}
    now = timezone.now().replace(microsecond=0)
    with connection.cursor() as cursor:
        cursor.execute(
            "TRUNCATE workflows_run, workflows_steprun, workflows_lineage RESTART IDENTITY CASCADE"
        )
        cursor.execute("SET maintenance_work_mem = '512MB'; SET session_replication_role = replica")
        built = [
            each for table in ("run", "steprun", "lineage") for each in _without_indexes(f"workflows_{table}")
        ]
    _copy("workflows_run", _RUN, (_run(each, releases) for each in _drawn(runs, now)))
    _copy("workflows_steprun", _STEP, (_step(each) for each in _drawn(runs, now)))
    _copy("workflows_lineage", _USE, (_uses(each) for each in _drawn(runs, now)))
    with connection.cursor() as cursor:
        for statement in built:
            cursor.execute(statement)
        cursor.execute("RESET maintenance_work_mem; RESET session_replication_role")
        cursor.execute("ANALYZE workflows_run, workflows_steprun, workflows_lineage, workflows_release")


def _without_indexes(table: str) -> list[str]:
    """Drop the indexes that hold nothing true; return the statements that build them again."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = %s AND indexdef NOT LIKE '%%UNIQUE%%'",
            [table],
        )
        found = cursor.fetchall()
        for name, _ in found:
            cursor.execute(f'DROP INDEX "{name}"')
    return [statement for _, statement in found]


def _copy(table: str, columns: str, lines: Iterator[str]) -> None:
    with connection.cursor() as cursor, cursor.cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
        some: list[str] = []
        for line in lines:
            some.append(line)
            if len(some) == 2000:
                copy.write("".join(some))
                some.clear()
        copy.write("".join(some))


def _drawn(runs: int, now: datetime) -> Iterator[Made]:
    """Draw the runs, oldest first; the newest days are the fullest. The same each time."""
    random = Random(42)
    for n in range(1, runs + 1):
        at = now - timedelta(days=DAYS * ((runs - n) / runs) ** 1.1)
        chances = (random.random(), random.random(), random.random(), random.random())
        state = _state(now - at < timedelta(minutes=10), chances[0])
        yield Made(n=n, id=_id(at, n), at=at, state=state, chances=chances)


def _state(is_new: bool, chance: float) -> str:
    if is_new:
        return "queued" if chance < 0.15 else "running" if chance < 0.7 else "waiting"
    return "failed" if chance < 0.07 else "cancelled" if chance < 0.09 else "succeeded"


def _id(at: datetime, n: int) -> str:
    """As the product makes ids: 43 bits of milliseconds, 22 that tell two of one millisecond apart."""
    number = (int(at.timestamp() * 1000) << 22) | (n & 4194303)
    pairs = [_PAIRS[(number >> shift) & 1023] for shift in (50, 40, 30, 20, 10, 0)]
    return f"r_{_DIGITS[(number >> 60) & 31]}{''.join(pairs)}"


def _run(made: Made, releases: dict[tuple[str, int], int]) -> str:
    _, b, c, d = made.chances
    workflow = console_data.WORKFLOWS[int(len(console_data.WORKFLOWS) * b * b)]
    release = releases[workflow, 1 if made.n % 50 else 2]
    title = _TITLES[int(6 * c)].format(made.n * 7919 % 1000003) if d < 0.6 else ""
    session = f"customer-{int(d * 40000)}" if c < 0.2 else _NULL
    tags = "{}" if d < 0.7 else "{vip}" if d < 0.72 else f"{{nightly,customer:{int(c * 500)}}}"
    error = cost = tokens = ended = _NULL
    if made.state == "failed":
        fault, message = _FAULTS[int(4 * d)]
        error = f'{{"class":"{fault}","message":"{message.format(made.n % 9973)}","step":"classify"}}'
    if made.state in _ENDED:
        ended = (made.at + timedelta(seconds=0.8 + 0.01 / (1.000001 - c))).isoformat()
        cost = f"{0.0004 / (1.0001 - b):.8f}"
        tokens = f'{{"input":{int(400 + 4000 * b)},"cached":0,"output":{int(30 + 400 * c)},"reasoning":0}}'
    at = made.at.isoformat()
    started = _NULL if made.state == "queued" else at
    return (
        f"{made.id}\t{workflow}\tproduction\t{release}\t{made.state}\t\t{title}\tapi\tmarta\t{session}\t{tags}\t"
        f"5\t{{}}\t{{}}\t\\\\x00\t{error}\t3\t{at}\t{started}\t{ended}\t{cost}\t{tokens}\n"
    )


def _step(made: Made) -> str:
    state, at = _STEPS.get(made.state, made.state), made.at.isoformat()
    lease, until = (f"{made.n:032x}", "2100-01-01") if state == "running" else (_NULL, _NULL)
    ended = at if made.state in _ENDED else _NULL
    return (
        f"{made.n}\t{made.id}\tclassify\tclassify\tprompt\t1\tf\t1\t{state}\t\t0\tf\tf\tf\t5\t0\tf\t1\t0\t0\t1\t{lease}\t"
        f"{until}\t{at}\t{ended}\n"
    )


def _uses(made: Made) -> str:
    used = (
        "prompt\tclassify@1",
        f"prompt\trare@{made.n % 1000}",
        "snapshot\thandbook@3",
        f"tool\trefund@{made.n % 2}",
    )
    return "".join(f"{made.id}\t{made.n}\t{each}\n" for each in used)
