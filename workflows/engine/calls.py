"""The record of provider calls: intent, outcome, and what they cost. Implements the providers' `Recorder`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from providers.recording import CallIntent, CallRecord
from workflows import database
from workflows.engine import hints
from workflows.engine.commit import Claim
from workflows.engine.port import Spent
from workflows.payloads import Batch, clean_text

# Where a request's wire form holds the conversation.
MESSAGES = ("body", "messages")


class Recorder:
    """Writes the calls of one attempt, numbered on from those of earlier attempts of the step.

    The gateway numbers the calls of one request; a step may make several requests.
    """

    def __init__(self, claim: Claim) -> None:
        self.claim = claim
        self.made: int | None = None
        self.open: dict[int, int] = {}  # the gateway's number → row id
        self.done_calls: list[CallRecord] = []

    def first_number(self) -> int:
        """Return how many calls this step has made so far, in all its attempts."""
        if self.made is None:
            self.made = 0 if self.claim.number == 1 else _earlier_calls(self.claim.step)
        return self.made

    def sending(self, call: CallIntent, /) -> None:
        number, batch = self.first_number(), Batch()
        document = {
            "run": self.claim.run,
            "step": self.claim.step,
            "attempt": self.claim.number,
            "number": number,
            "provider": call.provider,
            "provider_version": call.provider_version,
            "model_requested": call.model_requested,
            "request": batch.add_in_parts(call.request, parts=MESSAGES),
        }
        self.made = number + 1
        self.open[call.number] = database.call(
            "interlock_call_sending", json.dumps(document), *batch.columns()
        )

    def done(self, call: CallRecord, /) -> None:
        self.done_calls.append(call)
        row = self.open.pop(call.number, None)
        if row is None:
            return  # it failed before there was anything to send
        batch = Batch()
        document = {
            "model_returned": call.model_returned,
            "response": None if call.response is None else batch.add(call.response),
            "answer": None if call.answer is None else batch.add(call.answer),
            "finish_reason": call.finish_reason,
            "usage": call.usage.as_json(),
            "cost_usd": None if call.cost_usd is None else str(call.cost_usd),
            "price_version": call.price_version,
            "timing_ms": dict(call.timing_ms),
            "error": _clean(call.error),
        }
        database.call("interlock_call_done", row, json.dumps(document), *batch.columns())
        hints.tell(self.claim.run)

    def spent(self) -> Spent:
        """Return what the calls so far cost. A call without a known price adds nothing to the sum."""
        if not self.done_calls:
            return Spent()
        costs = [call.cost_usd for call in self.done_calls if call.cost_usd is not None]
        usage = [call.usage.as_json() for call in self.done_calls]
        tokens = {
            name: sum(int(u[name]) for u in usage) for name in ("input", "cached", "output", "reasoning")
        }
        return Spent(str(sum(costs, Decimal(0))) if costs else None, tokens)


def _earlier_calls(step: int) -> int:
    rows = database.fetch_all("SELECT count(*) FROM workflows_call WHERE step_run_id = $1", [step])
    return int(rows[0][0])


def _clean(error: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    if error is None:
        return None
    return {key: clean_text(value) if isinstance(value, str) else value for key, value in error.items()}
