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
class McpTool:
    """A tool of an MCP server: one at `url`, or one that the settings' command of that name starts.

    Header values are templates over the tool's input.
    """

    tool: str
    url: str | None = None
    headers: Mapping[str, Json] = field(default_factory=dict)
    credential: str | None = None
    command: str | None = None

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> McpTool:
        server = body["server"]
        return cls(
            tool=body["tool"],
            url=server.get("url"),
            headers=dict(server.get("headers") or {}),
            credential=server.get("credential"),
            command=server.get("command"),
        )


@dataclass(frozen=True, kw_only=True)
class Tool:
    """A tool: over HTTP (`http`), a function in a child process (`python`: "package.module:function"), one of an
    MCP server (`mcp`), or a `workflow`."""

    name: str
    description: str
    input_schema: Mapping[str, Json] | bool
    effect: Effect
    timeout_s: float
    http: HttpTool | None = None
    python: str | None = None
    mcp: McpTool | None = None
    workflow: str | None = None
    output_schema: Mapping[str, Json] | bool | None = None

    @property
    def credential(self) -> str | None:
        """The reference of the secret that its requests carry."""
        return next((form.credential for form in (self.http, self.mcp) if form is not None), None)

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Tool:
        """Build the tool that a validated document describes. Without `effect` it is `once`: never repeated.

        Raises: ValueError for an effect, a duration or a kind of tool that does not exist.
        """
        effect = body.get("effect", "once")
        if effect not in EFFECTS:
            raise ValueError(f"Tool {body['name']}: effect {effect!r} is none of {', '.join(EFFECTS)}.")
        http, mcp = body.get("http"), body.get("mcp")
        python, workflow = body.get("python"), body.get("workflow")
        if sum(form is not None for form in (http, python, mcp, workflow)) != 1:
            raise ValueError(f"Tool {body['name']}: exactly one of http, python, mcp and workflow is needed.")
        return cls(
            name=body["name"],
            description=body.get("description", ""),
            input_schema=body.get("input", {"type": "object"}),
            effect=effect,
            timeout_s=seconds(body.get("timeout", DEFAULT_TIMEOUT)),
            http=None if http is None else HttpTool.from_document(http),
            python=python,
            mcp=None if mcp is None else McpTool.from_document(mcp),
            workflow=workflow,
            output_schema=body.get("output"),
        )
