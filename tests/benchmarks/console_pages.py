"""Pages of the console over a long history beside a short one: time to the whole answer, CPU, queries, size.

Two databases and two web processes that take turns, so that the machine's mood falls on both. `CONSOLE_RUNS` (1000000)
and `CONSOLE_STEPS` (10) choose the long history; the short one has a thousand runs.
"""

from __future__ import annotations

import http.client
import json
import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import psycopg
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from console.api import tokens
from console.models import Role, User
from tests import factories
from tests.benchmarks import console_data, frame
from tests.benchmarks.console_data import Size
from tests.benchmarks.frame import Row, Stand, percentile
from tests.web_server import WebServer
from workflows.actor import Actor
from workflows.queries import run_list

LIST_MS: Final = 150.0
RUN_MS: Final = 200.0
UNCHANGED_MS: Final = 5.0
GROWTH: Final = 1.5
SHORT: Final = Size(runs=1_000, days=2)
_PATIENCE_S: Final = 15.0  # with one page
_LEAST: Final = 3


@dataclass(frozen=True)
class Page:
    """What is asked, and within how many ms (p95). `level`: it may take `GROWTH` times as long over a long history.

    Others may take longer as long as they meet the goal: a rare thing has nothing to show in a short history.
    """

    name: str
    path: str
    goal_ms: float
    headers: dict[str, str] = field(default_factory=dict)
    unchanged: bool = False  # asked again with the mark of its last answer
    level: bool = False


_PART: Final = {"HX-Request": "true"}


def pages(known: dict[str, str]) -> list[Page]:
    """List what is measured; `known` names runs, a cursor and a token of one database."""
    run, failed = f"/runs/{known['succeeded']}/", f"/runs/{known['failed']}/"
    api = {"Authorization": f"Bearer {known['token']}"}
    lists = {
        "runs": "",
        "runs, failed": "state=failed",
        "runs, needs attention": "state=attention",
        "runs, going on": "state=active",
        "runs, one workflow": "workflow=claims-triage",
        "runs, workflow, failed, 30 days": "workflow=claims-triage&state=failed&range=30d",
        "runs, 7 days": "range=7d",
        "runs, 30 days": "range=30d",
        "runs, any time": "range=all",
        "runs, failed, any time": "state=failed&range=all",
        "runs, environment": "q=environment:staging",
        "runs, release": "q=release:3",
        "runs, session, any time": "q=session:customer-42&range=all",
        "runs, tag, any time": "q=tag:customer:7&range=all",
        "runs, rare tag and workflow, any time": "q=tag:vip+workflow:kyc-screening&range=all",
        "runs, error, any time": "q=error:timeout&range=all",
        "runs, cost, 30 days": "q=cost>1&range=30d",
        "runs, duration, any time": "q=duration>1m&range=all",
        "runs, text, 24 h": "q=Meier",
        "runs, common text, any time": "q=Meier&range=all",
        "runs, rare text, any time": "q=order+123456&range=all",
        "runs, text of an error, any time": "q=position+4711&range=all",
        "runs, text that nothing has, any time": "q=zzzz&range=all",
        "runs, text with a state, any time": "q=Meier&state=failed&range=all",
        "runs, a page far down": f"range=all&after={known['cursor']}",
    }
    tiles = ("needs", "activity", "durations", "costs", "workflows", "errors")
    return [
        *(Page(name, f"/runs/?{query}", LIST_MS, level="q=" not in query) for name, query in lists.items()),
        Page("runs, part", "/runs/", LIST_MS, _PART, level=True),
        Page("runs, poll, unchanged", "/runs/", UNCHANGED_MS, _PART, unchanged=True),
        Page("run", run, RUN_MS),
        Page("run, failed", failed, RUN_MS),
        Page("run, poll, unchanged", run, UNCHANGED_MS, _PART, unchanged=True),
        Page("run, a step", f"{run}step/?step=answer", LIST_MS, _PART),
        Page("run, events", f"{run}?tab=events", RUN_MS),
        Page("overview", "/overview/", LIST_MS),
        *(Page(f"overview, {key}", f"/overview/{key}/", LIST_MS, _PART) for key in tiles),
        Page("workflows", "/workflows/", LIST_MS),
        Page("workflow", "/workflows/claims-triage/", LIST_MS),
        Page("start a run", "/workflows/claims-triage/start/", LIST_MS),
        Page("search", "/search/?q=claims", LIST_MS),
        Page("audit log", "/audit/", LIST_MS),
        Page("API, runs", "/api/v1/runs?limit=50", LIST_MS, api),
        Page("API, runs, failed", "/api/v1/runs?limit=50&state=failed", LIST_MS, api),
        Page("API, one run", f"/api/v1/runs/{known['succeeded']}", LIST_MS, api),
        Page("API, steps of a run", f"/api/v1/runs/{known['succeeded']}/steps", LIST_MS, api),
    ]


