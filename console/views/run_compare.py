"""Two runs side by side: what they were given, and step by step what differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.safestring import SafeString

from console.access import requires
from console.drawing import json_text, pair_bars, text_diff
from console.views import compare_parts
from console.views.run_find import find
from console.views.run_title import title_of
from workflows import states
from workflows.models import Run
from workflows.replay import diff
from workflows.replay.diff import Difference, RunDiff, StepPair

_ROWS: Final = 500
_SUGGESTED: Final = 8


@dataclass(frozen=True)
class Delta:
    """A figure of both runs and how they differ; `tone`: whether the right one is better."""

    left: Any
    right: Any
    change: Any  # from left to right; None: it is not known, or there is none
    tone: str


@requires("runs.view")
def compare(request: HttpRequest, **_: Any) -> HttpResponse:
    """Compare the runs `a` and `b`; with one of them, offer what it could be compared with."""
    asked = {key: request.GET.get(key, "").strip()[:40] for key in ("a", "b")}
    if not (asked["a"] and asked["b"]):
        return _pick(request, asked)
    left, right = find(asked["a"]), find(asked["b"])
    found = diff.of(left, right)
    every = request.GET.get("all") == "1"
    pairs = [pair for pair in found.steps if every or pair.differs]
    chosen = next((pair for pair in found.steps if pair.path == request.GET.get("step")), None)
    longest_s = _longest(found)
    going = not {left.state, right.state} <= states.RUN_ENDED
    context: dict[str, Any] = {
        "left": left,
        "right": right,
        "titles": (title_of(left), title_of(right)),
        "found": found,
        "figures": _figures(found),
        "given": [_drawn(each) for each in found.given],
        "output": _drawn(found.output) if found.output else None,
        "memory": compare_parts.memory(found, every=every)[:_ROWS],
        "scale": (longest_s / 2, longest_s),
        "rows": [_row(request, pair, longest_s) for pair in pairs[:_ROWS]],
        "more": max(len(pairs) - _ROWS, 0),
        "same": sum(not pair.differs for pair in found.steps),
        "every": every,
        "every_address": _address(request, all=None if every else "1", step=None),
        "swapped": _address(request, a=right.pk, b=left.pk, step=None),
        "first_address": _address(request, step=found.first) if found.first else "",
        "poll": request.get_full_path() if going else "",
        **(_chosen(request, chosen, pairs) if chosen else {}),
    }
    template = "compare/_compare.html" if request.headers.get("HX-Request") else "compare/page.html"
    return render(request, template, context)


def _pick(request: HttpRequest, asked: dict[str, str]) -> HttpResponse:
    run = find(asked["a"] or asked["b"]) if asked["a"] or asked["b"] else None
    return render(
        request, "compare/pick.html", {"asked": asked, "run": run, "others": _others(run) if run else []}
    )


def _others(run: Run) -> list[dict[str, Any]]:
    """Offer the run that it was forked from, those forked from it, and the newest of the same workflow."""
    related = [run.forked_from_id] if run.forked_from_id else []
    related += run.forks.order_by("-created_at").values_list("pk", flat=True)[:_SUGGESTED]
    newest = Run.objects.filter(workflow=run.workflow).exclude(pk=run.pk).order_by("-created_at")
    ids = [*related, *newest.values_list("pk", flat=True)[:_SUGGESTED]]
    runs = Run.objects.in_bulk(list(dict.fromkeys(ids)))
    return [{"run": runs[each], "title": title_of(runs[each])} for each in dict.fromkeys(ids) if each in runs]


def _figures(found: RunDiff) -> list[tuple[str, str, Delta]]:
    left, right = found.left, found.right
    return [
        ("Duration", "duration", _delta(_took(left), _took(right))),
        ("Cost", "money", _delta(left.cost_usd, right.cost_usd)),
        ("Tokens in", "count", _delta(_tokens(left.tokens, "input"), _tokens(right.tokens, "input"))),
        ("Tokens out", "count", _delta(_tokens(left.tokens, "output"), _tokens(right.tokens, "output"))),
    ]


def _delta(left: float | Decimal | None, right: float | Decimal | None) -> Delta:
    if left is None or right is None or left == right:
        return Delta(left, right, None, "idle")
    change = right - left  # type: ignore[operator]  # both are of one kind
    return Delta(left, right, change, "ok" if change < 0 else "retry")


def _took(run: Run) -> float | None:
    return (run.ended_at - run.started_at).total_seconds() if run.ended_at and run.started_at else None


def _tokens(told: Mapping[str, int] | None, *names: str) -> int | None:
    return sum(told.get(name) or 0 for name in names) if told else None


def _row(request: HttpRequest, pair: StepPair, longest_s: float) -> dict[str, Any]:
    left, right = pair.left, pair.right
    return {
        "pair": pair,
        "address": _address(request, step=pair.path),
        "time": _delta(left.duration_s if left else None, right.duration_s if right else None),
        "tokens": _delta(
            _tokens(left.tokens if left else None, "input", "output"),
            _tokens(right.tokens if right else None, "input", "output"),
        ),
        "cost": _delta(left.cost_usd if left else None, right.cost_usd if right else None),
        "bars": pair_bars.svg(left, right, longest_s=longest_s),
        "aspects": [each.aspect for each in pair.differences],
        "only": "left" if right is None else "right" if left is None else "",
    }


def _longest(found: RunDiff) -> float:
    ends = [
        (side.begun_s or 0) + (side.duration_s or 0)
        for pair in found.steps
        for side in (pair.left, pair.right)
        if side is not None
    ]
    return max(ends, default=0.0)


def _drawn(each: Difference) -> dict[str, Any]:
    return {
        "aspect": each.aspect,
        "at": each.at,
        "left": _json(each.left),
        "right": _json(each.right),
    }


def _json(value: Any) -> SafeString:
    return json_text.highlight(json_text.serialise(json_text.without_bulk(value)))


def _chosen(request: HttpRequest, pair: StepPair, pairs: Sequence[StepPair]) -> dict[str, Any]:
    """Collect one step in full: each aspect that differs, as what it is."""
    split = request.GET.get("as") == "split"
    paths = [each.path for each in pairs]
    at = paths.index(pair.path) if pair.path in paths else -1
    return {
        "chosen": pair,
        "aspects": [_aspect(pair, each.aspect, split=split) for each in pair.differences],
        "split": split,
        "layout_address": _address(request, **{"as": None if split else "split"}),
        "before": _address(request, step=paths[at - 1]) if at > 0 else "",
        "after": _address(request, step=paths[at + 1]) if 0 <= at < len(paths) - 1 else "",
    }


def _aspect(pair: StepPair, name: str, *, split: bool) -> dict[str, Any]:
    """Collect one aspect that differs: documents by rank, everything else as texts, word by word."""
    if name == "documents" and pair.left and pair.right:
        return {"name": name, "documents": compare_parts.ranked(pair.left.documents, pair.right.documents)}
    draw = text_diff.split if split else text_diff.unified
    texts = compare_parts.texts(pair, name)
    return {"name": name, "texts": [(each.title, draw(each.left, each.right)) for each in texts]}


def _address(request: HttpRequest, **changes: str | None) -> str:
    query = {key: request.GET[key] for key in ("a", "b", "all", "step", "as") if request.GET.get(key)}
    query = {key: value for key, value in {**query, **changes}.items() if value}
    return f"?{urlencode(query)}"
