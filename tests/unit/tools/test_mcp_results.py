from __future__ import annotations

from typing import Any

import pytest

from workflows.tools.mcp import results

TEXT = {"type": "text", "text": "one"}
IMAGE = {"type": "image", "data": "AA==", "mimeType": "image/png"}


@pytest.mark.parametrize(
    ("result", "output"),
    [
        ({"content": [TEXT], "structuredContent": {"n": 1}}, {"n": 1}),
        ({"content": [TEXT], "structuredContent": None}, None),
        ({"content": [TEXT, {**TEXT, "text": "two"}]}, {"text": "one\ntwo"}),
        ({"content": []}, {"text": ""}),
        ({"content": [TEXT, IMAGE]}, {"content": [TEXT, IMAGE]}),
    ],
)
def test_a_result_becomes_an_output(result: dict[str, Any], output: Any) -> None:
    assert results.output(result) == output


@pytest.mark.parametrize(
    ("result", "said"),
    [
        ({"content": [{**TEXT, "text": " no such order\n"}]}, "no such order"),
        ({"content": [], "structuredContent": {"code": 7}}, '{"code": 7}'),
        ({"content": [IMAGE]}, "it does not say why"),
    ],
)
def test_a_failure_says_why(result: dict[str, Any], said: str) -> None:
    assert results.said(result) == said


def test_a_message_is_cut_at_its_bound() -> None:
    assert results.cut("x" * results.MAX_MESSAGE) == "x" * results.MAX_MESSAGE
    assert results.cut("x" * 5_000) == "x" * results.MAX_MESSAGE + "…"
    assert len(results.said({"content": [{**TEXT, "text": "x" * 1_000_000}]})) < 50_000
