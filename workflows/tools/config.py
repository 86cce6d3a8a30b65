"""What a tool is, as a value built from its document.

Pure: no I/O, no clock. It trusts that the document was validated and fills in its defaults.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from providers.config import seconds

Json: TypeAlias = Any
Effect: TypeAlias = Literal["read", "idempotent", "once"]
EFFECTS: tuple[Effect, ...] = ("read", "idempotent", "once")
DEFAULT_TIMEOUT = "30s"


@dataclass(frozen=True, kw_only=True)
class HttpTool:
    """A request as the author wrote it: `url`, header values and `body` are templates over the tool's input.

    A body that is None is not sent.
    """

    method: str
    url: str
    headers: Mapping[str, Json] = field(default_factory=dict)
    body: Json = None
    credential: str | None = None

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> HttpTool:
        return cls(
            method=body.get("method", "GET").upper(),
            url=body["url"],
            headers=dict(body.get("headers") or {}),
            body=body.get("body"),
            credential=body.get("credential"),
        )


@dataclass(frozen=True, kw_only=True)
class Tool:
    """A tool called over HTTP (`http`) or in a child process (`python`: "package.module:function")."""

    name: str
    description: str
    input_schema: Mapping[str, Json] | bool
    effect: Effect
    timeout_s: float
    http: HttpTool | None = None
    python: str | None = None

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Tool:
        """Build the tool that a validated document describes. Without `effect` it is `once`: never repeated.

        Raises: ValueError for an effect, a duration or a kind of tool that does not exist.
        """
        effect = body.get("effect", "once")
        if effect not in EFFECTS:
            raise ValueError(f"Tool {body['name']}: effect {effect!r} is none of {', '.join(EFFECTS)}.")
        http, python = body.get("http"), body.get("python")
        if (http is None) == (python is None):
            raise ValueError(f"Tool {body['name']}: exactly one of http and python is needed.")
        return cls(
            name=body["name"],
            description=body.get("description", ""),
            input_schema=body.get("input", {"type": "object"}),
            effect=effect,
            timeout_s=seconds(body.get("timeout", DEFAULT_TIMEOUT)),
            http=None if http is None else HttpTool.from_document(http),
            python=python,
        )
