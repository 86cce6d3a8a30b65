"""A stored filter in words: every field of it has some."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from console.forms import filter_words
from workflows.bulk import selections
from workflows.bulk.selections import Matching
from workflows.queries.run_matching import Bound, RunFilter

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        (RunFilter(), ""),
        (RunFilter(states=("failed", "stuck"), attention=True), "state failed or stuck or attention"),
        (RunFilter(attention=True), "state attention"),
        (RunFilter(tags=("eu", "vip")), "tags eu and vip"),
        (RunFilter(tags=("eu",), workflow="triage", release=3), "workflow triage, release 3, tag eu"),
        (RunFilter(text="too late", phrases=("a b",)), "the text “too late”, the text “a b”"),
        (RunFilter(taint="any"), "a taint of any quarantine"),
        (RunFilter(taint="7", error="timeout"), "error timeout, a taint of quarantine 7"),
        (
            RunFilter(
                bounds=(
                    Bound(of="cost", comparison="gte", amount=Decimal("2.5")),
                    Bound(of="duration", comparison="lt", amount=Decimal(30)),
                    Bound(of="tokens", comparison="gt", amount=Decimal(5000)),
                )
            ),
            "cost ≥ $2.5, duration < 30 s, tokens > 5000",
        ),
        (RunFilter(since=NOON, until=NOON), "since Mar 1, 12:00:00, until Mar 1, 12:00:00"),
    ],
)
def test_a_filter_is_told_as_it_is_kept(chosen: RunFilter, words: str) -> None:
    kept = selections.as_json(Matching(chosen))["filter"]
    assert filter_words.told(kept) == words
