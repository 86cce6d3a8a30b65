"""The recorded port: every answer comes from the record, nothing leaves the process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal

from providers.config import Route
from providers.errors import ERROR_CLASSES, ProviderError
from providers.messages import Request, Response
from workflows.engine.bundle import Bundle
from workflows.engine.outcomes import StepFailure
from workflows.engine.port import Cached, ChildRun, Found, Kept, Remembered, Search, Spent
from workflows.remembering import Operation
from workflows.replay.rebuilt import Seen, Step
from workflows.replay.record import Answered, Event
from workflows.spec import schema, secret_fields
from workflows.tools.config import Tool

Json = Any
# The run's secrets could not be read, so nothing was asked.
_UNREADABLE: Final = frozenset({"secret_unreadable", "secret_missing"})


class NotRecorded(Exception):
    """The step asks for something that it did not ask for when it was recorded."""


class RecordedPort:
    """The way out of one attempt whose end is recorded as `event`."""

    def __init__(self, event: Event, step: Step, seen: Seen, calls: Iterator[Answered]) -> None:
        self.event, self.step, self.seen, self.calls = event, step, seen, calls
        self.written = False  # whether this attempt has changed memory

    def spent(self) -> Spent:
        return Spent()

    def model(self, route: Route, request: Request) -> Response:
        """Give the next recorded answer; requests that failed on the way to it are passed over."""
        last: Answered | None = None
        for last in self.calls:
            if last.answer is not None:
                return Response.from_json(self.seen.value(last.answer))
        if last is None and (failure := self._failure()) is not None and failure["class"] in _UNREADABLE:
            self._fail(failure)
        error = last.error if last is not None else self._before_sending()
        if error is None:
            raise NotRecorded(f"It asks the models of route {route.name} once more than it did.")
        raise ProviderError(str(error["message"]), error_class=str(error["class"]))

    def search(self, search: Search) -> Found:
        output = self._output(f"It searches corpus {search.corpus}")
        return Found(snapshot=output["snapshot"], chunks=output["chunks"], documents=())

    def tool(self, tool: Tool, arguments: Mapping[str, Json]) -> Json:
        return self._output(f"It calls tool {tool.name}")

    def fits(self, declared: schema.Schema, value: Json) -> Sequence[tuple[str, str]]:
        """What a mask stands for is not in the record; how it was judged is."""
        if (failure := self._failure()) is not None:
            self._fail(failure)
        return secret_fields.problems_apart(declared, value)

    def kept(self, tool: Tool, arguments: Mapping[str, Json]) -> Kept | None:
        return self._known()

    def waited(self) -> Kept | None:
        failure = self._failure()
        if failure is not None:
            self._fail(failure)
        return self._known()

    def _known(self) -> Kept | None:
        """Return what counted instead of a call or a wait."""
        how: Literal["kept", "stubbed"] = "stubbed" if "stubbed" in self.event.data else "kept"
        source = self.event.data.get(how)
        if source is None:
            return None
        output = self._output("It keeps a result")
        exact = bool(source.get("exact", True))
        return Kept(output=output, run=source["run"], epoch=source["epoch"], how=how, exact=exact)

    def recall(self, scope: str, key: str, *, newest: bool = False) -> Remembered:
        """Give what was read, or what the step recorded of it before it changed the value."""
        failure = self._failure()
        if failure is not None and failure["class"] != "memory_conflict":
            self._fail(failure)
        seen: Json = None
        if failure is None:
            output = self._output(f"It reads memory {scope}/{key}")
            asked = self.seen.value(self.event.data.get("input")) or {}
            reads = asked.get("operation") == "read"
            seen = output["value"] if reads or self.written else asked.get("current")
            if seen is None and asked.get("operation") == "append":
                seen = []
        version = 0 if failure is not None else int(output["version"])
        return Remembered(value=seen, version=version, place=f"{scope}/{key}", expected=version)

    def remember(
        self, scope: str, key: str, operation: Operation, value: Json, *, expected: int | None
    ) -> int | None:
        if self._failure() is not None:
            return None
        self.written = True
        return int(self._output(f"It changes memory {scope}/{key}")["version"])

    def cached(self, key: str) -> Cached | None:
        source = self.event.data.get("cached")
        if source is None:
            return None
        output = self._output("It takes a cached result")
        return Cached(output=output, lineage=(), run=source["run"], path=source["step"])

    def answer(self) -> Json:
        return self.seen.value(self.step.answer)

    def child(self, loaded: Bundle, given: Json) -> dict[str, Json]:
        run = self.event.data.get("run")
        if run is None:
            self._output(f"It starts a run of {loaded.plan.definition.name}")
        return {"id": run}

    def child_state(self) -> ChildRun:
        """Give the end of the child run; one that was looked at too early goes on."""
        if self.event.type == "step.waiting":
            return ChildRun(id=self.step.child or "", state="running")
        output = self._output("It takes in a child run")
        return ChildRun(id=str(self.event.data.get("run")), state="succeeded", output=output)

    def _output(self, what: str) -> Json:
        """Return the recorded output of the step, or fail as it did."""
        failure = self._failure()
        if failure is not None:
            self._fail(failure)
        if self.event.type != "step.succeeded":
            raise NotRecorded(f"{what}, which it did not do.")
        return self.seen.value(self.event.data.get("output"))

    def _before_sending(self) -> Mapping[str, Json] | None:
        """Return the recorded error where it may have come before there was anything to send."""
        found = self._failure()
        may = found is not None and found["class"] in ERROR_CLASSES and found["class"] != "schema_invalid"
        return found if may else None

    def _failure(self) -> Mapping[str, Json] | None:
        found: Mapping[str, Json] | None = self.event.data.get("error")
        return found

    def _fail(self, failure: Mapping[str, Json]) -> None:
        known = self.event.type != "step.unknown"
        raise StepFailure(str(failure["message"]), error_class=str(failure["class"]), outcome_known=known)
