"""A Prompt document by itself: which of its variables it uses, and its messages filled in (pure).

May not: know steps, runs or models. What an `insert` names of a step's scope is there only in a run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from workflows.spec import templates
from workflows.spec.templates import TemplateError

Json = Any
ROLES = ("system", "user", "assistant")


@dataclass(frozen=True)
class Filled:
    """One message of a prompt: its template, and the text that it gives or why it gives none.

    `inserted` is a message of a list that stands in the prompt as `insert`; without a text it waits for a run.
    """

    role: str
    template: str
    text: str = ""
    problem: str = ""
    state: Literal["filled", "failed", "inserted", "waits"] = "filled"


def unused(body: Mapping[str, Json]) -> tuple[str, ...]:
    """Return the declared variables that no message uses; none of a prompt that cannot be read."""
    declared = body.get("variables")
    messages = body.get("messages")
    if not isinstance(declared, dict) or not isinstance(messages, list):
        return ()
    used: set[str] = set()
    for message in messages:
        if isinstance(message, dict):
            try:
                used |= templates.roots_in([message.get("content"), message.get("insert")])
            except TemplateError:
                return ()
    return tuple(name for name in declared if name not in used)


def defaults(body: Mapping[str, Json]) -> dict[str, Json]:
    """Return the values that variables have where a step gives none."""
    declared = body.get("variables", {})
    return {name: schema["default"] for name, schema in declared.items() if "default" in schema}


def fill(body: Mapping[str, Json], variables: Mapping[str, Json]) -> tuple[Filled, ...]:
    """Fill in every message of a prompt that was checked; a message that fails does not hide the others."""
    values = {**defaults(body), **variables}
    filled: list[Filled] = []
    for message in body["messages"]:
        if "insert" in message:
            filled.extend(_inserted(message["insert"], values))
        else:
            filled.append(_filled(message["role"], message["content"], values))
    return tuple(filled)


def _filled(role: str, content: Json, values: Mapping[str, Json]) -> Filled:
    template = _text(content)
    try:
        return Filled(role, template, _text(templates.render(content, values)))
    except TemplateError as error:
        return Filled(role, template, problem=error.message, state="failed")


def _inserted(template: str, values: Mapping[str, Json]) -> Sequence[Filled]:
    """The messages of an `insert` where its expression names only the variables at hand."""
    try:
        given = templates.render(template, values)
    except TemplateError as error:
        return [Filled("", template, problem=error.message, state="waits")]
    fits = isinstance(given, list) and all(
        isinstance(each, dict) and each.get("role") in ROLES and isinstance(each.get("content"), str)
        for each in given
    )
    if not fits:
        problem = f"gives no list of messages: each has a role ({', '.join(ROLES)}) and a content"
        return [Filled("", template, problem=problem, state="failed")]
    return [Filled(each["role"], template, each["content"], state="inserted") for each in given]


def _text(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
