"""The time axis and the rows of a run's timeline."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from console.drawing import scale, timeline, waterfall
from workflows.queries.run_page import AttemptView, StepView

BEGUN = datetime(2026, 11, 3, 14, 31, tzinfo=UTC)
spans = st.lists(
    st.tuples(st.floats(0, 5000), st.floats(0, 900)).map(lambda pair: (pair[0], pair[0] + pair[1])),
    max_size=12,
)


def _step(number: int, path: str, kind: str = "prompt", **values: Any) -> StepView:
    tries = values.pop("tries", [(number, number + 1, "succeeded")])
    attempts = tuple(
        AttemptView(
            id=number * 100 + n,
            number=n,
            epoch=1,
            state=state,
            worker="w",
            started_at=BEGUN + timedelta(seconds=start),
            ended_at=BEGUN + timedelta(seconds=end),
            error=None,
        )
        for n, (start, end, state) in enumerate(tries, 1)
    )
    known: dict[str, Any] = {
        "id": number,
        "path": path,
        "step_id": path.rsplit("/", 1)[-1],
        "kind": kind,
        "epoch": 1,
        "ordinal": number,
        "parent_id": None,
        "item": None,
        "state": "succeeded",
        "reason": "",
        "failures": 0,
        "losses": 0,
        "error": None,
        "started_at": attempts[0].started_at if attempts else None,
        "ended_at": attempts[-1].ended_at if attempts else None,
        "wake_at": None,
        "cost_usd": None,
        "tokens": None,
        "input_hash": None,
        "output_hash": None,
        "attempts": attempts,
    }
    return StepView(**{**known, **values})


def _rows(*steps: StepView) -> tuple[timeline.Row, ...]:
    return timeline.build(steps, begun=BEGUN, now=BEGUN + timedelta(seconds=60), notes={})


def _map(items: int, *, failed: tuple[int, ...] = ()) -> list[StepView]:
    inner = [
        _step(
            2 + item * 2 + place,
            f"each[{item}]/{name}",
            step_id=name,
            parent_id=1,
            item=item,
            ordinal=place,
            state="failed" if item in failed and place else "succeeded",
        )
        for item in range(items)
        for place, name in enumerate(["lookup", "reply"])
    ]
    return [_step(1, "each", "map"), *inner]


@given(spans, st.floats(0.01, 8000))
@example([(0.0, 1.83373699852541), (2412.1036650408, 3312.1036650408)], 3600.0)
def test_time_never_runs_backwards_and_fills_the_lane(busy: list[scale.Span], length: float) -> None:
    within = [(min(a, length), min(b, length)) for a, b in busy]
    axis = scale.build(length, scale.idle(within, length_s=length))
    places = [axis.at(length * part / 40) for part in range(41)]
    assert places[0] == pytest.approx(0)
    assert places[-1] == pytest.approx(100)
    assert all(low <= high + 1e-6 for low, high in pairwise(places))
    for second, place in axis.ticks():
        assert 0 <= place <= 100
        assert not any(low < second < high for low, high in axis.folds)


@given(spans)
def test_nothing_that_ran_is_folded_away(busy: list[scale.Span]) -> None:
    length = max((end for _, end in busy), default=1.0)
    for low, high in scale.idle(busy, length_s=length):
        assert high - low > 30
        assert not any(start < high and end > low and end > start for start, end in busy)


def test_a_long_wait_is_folded_to_a_narrow_strip() -> None:
    axis = scale.build(400, scale.idle([(0, 60), (340, 400)], length_s=400))
    assert axis.folds == ((60, 340),)
    assert axis.at(340) - axis.at(60) == pytest.approx(5)


def test_a_branch_stands_above_its_steps() -> None:
    rows = _rows(_step(1, "route", "branch"), _step(2, "route/notify", "tool", parent_id=1), _step(3, "end"))
    assert [(row.name, row.depth) for row in rows] == [("route", 0), ("notify", 1), ("end", 0)]


def test_items_of_a_small_map_are_shown() -> None:
    rows = _rows(*_map(3))
    assert [row.name for row in rows] == [
        "each", "item 0", "lookup", "reply", "item 1", "lookup", "reply", "item 2", "lookup", "reply",
    ]  # fmt: skip
    assert not any(row.hidden for row in rows)


def test_items_of_a_quiet_map_are_folded() -> None:
    rows = _rows(*_map(40))
    assert [row.name for row in rows if not row.hidden] == ["each"]
    assert rows[0].note.startswith("×40, p95 ")


def test_failed_items_are_shown_and_the_rest_is_one_row() -> None:
    shown = [row.name for row in _rows(*_map(40, failed=(7, 23))) if not row.hidden]
    assert shown == ["each", "item 7", "lookup", "reply", "item 23", "lookup", "reply", "38 other items"]


@given(st.integers(0, 39), st.sampled_from(["lookup", "reply"]), st.sampled_from([(), (3,), (3, 4, 5, 6, 7)]))
def test_every_step_can_be_revealed(item: int, name: str, failed: tuple[int, ...]) -> None:
    rows = timeline.reveal(_rows(*_map(40, failed=failed)), f"each[{item}]/{name}")
    by_key = {row.key: row for row in rows}
    row = next(row for row in rows if row.path == f"each[{item}]/{name}")
    while row.parent:
        assert not row.hidden
        row = by_key[row.parent]
        assert row.expanded


def test_every_row_has_a_key_of_its_own_and_a_parent_before_it() -> None:
    seen: set[str] = {""}
    for row in _rows(*_map(40, failed=(1,)), _step(500, "x")):
        assert row.key not in seen
        assert row.parent in seen
        seen.add(row.key)


def test_only_the_last_bar_of_a_failed_step_is_solid_red() -> None:
    failed = _step(1, "pay", "tool", state="failed", failures=2, tries=[(0, 5, "failed"), (9, 14, "failed")])
    mended = _step(
        2, "ask", tries=[(0, 5, "failed"), (6, 8, "lost"), (9, 14, "succeeded")], failures=1, losses=1
    )
    drawn = waterfall.rows_html(_rows(failed, mended), scale.build(14), waterfall.Shown())
    assert drawn.count("bar-bad") == 1
    assert drawn.count("bar-soft") == 2
    assert drawn.count("bar-lost") == 1
    assert "1 failed attempt, 1 attempt lost with its worker" in drawn


@given(st.text(max_size=30), st.text(max_size=30))
def test_names_from_outside_are_drawn_as_text(path: str, note: str) -> None:
    step = _step(1, path or "x", step_id=path or "x")
    rows = timeline.build([step], begun=BEGUN, now=BEGUN, notes={1: note})
    drawn = waterfall.rows_html(rows, scale.build(1), waterfall.Shown())
    drawn.encode()
    assert drawn.count("<div") == 4
    assert "<script" not in drawn


def test_two_thousand_rows_are_drawn_in_well_under_a_second() -> None:
    rows = _rows(*_map(1000, failed=tuple(range(1000))))
    started = datetime.now(UTC)
    waterfall.rows_html(rows, scale.build(2000), waterfall.Shown(), start=0, stop=len(rows))
    assert (datetime.now(UTC) - started).total_seconds() < 1


def test_a_step_that_a_person_settled_says_so_and_when() -> None:
    step = _step(1, "notify", tries=[(2.0, 33.0, "lost")], ended_at=BEGUN + timedelta(seconds=50))
    answer = timeline.Answer(BEGUN + timedelta(seconds=50), "d.osei supplied <the output>")
    [row] = timeline.build(
        [step], begun=BEGUN, now=BEGUN + timedelta(seconds=60), notes={}, answers={"notify": answer}
    )
    assert (row.answered, row.bars[-1].end, row.end) == (50.0, 33.0, 50.0)
    drawn = waterfall.row_html(row, scale.build(60.0, ()), selected=False, focusable=False)
    assert '<circle class="answer" cx="83.33%"' in drawn
    assert "d.osei supplied &lt;the output&gt;" in drawn
    elsewhere = waterfall.row_html(row, scale.build(10.0, (), start_s=0.0), selected=False, focusable=False)
    assert "<circle" not in elsewhere
