"""The way out of an attempt of a run that was given secrets: they leave in clear, and nothing of them comes back.

Everything that the engine decides and records holds masks. Here, and nowhere else, a mask becomes its secret: just
before something leaves for a model, a search or a tool. What comes back, errors and records of calls included, is
scrubbed before anybody sees it. Runs without secrets do not come here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import Any, Final

from providers.config import Route
from providers.errors import ProviderError
from providers.messages import Message, Part, Request, Response, ToolCall
from providers.recording import CallIntent, CallRecord
from retrieval import search as searches
from workflows import sealing
from workflows.engine.bundle import Bundle
from workflows.engine.calls import Recorder
from workflows.engine.commit import Claim
from workflows.engine.leases import Active
from workflows.engine.live import LivePort
from workflows.engine.outcomes import StepFailure
from workflows.engine.port import Found, Search
from workflows.engine.stubbed import StubbedPort
from workflows.spec import schema
from workflows.spec.masks import Veil, acting_with, has_mask
from workflows.tools.config import Tool

Json = Any
# What a model said; the rest of a response are numbers and names, which have to stay what they are.
_SAID: Final = ("text", "tool_calls", "reasoning", "raw_finish_reason")


class SealedLive(LivePort):
    """The way out of one attempt of a run with secrets."""

    def __init__(self, claim: Claim, active: Active, *, time_s: float) -> None:
        super().__init__(claim, active, time_s=time_s)
        self.recorder = _Recorder(claim, lambda: self.veil)

    @cached_property
    def veil(self) -> Veil:
        """The secrets of the run's tree. Raises: StepFailure."""
        try:
            veil = sealing.of_tree(self.claim.tree_path.partition(":")[0])
        except sealing.Unreadable as problem:
            raise StepFailure(f"{problem} Then retry the run.", error_class="secret_unreadable") from None
        acting_with.set(veil)  # until the attempt is committed
        return veil

    def reveal(self, value: Json) -> Json:
        """Return what may leave. Raises: StepFailure, where the secrets are not here at all."""
        if not self.veil.secrets and has_mask(value):
            raise StepFailure(
                "The run's secret input is not stored here: it came with an imported run. Fork that run with the "
                "secret fields in the input of the fork.",
                error_class="secret_missing",
            )
        return self.veil.reveal(value)

    @contextmanager
    def scrubbed(self) -> Iterator[None]:
        """Take the secrets out of whatever error comes."""
        try:
            yield
        except StepFailure as failure:
            raise StepFailure(
                self.veil.scrub(failure.message),
                error_class=failure.error_class,
                outcome_known=failure.outcome_known,
            ) from None
        except ProviderError as error:
            error.message = self.veil.scrub(error.message)
            error.args = (error.message,)
            error.partial = None
            raise error from None

    def model(self, route: Route, request: Request) -> Response:
        asked = _revealed(request, self.reveal)
        with self.scrubbed():
            response = super().model(route, asked)
        return Response.from_json(_answer(response.as_json(), self.veil))

    def search(self, search: Search) -> Found:
        asked = replace(search, query=self.reveal(search.query), filter=self.reveal(search.filter))
        with self.scrubbed():
            found = super().search(asked)
        return replace(found, chunks=self.veil.scrub(found.chunks))

    def _record(self, search: Search, result: searches.SearchResult) -> None:
        scrub = self.veil.scrub
        super()._record(replace(search, query=scrub(search.query), filter=scrub(search.filter)), result)

    def tool(self, tool: Tool, arguments: Mapping[str, Json]) -> Json:
        """Call a tool. Its key is made of the masks: it tells nothing of the secrets, and is the same each time."""
        self.veil  # noqa: B018  nothing is sent where they cannot be read
        with self.scrubbed():
            output = super().tool(tool, arguments)
        return self.veil.scrub(output)

    def _http(self, tool: Tool, arguments: Mapping[str, Json], key: str) -> Json:
        return super()._http(tool, self.reveal(arguments), key)

    def _mcp(self, tool: Tool, arguments: Mapping[str, Json], key: str) -> Json:
        return super()._mcp(tool, self.reveal(arguments), key)

    def _python(self, tool: Tool, arguments: Mapping[str, Json], key: str) -> Json:
        return super()._python(tool, self.reveal(arguments), key)

    def fits(self, declared: schema.Schema, value: Json) -> tuple[tuple[str, str], ...]:
        return schema.errors(declared, self.reveal(value))

    def child(self, loaded: Bundle, given: Json) -> dict[str, Json]:
        return {**super().child(loaded, given), "sealed": True}


class SealedStubbed(SealedLive, StubbedPort):
    """The way out of one attempt of a fork of a run with secrets."""


class _Recorder(Recorder):
    """Writes calls down with masks for the secrets in them."""

    def __init__(self, claim: Claim, veil: Callable[[], Veil]) -> None:
        super().__init__(claim)
        self.veil = veil

    def sending(self, call: CallIntent, /) -> None:
        super().sending(replace(call, request=self.veil().scrub(call.request)))

    def done(self, call: CallRecord, /) -> None:
        scrub = self.veil().scrub
        answer = None if call.answer is None else _answer(call.answer, self.veil())
        super().done(
            replace(
                call,
                request=scrub(call.request),
                response=scrub(call.response),
                error=scrub(call.error),
                answer=answer,
            )
        )


def _answer(response: Mapping[str, Json], veil: Veil) -> dict[str, Json]:
    return {**response, **{name: veil.scrub(response[name]) for name in _SAID}}


def _revealed(request: Request, reveal: Callable[[Json], Json]) -> Request:
    messages = tuple(_message(each, reveal) for each in request.messages)
    return replace(request, messages=messages, params=reveal(request.params))


def _message(message: Message, reveal: Callable[[Json], Json]) -> Message:
    content = message.content
    if not isinstance(content, str):
        content = tuple(_part(each, reveal) for each in content)
    return replace(
        message,
        content=reveal(content) if isinstance(content, str) else content,
        tool_calls=tuple(_call(each, reveal) for each in message.tool_calls),
        reasoning=reveal(message.reasoning),
    )


def _part(part: Part, reveal: Callable[[Json], Json]) -> Part:
    return replace(part, text=reveal(part.text), url=reveal(part.url), data=reveal(part.data))


def _call(call: ToolCall, reveal: Callable[[Json], Json]) -> ToolCall:
    return replace(call, arguments=reveal(call.arguments), raw_arguments=reveal(call.raw_arguments))
