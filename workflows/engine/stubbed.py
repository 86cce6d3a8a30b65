"""The stubbed port of a fork: models and searches for real, effects from the record of the run that it was forked from.

`read` tools are called for real. Other tools answer from the record by (path, tool, arguments), then by (path, tool),
which is told; what is not recorded is left to a person. Memory that the fork writes is seen by the fork alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workflows import database, payloads, remembering
from workflows.engine.bundle import Bundle
from workflows.engine.live import LivePort
from workflows.engine.outcomes import StepFailure
from workflows.engine.port import Kept, Remembered
from workflows.tools.config import Tool

Json = Any


class StubbedPort(LivePort):
    """The way out of one attempt of a fork."""

    @property
    def fork(self) -> Mapping[str, Json]:
        assert self.claim.fork is not None
        return self.claim.fork

    def kept(self, tool: Tool, arguments: Mapping[str, Json]) -> Kept | None:
        earlier = super().kept(tool, arguments)  # of an earlier epoch of the fork itself
        if earlier is not None or tool.effect == "read" or self._is_live(tool):
            return earlier
        wanted = {"tool": tool.name, "arguments": dict(arguments)}
        best: Kept | None = None
        for row in self._recorded():
            asked = payloads.load_one(row["input"]) or {}
            if str(asked.get("tool", "")).split("@")[0] != tool.name:
                continue
            exact = asked.get("arguments") == wanted["arguments"]
            if exact or best is None:
                best = self._answer(row, exact=exact)
            if exact:
                return best
        if best is None:
            raise self._not_recorded(f"calls tool {tool.name}")
        return best

    def waited(self) -> Kept | None:
        for row in self._recorded():
            return self._answer(row, exact=True)
        raise self._not_recorded("waits")

    def _is_live(self, tool: Tool) -> bool:
        effects = self.fork.get("effects", "stub")
        return effects == "live" or (isinstance(effects, Mapping) and effects.get(tool.name) == "live")

    def _recorded(self) -> list[dict[str, Json]]:
        """Return what this step came to in the other run, the newest epoch first."""
        if self.fork.get("of") is None:
            return []
        rows = database.fetch_all(
            "SELECT state, input_hash, output_hash, error, epoch FROM workflows_steprun "
            "WHERE run_id = $1 AND path = $2 AND kind = $3 AND state IN ('succeeded', 'failed') ORDER BY epoch DESC",
            [self.fork["of"], self.claim.path, self.claim.kind],
        )
        names = ("state", "input", "output", "error", "epoch")
        return [dict(zip(names, row, strict=True)) for row in rows]

    def _answer(self, row: Mapping[str, Json], *, exact: bool) -> Kept:
        if row["state"] == "failed":
            error = database.parsed(row["error"])
            raise StepFailure(str(error["message"]), error_class=str(error["class"]))
        return Kept(
            output=payloads.load_one(row["output"]),
            run=str(self.fork["of"]),
            epoch=row["epoch"],
            how="stubbed",
            exact=exact,
        )

    def _not_recorded(self, what: str) -> StepFailure:
        return StepFailure(
            f"This fork {what} at {self.claim.path}, which run {self.fork.get('of') or 'before it'} did not do there. "
            "Supply what it would give, skip it, or fork again with that effect live.",
            error_class="effect_not_recorded",
            outcome_known=False,
        )

    def recall(self, scope: str, key: str, *, newest: bool = False) -> Remembered:
        """Own writes first; then what the other run read there, or what it started from."""
        own = remembering.read(self._overlay(scope, key), run=None)
        place = str(self._place(scope, key))
        if own.version:
            return Remembered(value=own.value, version=own.version, place=place, expected=own.head)
        if self.fork.get("memory") == "live":
            seen = super().recall(scope, key, newest=newest)
            return Remembered(value=seen.value, version=seen.version, place=place, expected=0)
        seen_then = remembering.as_first_seen(self._place(scope, key), run=str(self.fork["of"]))
        return Remembered(value=seen_then.value, version=seen_then.version, place=place, expected=0)

    def remember(
        self, scope: str, key: str, operation: remembering.Operation, value: Json, *, expected: int | None
    ) -> int | None:
        """Write where only this fork looks. The first append brings what was there before."""
        claim, overlay = self.claim, self._overlay(scope, key)
        by = remembering.Writer(actor=f"run {claim.run}", run=claim.run, path=claim.path, epoch=claim.epoch)
        if operation == "append" and not remembering.read(overlay, run=None).version:
            before = self.recall(scope, key).value
            return remembering.change(overlay, "write", [*(before or []), value], by=by, expected=None)
        return remembering.change(overlay, operation, value, by=by, expected=expected)

    def _overlay(self, scope: str, key: str) -> remembering.Place:
        place = self._place(scope, key)
        root = self.claim.tree_path.partition(":")[0]
        return remembering.Place(environment=place.environment, scope=f"fork:{root}:{place.scope}", key=key)

    def child(self, loaded: Bundle, given: Json) -> dict[str, Json]:
        """Start a child run that is a fork too, of the one that the other run started there."""
        rows = database.fetch_all(
            "SELECT id FROM workflows_run WHERE parent_id = $1 AND parent_path = $2 ORDER BY created_at DESC LIMIT 1",
            [self.fork.get("of"), self.claim.path],
        )
        of = rows[0][0] if rows else None
        return {**super().child(loaded, given), "fork": {**self.fork, "of": of, "from": None}}
