"""Requests and responses as every adapter understands them, whatever the wire format.

Pure: frozen values and their JSON forms; no wire format, no I/O.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any, Literal, TypeAlias

Json: TypeAlias = Any
Role: TypeAlias = Literal["system", "user", "assistant", "tool"]
FinishReason: TypeAlias = Literal[
    "stop", "length", "tool_call", "content_filter", "refusal", "error", "cancelled", "unknown"
]
UsageSource: TypeAlias = Literal["provider", "estimated", "missing"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """A piece of a message: text, or an image by address or as base64 `data`."""

    kind: Literal["text", "image"] = "text"
    text: str = ""
    url: str | None = None
    data: str | None = None
    media_type: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ToolCall:
    """The model asks for a tool. `arguments` is None where the model's text was no JSON object."""

    id: str
    name: str
    arguments: Mapping[str, Json] | None
    raw_arguments: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """One message. `reasoning` is opaque: it goes back to the provider that it came from."""

    role: Role
    content: str | tuple[Part, ...] = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    reasoning: Json = None

    def text(self) -> str:
        """The message's text, without its other parts."""
        if isinstance(self.content, str):
            return self.content
        return "\n".join(part.text for part in self.content if part.kind == "text")


@dataclass(frozen=True, kw_only=True, slots=True)
class ToolSpec:
    """A tool that the model may ask for; `input` is a JSON Schema."""

    name: str
    description: str = ""
    input: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What a step wants from a model."""

    messages: tuple[Message, ...]
    params: Mapping[str, Json] = field(default_factory=dict)
    output_schema: Mapping[str, Json] | None = None
    tools: tuple[ToolSpec, ...] = ()

    def as_json(self) -> dict[str, Json]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """Tokens. Inclusive: `cached` is a part of `input`, `reasoning` a part of `output`."""

    input: int = 0
    cached: int = 0
    output: int = 0
    reasoning: int = 0
    source: UsageSource = "missing"

    def as_json(self) -> dict[str, Json]:
        return asdict(self)


NO_USAGE = Usage()


@dataclass(frozen=True, kw_only=True, slots=True)
class Response:
    """What the model answered. `cost_usd` is None where the price is not known."""

    text: str
    finish_reason: FinishReason
    raw_finish_reason: str | None
    usage: Usage
    provider: str
    model_requested: str
    model_returned: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    request_id: str | None = None
    cost_usd: Decimal | None = None
    reasoning: Json = None

    def as_json(self) -> dict[str, Json]:
        """The journal's form of a response; `Response.from_json` reads it."""
        return {**asdict(self), "cost_usd": None if self.cost_usd is None else str(self.cost_usd)}

    @classmethod
    def from_json(cls, body: Mapping[str, Json]) -> Response:
        cost = body.get("cost_usd")
        return cls(
            **{
                **body,
                "usage": Usage(**body["usage"]),
                "tool_calls": tuple(ToolCall(**call) for call in body["tool_calls"]),
                "cost_usd": None if cost is None else Decimal(cost),
            }
        )

    def as_message(self) -> Message:
        """The response as the next turn's history."""
        return Message(
            role="assistant", content=self.text, tool_calls=self.tool_calls, reasoning=self.reasoning
        )
