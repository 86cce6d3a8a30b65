"""What one step of a run did: the inspector beside the timeline, and the payloads that it shows."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.safestring import SafeString

from console import formats
from console.access import requires
from console.drawing import json_text, looks
from console.views import run_summary
from workflows import payloads
from workflows.models import Call, Run
from workflows.queries import run_page
from workflows.queries.run_list import CONTAINERS
from workflows.queries.run_page import AttemptView, StepView, Value

_WHOLE: Final = 64 * 1024  # characters that are shown at once
_NAME: Final = re.compile("[a-z][a-z0-9-]{0,62}")
_CUT: Final = 8 * 1024  # of a longer value


@dataclass(frozen=True, kw_only=True)
class Block:
    """A payload as the page shows it."""

    text: SafeString | str = ""
    problem: str = ""
    size: int = 0
    cut: bool = False
    address: str = ""
    present: bool = True


def block(value: Value, run_id: str, key: bytes | memoryview | None) -> Block:
    """Draw a payload; of a long one the beginning, with the way to the rest."""
    if not value.present or key is None:
        return Block(present=False)
    if value.problem:
        return Block(problem=value.problem)
    text = json_text.serialise(value.value)
    cut = len(text) > _WHOLE
    return Block(
        text=json_text.highlight(text[:_CUT] if cut else text),
        size=len(text),
        cut=cut,
        address=reverse("run-payload", args=[run_id, bytes(key).hex()]),
    )


@requires("runs.view")
def payload(request: HttpRequest, run_id: str, key: str) -> HttpResponse:
    """Give one payload of a run as JSON, whole."""
    run = Run.objects.filter(id=run_id.replace("\0", "")).first()
    digest = bytes.fromhex(key) if re.fullmatch("[0-9a-f]{64}", key) else b""
    if run is None or not digest or not run_page.payload_belongs(run, digest):
        raise Http404("This run has no such payload.")
    value = run_page.value_of(digest)
    if value.problem:
        raise Http404(value.problem)
    answer = HttpResponse(payloads.canonical(value.value), content_type="application/json")
    answer["Content-Disposition"] = f'inline; filename="{run.id}-{key[:12]}.json"'
    return answer


@requires("runs.view")
def detail(request: HttpRequest, run_id: str) -> HttpResponse:
    """Show one step; a poll whose answer is still right gets 304."""
    run = Run.objects.select_related("release").filter(id=run_id.replace("\0", "")).first()
    path = request.GET.get("step", "")
    steps = run_page.steps_of(run.id) if run else ()
    chosen = next((step for step in steps if step.path == path), None)
    if run is None or chosen is None:
        raise Http404("This step is not part of the run any more.")
    context = inspector(run, steps, chosen, attempt=request.GET.get("attempt", ""))
    if request.headers.get("HX-PTag") == context["step_mark"]:
        return HttpResponse(status=304)
    answer = render(request, "run/_step.html", {**context, "run": run})
    answer["HX-PTag"] = context["step_mark"]
    return answer


def inspector(run: Run, steps: Sequence[StepView], chosen: StepView, *, attempt: str) -> dict[str, Any]:
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
        "error": (current.error if current and current.error else chosen.error) or None,
        "effect": run_summary.effect_of_retry(chosen),
        "asked": asked,
        "prompt_name": document_name(asked.get("prompt")),
        "prompt_messages": _messages(asked, shown) if chosen.kind == "prompt" else [],
        "output_text": _text_output(chosen),
        "input_block": block(given, run.id, chosen.input_hash),
        "output_block": block(run_page.value_of(chosen.output_hash), run.id, chosen.output_hash),
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


def _address(run: Run, step: StepView, attempt: str) -> str:
    query = f"?step={quote(step.path)}" + (f"&attempt={attempt}" if attempt else "")
    return reverse("run-step", args=[run.id]) + query


def _step_mark(step: StepView, calls: Sequence[Mapping[str, Any]], attempt: str) -> str:
    done = sum(call["call"].ended_at is not None for call in calls)
    facts = f"{step.state} {step.reason} {[a.state for a in step.attempts]} {len(calls)} {done} {attempt}"
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


def _messages(asked: Mapping[str, Any], calls: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return the rendered messages; of a step whose input was not kept, those that its last call sent."""
    messages = asked.get("messages")
    if not messages and calls:
        request = calls[-1]["request_value"].value
        body = request.get("body") if isinstance(request, dict) else None
        messages = body.get("messages") if isinstance(body, dict) else None
    if not isinstance(messages, list):
        return []
    return [
        {"role": str(m.get("role", "")), "text": _plain(m.get("content"))}
        for m in messages
        if isinstance(m, dict)
    ]


def _plain(content: object) -> str:
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False, indent=2)
    return formats.printable(text)


def _text_output(step: StepView) -> str | None:
    """Return the text of an answer without a schema: it reads better as text than as JSON."""
    value = run_page.value_of(step.output_hash).value if step.kind == "prompt" else None
    if isinstance(value, dict) and set(value) == {"text"} and isinstance(value["text"], str):
        return formats.printable(value["text"])
    return None


def _call(call: Call, run_id: str) -> dict[str, Any]:
    request = run_page.value_of(call.request_hash)
    response = run_page.value_of(call.response_hash)
    return {
        "call": call,
        "model": call.model_returned or call.model_requested,
        "total_s": _seconds(call.timing_ms, "total"),
        "request_value": request,
        "request": block(request, run_id, call.request_hash),
        "response": block(response, run_id, call.response_hash),
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
