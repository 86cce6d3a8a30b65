"""What a person asks of a fork: from where, with which other prompts, routes, params, input; which effects are real."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from workflows.replay.forking import Ask
from workflows.replay.overriding import Overrides
from workflows.spec import secret_fields
from workflows.spec.secret_fields import Marked

Json = Any
SEALED_INPUT: Final = "secret.input"  # the name of the field of the input where that may hold secrets


@dataclass(frozen=True, kw_only=True)
class ForkForm:
    """What was typed, and what is wrong with its shape. `ask` None: it cannot be read."""

    typed: Mapping[str, str]
    ask: Ask | None
    problems: Mapping[str, str] = field(default_factory=dict)


def read(sent: Mapping[str, str]) -> ForkForm:
    """Read what was sent. Fields: from_step, release, memory, input (or `secret.input`), prompt:NAME, text:NAME,
    route:NAME, model:ROUTE, params:STEP, snapshot:CORPUS, effect:TOOL, reason."""
    problems: dict[str, str] = {}
    patch = _json(sent, SEALED_INPUT if SEALED_INPUT in sent else "input", problems)
    prompts: dict[str, int | Mapping[str, Json]] = {
        **_numbers(sent, "prompt:", problems),
        **_objects(sent, "text:", '{"messages": […]}', problems),
    }
    overrides = Overrides(
        input=patch,
        prompts=prompts,
        routes=_numbers(sent, "route:", problems),
        models={name: model for name, model in _named(sent, "model:").items() if model},
        params=_objects(sent, "params:", '{"temperature": 0}', problems),
        snapshots=_numbers(sent, "snapshot:", problems),
        release=_number(sent.get("release", ""), "release", problems),
        memory="live" if sent.get("memory") == "live" else "as_recorded",
    )
    live = {name: "live" for name, choice in _named(sent, "effect:").items() if choice == "live"}
    ask = Ask(from_step=sent.get("from_step") or None, overrides=overrides, effects=live or "stub")  # type: ignore[arg-type]
    return ForkForm(typed=sent, ask=None if problems else ask, problems=problems)


def patch_again(typed: Mapping[str, str], places: tuple[Marked, ...]) -> str:
    """Return what the field of the input shows of what was typed: all but secrets."""
    text = typed.get(SEALED_INPUT) or typed.get("input", "")
    if not places:
        return text
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return ""  # nobody knows what is secret in it
    if not secret_fields.texts(value, places):
        return text
    blank = secret_fields.changed(value, places, lambda path, secret: "")
    return json.dumps(blank, indent=2, ensure_ascii=False)


def _named(sent: Mapping[str, str], prefix: str) -> dict[str, str]:
    return {key.removeprefix(prefix): value.strip() for key, value in sent.items() if key.startswith(prefix)}


def _numbers(sent: Mapping[str, str], prefix: str, problems: dict[str, str]) -> dict[str, int]:
    found = {}
    for name, text in _named(sent, prefix).items():
        number = _number(text, f"{prefix}{name}", problems)
        if number is not None:
            found[name] = number
    return found


def _number(text: str, place: str, problems: dict[str, str]) -> int | None:
    if not text.strip():
        return None
    if not (text.strip().isdigit() and len(text.strip()) <= 9 and int(text)):
        problems[place] = "A number from 1 on is expected."
        return None
    return int(text)


def _objects(
    sent: Mapping[str, str], prefix: str, example: str, problems: dict[str, str]
) -> dict[str, Mapping[str, Json]]:
    """Return what is merged over what is pinned, by name: prompts that were written anew, params of a step."""
    found: dict[str, Mapping[str, Json]] = {}
    for name, text in _named(sent, prefix).items():
        if text:
            place = f"{prefix}{name}"
            value = _json(sent, place, problems)
            if isinstance(value, dict):
                found[name] = value
            elif place not in problems:
                problems[place] = f"A JSON object is expected, such as {example}."
    return found


def _json(sent: Mapping[str, str], place: str, problems: dict[str, str]) -> Json:
    text = sent.get(place, "").strip()
    if not text:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as problem:
        problems[place] = f"Not JSON: {problem}"
        return None
