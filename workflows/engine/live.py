"""The live port: models, searches and tools for real, recorded, within the attempt's time and its lease."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from django.conf import settings
from django.db import connection
from numpy.typing import NDArray

from providers import credentials, gateway
from providers.config import Route
from providers.messages import Request, Response
from retrieval import search as searches
from retrieval.errors import RetrievalError
from workflows import reserved
from workflows.builtin import functions
from workflows.engine import bundle, commit
from workflows.engine.calls import Recorder
from workflows.engine.commit import Claim
from workflows.engine.leases import Active
from workflows.engine.outcomes import Cancelled, LeaseLost, StepFailure
from workflows.engine.port import Found, Search, Spent
from workflows.spec import templates
from workflows.tools import errors as tool_errors
from workflows.tools import http, keys, python
from workflows.tools.config import Tool

Json = Any


class LivePort:
    """The way out of one attempt."""

    def __init__(self, claim: Claim, active: Active, *, time_s: float, once: bool) -> None:
        self.claim, self.active, self.once = claim, active, once
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

    def tool(self, tool: Tool, arguments: Mapping[str, Json]) -> Json:
        key = keys.idempotency_key(self.claim.run, self.claim.path, tool.name, arguments)
        try:
            if tool.http is not None:
                return self._http(tool, arguments, key)
            if reserved.is_builtin(self.claim.workflow) and str(tool.python).startswith(reserved.FUNCTION):
                return self._builtin(tool, arguments)
            return self._python(tool, arguments, key)
        except tool_errors.LeaseLost as lost:
            raise LeaseLost from lost
        except tool_errors.ToolError as error:
            if self.cancelled() and error.error_class == "cancelled":
                raise Cancelled from error
            raise self._failure(error) from error

    def _failure(self, error: tool_errors.ToolError) -> StepFailure:
        """Name a tool's failure. A `once` effect that happened, or may have, is not for the retry policy."""
        if not self.once:
            return StepFailure(error.message, error_class=error.error_class)
        if error.outcome_known and (error.error_class == "too_large" or 200 <= (error.status or 0) < 300):
            message = f"{error.message} The call itself succeeded and is not repeated."
            return StepFailure(message, error_class="effect_happened")
        return StepFailure(error.message, error_class=error.error_class, outcome_known=error.outcome_known)

    def _http(self, tool: Tool, arguments: Mapping[str, Json], key: str) -> Json:
        assert tool.http is not None
        request = http.prepare(tool, arguments, render=templates.render)
        credential = credentials.resolve(tool.http.credential) if tool.http.credential else None
        reply = http.send(
            request,
            key=key,
            run_id=self.claim.run,
            path=self.claim.path,
            deadline_s=self.left_s(),
            sending=lambda: self._sending(key),
            cancelled=self.cancelled,
            allow=settings.TOOL_ALLOW,
            credential=credential,
        )
        return reply.body

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
