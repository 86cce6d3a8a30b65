"""Memory: what a run sees, conflicts, appends, and a step that is tried again."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.engine import OPERATOR, check_journal, claim, deploy, drain, expire, output, run, start, states
from tests.threads import DatabaseThreads
from workflows import memory, remembering, runs
from workflows.engine import attempt, execute
from workflows.engine.leases import Active
from workflows.engine.views import Known
from workflows.errors import Conflict, Invalid, UnknownObject
from workflows.models import Environment, MemoryVersion
from workflows.releases.build import PRODUCTION
from workflows.remembering import Place, Writer


@pytest.fixture(autouse=True)
def _production(_real_transactions: None) -> None:
    Environment.objects.get_or_create(name=PRODUCTION)


COUNTER = """
name: counter
steps:
  - {id: before, memory: {read: {scope: workflow, key: "count {{ input.of }}"}}}
  - id: pause
    when: input.wait
    wait: {signal: go}
  - id: add
    memory:
      write:
        scope: workflow
        key: "count {{ input.of }}"
        value: "{{ (current or 0) + 1 }}"
        on_conflict: ON_CONFLICT
  - {id: after, memory: {read: {scope: workflow, key: "count {{ input.of }}"}}}
output: ["{{ steps.before.output }}", "{{ steps.add.output }}", "{{ steps.after.output }}"]
"""


def counter(on_conflict: str = "fail") -> str:
    return deploy(COUNTER.replace("ON_CONFLICT", on_conflict))


def at(key: str, scope: str = "workflow:counter") -> Place:
    return Place(environment=PRODUCTION, scope=scope, key=key)


def test_a_run_sees_what_was_remembered_and_what_it_wrote() -> None:
    first, second = run(counter(), of="x", wait=False), run("counter", of="x", wait=False)
    nothing, one = {"value": None, "version": 0}, {"value": 1, "version": 1}
    assert output(first) == [nothing, one, one]
    assert output(second) == [one, {"value": 2, "version": 2}, {"value": 2, "version": 2}]
    assert set(second.lineage.values_list("kind", "ref")) == {
        ("memory", "production/workflow:counter/count x@1"),
        ("memory", "production/workflow:counter/count x@2"),
    }
    check_journal(second)


@pytest.mark.parametrize(
    ("on_conflict", "ends", "value"),
    [("fail", "failed", 1), ("retry", "succeeded", 2), ("overwrite", "succeeded", 1)],
)
def test_what_somebody_else_wrote_meanwhile_is_a_conflict(on_conflict: str, ends: str, value: int) -> None:
    slow = run(counter(on_conflict), of="x", wait=True)
    run("counter", of="x", wait=False)
    runs.signal(slow.pk, "go", None, actor=OPERATOR)
    drain()
    slow.refresh_from_db()
    assert slow.state == ends
    assert remembering.read(at("count x")).value == value
    if ends == "failed":
        assert (slow.error or {})["class"] == "memory_conflict"
    else:
        assert output(slow)[0] == {"value": None, "version": 0}
        assert output(slow)[2]["value"] == value


ONCE = """
name: once
steps:
  - {id: add, memory: {write: {scope: global, key: n, value: "{{ (current or 0) + 1 }}", on_conflict: retry}}}
output: "{{ steps.add.output }}"
"""


def test_a_step_that_is_tried_again_does_not_write_twice() -> None:
    started = start(deploy(ONCE))
    for _ in range(2):  # the worker dies between its write and its commit
        taken = claim()
        attempt.perform(execute.begin(Active(taken, until=1e12), Known()))
        expire()
    drain()
    assert output(started) == {"value": 1, "version": 1}
    assert MemoryVersion.objects.count() == 1


HISTORY = """
name: chatting
session: "{{ input.who }}"
steps:
  - {id: before, memory: {read: {scope: session, key: history}}}
  - {id: add, memory: {append: {scope: session, key: history, value: "{{ input.text }}"}}}
