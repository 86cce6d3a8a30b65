"""Whether what a run has done fits another release: the same steps, and the schemas that are declared there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from workflows import payloads
from workflows.engine import again
from workflows.engine.again import Fresh
from workflows.engine.bundle import Bundle
from workflows.engine.plan import Plan
from workflows.errors import Conflict
from workflows.models import StepRun
from workflows.spec import schema, secret_fields
from workflows.spec.step_bodies import AgentBody, PromptBody, ToolBody
from workflows.step_kinds import agent

Json = Any
_TOLD: Final = 20  # problems in one message
_TOLD_OF_ONE: Final = 3  # and of one output
_BATCH: Final = 200  # outputs that are held in memory at once


def check(old: Bundle, new: Bundle, kept: Sequence[StepRun], fresh: Sequence[Fresh], *, what: str) -> None:
    """Raise Conflict where finished work cannot be taken over to the other release."""
    found = [*again.problems(old.plan, new.plan, kept), *_changed_inside(old.plan, new.plan, fresh)]
    found = found or _misfits(old, new, kept)
    if found:
        raise _conflict(what, found, "Begin at an earlier step, or start a new run.")


def check_input(given: bytes | memoryview | None, old: Bundle, new: Bundle, *, what: str) -> None:
    """Raise Conflict where the input of a run, by its hash, does not fit the schema of the other release's input."""
    declared = new.plan.definition.input_schema
    if given is None or declared is None or declared == old.plan.definition.input_schema:
        return
    problems = _problems(declared, payloads.kept([given]), given, "input")
    if problems:
        raise _conflict(what, problems, "Start a new run.")


def _conflict(what: str, found: Sequence[str], instead: str) -> Conflict:
    told = " ".join(found[:_TOLD])
    return Conflict(
        f"{what} cannot go on with the other release: {told} {instead}", code="release_does_not_fit"
    )


def _changed_inside(old: Plan, new: Plan, fresh: Sequence[Fresh]) -> Iterator[str]:
    """A container that goes on must hold the same steps: those that it has laid out stay."""
    for each in fresh:
        inner = [key for key in old.scopes if key[0] == each.step.step_id]
        if each.state != "waiting" or each.step.kind == agent.CALL:
            continue
        for key in inner:
            there = new.scopes.get(key)
            if there is None or there.steps != old.scopes[key].steps:
                yield f"{each.step.path}: it holds other steps there; retry from it."
                break


def _misfits(old: Bundle, new: Bundle, kept: Sequence[StepRun]) -> list[str]:
    """Say which kept outputs do not fit the schema that their step declares in the other release."""
    judged = [
        (step, declared, step.output_hash)
        for step in kept
        if step.state == "succeeded" and step.output_hash is not None
        if (declared := _declared(new, step)) is not None and declared != _declared(old, step)
    ]
    found: list[str] = []
    for low in range(0, len(judged), _BATCH):
        some = judged[low : low + _BATCH]
        outputs = payloads.kept(key for _, _, key in some)
        for step, declared, key in some:
            found += _problems(declared, outputs, key, f"{step.path}: output")
        if len(found) >= _TOLD:
            break
    return found


def _problems(
    declared: schema.Schema, known: Mapping[str, Json], key: bytes | memoryview, where: str
) -> list[str]:
    """Say what is wrong with a value, by its hash; one that is not stored any more is not judged."""
    name = bytes(key).hex()
    problems = secret_fields.problems_apart(declared, known[name]) if name in known else ()
    return [f"{where}{f'.{path}' if path else ''}: {told}." for path, told in problems[:_TOLD_OF_ONE]]


def _declared(loaded: Bundle, step: StepRun) -> schema.Schema | None:
    """Return the schema that a release declares for the output of a step; None: it declares none.

    What happened inside an agent was told to its model alone: it is not judged.
    """
    body = loaded.plan.nodes[step.step_id].step.body
    if step.kind in agent.INNER:
        return None
    if isinstance(body, PromptBody | AgentBody):
        return body.output if body.output is not None else loaded.prompts[body.prompt].get("output")
    return loaded.tools[body.tool].output_schema if isinstance(body, ToolBody) else None
