"""Quarantine: what is excluded from then on, which runs are marked, and how far taint spreads."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from tests.db.engine.test_absorbed import act
from tests.db.engine.test_forks import OTHERS
from tests.db.engine.test_leases import finish
from tests.db.retrieval import fixtures
from tests.engine import OPERATOR, claim, deploy, drain, output, run, start
from tests.threads import DatabaseThreads
from tests.workers import until
from workflows import quarantine, remembering
from workflows.errors import Conflict, Invalid, UnknownObject
from workflows.models import AuditEntry, MemoryVersion, Quarantine, Run, Taint
from workflows.quarantine import Ask
from workflows.releases import deployments

WRITES = """
name: writes
input: {type: object}
steps:
  - {id: greet, prompt: greet, with: {of: "{{ input.of }}"}, route: chat}
  - {id: note, needs: [greet], memory: {write: {scope: global, key: greeting, value: "{{ steps.greet.output.text }}"}}}
"""
READS = """
name: reads
steps: [{id: look, memory: {read: {scope: global, key: greeting}}}]
output: "{{ steps.look.output.value }}"
"""
CALLS = "name: calls\nsteps: [{id: below, workflow: writes, with: {of: bob}}]\n"


def impose(kind: str, ref: str, **window: object) -> Quarantine:
    return quarantine.impose(Ask(kind=kind, ref=ref, reason="it is wrong", **window), actor=OPERATOR)  # type: ignore[arg-type]


def marked(found: Quarantine) -> dict[str, tuple[str, str]]:
    return {taint.run_id: (taint.path, taint.via) for taint in found.taints.all()}


def remembered() -> object:
    place = remembering.Place(environment="production", scope="global", key="greeting")
    return remembering.read(place).value


def test_taint_spreads_through_memory_and_child_runs() -> None:
    deploy(WRITES, others=OTHERS)
    clean, wrote = run(deploy(READS)), run("writes", of="ann")
    read, parent = run("reads"), run(deploy(CALLS))
    assert output(read) == "plain"
    found = impose("prompt", "greet@1")
    child = parent.children.get()
    assert marked(found) == {
        wrote.pk: ("greet", ""),
        child.pk: ("greet", ""),
        read.pk: ("look", "memory"),
        parent.pk: ("below", "run"),
    }
    assert clean.pk not in marked(found)
    assert remembered() is None, "what tainted runs remembered counts no more"
    assert AuditEntry.objects.get(action="quarantine.impose").data["runs"] == 4


def test_a_step_that_pinned_the_version_is_found_too() -> None:
    deploy(WRITES.replace("prompt: greet,", "prompt: greet@1,"), others=OTHERS)
    wrote = run("writes", of="ann")
    assert set(marked(impose("prompt", "greet@1"))) == {wrote.pk}


def test_memory_falls_back_to_the_last_clean_version_and_comes_back() -> None:
    deploy(READS)
    place = remembering.Place(environment="production", scope="global", key="greeting")
    by = remembering.Writer(actor="user:olga")
    for value in ("good", "bad"):
        remembering.change(place, "write", value, by=by, expected=None)
    found = impose("memory", "production/global/greeting@2")
    assert output(run("reads")) == "good"
    quarantine.release(found.pk, actor=OPERATOR, reason="it was right")
    assert output(run("reads")) == "bad"


def test_a_release_that_holds_it_is_not_deployed_and_a_live_one_is_named() -> None:
    deploy(WRITES, others=OTHERS)
    found = impose("prompt", "greet@1")
    assert [each.workflow for each in quarantine.deployed(found)] == ["writes"]
    with pytest.raises(Conflict, match="prompt greet@1 is quarantined"):
        deployments.deploy("writes", environment="production", release=1, actor=OPERATOR)
    quarantine.release(found.pk, actor=OPERATOR, reason="read again")
    deployments.deploy("writes", environment="production", release=1, actor=OPERATOR)
    with pytest.raises(Conflict, match="released before"):
        quarantine.release(found.pk, actor=OPERATOR, reason="twice")


LOOKS = """
name: looks
steps: [{id: look, retrieve: handbook, query: "days of leave", top_k: 5, mode: text}]
output: "{{ steps.look.output.chunks | map(attribute='document') | list }}"
"""


def looks() -> str:
    embeds = OTHERS.replace("models: [", f"models: [{{name: e, embeds: {fixtures.DIMS}}}, ")
    name = deploy(LOOKS, others=embeds + "---\n{kind: Corpus, name: handbook, embedding: fake/e}\n")
    for number in (1, 2):
        fixtures.publish("handbook", {f"leave{number}.md": f"There are {number} days of leave."})
    return name


def test_a_document_is_skipped_by_every_search_and_its_readers_are_marked() -> None:
    name = looks()
    before = run(name)
    assert set(output(before)) == {"leave1.md", "leave2.md"}
    found = impose("document", "handbook/leave1.md")
    after = run(name)
    assert output(after) == ["leave2.md"]
    assert marked(found) == {before.pk: ("look", "")}
    quarantine.release(found.pk, actor=OPERATOR, reason="corrected")
    assert len(output(run(name))) == 2


def test_a_snapshot_is_not_pinned_any_more_by_runs_that_have_not_begun_either() -> None:
    name = looks()
    waiting = start(name)
    assert waiting.pins == {"handbook": 2}
    impose("snapshot", "handbook@2")
    waiting.refresh_from_db()
    assert (waiting.pins, start(name).pins) == ({"handbook": 1}, {"handbook": 1})
    drain()
    assert output(waiting) == ["leave1.md"]
    impose("snapshot", "handbook@1")
    assert start(name).pins == {}


def test_an_hour_of_a_provider_and_a_release_mark_their_runs() -> None:
    deploy(WRITES, others=OTHERS)
    done = run("writes", of="ann")
    now = timezone.now()
    assert impose("provider", "fake/m", since=now - timedelta(hours=1)).taints.count() == 1
    assert impose("provider", "fake", until=now - timedelta(hours=1)).taints.count() == 0
    assert impose("provider", "fake/other").taints.count() == 0
    assert marked(impose("release", "writes@1")) == {done.pk: ("", "")}
    assert set(quarantine.tainted([done.pk])[done.pk][0].__dict__) >= {"path", "via"}


def test_runs_that_came_later_are_marked_at_the_next_look() -> None:
    deploy(WRITES, others=OTHERS)
    found = impose("prompt", "greet@1")
    late = run("writes", of="ann")
    assert quarantine.mark(found) == 1
    assert Taint.objects.get(quarantine=found).run_id == late.pk
    assert MemoryVersion.objects.get(run_id=late.pk).quarantine_id == found.pk
    assert quarantine.mark(found) == 0


KEEPS = """
name: keeps
steps:
  - {id: look, retrieve: handbook, query: "days of leave", top_k: 5, mode: text}
  - {id: note, memory: {write: {scope: global, key: greeting, value: "{{ steps.look.output.chunks[0].text }}"}}}
