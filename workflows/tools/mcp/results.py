"""What the result of an MCP tool becomes: a step's output, or an error that says what the tool said. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

MAX_MESSAGE = 2_000  # characters of what a tool says of its failure
# The child cuts roughly, the parent for good: in between the secret is taken out, which a cut could have halved.
_ROUGHLY = 20_000

Json = Any
Result = Mapping[str, Json]  # as the protocol has it: {content, structuredContent, isError}


def output(result: Result) -> Json:
    """The structured content where there is one; else `{text}` where all of the content is text; else `{content}`."""
    if "structuredContent" in result:
        return result["structuredContent"]
    content = result.get("content", [])
    if all(block.get("type") == "text" for block in content):
        return {"text": _text(content)}
    return {"content": content}


def said(result: Result) -> str:
    """What a tool that failed says of it; see `cut`."""
    text = _text(result.get("content", [])).strip()
    if not text and result.get("structuredContent") is not None:
        text = json.dumps(result["structuredContent"], ensure_ascii=False)
    return text[:_ROUGHLY] or "it does not say why"


def cut(message: str) -> str:
    """A message within its bound."""
    return message if len(message) <= MAX_MESSAGE else message[:MAX_MESSAGE] + "…"


def _text(content: Sequence[Mapping[str, Json]]) -> str:
    return "\n".join(block.get("text", "") for block in content if block.get("type") == "text")
