"""A prompt rendered with variables: what a model would be sent."""

from __future__ import annotations

from typing import Any

from pydantic import Field
from rest_framework.request import Request
from rest_framework.response import Response
from typing_extensions import TypedDict

from console.api import asking
from console.api.endpoint import Endpoint, needs
from console.api.errors import InvalidRequestError
from console.api.openapi import answer, operation
from console.problems import Fault
from workflows import definitions
from workflows.spec import templates


class Render(asking.Ask):
    """Values of the prompt's variables."""

    variables: dict[str, Any] = Field(default_factory=dict)
    version: asking.Number | None = Field(None, description="Without it, the newest.")


class MessageShape(TypedDict):
    """One message."""

    role: str
    content: Any


class RenderedShape(TypedDict):
    """The messages of one version."""

    version: int
    messages: list[MessageShape]


class RenderPrompt(Endpoint):
    """`/prompts/NAME/render`."""

    permission_classes = needs("definitions.view")

    @operation("Render a prompt", asks=Render, answers={200: answer(RenderedShape)}, problems_too=[404])
    def post(self, request: Request, name: str) -> Response:
        """Fill a prompt's messages in; nothing is sent anywhere."""
        asked = asking.body(request, Render)
        found = definitions.get("Prompt", name, asked.version)
        return Response(
            RenderedShape(version=found.version, messages=_messages(found.body["messages"], asked.variables))
        )


def _messages(messages: list[dict[str, Any]], variables: dict[str, Any]) -> list[MessageShape]:
    rendered: list[MessageShape] = []
    for index, message in enumerate(messages):
        try:
            if "insert" in message:
                rendered += templates.render(message["insert"], variables)
            else:
                content = templates.render(message["content"], variables)
                rendered.append(MessageShape(role=message["role"], content=content))
        except templates.TemplateError as error:
            fault = Fault(path=f"messages[{index}]", message=str(error))
            raise InvalidRequestError((fault,)) from None
    return rendered
