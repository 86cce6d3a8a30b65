"""How Postgres answers every filter of the runs list over a million runs: by indexes?

`python -m tests.benchmarks.plans` prints every plan too. `PLAN_RUNS` (1000000) chooses the history, which is copied in;
tests hold the same of fewer runs.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from django.core.management import call_command
from django.db import connection
from django.http import QueryDict
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from console.forms import run_filter
from tests.benchmarks import console_data, copied_runs, frame
from tests.benchmarks.frame import Row, Stand
from workflows.queries import run_list, run_totals

# A tenth of all runs match: to count so many of so few, reading everything is right.
COMMON = "q=Meier&range=all"
# Each form of the filter, and indexes that may serve its rows.
FORMS = {
    "": "run_newest",
    "range=all": "run_newest",
    "state=failed&range=all": "run_by_state run_newest",
    "state=attention&range=all": "run_newest run_by_state",
    "state=active&range=all": "run_by_state run_open",
    "state=unknown&range=all": "workflows_run_pkey workflows_run_id_f6d3e90d_like",
    "state=stuck&range=all": "workflows_run_pkey workflows_run_id_f6d3e90d_like",
    "workflow=kyc-screening&range=all": "run_by_workflow run_newest",
    "q=release:2&range=all": "run_by_release run_newest",
    "q=session:customer-42&range=all": "run_by_session",
    "q=tag:customer:7&range=all": "run_by_tag",
    "q=error:nothing&range=all": "run_by_error",
    "q=group:1&range=all": "run_by_error_group",
    "q=taint:1&range=all": "workflows_run_pkey workflows_run_id_f6d3e90d_like",
    "q=cost>100&range=all": "run_by_cost",
    "q=duration>1h&range=all": "run_by_duration",
    "q=tokens>100k&range=all": "run_by_tokens",
    "q=order+100003&range=all": "run_text",
    COMMON: "run_newest run_text",
    "q=position+4711&range=all": "run_text",
    "q=zzzz&range=all": "run_text",
}
_SCANNED: Final = re.compile(r"Seq Scan on (workflows_(?:run|steprun|lineage))\b")
_HERE: Final = "tests.benchmarks.plans"  # also where this module is the program


def of_form(form: str) -> tuple[list[str], list[str]]:
    """Return the plans of a page of the runs list, and of what is counted over it."""
    chosen = run_filter.parse(QueryDict(form)).filter(timezone.now())
    rows = _plans(lambda: run_list.page(chosen))
    return rows, _plans(lambda: (run_totals.totals(chosen), run_totals.oldest(chosen)))


def wrong(form: str, rows: list[str], counts: list[str]) -> str:
    """Say what is wrong with the plans of a form; nothing: they are by its indexes, and read no table through."""
    plan_of_runs = next(plan for plan in rows if "on workflows_run" in plan)
    if not set(re.findall(r"(?:using|on) (\w+)", plan_of_runs)) & set(FORMS[form].split()):
        return f"by none of {FORMS[form]}"
    scanned = {
        name for plan in (*rows, *([] if form == COMMON else counts)) for name in _SCANNED.findall(plan)
    }
    return f"reads all of {', '.join(sorted(scanned))}" if scanned else ""


def _plans(ask: Callable[[], Any]) -> list[str]:
    """Return the plans of the statements by which something is asked."""
    with CaptureQueriesContext(connection) as asked:
        ask()
    found = []
    with connection.cursor() as cursor:
        for query in asked:
            cursor.execute("EXPLAIN " + query["sql"])
            found.append("\n".join(line for (line,) in cursor.fetchall()))
    return found


def measure(stand: Stand, rounds: int, scale: float) -> list[Row]:
    """Return the rows of this benchmark."""
    runs = int(int(os.environ.get("PLAN_RUNS", "1000000")) * scale)
    url = console_data.made_once(stand, "plans", f"{runs:,} copied runs", _HERE, "fill", str(runs))
    told = json.loads(console_data.child(url, _HERE, "ask"))
    return [
        Row(
            what=f"plan over {runs:,} runs: {each['of']}",
            ours=f"{each['fault'] or each['by']}, {each['ms']:.1f} ms",
            goal="indexes",
            met=not each["fault"],
        )
        for each in told
    ]


def _ask() -> Iterator[dict[str, Any]]:
    """Yield of each form by which indexes it is answered, in how many ms, and what is wrong."""
    for form in FORMS:
        rows, counts = of_form(form)
        chosen = run_filter.parse(QueryDict(form)).filter(timezone.now())
        ms = _ms(lambda: (run_list.page(chosen), run_totals.totals(chosen)))  # noqa: B023
        yield _told(form or "no filter", [*rows, *counts], wrong(form, rows, counts), ms)


def _told(of: str, plans: list[str], fault: str, ms: float) -> dict[str, Any]:
    frame.note("\n".join((f"--- {of}", *plans)))
    used = dict.fromkeys(
        name for plan in plans for name in re.findall(r"(?:using|Index Scan on) (\w+)", plan)
    )
    return {"of": of, "by": " ".join(used), "fault": fault, "ms": ms}


def _ms(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - began)


def _fill(runs: int) -> None:
    call_command("migrate", verbosity=0)
    began = time.monotonic()
    copied_runs.fill(runs)
    frame.note(f"{runs:,} runs copied in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    if sys.argv[1:2] == ["fill"]:
        _fill(int(sys.argv[2]))
    elif sys.argv[1:] == ["ask"]:
        sys.stdout.write(json.dumps(list(_ask())))
    else:
        frame.alone(measure)