@dataclass
class Answers:
    """What one page took, and its last answer."""

    samples_ms: list[float] = field(default_factory=list)
    first_ms: float = 0.0  # with nothing kept from an earlier answer
    cpu_ms: float = 0.0  # of the web process and its connections in Postgres, for one answer
    status: int = 0
    kb: float = 0.0

    def rated(self) -> str:
        half, most = (percentile(self.samples_ms, share) for share in (0.5, 0.95))
        return f"{half:.1f} / {most:.1f} ms (CPU {self.cpu_ms:.0f}, first {self.first_ms:.0f})"


class Console:
    """One web process over one history, and somebody who is signed in to it."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        folder.mkdir()
        self.server = WebServer(folder, {"DATABASE_URL": url})
        self.known: dict[str, str] = json.loads(_ask(url, "known"))
        self.http = http.client.HTTPConnection(str(urlsplit(self.server.url).netloc))
        self.cookie = {"Cookie": f"sessionid={self.known['session']}", "Accept-Encoding": "gzip"}
        self.pages = pages(self.known)

    def queries(self, chosen: list[Page]) -> list[int]:
        """Count the queries of some pages, with nothing kept from an earlier answer."""
        asked = [{"path": page.path, "headers": page.headers} for page in chosen]
        counted: list[int] = json.loads(_ask(self.url, "queries", json.dumps([self.known["session"], asked])))
        return counted

    def ask(self, page: Page, answers: Answers, mark: str = "") -> str:
        """Time one answer, from the request's first byte to the answer's last; return its mark."""
        headers = {**self.cookie, **page.headers, **({"HX-PTag": mark} if mark else {})}
        began = time.perf_counter()
        self.http.request("GET", page.path.replace(">", "%3E"), headers=headers)
        answer = self.http.getresponse()
        body = answer.read()
        answers.samples_ms.append(1000 * (time.perf_counter() - began))
        answers.status, answers.kb = answer.status, len(body) / 1000
        if answer.status not in (200, 304):
            raise RuntimeError(f"{page.path} answered {answer.status}: {body[:300]!r}")
        return answer.headers.get("HX-PTag", "")

    def cpu_s(self) -> float:
        """Return the CPU seconds that the web process and its connections have used so far."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            held = connection.execute(
                "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            pids = [self.server.process.pid, *(pid for (pid,) in held.fetchall())]
        return sum(frame.tree_cpu_s(pid) for pid in pids)

    def stop(self) -> None:
        self.http.close()
        self.server.stop()


def _ask(url: str, what: str, text: str = "") -> str:
    return console_data.child(url, "tests.benchmarks.console_pages", what, text=text)


def take_turns(number: int, *sides: Console, count: int) -> list[Answers]:
    """Ask for one page of each side in turns; the first answer of each warms up and is told apart."""
    found = [Answers() for _ in sides]
    marks = []
    for console, answers in zip(sides, found, strict=True):
        page = console.pages[number]
        mark = console.ask(page, answers)
        answers.first_ms = answers.samples_ms.pop()
        marks.append(mark if page.unchanged else "")
    before, ends = [console.cpu_s() for console in sides], time.monotonic() + _PATIENCE_S
    for turn in range(count):
        if turn >= _LEAST and time.monotonic() > ends:
            break
        for console, answers, mark in zip(sides, found, marks, strict=True):
            console.ask(console.pages[number], answers, mark)
            if mark and answers.status != 304:
                raise RuntimeError(f"{console.pages[number].path} has changed although nothing did.")
    for console, answers, used_s in zip(sides, found, before, strict=True):
        answers.cpu_ms = 1000 * (console.cpu_s() - used_s) / len(answers.samples_ms)
    return found


