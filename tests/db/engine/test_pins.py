"""Invariant 6: all retrievals of a run see the snapshot that it pinned; nothing published later is visible."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_django import Settings

from tests.db.retrieval import fixtures
from tests.engine import apply, drain, output, start, wake
from workflows.engine import execute
from workflows.engine.leases import Process
from workflows.models import Run

DOCUMENTS = (
    f"""
kind: Provider
name: fake
api: scripted
models: [{{name: e, embeds: {fixtures.DIMS}}}]
""",
    "{kind: Corpus, name: handbook, embedding: fake/e}",
    """
kind: Workflow
name: below
steps: [{id: deep, retrieve: handbook, query: apple, top_k: 50, mode: text}]
output: "{{ steps.deep.output.chunks }}"
""",
    """
kind: Workflow
name: looks
steps:
  - {id: first, retrieve: handbook, query: apple, top_k: 50, mode: text}
  - {id: nap, wait: {for: 0s}}
  - {id: child, workflow: below}
  - id: each
    map:
      over: "[1, 2]"
      max_parallel: 1
      steps: [{id: again, retrieve: handbook, query: apple, top_k: 50, mode: text}]
output: "{{ [steps.first.output.chunks, steps.child.output] + (steps.each.output | map(attribute='chunks') | list) }}"
""",
)
NAMES = ["a.md", "b.md", "c.md"]
# A document gets a text with this number; null: it is removed. Or a run starts, or goes a step further.
CHANGES = st.tuples(st.sampled_from(NAMES), st.one_of(st.none(), st.integers(0, 5)))
MOVES = st.lists(st.one_of(CHANGES, st.just("start"), st.just("work"), st.just("work")), max_size=25)


class Library:
    """What has been published, and what each run has to see of it."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.seen: dict[str, dict[str, str]] = {}

    def publish(self, name: str, number: int | None) -> None:
        text = None if number is None else f"Apple pie number {number}, by {name}."
        if text is None and name not in self.texts:
            return
        fixtures.publish("handbook", {name: text})
        self.texts = (
            {**self.texts, name: text} if text else {k: v for k, v in self.texts.items() if k != name}
        )

    def start(self) -> None:
        self.seen[start("looks").pk] = self.texts


def texts(chunks: list[dict[str, Any]]) -> dict[str, str]:
    return {chunk["document"]: chunk["text"].strip() for chunk in chunks}


@pytest.fixture
def _corpus(settings: Settings) -> None:
    settings.SLICE_S = 0.0  # one attempt at a time, so that something may be published between two
    apply(*DOCUMENTS)
    fixtures.publish("handbook", dict.fromkeys(NAMES, "Apple pie."))


@pytest.mark.usefixtures("_corpus")
@settings(max_examples=8, derandomize=True, suppress_health_check=list(HealthCheck))
@given(moves=MOVES)
def test_nothing_published_between_its_steps_is_visible_to_a_run(moves: list[Any]) -> None:
    library = Library()
    for name in NAMES:
        library.publish(name, 0)
    library.start()
    for move in moves:
        if move == "start":
            library.start()
        elif move == "work":
            execute.work(Process())
            wake()
        else:
            library.publish(*move)
    library.publish("a.md", 6)
    while drain():
        wake()
    for run in Run.objects.filter(pk__in=library.seen):
        assert run.state == "succeeded", run.error
        assert [texts(chunks) for chunks in output(run)] == [library.seen[run.pk]] * 4