output: {before: "{{ steps.before.output.value }}", after: "{{ steps.add.output.value }}"}
"""


def test_an_append_on_what_somebody_else_changed_does_not_hide_the_conflict() -> None:
    place = at("k", "global")
    remembering.read(place, run="r_mine")
    remembering.change(place, "write", ["theirs"], by=Writer(actor="t"), expected=0)
    mine = Writer(actor="t", run="r_mine", path="a", epoch=1)
    remembering.change(place, "append", "mine", by=mine, expected=None)
    seen = remembering.read(place, run="r_mine")
    assert (seen.value, seen.version) == (["mine"], 2)
    again = Writer(actor="t", run="r_mine", path="b", epoch=1)
    assert remembering.change(place, "write", [], by=again, expected=seen.expected) is None


def test_messages_are_appended_and_a_session_sees_its_own() -> None:
    name = deploy(HISTORY)
    for text in ("one", "two"):
        last = run(name, who="ada", text=text)
    other = run(name, who="bob", text="hello")
    assert output(last) == {"before": ["one"], "after": ["one", "two"]}
    assert output(other) == {"before": None, "after": ["hello"]}


def test_appends_from_all_sides_are_all_kept_and_a_run_sees_only_its_own_and_what_was_there() -> None:
    place = at("log", "global")
    before = remembering.read(place, run="r_watching")

    def append(n: int) -> None:
        remembering.change(
            place, "append", n, by=Writer(actor="t", run=f"r_{n}", path="a", epoch=1), expected=None
        )

    with DatabaseThreads(4) as pool:
        list(pool.map(append, range(60)))
    assert sorted(remembering.read(place).value) == list(range(60))
    assert remembering.read(place, run="r_watching") == remembering.Seen(
        value=None, version=0, head=60, expected=-1
    )
    assert before.value is None
    append(7)  # again: it was written already
    assert MemoryVersion.objects.count() == 60


def test_of_writers_at_once_on_the_same_version_one_wins() -> None:
    place = at("one", "global")
    with DatabaseThreads(4) as pool:
        numbers = list(
            pool.map(
                lambda n: remembering.change(place, "write", n, by=Writer(actor="t"), expected=0), range(8)
            )
        )
    assert sorted(number for number in numbers if number is not None) == [1]


def test_a_run_without_a_session_cannot_use_its_memory() -> None:
    failed = run(deploy(HISTORY.replace('session: "{{ input.who }}"\n', "")), who="x", text="y")
    assert (failed.error or {})["class"] == "no_session"
    assert states(failed)["before"] == "failed"


def test_people_read_write_restore_and_forget() -> None:
    place = memory.place(PRODUCTION, "global", "rules")
    with pytest.raises(UnknownObject):
        memory.get(place)
    assert memory.put(place, {"a": 1}, expected=0, actor=OPERATOR) == 1
    with pytest.raises(Conflict, match="version 1 by now"):
        memory.put(place, {"a": 2}, expected=0, actor=OPERATOR)
    memory.put(place, {"a": 2}, expected=1, actor=OPERATOR)
    assert memory.restore(place, 1, actor=OPERATOR) == 3
    assert memory.get(place).value == {"a": 1}
    with pytest.raises(Invalid, match="reason"):
        memory.forget(place, actor=OPERATOR, reason=" ")
    memory.forget(place, actor=OPERATOR, reason="asked to")
    assert memory.get(place).value is None
    assert {each.value_hash for each in memory.history(place)} == {None}
    assert memory.history(place)[0].reason == "asked to"


def test_what_has_expired_is_not_seen() -> None:
    place = memory.place(PRODUCTION, "global", "short")
    memory.put(place, 1, expected=None, actor=OPERATOR, expires_s=-1)
    assert memory.get(place).value is None


Step = tuple[str, str, int]
STEPS = st.lists(
    st.tuples(
        st.sampled_from("abc"), st.sampled_from(["read", "write", "append", "delete"]), st.integers(0, 9)
    ),
    max_size=14,
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_each_run_sees_its_first_look_and_its_own_changes(steps: list[Step]) -> None:
    """Against a model: a list of (run, operation, value), and for each run how much of it was there first."""
    test_each_run_sees_its_first_look_and_its_own_changes.round += 1  # type: ignore[attr-defined]
    name = f"k{test_each_run_sees_its_first_look_and_its_own_changes.round}"  # type: ignore[attr-defined]
    place = at(name, "global")
    done: list[Step] = []
    pins: dict[str, int] = {}
    for number, (who, operation, value) in enumerate(steps):
        id = f"{name}{who}"
        pins.setdefault(who, len(done))
        assert remembering.read(place, run=id).value == model(done, who, pins[who])
        if operation != "read":
            by = Writer(actor="t", run=id, path=str(number), epoch=1)
            remembering.change(place, operation, value, by=by, expected=None)  # type: ignore[arg-type]
            done.append((who, operation, value))
    assert remembering.read(place).value == model(done, "", len(done))


test_each_run_sees_its_first_look_and_its_own_changes.round = 0  # type: ignore[attr-defined]


def model(done: list[Step], who: str, pin: int) -> Any:
    value: Any = None
    for position, (writer, operation, new) in enumerate(done):
        if position < pin or writer == who:
            if operation == "append":
                value = [*(value if isinstance(value, list) else []), new]
            else:
                value = new if operation == "write" else None
    return value
