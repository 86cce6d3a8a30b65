"""How much more the providers take that a bulk action will call: their limits, what is sent now, what a run sends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import QuerySet

from providers.config import Limits
from workflows import database
from workflows.engine import bundle
from workflows.models import Run
from workflows.models.releases import IMPORTED

MINUTE: Final = timedelta(minutes=1)
_MINUTE_S: Final = MINUTE.total_seconds()
# Runs like these of which the calls are counted, the newest that succeeded; else the newest of these themselves.
_LIKE: Final = 200


@dataclass(frozen=True, kw_only=True)
class Headroom:
    """What one provider takes. `limits`: a minute's, by its document. `requests`, `tokens`: sent in the last minute.

    `requests_per_run` and `tokens_per_run`: what a run like these sent it.
    """

    provider: str
    limits: Limits
    requests: int
    tokens: int
    requests_per_run: float
    tokens_per_run: float

    @property
    def runs_per_s(self) -> float | None:
        """How many runs a second fit beside what is sent now; None: its document names no limit a minute."""
        room = [
            max(limit - used, 0) / _MINUTE_S / per_run
            for limit, used, per_run in (
                (self.limits.requests_per_minute, self.requests, self.requests_per_run),
                (self.limits.tokens_per_minute, self.tokens, self.tokens_per_run),
            )
            if limit is not None and per_run
        ]
        return min(room, default=None)


_SENT: Final = """
SELECT provider, count(*),
       coalesce(sum((usage ->> 'input')::bigint + coalesce((usage ->> 'output')::bigint, 0)), 0)::bigint
  FROM workflows_call
"""
_BY_RUNS: Final = f"{_SENT} WHERE run_id = ANY ($1) GROUP BY provider ORDER BY count(*) DESC, provider"
_LATELY: Final = f"{_SENT} WHERE provider = ANY ($1) AND started_at >= $2 GROUP BY provider"


def of(chosen: QuerySet[Run], workflows: Sequence[str], *, now: datetime) -> tuple[Headroom, ...]:
    """Return the providers that these runs will call, the one called most often first. `workflows`: theirs."""
    like = _like(chosen, workflows)
    per_run = database.fetch_all(_BY_RUNS, [like]) if like else []
    names = [provider for provider, _, _ in per_run]
    lately = {row[0]: row[1:] for row in database.fetch_all(_LATELY, [names, now - MINUTE])} if names else {}
    return tuple(_each(per_run, lately, len(like)))


def _each(
    per_run: Sequence[tuple[Any, ...]], lately: dict[str, tuple[Any, ...]], runs: int
) -> Iterator[Headroom]:
    known = bundle.providers()
    for provider, requests, tokens in per_run:
        sent, sent_tokens = lately.get(provider, (0, 0))
        yield Headroom(
            provider=provider,
            limits=known[provider].limits if provider in known else Limits(),
            requests=sent,
            tokens=sent_tokens,
            requests_per_run=requests / runs,
            tokens_per_run=tokens / runs,
        )


def _like(chosen: QuerySet[Run], workflows: Sequence[str]) -> list[str]:
    well = Run.objects.filter(workflow__in=workflows, state="succeeded", forked_from=None)
    for runs in (well.exclude(environment=IMPORTED), chosen):
        found = list(runs.order_by("-created_at", "-id").values_list("pk", flat=True)[:_LIKE])
        if found:
            return found
    return []
