"""Whole example runs for tests of pages: one of every kind of step, failed, running, unknown, a large map."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from tests import factories
from workflows.models import Attempt, AuditEntry, Lineage, Release, StepRun

Json = Any
QUESTION = "How do I make a class iterable?"
PASSAGES = [
    {
        "text": "The iterator protocol: an object with a method __iter__() that returns an iterator …",
        "document": f"{name}.txt",
        "source": f"topics/{name}.txt",
        "score": score,
        "rank": rank,
        "metadata": {},
    }
    for rank, (name, score) in enumerate([("typeiter", 0.912), ("for", 0.641), ("yield", 0.583)], 1)
]
_MESSAGES = [
    {"role": "system", "content": "Answer in two sentences. Use only the passages given."},
    {
        "role": "user",
        "content": f"{QUESTION}\n\nThe iterator protocol: an object with a method __iter__() …",
    },
]


def _first_steps(made: factories.RunMaker) -> None:
    """Classify and search, which went well, the first after a lost worker."""
    classify = made.step(
        "classify",
        "prompt",
        tries=[(0.05, 0.6, "lost"), (0.7, 1.6, "succeeded")],
        asked={"prompt": "classify", "version": 2, "route": "chat", "messages": _MESSAGES[1:], "params": {}},
        gave={"topic": "classes"},
        cost="0.0002",
        tokens={"input": 120, "cached": 0, "output": 6, "reasoning": 0},
    )
    made.call(classify, second=0.1, state="sending", timing_ms=None)
    made.call(classify, second=0.7, attempt=2, number=1)
    search = made.step(
        "search",
        "retrieve",
        tries=[(1.6, 1.72, "succeeded")],
        asked={
            "corpus": "python-reference",
            "query": QUESTION,
            "top_k": 3,
            "mode": "hybrid",
            "min_score": None,
        },
        gave={"snapshot": 3, "chunks": PASSAGES},
    )
    for kind, ref in [("snapshot", "python-reference@3"), ("document", "typeiter.txt@1")]:
        Lineage.objects.create(run=made.run, step_run=search, kind=kind, ref=ref)


def _answer(made: factories.RunMaker) -> None:
    answer = made.step(
        "answer",
        "prompt",
        tries=[(1.75, 2.0, "failed"), (2.6, 4.1, "succeeded")],
        asked={
            "prompt": "answer",
            "version": 2,
            "route": "chat",
            "messages": _MESSAGES,
            "params": {"temperature": 0, "max_output_tokens": 120},
        },
        gave={"text": "Give the class an __iter__ method that returns an iterator. A generator does."},
        cost="0.000228",
        tokens={"input": 410, "cached": 120, "output": 58, "reasoning": 0},
    )
    made.call(
        answer,
        second=1.75,
        messages=_MESSAGES,
        error={"class": "overloaded", "status": 503, "message": "The server is busy.", "phase": "first_byte"},
    )
    made.call(answer, second=2.6, attempt=2, number=1, messages=_MESSAGES)


def succeeded_run(**values: Json) -> factories.RunMaker:
    """A run of every kind of step, one lost worker and one retry on the way."""
    made = factories.run(
        "succeeded",
        lasted_s=4.6,
        gave={"answer": "Give the class an __iter__ method that returns one."},
        **values,
    )
    _first_steps(made)
    _answer(made)
    made.step("sources", "set", tries=[(4.1, 4.12, "succeeded")], gave={"names": ["typeiter.txt"]})
    made.step("route", "branch", tries=[(4.13, 4.14, "succeeded")], asked={"case": 0}, gave={"case": 0})
    made.step(
        "route/notify",
        "tool",
        parent="route",
        tries=[(4.15, 4.5, "succeeded")],
        asked={"tool": "notify-channel", "version": 1, "arguments": {"text": "Answered."}},
        gave={"ok": True},
    )
    made.journal("run.succeeded", 4.6)
    return made


def failed_run(**values: Json) -> factories.RunMaker:
    """A run whose tool failed for good after three tries; two steps never began."""
    error = {"class": "http_status", "message": "notify-channel answered 503: upstream connect timeout"}
    made = factories.run("failed", lasted_s=46, error={**error, "step": "route/notify"}, **values)
    _first_steps(made)
    _answer(made)
    made.step("route", "branch", "failed", tries=[(4.2, 4.3, "succeeded")], asked={"case": 0})
    made.step(
        "route/notify",
        "tool",
        "failed",
        parent="route",
        tries=[(4.5, 9.4, "failed"), (14.4, 19.5, "failed"), (40.6, 46, "failed")],
        asked={"tool": "notify-channel", "version": 1, "arguments": {"text": "Answered."}},
        error=error,
    )
    made.step("sources", "set", "cancelled")
    made.journal("run.failed", 46, error=error)
    return made


def running_run(**values: Json) -> factories.RunMaker:
    """A run in the middle of its answer."""
    made = factories.run("running", **{"ago_s": 6, **values})
    _first_steps(made)
    answer = made.step(
        "answer",
        "prompt",
        "running",
        tries=[(1.75, 0, "running")],
        asked={"prompt": "answer", "version": 2, "route": "chat", "messages": _MESSAGES, "params": {}},
    )
    made.call(answer, second=1.8, state="sending", messages=_MESSAGES, timing_ms=None)
    for path, kind in [("sources", "set"), ("route", "branch")]:
        made.step(path, kind, "pending")
    return made


def unknown_run(**values: Json) -> factories.RunMaker:
    """A run that waits for a person: nobody knows whether its message was sent."""
    made = factories.run("waiting", **{"ago_s": 600, **values})
    _first_steps(made)
    made.step(
        "notify",
        "tool",
        "unknown",
        tries=[(2, 3.1, "failed")],
        asked={"tool": "notify-channel", "version": 1, "arguments": {"text": "Answered."}},
        error={"class": "worker_lost", "message": "The worker was lost after the call was sent"},
    )
    return made


def map_run(items: int, *, failed: Sequence[int] = (), **values: Json) -> factories.RunMaker:
    """A run of a map with two steps for each item, made in bulk."""
    of = Release.objects.filter(workflow="question-digest").first() or factories.release(factories.DIGEST)
    made = factories.run("failed" if failed else "succeeded", of=of, lasted_s=items * 0.4 + 2, **values)
    each = made.step("each", "map", tries=[(0.05, items * 0.4 + 1, "succeeded")], asked={"items": items})
    rows, tries = [], []
    for item in range(items):
        for place, (name, kind) in enumerate([("lookup", "retrieve"), ("reply", "prompt")]):
            start = item * 0.4 + place * 0.15
            bad = item in failed and name == "reply"
            rows.append(
                StepRun(
                    run=made.run,
                    path=f"each[{item}]/{name}",
                    step_id=name,
                    kind=kind,
                    ordinal=2 + place,
                    parent=each,
                    item=item,
                    state="failed" if bad else "succeeded",
                    failures=int(bad),
                    started_at=made.at(start),
                    ended_at=made.at(start + 0.3),
                    error={"class": "timeout", "message": "No answer for 30 s"} if bad else None,
                )
            )
    StepRun.objects.bulk_create(rows, batch_size=1000)
    for row in rows:
        tries.append(
            Attempt(
                step_run=row,
                run=made.run,
                number=1,
                state=row.state,
                worker="host-1:4711:ab12",
                lease=uuid.uuid4(),
                started_at=row.started_at or made.run.created_at,
                ended_at=row.ended_at,
                error=row.error,
            )
        )
    Attempt.objects.bulk_create(tries, batch_size=1000)
    return made


def remembering_run(**values: Json) -> factories.RunMaker:
    """A run that read what was said before and wrote down what was said now."""
    made = factories.run(
        "succeeded", lasted_s=3.2, session="ada", gave={"answer": "It is on its way."}, **values
    )
    history = [{"role": "user", "content": "Where is my order?"}, {"role": "assistant", "content": "In Ulm."}]
    made.step(
        "recall",
        "memory",
        tries=[(0.1, 0.12, "succeeded")],
        asked={"operation": "read", "scope": "session", "key": "history"},
        gave={"value": history, "version": 4},
    )
    made.step(
        "preferences",
        "memory",
        tries=[(0.13, 0.15, "succeeded")],
        asked={"operation": "read", "scope": "workflow", "key": "tone"},
        gave={"value": None, "version": None},
    )
    _answer(made)
    made.step(
        "remember",
        "memory",
        tries=[(3.1, 3.15, "succeeded")],
        asked={"operation": "append", "scope": "session", "key": "history"},
        gave={"value": [*history, {"role": "user", "content": "Thank you!"}], "version": 5},
    )
    made.journal("run.succeeded", 3.2)
    return made


def settled_run(**values: Json) -> factories.RunMaker:
    """A run whose message was sent by a worker that was lost; twenty minutes later a person said what came of it."""
    made = factories.run("succeeded", **{"ago_s": 2400, "lasted_s": 1260, **values})
    _first_steps(made)
    notify = made.step(
        "notify",
        "tool",
        tries=[(2, 1240, "succeeded")],
        asked={"tool": "notify-channel", "version": 1, "arguments": {"text": "Answered."}},
        gave={"ok": True},
    )
    made.journal(
        "step.sending",
        2.4,
        step=notify,
        key="3d41f6a0c9be4f7f8a52d0e1b96c77aa5c0e9d38b1f24c6e8d7a90b2c3e4f501",
    )
    made.journal("attempt.lost", 33, step=notify, state="unknown")
    made.step("sources", "set", tries=[(1241, 1241.1, "succeeded")], gave={"names": ["typeiter.txt"]})
    entry = AuditEntry.objects.create(
        actor="d.osei",
        action="step.resolve",
        object_kind="run",
        object_id=made.run.pk,
        reason="The channel shows the message of 14:02.",
        data={"step": "notify", "action": "supply"},
    )
    AuditEntry.objects.filter(pk=entry.pk).update(at=made.at(1240))
    return made
