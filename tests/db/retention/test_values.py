"""Values that nobody names go; those that anybody names stay, whoever takes them up meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from tests.db.replay.test_verify import OTHERS, moods
from tests.db.retention.past import age, forget_cached
from tests.engine import OPERATOR, apply, deploy, drain, output, run
from tests.threads import DatabaseThread
from workflows import memory, payloads, recovery, remembering, runs
from workflows.builtin import ingest, uploads
from workflows.engine import bundle
from workflows.errors import Conflict
from workflows.models import Call, Environment, JournalEvent, Payload, Run, StepRun
from workflows.payloads import Batch
from workflows.replay import forking, packing, verify
from workflows.replay.overriding import Overrides
from workflows.retention import marking, pruning, sweeping
from workflows.retention.report import Report

# The messages of a request lie in payloads of their own from four on.
TALK = """
kind: Prompt
name: talk
variables: {text: {type: string}}
messages:
  - {role: system, content: "You talk."}
  - {role: user, content: "First."}
  - {role: assistant, content: "Yes."}
  - {role: user, content: "Mood of: {{ text }}"}
"""
TALKING = """
name: talking
steps:
  - {id: a, prompt: talk, with: {text: "{{ input.text }}"}, route: chat}
  - {id: kept, needs: [a], memory: {write: {scope: global, key: k, value: "{{ steps.a.output }}"}}}
