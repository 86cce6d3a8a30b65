"""Graphs of workflows: nothing overlaps, lines go forward and cross no box, the same picture every time."""

from __future__ import annotations

import re
import time
from itertools import combinations, pairwise
from typing import Any
from xml.etree import ElementTree

from hypothesis import given, settings
from hypothesis import strategies as st

from console.drawing import graph, graph_diff, graph_layout, graph_model
from console.drawing.graph_layout import Box, Picture
from tests import factories

Json = Any


@st.composite
def _documents(draw: st.DrawFn) -> dict[str, Json]:
    """Workflows with needs, branches and maps within each other."""
    count = iter(range(10_000))

    def steps(depth: int) -> list[Json]:
        made: list[Json] = []
        for _ in range(draw(st.integers(1, 7 if depth else 12))):
            step: dict[str, Json] = {"id": f"s{next(count)}"}
            kind = draw(st.sampled_from(["set", "prompt", "tool", "branch", "map"] if depth < 2 else ["set"]))
            if kind == "branch":
                step["branch"] = [
                    {"when": "input.x", "steps": steps(depth + 1)} for _ in range(draw(st.integers(1, 3)))
                ]
            elif kind == "map":
                step["map"] = {"over": "input.xs", "as": "x", "steps": steps(depth + 1)}
            else:
                step[kind] = "thing"
            if draw(st.booleans()) and made:
                step["needs"] = draw(st.lists(st.sampled_from([each["id"] for each in made]), max_size=4))
            made.append(step)
        return made

    return {"kind": "Workflow", "name": "w", "steps": steps(0)}


def _apart(one: Box, other: Box) -> bool:
    return (
        one.x + one.width <= other.x
        or other.x + other.width <= one.x
        or one.y + one.height <= other.y
        or other.y + other.height <= one.y
    )


def _inside(inner: Box, outer: Box) -> bool:
    return (
        outer.x <= inner.x
        and outer.y <= inner.y
        and inner.x + inner.width <= outer.x + outer.width
        and inner.y + inner.height <= outer.y + outer.height
    )


def _picture(document: Json) -> Picture:
    return graph_layout.arrange(graph_model.read(document))


@settings(max_examples=25)
@given(_documents())
def test_no_two_steps_overlap_and_frames_are_apart_or_within_each_other(document: Json) -> None:
    picture = _picture(document)
    for one, other in combinations(picture.boxes, 2):
        nested = (one.frame and _inside(other, one)) or (other.frame and _inside(one, other))
        assert _apart(one, other) or nested, (one, other)
    assert all(box.x >= 0 and box.x + box.width <= picture.width for box in picture.boxes)
    assert all(box.y >= 0 and box.y + box.height <= picture.height for box in picture.boxes)


@settings(max_examples=25)
@given(_documents())
def test_lines_only_go_down_and_cross_no_step(document: Json) -> None:
    picture = _picture(document)
    steps = [box for box in picture.boxes if not box.frame]
    for line in picture.lines:
        for (x0, y0), (x1, y1) in pairwise(line.points):
            assert y0 <= y1
            crossed = [
                box
                for box in steps
                if min(x0, x1) < box.x + box.width
                and box.x < max(x0, x1)
                and y0 < box.y + box.height
                and box.y < y1
            ]
            assert not crossed, (line, crossed)


@settings(max_examples=15)
@given(_documents())
def test_every_need_is_one_line_and_the_picture_is_the_same_each_time(document: Json) -> None:
    read = graph_model.read(document)
    first, again = (graph_layout.arrange(read) for _ in range(2))
    assert first.boxes == again.boxes
    assert first.lines == again.lines
    drawn = {(line.source, line.target) for line in first.lines if "#" not in line.target}
    assert drawn == {(need, node.id) for node in graph_model.walk(read.nodes) for need in node.needs}


@given(
    st.recursive(st.none() | st.integers() | st.text(max_size=8), lambda inner: st.lists(inner, max_size=4))
)
def test_what_is_no_workflow_is_an_empty_or_partial_graph(value: Json) -> None:
    for body in ({"steps": value}, {"steps": [{"id": "a", "branch": value, "needs": value}, value]}):
        graph.draw(graph_model.read(body), {}, label="Steps")


def test_a_circle_is_cut_and_everything_is_drawn() -> None:
    body = {"steps": [{"id": "a", "set": {}, "needs": ["b"]}, {"id": "b", "set": {}, "needs": ["a"]}]}
    picture = _picture(body)
    assert [box.id for box in picture.boxes] == ["a", "b"] or len(picture.boxes) == 2
    assert len(picture.lines) == 1


def test_steps_need_the_one_before_them_unless_they_say_otherwise() -> None:
    read = graph_model.read(factories.ASSISTANT)
    assert [node.needs for node in read.nodes] == [(), ("classify",), ("search",), ("answer",), ("sources",)]
    [route] = [node for node in read.nodes if node.id == "route"]
    assert [group.label for group in route.groups] == ["if input.notify"]


def _chain(count: int, **inner: Json) -> dict[str, Json]:
    return {"steps": [{"id": f"s{n}", **(inner or {"set": {}})} for n in range(count)]}


