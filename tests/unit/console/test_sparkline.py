"""Sparklines: nothing is invisible, nothing unknown is drawn as zero, the label is escaped."""

from __future__ import annotations

import re

from console.drawing import sparkline


def _heights(svg: str, name: str) -> list[float]:
    return [float(found) for found in re.findall(rf'class="{name}"[^>]*height="([\d.]+)"', svg)]


def test_one_run_is_visible_beside_thousands() -> None:
    svg = sparkline.bars([1, 5000], label="runs")
    assert _heights(svg, "spark-good") == [1.5, 20.0]


def test_failures_are_part_of_their_bar() -> None:
    svg = sparkline.bars([10, 0], failed=[4, 0], label="runs")
    assert _heights(svg, "spark-good") == [12.0]
    assert _heights(svg, "spark-bad") == [8.0]
    assert _heights(svg, "spark-none") == [1.0]


def test_all_failed_leaves_nothing_good_and_more_failed_than_counted_stays_inside() -> None:
    svg = sparkline.bars([2], failed=[9], label="runs")
    assert not _heights(svg, "spark-good")
    assert _heights(svg, "spark-bad") == [20.0]


def test_nothing_at_all_is_a_ground_line() -> None:
    for svg in (sparkline.bars([], label="none"), sparkline.line([None, None], label="none")):
        assert _heights(svg, "spark-none") == [1.0]


def test_a_line_has_a_gap_where_a_value_is_unknown() -> None:
    [path] = re.findall(r' d="([^"]+)"', sparkline.line([1.0, 3.0, None, 2.0], label="p95"))
    assert path == "M0.0 12.7L32.0 2.0M80.0 7.3H96.0"


def test_a_single_value_is_a_line_as_wide_as_its_stretch_of_time() -> None:
    [path] = re.findall(r' d="([^"]+)"', sparkline.line([None, None, 4.0, None, None], label="p95"))
    assert path == "M36.0 2.0H60.0"


def test_equal_values_are_drawn_where_they_stand() -> None:
    assert "M0.0 10.0" in sparkline.line([0.0, 0.0], label="flat")
    assert "M0.0 2.0" in sparkline.line([4.0, 4.0], label="flat and high")


def test_the_label_is_escaped() -> None:
    assert "&lt;script&gt;" in sparkline.bars([1], label="<script>")
