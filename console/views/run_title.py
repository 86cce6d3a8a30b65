"""Name a run on its own pages. A damaged input must not hide the run, so its id stands in then."""

from __future__ import annotations

from workflows import payloads
from workflows.models import Run
from workflows.queries import run_list


def title_of(run: Run) -> str:
    """Return the run's title, else the longest text of its input, else its id."""
    try:
        return run_list.titles([run])[run.id]
    except payloads.UNREADABLE:
        return run.id