def test_frames_are_folded_where_there_are_too_many_steps_but_for_those_that_were_opened() -> None:
    body = {
        "steps": [
            {
                "id": f"m{n}",
                "map": {"over": "input", "steps": [{"id": f"m{n}-{k}", "set": {}} for k in range(99)]},
            }
            for n in range(4)
        ]
    }
    read = graph_model.read(body)
    folded = graph_model.bounded(read)
    assert [node.hidden for node in folded.nodes] == [99] * 4
    opened = graph_model.bounded(read, opened=frozenset({"m2"}))
    assert [node.hidden for node in opened.nodes] == [99, 99, 0, 99]
    assert "99 steps inside, folded" in graph.draw(folded, {}, label="Steps")


def test_very_many_steps_beside_each_other_are_cut_and_counted() -> None:
    cut = graph_model.bounded(graph_model.read(_chain(1000)))
    assert (len(cut.nodes), cut.left_out) == (300, 700)


def test_the_drawing_is_well_formed_escaped_and_has_no_inline_style() -> None:
    evil = "<script>\"'&"
    body = {
        "steps": [{"id": "a", "branch": [{"when": evil, "steps": [{"id": "b", "tool": evil, "when": evil}]}]}]
    }
    dress = {"b": graph.Dress(href=f"?step={evil}", line=evil, word=evil, icon="circle-x", tone="bad")}
    drawn = graph.draw(graph_model.read(body), dress, label=evil, selected="b")
    ElementTree.fromstring(drawn)  # noqa: S314  our own drawing
    assert "<script" not in drawn
    assert "style=" not in drawn
    assert len(re.findall("<a ", drawn)) == 1
    assert 'aria-current="true"' in drawn


def test_the_words_say_all_that_the_picture_shows() -> None:
    read = graph_model.read(factories.ASSISTANT)
    rows = graph.words(read, {"search": graph.Dress(line="p95 1.2 s")})
    assert [row.node.id for row in rows] == graph.ids(read)
    assert rows[1].does == "Search python-reference"
    assert rows[1].dress.line == "p95 1.2 s"
    assert rows[-1].within == "route: if input.notify"


def test_two_hundred_steps_are_laid_out_and_drawn_at_once() -> None:
    body = {
        "steps": [
            {"id": f"s{n}", "set": {}, **({"needs": [f"s{n - 3}", f"s{n - 7}"]} if n > 7 else {})}
            for n in range(200)
        ]
    }
    read = graph_model.read(body)
    took = []
    for _ in range(5):
        began = time.process_time()
        graph.draw(read, {}, label="Steps")
        took.append(time.process_time() - began)
    assert min(took) < 0.1  # seconds; 0.015 on a quiet machine


def _branching(*inner: str, **changed: Json) -> dict[str, Json]:
    steps = [{"id": each, "set": {"x": 1}} for each in inner]
    return {
        "steps": [
            {"id": "first", "tool": "look", **changed},
            {"id": "choose", "branch": [{"when": "input.x", "steps": steps}]},
            {"id": "last", "set": {}},
        ]
    }


def test_a_comparison_marks_what_was_added_removed_and_changed() -> None:
    found = graph_diff.compare(_branching("a", "b"), _branching("a", "c", tool="see", note="n"))
    assert {id_: mark.told for id_, mark in found.marks.items()} == {
        "first": "Changed: tool, note",
        "b": "Removed",
        "c": "Added",
    }
    assert graph.ids(found.graph) == ["first", "choose", "a", "b", "c", "last"]


def test_a_removed_step_stands_between_those_that_it_stood_between() -> None:
    old = _chain(3)
    new = {"steps": [old["steps"][0], {**old["steps"][2], "needs": ["s0"]}]}
    found = graph_diff.compare(old, new)
    assert {node.id: node.needs for node in found.graph.nodes} == {
        "s0": (),
        "s1": ("s0",),
        "s2": ("s0", "s1"),
    }
    assert found.marks["s2"].told == "Changed: needs"


def test_a_step_that_went_into_a_frame_was_moved_and_is_drawn_once() -> None:
    found = graph_diff.compare(
        {"steps": [*_branching("a")["steps"], {"id": "b", "set": {"x": 1}}]}, _branching("a", "b")
    )
    assert found.marks["b"].word == "moved"
    assert graph.ids(found.graph).count("b") == 1


def test_turning_an_order_round_makes_no_circle() -> None:
    old = {"steps": [{"id": "a", "set": {}}, {"id": "gone", "set": {}}, {"id": "b", "set": {}}]}
    new = {"steps": [{"id": "b", "set": {}}, {"id": "a", "set": {}}]}
    found = graph_diff.compare(old, new)
    picture = graph_layout.arrange(found.graph)
    assert len(picture.lines) == sum(len(node.needs) for node in found.graph.nodes)


@settings(max_examples=20)
@given(_documents(), _documents())
def test_any_two_versions_can_be_compared_and_drawn(old: Json, new: Json) -> None:
    found = graph_diff.compare(old, new)
    names = graph.ids(found.graph)
    assert len(names) == len(set(names))
    both = {node.id for body in (old, new) for node in graph_model.walk(graph_model.read(body).nodes)}
    assert set(names) == both
    graph.draw(found.graph, {id_: graph_diff.dress(mark) for id_, mark in found.marks.items()}, label="Both")
    assert not graph_diff.compare(old, old).marks