"""


def test_a_run_that_commits_what_it_found_while_that_is_quarantined_is_marked_by_the_clock() -> None:
    """It searched before, and its step commits in the very moment, or later: nobody has to look at the quarantine."""
    looks()
    late = start(deploy(KEEPS))
    held = claim()
    found = act(held)
    with DatabaseThreads(1) as threads, transaction.atomic():
        finish(held, found, follow=False)
        made = threads.submit(impose, "document", "handbook/leave1.md").result()
    drain()
    assert remembered() is not None
    quarantine.tend()
    until(lambda: marked(made) == {late.pk: ("look", "")}, what="the run is marked")
    assert quarantine.tainted([late.pk])[late.pk][0].quarantine_id == made.pk
    assert remembered() is None


def test_the_clock_looks_for_no_runs_where_nothing_is_quarantined() -> None:
    looks()
    quarantine.release(impose("document", "handbook/leave1.md").pk, actor=OPERATOR, reason="corrected")
    before = set(threading.enumerate())
    quarantine.tend()
    assert set(threading.enumerate()) <= before


def test_a_run_that_used_it_is_marked_before_it_is_released() -> None:
    deploy(WRITES, others=OTHERS)
    found = impose("prompt", "greet@1")
    late = run("writes", of="ann")
    quarantine.release(found.pk, actor=OPERATOR, reason="corrected")
    assert marked(found) == {late.pk: ("greet", "")}
    assert remembered() is not None


@pytest.mark.parametrize(
    ("kind", "ref", "error"),
    [
        ("prompt", "greet@9", UnknownObject),
        ("prompt", "greet", UnknownObject),
        ("tool", "nothing@1", UnknownObject),
        ("document", "books/a.md", UnknownObject),
        ("snapshot", "books@1", UnknownObject),
        ("memory", "production/global/x@1", UnknownObject),
        ("memory", "x", UnknownObject),
        ("release", "w@1", UnknownObject),
        ("provider", "nobody", UnknownObject),
        ("colour", "red", Invalid),
    ],
)
def test_what_is_not_there_is_refused(kind: str, ref: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        impose(kind, ref)
    assert not Quarantine.objects.exists()


def test_the_same_twice_and_a_window_that_makes_no_sense_are_refused() -> None:
    deploy(WRITES, others=OTHERS)
    impose("prompt", "greet@1")
    with pytest.raises(Conflict, match="quarantined already"):
        impose("prompt", "greet@1")
    now = timezone.now()
    with pytest.raises(Invalid, match="Only a provider"):
        impose("prompt", "greet@1", since=now)
    with pytest.raises(Invalid, match="must lie before"):
        impose("provider", "fake", since=now, until=now)
    assert Run.objects.count() == 0


def test_one_that_is_released_while_somebody_looks_for_its_runs_stays_released() -> None:
    deploy(WRITES, others=OTHERS)
    run("writes", of="ann")
    found = impose("prompt", "greet@1")
    stale = Quarantine.objects.get(pk=found.pk)
    quarantine.release(found.pk, actor=OPERATOR, reason="it was right")
    assert quarantine.mark(stale) == 0
    assert remembered() == "plain"


def test_only_what_holds_the_thing_itself_is_still_live() -> None:
    deploy(WRITES, others=OTHERS)
    deploy("name: other\nsteps: [{id: a, set: {v: 1}}]\n")
    both = [impose("release", "other@1"), impose("prompt", "greet@1")]
    live = quarantine.still_live(both)
    assert [[each.workflow for each in live[one.pk]] for one in both] == [["other"], ["writes"]]


def test_nobody_takes_from_the_cache_what_a_tainted_run_left_there() -> None:
    looks()
    cached = deploy(
        LOOKS.replace("name: looks", "name: keeps").replace("mode: text}", "mode: text, cache: 1h}")
    )
    assert set(output(run(cached))) == {"leave1.md", "leave2.md"}
    impose("document", "handbook/leave1.md")
    assert output(run(cached)) == ["leave2.md"]
