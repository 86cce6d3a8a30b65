"""What a bulk retry does outside, before it is started: which tools are called again, and who answers badly now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import Count, QuerySet

from workflows.engine import bundle
from workflows.engine.again import AGAIN
from workflows.models import Run, StepRun
from workflows.queries import attention
from workflows.queries.attention import Trouble
from workflows.spec.step_bodies import ToolBody

# Releases whose tools are looked at; a selection over more of them is told without.
_RELEASES: Final = 50


@dataclass(frozen=True, kw_only=True)
class Calls:
    """How many calls of a tool with an effect are sent again, each under its first idempotency key."""

    tool: str
    effect: str
    count: int


def calls(going: QuerySet[Run]) -> tuple[Calls, ...]:
    """Count what failed `tool` steps of runs that go on call again, the most first; what agents will call is not known.

    `going`: with the child runs that go on with them.
    """
    steps = StepRun.objects.filter(
        run_id__in=going.order_by().values("pk"), superseded=False, state__in=AGAIN, kind="tool"
    ).filter(started_at__isnull=False)
    rows = steps.order_by().values_list("run__release", "step_id").annotate(count=Count("pk"))
    found: Counter[tuple[str, str]] = Counter()
    for release, step_id, count in rows[: _RELEASES * 20]:
        for name, effect in _tool(release, step_id):
            found[name, effect] += count
    return tuple(
        Calls(tool=name, effect=effect, count=count) for (name, effect), count in found.most_common()
    )


def _tool(release: int, step_id: str) -> Iterator[tuple[str, str]]:
    try:
        loaded = bundle.load(release)
    except LookupError:  # its documents are not stored any more
        return
    node = loaded.plan.nodes.get(step_id)
    if node is None or not isinstance(node.step.body, ToolBody):
        return
    tool = loaded.tools.get(node.step.body.tool)
    if tool is not None and tool.effect != "read":
        yield tool.name, tool.effect


def troubled(chosen: QuerySet[Run], *, now: datetime) -> tuple[Trouble, ...]:
    """Return the providers of these failures that answer badly now."""
    names = set(
        chosen.order_by()
        .exclude(error_group__provider="")
        .exclude(error_group=None)
        .values_list("error_group__provider", flat=True)
        .distinct()[:20]
    )
    return tuple(each for each in attention.providers(now) if each.provider in names) if names else ()
