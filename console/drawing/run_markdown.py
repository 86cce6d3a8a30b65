"""A whole run as Markdown, to be pasted into a ticket: steps, prompts, outputs, errors; times in UTC. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from console import formats
from console.drawing import json_text
from console.drawing.looks import kind_look, state_look
from workflows.queries.step_rows import StepView

Json = Any
_MOST: Final = 4000  # characters of one value
STEPS: Final = 200


def write(
    head: Mapping[str, str],
    *,
    title: str,
    given: Json,
    gave: Json,
    error: Mapping[str, Any] | None,
    steps: Sequence[StepView],
    values: Mapping[str, Json],
    left_out: int,
) -> str:
    """Write the run. `values`: payloads by hex of their hash; what is not among them is gone."""
    parts = [f"# {_line(title)}", "", *(f"- {name}: {_line(value)}" for name, value in head.items() if value)]
    if error:
        parts += ["", "## Error", "", _error(error)]
    parts += ["", "## Input", "", _block(given), "", "## Output", "", _block(gave), "", "## Steps"]
    for step in steps:
        parts += ["", *_step(step, values)]
    if left_out:
        parts += [
            "",
            f"*{formats.plural(left_out, 'further step')} left out; the record in JSON has them all.*",
        ]
    return formats.printable("\n".join(parts)) + "\n"


def _step(step: StepView, values: Mapping[str, Json]) -> list[str]:
    look = kind_look(step.kind).word
    lasted = (
        formats.duration((step.ended_at - step.started_at).total_seconds())
        if step.started_at and step.ended_at
        else ""
    )
    words = [look, state_look(step.shown_state).word, lasted, _tries(step)]
    parts = [
        f"### {_line(step.path)}",
        "",
        " · ".join(word for word in words if word),
        f"Started {moment(step.started_at)}" if step.started_at else "Not started",
    ]
    if step.error:
        parts += ["", _error(step.error)]
    asked, answered = _value(step.input_hash, values), _value(step.output_hash, values)
    if isinstance(asked, dict) and isinstance(asked.get("messages"), list):
        parts += ["", "Prompt:"]
        for message in asked["messages"]:
            if isinstance(message, dict):
                parts += [
                    "",
                    f"**{_line(str(message.get('role', '')))}**",
                    "",
                    _block(message.get("content")),
                ]
    elif step.input_hash is not None:
        parts += ["", "Input:", "", _block(asked)]
    if step.output_hash is not None:
        parts += ["", "Output:", "", _block(answered)]
    return parts


def _tries(step: StepView) -> str:
    return formats.plural(len(step.attempts), "attempt") if len(step.attempts) > 1 else ""


def _value(key: bytes | None, values: Mapping[str, Json]) -> Json:
    return values.get(key.hex()) if key is not None else None


def _error(error: Mapping[str, Any]) -> str:
    text = f"{error.get('class', 'error')}: {error.get('message', '')}"
    return "\n".join(f"> {line}" for line in text.splitlines() or [""])


def _block(value: Json) -> str:
    """Fence a value; the fence is longer than any in it."""
    if value is None:
        return "*none*"
    if isinstance(value, str):
        text, kind = value, "text"
    else:
        text = json.dumps(json_text.without_bulk(value), indent=2, ensure_ascii=False, default=str)
        kind = "json"
    if len(text) > _MOST:
        text = f"{text[:_MOST]}\n… {formats.size(len(text) - _MOST)} more"
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{kind}\n{text}\n{fence}"


def _line(text: str) -> str:
    return " ".join(text.split())


def moment(when: datetime | None) -> str:
    """Write a moment in UTC to the millisecond."""
    return f"{when:%Y-%m-%d %H:%M:%S}.{when.microsecond // 1000:03d} UTC" if when else formats.UNKNOWN
