"""What a person needs to know of a step to settle it: where its call went, with what, and what it has to give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from workflows import database, payloads, runs
from workflows.engine import attempt, bundle, commit, execute
from workflows.engine.attempt import Attempt
from workflows.engine.bundle import Bundle
from workflows.engine.commit import OtherVersion
from workflows.engine.leases import Active
from workflows.engine.views import Known
from workflows.errors import Conflict, UnknownObject, WorkflowError
from workflows.models import StepRun
from workflows.payloads import clean_text
from workflows.queries import run_page
from workflows.spec.step_bodies import AgentBody, PromptBody, ToolBody
from workflows.step_kinds import agent
from workflows.tools.config import Tool

Json = Any
# What a model's step gives where no schema is declared.
_TEXT: Final = {"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}}


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """A step that waits for a person. `target` names the tool's address, function or workflow as its document does.

    `sent_key` is the idempotency key under which its call left; empty where none was recorded.
    """

    step: StepRun
    tool: str = ""
    target: str = ""
    arguments: Json = None
    sent_key: str = ""
    sent_at: datetime | None = None
    expected: Json = None


def of(run_id: str, path: str) -> Evidence:
    """Collect what is known of a step. What is gone from the store is left out. Raises: UnknownObject."""
    step = find(run_id, path)
    sent_key, sent_at = run_page.sent(run_id, path)
    asked, tool, expected = _known(step)
    return Evidence(
        step=step,
        tool=asked.get("tool", "") if "arguments" in asked else "",
        target=_target(tool) if tool else "",
        arguments=asked.get("arguments"),
        sent_key=sent_key,
        sent_at=sent_at,
        expected=expected,
    )


def find(run_id: str, path: str) -> StepRun:
    """Return the step of a run as it stands. Raises: UnknownObject."""
    runs.get(run_id)
    step = (
        StepRun.objects.filter(run_id=run_id, path=path, superseded=False).first()
        if "\x00" not in path
        else None
    )
    if step is None:
        raise UnknownObject(f"Run {run_id} has no step {clean_text(path, limit=200)}.", code="unknown_step")
    return step


def expected_output(step: StepRun, loaded: Bundle, asked: Json) -> Json:
    """Return the schema of a step's output, given what it acted on; None: it has none.

    Raises: Conflict: no person can supply it.
    """
    body = loaded.plan.nodes[step.step_id].step.body
    if step.kind == agent.TURN:
        raise Conflict(
            f"{step.path} is a turn of an agent, whose output is the system's own. Retry the run.",
            code="step_not_suppliable",
        )
    if isinstance(body, PromptBody | AgentBody) and step.kind != agent.CALL:
        declared = body.output if body.output is not None else loaded.prompts[body.prompt].get("output")
        return _TEXT if declared is None else declared
    if step.kind == agent.CALL and not asked:
        raise Conflict(
            f"What {step.path} asked for cannot be read any more, so that no output can be checked. Skip it.",
            code="step_not_suppliable",
        )
    tool = _tool(step, loaded, asked)
    return tool.output_schema if tool else None


def attempt_of(step: StepRun) -> Attempt:
    """Return the last attempt of a step, as if it had just been claimed. Raises: LookupError: it never began."""
    row = database.call("interlock_claim_of", step.pk)
    if row is None:
        raise LookupError(f"Step {step.path} of run {step.run_id} has no attempt.")
    return execute.begin(Active(commit.Claim.from_row(row), until=0.0), Known())


def acted_on(step: StepRun) -> Json:
    """Return what a step acted on: as it is on record, or rendered anew where its worker died before it could say.

    None where it never began, or where that cannot be read any more.
    """
    try:
        if step.input_hash is not None:
            return payloads.load_one(step.input_hash)
        return attempt.rendered(attempt_of(step))
    except (LookupError, OtherVersion, *payloads.UNREADABLE):
        return None


def _known(step: StepRun) -> tuple[Mapping[str, Json], Tool | None, Json]:
    """Return what a step acted on, its tool and the schema of its output; what is gone by now is left out."""
    asked = acted_on(step)
    try:
        loaded = bundle.load(step.run.release_id)
        tool, expected = _tool(step, loaded, asked), expected_output(step, loaded, asked)
    except (WorkflowError, LookupError, *payloads.UNREADABLE):  # refused when it is tried, with the reason
        tool, expected = None, None
    return asked if isinstance(asked, dict) else {}, tool, expected


def _tool(step: StepRun, loaded: Bundle, asked: Json) -> Tool | None:
    """Return the tool that a step calls: the one that it asked for, or else the one that its body names."""
    body = loaded.plan.nodes[step.step_id].step.body
    if step.kind != agent.CALL and not isinstance(body, ToolBody):
        return None
    reference = asked["tool"] if asked else getattr(body, "tool", None)
    return loaded.tools[reference] if reference else None


def _target(tool: Tool) -> str:
    if tool.http:
        return f"{tool.http.method} {tool.http.url}"
    if tool.mcp:
        return f"{tool.mcp.tool} of {tool.mcp.url or tool.mcp.command}"
    return tool.python or f"workflow {tool.workflow}"
