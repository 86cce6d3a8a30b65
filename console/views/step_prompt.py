"""What a model step was told: its messages as rendered, and the template that they came from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from console import formats
from console.drawing import prompt_text
from workflows.queries import definitions

_MARKED: Final = 200_000  # characters of one message in which variables are looked for


def shown(asked: Mapping[str, Any], calls: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return rendered messages, the template's, and what was said of the output."""
    variables = asked.get("variables")
    named = variables if isinstance(variables, Mapping) else {}
    messages = [
        {"role": role, "text": _marked(text, named), "size": len(text)}
        for role, text in _messages(asked, calls)
    ]
    return {"prompt_messages": messages, "template_messages": _template(asked) if messages else []}


def _marked(text: str, variables: Mapping[str, Any]) -> object:
    if len(text) > _MARKED:
        return formats.printable(text)
    return prompt_text.rendered(text, variables)


def _messages(asked: Mapping[str, Any], calls: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Return the rendered messages; of a step whose input was not kept, those that its last call sent."""
    messages = asked.get("messages")
    if not messages and calls:
        request = calls[-1]["request_value"].value
        body = request.get("body") if isinstance(request, dict) else None
        messages = body.get("messages") if isinstance(body, dict) else None
    if not isinstance(messages, list):
        return []
    return [(str(m.get("role", "")), _plain(m.get("content"))) for m in messages if isinstance(m, dict)]


def _plain(content: object) -> str:
    return content if isinstance(content, str) else json.dumps(content, ensure_ascii=False, indent=2)


def _template(asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the messages of the pinned prompt version, its variables marked."""
    name, version = asked.get("prompt"), asked.get("version")
    if not isinstance(name, str) or not isinstance(version, int):
        return []
    body = definitions.body_of("Prompt", name.partition("@")[0], version)
    messages = body.get("messages") if body else None
    return [
        {"role": str(each.get("role", "")), "text": prompt_text.template(str(each["content"]))}
        if "content" in each
        else {"role": "inserted", "text": prompt_text.template(str(each.get("insert", "")))}
        for each in (messages if isinstance(messages, list) else [])
        if isinstance(each, dict)
    ]


def verdict(asked: Mapping[str, Any], state: str, error: Mapping[str, Any] | None) -> dict[str, Any]:
    """Say whether the output fits the schema that was asked for; nothing where none was."""
    schema = asked.get("output")
    if not isinstance(schema, Mapping):
        return {}
    name = schema.get("title")
    called = f"the schema {name}" if isinstance(name, str) and name else "its schema"
    if state == "succeeded":
        return {"verdict": f"valid against {called}", "verdict_tone": "ok", "output_schema": schema}
    if error and error.get("class") == "schema_invalid":
        return {"verdict": f"does not fit {called}", "verdict_tone": "bad", "output_schema": schema}
    return {"output_schema": schema}
