"""The live port: models, searches and tools for real, recorded, within the attempt's time and its lease."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from django.conf import settings
from django.db import connection
from numpy.typing import NDArray

from providers import credentials, gateway
from providers.config import Route
from providers.messages import Request, Response
from retrieval import search as searches
from retrieval.errors import RetrievalError
from workflows import database, payloads, remembering, reserved
from workflows.builtin import functions
from workflows.engine import bundle, commit, starting
from workflows.engine.bundle import Bundle
from workflows.engine.calls import Recorder
from workflows.engine.commit import Claim
from workflows.engine.leases import Active
from workflows.engine.outcomes import Cancelled, LeaseLost, StepFailure
from workflows.engine.port import Cached, ChildRun, Found, Kept, Remembered, Search, Spent
from workflows.identifiers import new_run_id
from workflows.spec import schema, templates
from workflows.tools import errors as tool_errors
from workflows.tools import http, keys, python
from workflows.tools.config import Tool
from workflows.tools.mcp import call as mcp

Json = Any
MAX_KEY: Final = 500
# What is wrong with the reply to a call that succeeded.
HAPPENED: Final = frozenset({"too_large", "malformed_body"})


class LivePort:
    """The way out of one attempt."""

    def __init__(self, claim: Claim, active: Active, *, time_s: float) -> None:
        self.claim, self.active = claim, active
        self.once = False  # whether what is called may not be repeated
        self.until = time.monotonic() + time_s
        self.recorder = Recorder(claim)

    def spent(self) -> Spent:
        return self.recorder.spent()

    def left_s(self) -> float:
        """Return the seconds left; at least a moment, so that a deadline fails where it is reported."""
        return max(0.001, self.until - time.monotonic())

    def model(self, route: Route, request: Request) -> Response:
        return gateway.call(
            route,
            request,
            providers=bundle.providers(),
            recorder=self.recorder,
            deadline_s=self.left_s(),
            first_call=self.recorder.first_number(),
            cancelled=self.cancelled,
        )

    def cancelled(self) -> bool:
        return self.active.stop.is_set()

    def search(self, search: Search) -> Found:
        corpus = search.corpus.split("@")[0]
        snapshot = self.claim.pins.get(corpus)
        if snapshot is None:
            raise StepFailure(
                f"Corpus {corpus} had no published snapshot when this run was created. "
                "Ingest documents into it, then start the run again.",
                error_class="corpus_empty",
            )
        vector = None if search.mode == "text" else self.embed(search.embedding, [search.query])[0]
        try:
            result = searches.search(
                corpus,
                snapshot=snapshot,
                query=search.query,
                query_vector=vector,
                top_k=search.top_k,
                mode=search.mode,
                index=search.index,
                filter=search.filter,
                min_score=search.min_score,
            )
            self._record(search, result)
        except RetrievalError as error:
            raise StepFailure(error.message, error_class=error.code) from error
        finally:
            connection.close()  # back to the pool: no connection is held over the rest of the step
        return Found(
            snapshot=snapshot,
            chunks=[_chunk(hit) for hit in result.hits],
            documents=tuple(dict.fromkeys(f"{corpus}/{hit.doc_version}" for hit in result.hits)),
        )

    def _record(self, search: Search, result: searches.SearchResult) -> None:
        searches.record(
            result,
            run=self.claim.run,
            step=self.claim.path,
            epoch=self.claim.epoch,
            attempt=self.claim.number,
            query=search.query,
            params={"top_k": search.top_k, "filter": search.filter, "min_score": search.min_score},
        )

    def embed(self, model: str, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts, `(n, dim) float32`. Raises: ProviderError."""
        connection.close()
        return gateway.embed(
            model,
            texts,
            providers=bundle.providers(),
            recorder=self.recorder,
            deadline_s=self.left_s(),
            cancelled=self.cancelled,
        )

    def recall(self, scope: str, key: str, *, newest: bool = False) -> Remembered:
        at = self._place(scope, key)
        seen = remembering.read(at, run=None if newest else self.claim.run)
        return Remembered(value=seen.value, version=seen.version, place=str(at), expected=seen.expected)

    def remember(
        self, scope: str, key: str, operation: remembering.Operation, value: Json, *, expected: int | None
    ) -> int | None:
        claim = self.claim
        by = remembering.Writer(actor=f"run {claim.run}", run=claim.run, path=claim.path, epoch=claim.epoch)
        return remembering.change(self._place(scope, key), operation, value, by=by, expected=expected)

    def _place(self, scope: str, key: str) -> remembering.Place:
        """Return where a key lies. Raises: StepFailure."""
        within = remembering.scope_of(scope, workflow=self.claim.workflow, session=self.claim.session)
        if within is None:
            raise StepFailure(
                "This run has no session, and its step uses the memory of one. Give the workflow a `session`, "
                "or the run one when it is started.",
                error_class="no_session",
            )
        if not 1 <= len(key) <= MAX_KEY or "\x00" in key:
            raise StepFailure(
                f"A key of memory has 1 to {MAX_KEY} characters; this one has {len(key)}.",
                error_class="input_invalid",
            )
        return remembering.Place(environment=self.claim.environment, scope=within, key=key)

    def cached(self, key: str) -> Cached | None:
        rows = database.fetch_all(
            "SELECT output_hash, lineage, run_id, path FROM workflows_cachedresult "
            "WHERE key = $1 AND expires_at > clock_timestamp()",
            [bytes.fromhex(key)],
        )
        if not rows:
            return None
        output, lineage, run, path = rows[0]
        made_of = database.parsed(lineage)
        try:
            value = payloads.load_one(output)
        except payloads.PayloadMissing:
            return None
        return Cached(output=value, lineage=[(kind, ref) for kind, ref in made_of], run=run, path=path)

    def answer(self) -> Json:
        return payloads.load_one(self.claim.answer)

    def child(self, loaded: Bundle, given: Json) -> dict[str, Json]:
        claim = self.claim
        run = starting.Given(
            id=new_run_id(),
            input=given,
            environment=claim.environment,
            variables=claim.variables,
            pins=claim.pins,
            priority=claim.priority,
            trigger="workflow",
            created_by=f"run {claim.run}",
            session=claim.session,
            title=f"{claim.workflow} / {claim.path}",
            deadline_at=claim.deadline_at,
            parent=claim.run,
            parent_path=claim.path,
            tree_path=f"{claim.tree_path}:{claim.path}",
        )
        return starting.document(loaded, run)

    def child_state(self) -> ChildRun:
        rows = database.fetch_all(
            "SELECT id, state, output_hash, error, extract(epoch FROM clock_timestamp() - created_at)::float8 "
            "FROM workflows_run WHERE parent_id = $1 AND parent_path = $2 "
            "ORDER BY created_at DESC, id DESC LIMIT 1",
            [self.claim.run, self.claim.path],
        )
        found, state, output, error, age_s = rows[0]
        return ChildRun(
            id=found,
            state=state,
            output=payloads.load_one(output),
            error=database.parsed(error),
            age_s=age_s,
        )

    def tool(self, tool: Tool, arguments: Mapping[str, Json]) -> Json:
        self.once = tool.effect == "once"
        repeat = self.claim.epoch if self._repeats() else 0
        key = keys.idempotency_key(self.claim.tree_path, self.claim.path, tool.name, arguments, repeat=repeat)
        try:
            if tool.http is not None:
                return self._http(tool, arguments, key)
            if tool.mcp is not None:
                return self._mcp(tool, arguments, key)
            if reserved.is_builtin(self.claim.workflow) and str(tool.python).startswith(reserved.FUNCTION):
                return self._builtin(tool, arguments)
            return self._python(tool, arguments, key)
        except tool_errors.LeaseLost as lost:
            raise LeaseLost from lost
        except tool_errors.ToolError as error:
            if self.cancelled() and error.error_class == "cancelled":
                raise Cancelled from error
            raise self._failure(error) from error

    def fits(self, declared: schema.Schema, value: Json) -> tuple[tuple[str, str], ...]:
        return schema.errors(declared, value)

    def kept(self, tool: Tool, arguments: Mapping[str, Json]) -> Kept | None:
        """Of an agent's call the same tool with the same arguments counts; of a step, whatever it was called with."""
        claim = self.claim
        if tool.effect != "once" or self._repeats() or (claim.epoch == 1 and claim.tree_path == claim.run):
            return None  # the first time, or once more because a person says so
        rows = database.fetch_all(
            "SELECT s.output_hash, s.input_hash, s.run_id, s.epoch FROM workflows_steprun s "
            "WHERE s.path = $1 AND s.state = 'succeeded' AND s.id <> $2 AND s.kind = $3 "
            "AND s.run_id IN (SELECT id FROM workflows_run WHERE id = $4 OR tree_path = $5) ORDER BY s.id DESC",
            [claim.path, claim.step, claim.kind, claim.run, claim.tree_path],
        )
        for output, given, run, epoch in rows:
            asked = payloads.load_one(given)
            same = asked["tool"].split("@")[0] == tool.name
            if same and (claim.kind == "tool" or asked["arguments"] == arguments):
                return Kept(output=payloads.load_one(output), run=run, epoch=epoch)
        return None

    def waited(self) -> Kept | None:
        return None

    def _repeats(self) -> bool:
        repeats = self.claim.repeats
        return repeats is not None and repeats.get(self.claim.path) == self.claim.epoch

    def _failure(self, error: tool_errors.ToolError) -> StepFailure:
        """Name a tool's failure. A `once` effect that happened, or may have, is not for the retry policy."""
        if not self.once:
            return StepFailure(error.message, error_class=error.error_class)
        if error.outcome_known and (error.error_class in HAPPENED or 200 <= (error.status or 0) < 300):
            message = f"{error.message} The call itself succeeded and is not repeated."
            return StepFailure(message, error_class="effect_happened")
        return StepFailure(error.message, error_class=error.error_class, outcome_known=error.outcome_known)

    def _http(self, tool: Tool, arguments: Mapping[str, Json], key: str) -> Json:
        request = http.prepare(tool, arguments, render=templates.render)
        return http.send(request, **self._sent(tool, key)).body

    def _mcp(self, tool: Tool, arguments: Mapping[str, Json], key: str) -> Json:
        request = mcp.prepare(tool, arguments, render=templates.render, commands=settings.MCP_COMMANDS)
        return mcp.send(request, **self._sent(tool, key))

    def _sent(self, tool: Tool, key: str) -> dict[str, Any]:
        """Return what ties a request to its run, and bounds it."""
        return {
            "key": key,
            "run_id": self.claim.run,
            "path": self.claim.path,
            "deadline_s": self.left_s(),
            "sending": lambda: self._sending(key),
            "cancelled": self.cancelled,
            "allow": settings.TOOL_ALLOW,
            "credential": credentials.resolve(tool.credential) if tool.credential else None,
        }

    def _python(self, tool: Tool, arguments: Mapping[str, Json], key: str) -> Json:
        assert tool.python is not None
        return python.run_python(
            tool.python,
            arguments,
            deadline_s=self.left_s(),
            sending=lambda: self._sending(key),
            cancelled=self.cancelled,
            allowed=settings.TOOL_PYTHON,
        )

    def _builtin(self, tool: Tool, arguments: Mapping[str, Json]) -> Json:
        """Call a function of the product itself: only its own workflows can name one."""
        name = str(tool.python).removeprefix(reserved.FUNCTION)
        try:
            here = functions.Here(run=self.claim.run, cancelled=self.cancelled, embed=self.embed)
            return functions.call(name, arguments, here)
        finally:
            connection.close()

    def _sending(self, key: str) -> bool:
        """Mark a `once` call as about to leave; the others may be repeated and need no mark."""
        if not self.once:
            return not self.active.lost
        self.active.sent = commit.sending(self.claim, {"key": key})
        return self.active.sent


def _chunk(hit: searches.Hit) -> dict[str, Json]:
    return {
        "text": hit.text,
        "document": hit.document,
        "source": hit.source,
        "score": hit.score,
        "rank": hit.rank,
        "metadata": dict(hit.metadata),
    }