def row(page: Page, long: Answers, short: Answers, queries: int) -> Row:
    ratio = percentile(long.samples_ms, 0.5) / percentile(short.samples_ms, 0.5)
    bounded = ratio <= GROWTH or not page.level
    most = percentile(long.samples_ms, 0.95)
    growth = f", {GROWTH} ×" if page.level else ""
    size = "304" if long.status == 304 else f"{queries} queries, {long.kb:.1f} KB"
    return Row(
        what=page.name,
        ours=f"{long.rated()}; {size}",
        baseline=short.rated(),
        ratio=f"{ratio:.2f} ×",
        goal=f"p95 ≤ {page.goal_ms:g} ms{growth}",
        met=most <= page.goal_ms and bounded,
    )


def measure(stand: Stand, rounds: int, scale: float) -> list[Row]:
    """Return the rows of this benchmark."""
    long_size = chosen_size(scale)
    long_url = console_data.history(stand, "console_long", long_size)
    short_url = console_data.history(stand, "console_short", SHORT)
    return compared(long_url, short_url, stand.folder, count=rounds * 8)


def chosen_size(scale: float) -> Size:
    """Return how long the long history is."""
    runs, steps = int(os.environ.get("CONSOLE_RUNS", "1000000")), int(os.environ.get("CONSOLE_STEPS", "10"))
    return Size(runs=max(SHORT.runs, int(runs * scale)), days=90, steps=steps)


def compared(long_url: str, short_url: str, folder: Path, *, count: int, only: str = "") -> list[Row]:
    """Measure every page (or those whose name begins with `only`) over two histories."""
    sides: list[Console] = []
    try:
        sides += [Console(long_url, folder / "console-long"), Console(short_url, folder / "console-short")]
        numbers = [n for n, page in enumerate(sides[0].pages) if page.name.startswith(only)]
        queries = sides[0].queries([sides[0].pages[n] for n in numbers])
        rows = []
        for number, asked in zip(numbers, queries, strict=True):
            long, short = take_turns(number, *sides, count=count)
            rows.append(row(sides[0].pages[number], long, short, asked))
            frame.note(f"{rows[-1].what}: {rows[-1].ours} | {rows[-1].baseline}")
        return rows
    finally:
        for console in sides:
            console.stop()


def _known() -> dict[str, str]:
    """Name the runs that are looked at, and sign somebody in."""
    made = User.objects.filter(username="bench").first() or factories.user(Role.ADMIN, "bench")
    client = Client()
    client.force_login(made)
    middle = console_data.in_the_middle()
    token = tokens.create(
        f"bench {time.time_ns()}",
        role=Role.ADMIN,
        expires_at=None,
        actor=Actor(kind="user", name="bench"),
        now=made.date_joined,
    )
    return {
        "session": client.cookies["sessionid"].value,
        "succeeded": console_data.newest("succeeded").pk,
        "failed": console_data.newest("failed").pk,
        "cursor": run_list.encode_cursor(middle.created_at, middle.pk),
        "token": token.secret,
    }


def _queries(session: str, asked: list[dict[str, Any]]) -> list[int]:
    client = Client(headers={"host": "localhost"})
    client.cookies["sessionid"] = session
    counts = []
    for page in asked:
        with CaptureQueriesContext(connection) as found:
            client.get(page["path"], headers={"host": "localhost", **page["headers"]})
        counts.append(len(found))
    return counts


if __name__ == "__main__":
    if sys.argv[1:] == ["known"]:
        print(json.dumps(_known()))
    elif sys.argv[1:] == ["queries"]:
        print(json.dumps(_queries(*json.loads(sys.stdin.read()))))
    else:
        frame.alone(measure)
