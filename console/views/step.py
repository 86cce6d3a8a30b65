"""What one step of a run did: the inspector beside the timeline, and the payloads that it shows."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from console import formats
from console.access import requires
from console.drawing import looks
from console.views import run_summary, step_prompt
from console.views.payload import block_of
from console.views.run_find import find
from workflows.models import Call, Run
from workflows.queries import run_page, settlements
from workflows.queries.run_list import CONTAINERS
from workflows.queries.settlements import Settlement
from workflows.queries.step_rows import AttemptView, StepView, steps_of
from workflows.recovery import evidence

# What a person's answer to a step that was left open made of it.
SETTLED: Final = {
    "supply": "supplied the output",
    "skip": "skipped it",
    "retry": "let it run again",
    "fail": "let it fail",
}
_NAME: Final = re.compile("[a-z][a-z0-9-]{0,62}")


@requires("runs.view")
def detail(request: HttpRequest, run_id: str) -> HttpResponse:
    """Show one step; a poll whose answer is still right gets 304."""
    run = find(run_id)
    path = request.GET.get("step", "")
    settled = settlements.of_run(run.id)
    steps = settlements.apart(steps_of(run.id), settled)
    chosen = next((step for step in steps if step.path == path), None)
    if chosen is None:
        raise Http404("This step is not part of the run any more.")
    context = inspector(
        run, steps, chosen, attempt=request.GET.get("attempt", ""), settled=settled.get(path, ())
    )
    if request.headers.get("HX-PTag") == context["step_mark"]:
        return HttpResponse(status=304)
    answer = render(request, "run/_step.html", {**context, "run": run})
    answer["HX-PTag"] = context["step_mark"]
    return answer


def inspector(
    run: Run, steps: Sequence[StepView], chosen: StepView, *, attempt: str, settled: Sequence[Settlement]
) -> dict[str, Any]:
    """Collect what the inspector shows of a step, seen from one of its attempts."""
    current = _attempt(chosen, attempt)
    calls = [_call(call, run.id) for call in run_page.calls_of(run.id, step_run_ids=[chosen.id])]
    shown = [call for call in calls if current is None or call["call"].attempt == current.number]
    given = run_page.value_of(chosen.input_hash)
    asked: Mapping[str, Any] = given.value if isinstance(given.value, dict) else {}
    return {
        "step": chosen,
        "kind": looks.kind_look(chosen.kind),
        # Those of a container only lay it out and collect it.
        "attempts": [
            _attempt_tab(each, current, chosen) for each in chosen.attempts if chosen.kind not in CONTAINERS
        ],
        "attempt": current,
        "settled": [(each, SETTLED.get(each.action, each.action)) for each in settled],
        "error": (current.error if current and current.error else chosen.error) or None,
        "effect": run_summary.effect_of_retry(chosen),
        "asked": asked,
        "prompt_name": document_name(asked.get("prompt")),
        **(step_prompt.shown(asked, shown) if chosen.kind == "prompt" else {}),
        **step_prompt.verdict(asked, chosen.state, chosen.error),
        **_tool(run, chosen, asked),
        "output_text": _text_output(chosen),
        "input_block": block_of(run.id, chosen.input_hash),
        "output_block": block_of(run.id, chosen.output_hash),
        "calls": shown,
        "usage": _usage(shown),
        "latency": _latency(shown),
        "lineage": run_page.lineage_of(run.id, chosen.id),
        "offset_s": (chosen.started_at - run.created_at).total_seconds() if chosen.started_at else None,
        "below": sum(each.parent_id == chosen.id for each in steps),
        **(search_of(chosen) if chosen.kind == "retrieve" else {}),
        "step_poll": _address(run, chosen, attempt) if chosen.can_change else "",
        "step_mark": _step_mark(chosen, calls, attempt),
    }


def _tool(run: Run, step: StepView, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a tool was called with; its effect has a name of its own where it may happen only once."""
    if step.kind != "tool":
        return {}
    if step.state == "unknown":  # its worker may have died before it wrote down what it sent
        found = evidence.of(run.id, step.path)
        return {"tool_request": found.arguments, "sent_key": found.sent_key}
    return {"tool_request": asked.get("arguments"), "sent_key": run_page.sent(run.id, step.path)[0]}


def _address(run: Run, step: StepView, attempt: str) -> str:
    query = f"?step={quote(step.path)}" + (f"&attempt={attempt}" if attempt else "")
    return reverse("run-step", args=[run.id]) + query


def _step_mark(step: StepView, calls: Sequence[Mapping[str, Any]], attempt: str) -> str:
    done = sum(call["call"].ended_at is not None for call in calls)
    # With its id: two steps that went alike are not one answer.
    facts = f"{step.id} {step.state} {step.reason} {[a.state for a in step.attempts]} {len(calls)} {done} {attempt}"
    return hashlib.blake2b(facts.encode("utf-8", "replace"), digest_size=8).hexdigest()


