"""Every page of the console with data on it: for the checks of accessibility, and to be photographed."""

from __future__ import annotations

from tests import example_runs, factories
from tests.db.retrieval import fixtures

SIZES = {"desktop": (1440, 900), "phone": (390, 844)}
PAGES = {
    "overview": "/overview/",
    "overview, table": "/overview/?range=7d&table=activity",
    "runs": "/runs/",
    "runs, nothing found": "/runs/?q=zzzz",
    "run": "/runs/r_0000000000001/?step=answer",
    "run, failed": "/runs/r_0000000000002/",
    "run, failed step": "/runs/r_0000000000002/?step=route/notify",
    "run, running": "/runs/r_0000000000003/",
    "run, unknown": "/runs/r_0000000000004/",
    "run, map": "/runs/r_0000000000005/",
    "run, search": "/runs/r_0000000000001/?step=search",
    "run, events": "/runs/r_0000000000002/?tab=events",
    "run, documents": "/runs/r_0000000000001/?tab=documents",
    "run, input": "/runs/r_0000000000001/?tab=io",
    "run, cost": "/runs/r_0000000000001/?tab=cost",
    "cancel": "/runs/r_0000000000003/cancel/",
    "retry": "/runs/r_0000000000002/retry/",
    "settle": "/runs/r_0000000000004/resolve/?step=notify",
    "workflows": "/workflows/",
    "workflow": "/workflows/docs-assistant/",
    "start": "/workflows/docs-assistant/start/",
    "corpora": "/corpora/",
    "corpus": "/corpora/handbook/?q=leave&mode=text",
    "prompts": "/prompts/",
    "prompt": "/prompts/answer/",
}


def fill() -> None:
    """Fill the database with what the pages show."""
    factories.prompts()
    factories.worker()
    example_runs.succeeded_run(number=1)
    example_runs.failed_run(number=2)
    example_runs.running_run(number=3)
    example_runs.unknown_run(number=4)
    example_runs.map_run(30, failed=[4], number=5)
    factories.many_runs(240, states=(*["succeeded"] * 11, "failed", "cancelled"))
    fixtures.make_corpus("handbook")
    fixtures.publish("handbook", {"leave.md": "Thirty days of leave a year."})
