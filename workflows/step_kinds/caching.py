"""Whether a step's result may be taken from an identical one, and what makes it identical. Pure."""

from __future__ import annotations

from typing import Any

from workflows import payloads
from workflows.engine.bundle import Bundle
from workflows.spec.step_bodies import PromptBody, RetrieveBody
from workflows.spec.workflow import StepDef

Json = Any


def key(step: StepDef, bundle: Bundle, prepared: Json, *, environment: str, pins: Json) -> str | None:
    """Return the hash of everything that the result depends on, in hex; None: nothing is cached for this step.

    The rendered input names the versions of prompt and tool; a route's version and a corpus' pinned snapshot are
    added. What changes without a version, a provider's model behind its name, is what the duration is for.
    """
    if step.cache_s is None:
        return None
    about: dict[str, Json] = {"environment": environment, "kind": step.kind, "input": prepared}
    if isinstance(step.body, PromptBody):
        about["route"] = bundle.versions[f"routes/{step.body.route}"]
        about["repair"] = step.body.repair
    if isinstance(step.body, RetrieveBody):
        about["snapshot"] = pins.get(step.body.corpus.split("@")[0])
    return payloads.digest(about).hex()