output: "{{ steps.a.output.text }}"
"""


@pytest.fixture(autouse=True)
def _thirty_days(settings: Any) -> None:
    settings.RETENTION = {"*": {"runs": 30}}
    Environment.objects.get_or_create(name="production")


def prune() -> Report:
    forget_cached()
    return pruning.prune(actor=OPERATOR, now=timezone.now())


def talking(text: str) -> Run:
    return run(deploy(TALKING, others=OTHERS + "---" + TALK), text=text)


def value(word: str) -> bytes:
    """Store a value that nothing names."""
    batch = Batch()
    key = batch.add({"word": word})
    payloads.store(batch)
    return bytes.fromhex(key)


def is_stored(key: bytes) -> bool:
    return Payload.objects.filter(hash=key).exists()


def test_a_value_that_nobody_names_goes_after_a_month_and_is_left_alone_until_then() -> None:
    key = value("alone")
    age(29)
    prune()
    assert is_stored(key)
    age(2)
    assert prune().counts["payloads"] == 1
    assert not is_stored(key)


def test_under_the_shortest_time_a_day_of_grace_is_left(settings: Any) -> None:
    settings.RETENTION = {"*": {"runs": 1}}
    key = value("alone")
    age(0.9)
    prune()
    assert is_stored(key)
    age(0.2)
    prune()
    assert not is_stored(key)


def test_using_it_again_keeps_it() -> None:
    key = value("again")
    age(31)
    value("again")
    assert prune().counts["payloads"] == 0
    assert is_stored(key)


def keeping(word: str, held: threading.Event, go_on: threading.Event) -> DatabaseThread:
    """A transaction of its own that takes a value up, and commits when it may."""

    def work() -> None:
        with transaction.atomic():
            value(word)
            held.set()
            go_on.wait(20)

    thread = DatabaseThread(target=work)
    thread.start()
    assert held.wait(20)
    return thread


@pytest.mark.parametrize("touched_before", [False, True])
def test_a_transaction_that_takes_a_value_up_keeps_it_from_a_prune_at_the_same_time(
    touched_before: bool,
) -> None:
    """Even where it finds the value touched lately, and so changes nothing: it holds the row all the same."""
    key = value("again")
    if not touched_before:
        age(31)
    held, go_on = threading.Event(), threading.Event()
    thread = keeping("again", held, go_on)
    later = timezone.now() + timedelta(days=31)
    swept = sweeping.drop_payloads([key], before=later)
    assert swept.count == 0, "it is locked"
    go_on.set()
    thread.join()
    assert is_stored(key)
    assert pruning.prune(actor=OPERATOR, now=timezone.now()).counts["payloads"] == 0
    assert payloads.load_one(key) == {"word": "again"}


def test_a_value_that_is_deleted_at_this_moment_is_written_anew_by_whoever_needs_it() -> None:
    key = value("again")
    age(31)
    held = threading.Event()

    def write() -> None:
        held.set()
        value("again")

    thread = DatabaseThread(target=write)
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM workflows_payload WHERE hash = %s", [key])
        thread.start()
        held.wait(20)
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query ~ 'interlock_keep'"
        for _ in range(200):
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_sleep(0.02)")
                cursor.execute(waiting)
                if (cursor.fetchone() or [0])[0]:
                    break
        else:
            pytest.fail("it does not wait for the deletion")
    thread.join()
    assert is_stored(key)


def test_messages_that_lie_apart_are_kept_with_their_request(settings: Any) -> None:
    settings.RETENTION = {"*": {"runs": 30, "failed": 365}}
    done = talking("good day")
    call = Call.objects.get(run=done)
    assert bytes(Payload.objects.get(hash=call.request_hash).body).startswith(payloads.PARTS)
    Run.objects.filter(pk=done.pk).update(state="failed")  # kept for longer
    age(40)
    value("other")
    age(40)
    assert prune().counts["payloads"] == 1
    forget_cached()
    assert payloads.load_one(call.request_hash)["body"]["messages"][3]["content"] == "Mood of: good day"
    Run.objects.filter(pk=done.pk).update(state="succeeded")
    assert verify.replay(done.pk).verdict == "identical"


def test_what_is_remembered_outlives_the_run_that_wrote_it() -> None:
    talking("rain")
    place = memory.place("production", "global", "k")
    age(31)
    assert prune().counts["runs"] == 1
    forget_cached()
    assert remembering.read(place).value == {"text": "no JSON"}
    memory.forget(place, actor=OPERATOR, reason="asked for")
    before = Payload.objects.count()
    prune()
    assert Payload.objects.count() == before - 1, "what was forgotten is gone from the disk as well"


def test_the_documents_of_a_fork_on_another_prompt_are_kept() -> None:
    done = moods("good day")
    changed = {"mood": {"messages": [{"role": "user", "content": "Mood of: a {{ text }}"}]}}
    fork = forking.fork(done.pk, forking.Ask(overrides=Overrides(prompts=changed)), actor=OPERATOR)
    drain()
    Run.objects.filter(pk=fork.pk).update(tags=["keep"])
    age(31)
    assert prune().counts["runs"] == 1
    bundle.load.cache_clear()
    forget_cached()
    assert verify.replay(fork.pk).verdict == "identical"


def test_whoever_writes_a_hash_has_touched_its_value() -> None:
    """What `marking` rests on: a value is touched within half a day of the last time that its hash was written."""
    deploy("name: inner\nsteps: [{id: a, set: {v: '{{ input.n }}'}}]\noutput: '{{ steps.a.output.v }}'\n")
    cached = "{id: c, prompt: mood, with: {text: good}, route: chat, cache: 90d}"
    name = deploy(
        "name: all\nsteps:\n"
        f"  - {cached}\n"
        "  - {id: call, workflow: inner, with: {n: 2}}\n"
        "  - {id: m, memory: {append: {scope: global, key: k, value: 1}}}\n"
        "  - {id: each, map: {over: '[1, 2]', steps: [{id: x, set: {v: '{{ item }}'}}]}}\n"
        "  - {id: sig, wait: {signal: s}}\n"
        "  - {id: bad, set: {v: '{{ input.there }}'}, on_error: continue}\n"
        "  - {id: end, set: {v: '{{ input.gone if input.fail else 1 }}'}}\n"
        "output: '{{ steps.call.output }}'\n",
        others=OTHERS,
    )

    def one(**given: Any) -> Run:
        made = run(name, **given)
        runs.signal(made.pk, "s", {"x": 1}, actor=OPERATOR)
        drain()
        made.refresh_from_db()
        return made

    def forked(**given: Any) -> Run:
        made = forking.fork(first.pk, forking.Ask(**given), actor=OPERATOR)
        drain()
        return made

    def retried() -> Run:
        recovery.retry(failed.pk, actor=OPERATOR)
        drain()
        return failed

    first = one(fail=False)
    assert (first.state, output(first)) == ("succeeded", 2)
    failed = one(fail=True)
    assert failed.state == "failed"
    deeds: list[Callable[[], Run]] = [
        lambda: forked(from_step="sig"),
        forked,
        lambda: one(fail=False),
        lambda: one(fail=True),
    ]
    for deed in deeds:
        age(10)  # nothing that was touched before helps it
        since = timezone.now() - timedelta(hours=1)
        made = deed()
        for each in [made, *made.children.all()]:
            named = named_by(each)
            stale = Payload.objects.filter(hash__in=named, touched_at__lt=since - marking.LAZY)
            assert len(named) > 1
            assert not stale, f"{each.trigger} {each.title}"
    age(10)
    retried()  # it was created before: it is read whatever was touched
    assert len(marking.marks(timezone.now())) > 20


def named_by(of: Run) -> set[bytes]:
    """Return every hash in the record of a run of which a value is stored."""
    of.refresh_from_db()
    columns = [of.input_hash, of.output_hash]
    for step in StepRun.objects.filter(run=of):
        columns += [step.input_hash, step.output_hash, step.item_hash, step.answer_hash]
    for call in Call.objects.filter(run=of):
        columns += [call.request_hash, call.response_hash, call.answer_hash]
    found = {bytes(key) for key in columns if key is not None}
    for event in JournalEvent.objects.filter(run=of):
        found |= {
            bytes.fromhex(text) for text in event.data.values() if isinstance(text, str) and is_hash(text)
        }
    return found


def is_hash(text: str) -> bool:
    return len(text) == 64 and set(text) <= set("0123456789abcdef")


def test_an_archived_run_stays_in_view_without_its_values(settings: Any) -> None:
    settings.RETENTION = {"*": {"runs": 90, "payloads": 30}}
    done = moods("good day", "rain")
    age(31)
    young = moods("sunshine")
    told = pruning.survey(now=timezone.now())
    pruned = prune()
    assert (pruned.counts, pruned.bytes) == (told.counts, told.bytes)
    assert set(pruned.counts) == {"archived", "payloads"}
    done.refresh_from_db()
    assert done.archived_at is not None
    forget_cached()
    with pytest.raises(payloads.PayloadMissing):
        payloads.load_one(done.input_hash)
    assert JournalEvent.objects.filter(run=done).exists()
    assert verify.replay(young.pk).verdict == "identical"
    assert not prune().counts
    age(60)
    assert prune().counts["runs"] == 1
    assert not Run.objects.filter(pk=done.pk).exists()


def test_an_archived_run_is_not_done_again_and_says_why(settings: Any) -> None:
    settings.RETENTION = {"*": {"payloads": 30}}
    failed = run(deploy("name: fails\nsteps: [{id: a, set: {v: '{{ input.nothing.at.all }}'}}]\n"))
    age(31)
    prune()
    found = verify.replay(failed.pk)
    assert found.verdict == "incomplete"
    assert "deleted on" in found.missing[0]
    assert "31 days after it ended" in found.missing[0]
    for deed in (
        lambda: recovery.retry(failed.pk, actor=OPERATOR),
        lambda: forking.fork(failed.pk, forking.Ask(), actor=OPERATOR),
        lambda: packing.pack(failed.pk),
    ):
        with pytest.raises(Conflict, match=r"were deleted on .* by retention") as refused:
            deed()
        assert refused.value.code == "run_archived"


def test_a_prune_leaves_a_run_that_somebody_forks_at_this_moment() -> None:
    done = moods("good day")
    age(31)
    held, go_on, made = threading.Event(), threading.Event(), []

    def work() -> None:
        with transaction.atomic():
            made.append(forking.fork(done.pk, forking.Ask(), actor=OPERATOR))
            held.set()
            go_on.wait(20)

    thread = DatabaseThread(target=work)
    thread.start()
    assert held.wait(20)
    assert prune().counts["runs"] == 0
    go_on.set()
    thread.join()
    drain()
    assert verify.replay(made[0].pk).verdict == "identical"


def test_two_prunes_at_once_do_no_harm() -> None:
    old = [moods("good day", "rain").pk for _ in range(3)]
    age(31)
    young = moods("sunshine")
    forget_cached()
    reports: list[Report] = []
    threads = [
        DatabaseThread(target=lambda: reports.append(pruning.prune(actor=OPERATOR, now=timezone.now())))
        for _ in range(2)
    ]
    expected = pruning.survey(now=timezone.now())
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not Run.objects.filter(pk__in=old).exists()
    together = reports[0].counts + reports[1].counts
    assert together == expected.counts
    assert verify.replay(young.pk).verdict == "identical"


def test_what_replays_needs_is_kept_after_everything_around_it_has_changed(settings: Any) -> None:
    """A run that failed is kept; others that shared its values, its prompt and its provider are gone."""
    settings.RETENTION = {"*": {"runs": 30, "failed": 365}}
    others = [moods("good day", "rain") for _ in range(3)]
    kept = moods("good day", "rain")
    Run.objects.filter(pk=kept.pk).update(tags=["keep"])
    age(20)
    apply(OTHERS.replace("Mood of", "What mood is"))
    age(20)
    assert prune().counts["runs"] == len(others)
    apply(OTHERS.replace("Mood of", "Which mood is"))
    forget_cached()
    assert verify.replay(kept.pk).verdict == "identical"


def test_uploads_go_when_no_ingest_that_is_retained_names_them() -> None:
    apply(
        "{kind: Provider, name: fake, api: scripted, models: [{name: e, embeds: 8}]}",
        "{kind: Corpus, name: handbook, embedding: fake/e}",
    )
    document = ingest.Upload("a.md", "text/markdown", b"# Apples\n\nApples are red.")
    first = ingest.start("handbook", actor=OPERATOR, trigger="api", documents=[document])
    drain()
    first.refresh_from_db()
    assert first.state == "succeeded", first.error
    sha = uploads.keep(document.data)
    age(29)
    second = ingest.start("handbook", actor=OPERATOR, trigger="api", documents=[document])
    drain()
    age(2)
    assert prune().counts["uploads"] == 0
    assert uploads.read(sha) == document.data
    age(30)
    assert not Run.objects.filter(pk=first.pk).exists()
    told = pruning.survey(now=timezone.now())
    done = prune()
    assert (done.counts["runs"], done.counts["uploads"]) == (1, 1)
    assert (done.counts, done.bytes) == (told.counts, told.bytes)
    assert not Run.objects.filter(pk=second.pk).exists()
