"""What is different between a record and what comes of it now, said so that a person can act on it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from workflows.engine.bundle import Bundle
from workflows.engine.commit import Change
from workflows.engine.plan import Plan
from workflows.replay.rebuilt import Seen, Step
from workflows.replay.record import Event, Record
from workflows.spec.step_bodies import PromptBody, SetBody, ToolBody

Json = Any
_TYPES: Final = {"retry": "step.retrying", "parked": "step.waiting"}
# What the plain outcome of an attempt is called where a person reads it.
_WORDS: Final = {
    "step.expanded": "laid out its steps",
    "step.waiting": "waits",
    "step.retrying": "tries again",
}


@dataclass(frozen=True, kw_only=True)
class Divergence:
    """One difference. `at`: where in the value, such as `$.messages[1].content`; `seq`: the event that recorded it."""

    path: str | None  # the step run; null: the run itself
    what: str  # input | output | outcome | error | steps | calls | code
    recorded: Json
    replayed: Json
    explanation: str
    seq: int
    at: str | None = None
    template: str | None = None


def outcomes(seen: Seen, bundle: Bundle, event: Event, step: Step, change: Change) -> Iterator[Divergence]:
    """Compare the outcome of an attempt: what it was given, what it came to, why it failed."""
    decided = _TYPES.get(change.outcome, f"step.{change.outcome}")
    if change.input is not None and change.input != event.data.get("input"):
        yield _value(seen, bundle, event, step, "input", change.batch.value(change.input))
    if decided != event.type:
        yield Divergence(
            path=step.path,
            what="outcome",
            recorded=_word(event.type),
            replayed=_word(decided),
            explanation=f"It came to “{_word(event.type)}”, and would come to “{_word(decided)}” now."
            + _because(change.error),
            seq=event.seq,
        )
    elif change.output != event.data.get("output"):
        yield _value(seen, bundle, event, step, "output", change.output and change.batch.value(change.output))
    elif change.error is not None and dict(change.error) != _plain(event.data.get("error")):
        yield Divergence(
            path=step.path,
            what="error",
            recorded=event.data.get("error"),
            replayed=dict(change.error),
            explanation="It fails in another way now.",
            seq=event.seq,
        )


def _plain(error: Mapping[str, Json] | None) -> dict[str, Json]:
    return {key: value for key, value in (error or {}).items() if key != "step"}


def _because(error: Mapping[str, str] | None) -> str:
    return f" {error['class']}: {error['message']}" if error else ""


def _word(event_type: str) -> str:
    return _WORDS.get(event_type, event_type.partition(".")[2])


def _value(seen: Seen, bundle: Bundle, event: Event, step: Step, what: str, new: Json) -> Divergence:
    old = seen.rebuilt.record.values.get(str(event.data.get(what)))
    at, left, right = first_difference(old, new)
    return Divergence(
        path=step.path,
        what=what,
        recorded=left,
        replayed=right,
        explanation=f"Its {what} differs, first at {at}. The definition is the same: the release is pinned. "
        "What turns it into a value has changed in the code.",
        seq=event.seq,
        at=at,
        template=_template(bundle, step, at) if what == "input" else None,
    )


def first_difference(old: Json, new: Json, at: str = "$") -> tuple[str, Json, Json]:
    """Return where two values differ first, and what stands there in each."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            if old.get(key) != new.get(key) or (key in old) != (key in new):
                return first_difference(old.get(key), new.get(key), f"{at}.{key}")
    if isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            left = old[index] if index < len(old) else None
            right = new[index] if index < len(new) else None
            if left != right:
                return first_difference(left, right, f"{at}[{index}]")
    return at, old, new


def _template(bundle: Bundle, step: Step, at: str) -> str | None:
    """Return the text of the definition from which the value at a place is rendered, where that can be said."""
    node = bundle.plan.nodes.get(step.step_id)
    if node is None:
        return None
    keys = at.removeprefix("$.").replace("[", ".").replace("]", "").split(".")
    body: Json = node.step.body
    source: Json = None
    if isinstance(body, PromptBody):
        source = {"messages": bundle.prompts[body.prompt]["messages"], "variables": body.with_}
    elif isinstance(body, ToolBody):
        source = {"arguments": body.with_}
    elif isinstance(body, SetBody):
        source = body.values
    for key in keys:
        if isinstance(source, Mapping):
            source = source.get(key)
        elif isinstance(source, list | tuple) and key.isdigit() and int(key) < len(source):
            source = source[int(key)]
    return source if isinstance(source, str) else None


def run_output(record: Record, event: Event, replayed: Json, problem: str | None) -> Divergence:
    old = record.values.get(str(event.data.get("output")))
    at, left, right = first_difference(old, replayed)
    return Divergence(
        path=None,
        what="output",
        recorded=left,
        replayed=right,
        explanation=problem or f"The run's output differs, first at {at}.",
        seq=event.seq,
        at=at,
    )


def run_error(event: Event, errors: Sequence[Mapping[str, Json]]) -> Divergence:
    return Divergence(
        path=None,
        what="error",
        recorded=event.data.get("error"),
        replayed=list(errors),
        explanation="No step fails now in a way that ends the run with this error.",
        seq=event.seq,
    )


def never_ran(step: Step, event: Event) -> Divergence:
    return Divergence(
        path=step.path,
        what="steps",
        recorded=None,
        replayed=step.state,
        explanation="It would run now; when the run was recorded, it did not.",
        seq=event.seq,
    )


def not_laid_out(event: Event, path: str) -> Divergence:
    return Divergence(
        path=path,
        what="steps",
        recorded=event.type,
        replayed=None,
        explanation="It ran when the run was recorded; nothing would lead to it now.",
        seq=event.seq,
    )


def asks_for_more(event: Event, step: Step, asked: str) -> Divergence:
    return Divergence(
        path=step.path, what="calls", recorded=None, replayed=asked, explanation=asked, seq=event.seq
    )


def crashes(event: Event, step: Step, crash: Exception) -> Divergence:
    told = f"{type(crash).__name__}: {crash}"
    return Divergence(
        path=step.path,
        what="code",
        recorded=_word(event.type),
        replayed=told,
        explanation=f"The code of this version fails on it: {told}",
        seq=event.seq,
    )


def step_id_of(plan: Plan, path: str) -> str:
    """Return the id of the step that a path names: its last segment, or the agent around a turn or call."""
    names = [segment.partition("[")[0] for segment in path.split("/")]
    return next((name for name in reversed(names) if name in plan.nodes), names[-1])
