"""The tabs of a run's page beside its timeline: events, documents, memory, decisions, input and output, cost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final
from urllib.parse import urlencode

from django.urls import reverse

from console.drawing import events
from console.forms.run_view import Asked
from console.views import step
from console.views.payload import block_of
from workflows import remembering
from workflows.models import Call, Run
from workflows.queries import run_page
from workflows.queries.run_page import StepView

EVENTS: Final = 200  # on a page
_SEARCHES: Final = 50
_DECISIONS: Final = 500
_REMEMBERED: Final = 100


def events_tab(run: Run, want: Asked) -> dict[str, Any]:
    """Collect a page of the journal; an event that the address names is in it."""
    page = run_page.events_of(
        run.id,
        kind=want.event_type,
        step=want.text,
        after=want.after or 0,
        before=want.before,
        around=want.event,
        limit=EVENTS,
    )
    first, last = (str(page.events[at].seq) if page.events else None for at in (0, -1))
    return {
        "event_rows": events.rows_html(page.events, begun=run.created_at, chosen=want.event),
        "event_count": len(page.events),
        "event_types": run_page.event_types(run.id),
        "missing_event": want.event is not None and not any(e.seq == want.event for e in page.events),
        "earlier": want.address(before=first, after=None, event=None) if page.earlier else "",
        "later": want.address(after=last, before=None, event=None) if page.later else "",
    }


def documents_tab(steps: Sequence[StepView], want: Asked) -> dict[str, Any]:
    """Collect what the searches were asked and found, so many at a time."""
    ran = [each for each in steps if each.kind == "retrieve" and each.state == "succeeded"]
    low = min(want.after or 0, len(ran))
    high = low + _SEARCHES
    return {
        "searches": [{"step": each, **step.search_of(each)} for each in ran[low:high]],
        "first_search": low + 1,
        "last_search": min(high, len(ran)),
        "all_searches": len(ran),
        "earlier": want.address(after=str(max(low - _SEARCHES, 0)) if low > _SEARCHES else None)
        if low
        else "",
        "later": want.address(after=str(high)) if high < len(ran) else "",
    }


def memory_tab(run: Run, steps: Sequence[StepView]) -> dict[str, Any]:
    """Collect what was read and written of memory, at which version."""
    ran = [each for each in steps if each.kind == "memory" and each.state == "succeeded"]
    return {
        "remembered": [_remembered(run, each) for each in ran[:_REMEMBERED]],
        "more_remembered": max(len(ran) - _REMEMBERED, 0),
    }


def _remembered(run: Run, step: StepView) -> dict[str, Any]:
    asked, gave = (run_page.value_of(key).value for key in (step.input_hash, step.output_hash))
    asked = asked if isinstance(asked, dict) else {}
    gave = gave if isinstance(gave, dict) else {}
    scope, key = str(asked.get("scope", "")), str(asked.get("key", ""))
    full = remembering.scope_of(scope, workflow=run.workflow, session=run.session) or scope
    where = {"environment": run.environment_id, "scope": full, "key": key}
    return {
        "step": step,
        "operation": asked.get("operation", ""),
        "scope": full,
        "key": key,
        "version": gave.get("version"),
        "address": f"{reverse('memory-key')}?{urlencode(where)}",
        "value": block_of(run.id, step.output_hash),
    }


def decisions_tab(run: Run, steps: Sequence[StepView]) -> dict[str, Any]:
    """Collect which way each branch went, and the condition that held."""
    definition = run_page.definition_of(run)
    documents = run_page.find_steps(definition.body) if definition else {}
    ran = [each for each in steps if each.kind == "branch" and each.started_at is not None]
    return {
        "decisions": [_decision(each, documents.get(each.step_id, {})) for each in ran[:_DECISIONS]],
        "more_decisions": max(len(ran) - _DECISIONS, 0),
    }


def _decision(branch: StepView, document: Any) -> dict[str, Any]:
    chosen = run_page.value_of(branch.output_hash if branch.output_hash else branch.input_hash).value
    taken = chosen.get("case") if isinstance(chosen, dict) else None
    cases = document.get("branch") if isinstance(document, dict) else None
    shown = []
    for number, case in enumerate(cases if isinstance(cases, list) else []):
        inner = case.get("steps") if isinstance(case, dict) else None
        shown.append(
            {
                "when": str(case.get("when", "otherwise")) if isinstance(case, dict) else "",
                "leads_to": [str(each.get("id", "")) for each in inner or [] if isinstance(each, dict)],
                "taken": number == taken,
                "looked_at": taken is None or number <= taken,
            }
        )
    return {"step": branch, "cases": shown, "none": taken is None}


def io_tab(run: Run) -> dict[str, Any]:
    """Collect what the run was given and what it gave."""
    return {
        "input": block_of(run.id, run.input_hash),
        "output": block_of(run.id, run.output_hash),
    }


def costs(steps: Sequence[StepView], calls: Sequence[Call]) -> list[dict[str, Any]]:
    """Sum the calls by step and model, the dearest first; unknown prices stay unknown.

    The items of a map are one line: what matters is which step of the definition costs.
    """
    names = {each.id: _without_items(each.path) for each in steps}
    sums: dict[tuple[str, str], dict[str, Any]] = {}
    for call in calls:
        model = f"{call.provider}/{call.model_requested}"
        path = names.get(call.step_run_id, "an earlier epoch")
        line = sums.setdefault(
            (path, model), {"path": path, "model": model, "calls": 0, "usage": defaultdict(int), "cost": None}
        )
        line["calls"] += 1
        for name in ("input", "cached", "output", "reasoning"):
            line["usage"][name] += (call.usage or {}).get(name) or 0
        if call.cost_usd is not None:
            line["cost"] = (line["cost"] or Decimal(0)) + call.cost_usd
    return sorted(sums.values(), key=lambda line: (line["cost"] is None, -(line["cost"] or 0), line["path"]))


def _without_items(path: str) -> str:
    return "/".join(
        f"{part.partition('[')[0]}[…]" if part.endswith("]") else part for part in path.split("/")
    )