def _attempt(step: StepView, asked: str) -> AttemptView | None:
    """Return the attempt that the address names, as `2` or `1.2` with its epoch, else the newest."""
    for each in step.attempts:
        if asked in (f"{each.epoch}.{each.number}", str(each.number)) and asked:
            return each
    return step.attempts[-1] if step.attempts else None


def _attempt_tab(each: AttemptView, current: AttemptView | None, step: StepView) -> dict[str, Any]:
    epochs = {attempt.epoch for attempt in step.attempts}
    name = f"{each.epoch}.{each.number}" if len(epochs) > 1 else str(each.number)
    lasted = (each.ended_at - each.started_at).total_seconds() if each.ended_at else None
    notes = {"lost": "its worker was lost", "interrupted": "handed back by its worker"}
    return {
        "attempt": each,
        "name": name,
        "current": each is current,
        "lasted_s": lasted,
        "note": (each.error or {}).get("message") or notes.get(each.state) or "",
        "address": f"?step={quote(step.path)}&attempt={name}",
    }


def _text_output(step: StepView) -> str | None:
    """Return the text of an answer without a schema: it reads better as text than as JSON."""
    value = run_page.value_of(step.output_hash).value if step.kind == "prompt" else None
    if isinstance(value, dict) and set(value) == {"text"} and isinstance(value["text"], str):
        return formats.printable(value["text"])
    return None


def _call(call: Call, run_id: str) -> dict[str, Any]:
    request = run_page.value_of(call.request_hash)
    return {
        "call": call,
        "model": call.model_returned or call.model_requested,
        "total_s": _seconds(call.timing_ms, "total"),
        "request_value": request,
        "request": block_of(run_id, call.request_hash),
        "response": block_of(run_id, call.response_hash),
    }


def _seconds(timing_ms: Mapping[str, Any] | None, name: str) -> float | None:
    value = (timing_ms or {}).get(name)
    return value / 1000 if isinstance(value, int | float) else None


def _usage(calls: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Sum the tokens of some calls and lay out their bar; nothing where none were told."""
    told = [c["call"].usage for c in calls if c["call"].usage and c["call"].usage.get("source") != "missing"]
    if not told:
        return None
    cached = sum(usage.get("cached") or 0 for usage in told)
    fresh = sum(usage.get("input") or 0 for usage in told) - cached
    output = sum(usage.get("output") or 0 for usage in told)
    costs = [c["call"].cost_usd for c in calls]
    known = [cost for cost in costs if cost is not None]
    return {
        "total": fresh + cached + output,
        "estimated": any(usage.get("source") == "estimated" for usage in told),
        "cost": sum(known) if known else None,
        "parts": _parts(
            [("input", "Input", fresh), ("cached", "Cached", cached), ("output", "Output", output)]
        ),
    }


def _latency(calls: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Split the time of the last call: queue, first token, the rest."""
    timed = [c["call"].timing_ms for c in calls if c["call"].timing_ms and c["call"].timing_ms.get("total")]
    if not timed:
        return None
    total, queue = float(timed[-1]["total"]), float(timed[-1].get("queue") or 0)
    first = float(timed[-1].get("first_token") or 0)
    waited = max(first - queue, 0)
    rest = max(total - queue - waited, 0)
    parts = [("queue", "Queue", queue), ("first", "First token", waited)]
    parts.append(("rest", "Stream" if first else "Answer", rest))
    output = (calls[-1]["call"].usage or {}).get("output") or 0
    return {
        "total_s": total / 1000,
        "rate": round(output / (rest / 1000)) if output and rest >= 50 else None,
        "parts": _parts(parts),
    }


def _parts(parts: Sequence[tuple[str, str, float]]) -> list[dict[str, Any]]:
    """Lay parts side by side: where each begins and how wide it is, in per cent."""
    total = sum(amount for _, _, amount in parts) or 1
    placed, left = [], 0.0
    for key, label, amount in parts:
        width = amount / total * 100
        if amount:
            placed.append(
                {"key": key, "label": label, "amount": amount, "x": f"{left:.2f}%", "width": f"{width:.2f}%"}
            )
        left += width
    return placed


def document_name(reference: object) -> str:
    """Return the name in a reference such as `triage@3`; of anything else nothing, which leads nowhere."""
    name = reference.partition("@")[0] if isinstance(reference, str) else ""
    return name if _NAME.fullmatch(name) else ""


def search_of(step: StepView) -> dict[str, Any]:
    """Return what a search was asked and what it found."""
    asked = run_page.value_of(step.input_hash).value
    found = run_page.value_of(step.output_hash)
    answer = found.value if isinstance(found.value, dict) else {}
    asked = asked if isinstance(asked, dict) else {}
    return {
        "search": asked,
        "corpus_name": document_name(asked.get("corpus")),
        "snapshot": answer.get("snapshot"),
        "passages": [chunk for chunk in answer.get("chunks", []) if isinstance(chunk, dict)],
        "search_problem": found.problem,
    }
