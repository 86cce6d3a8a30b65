"""What of a run can be another in its fork, for the forms that ask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from console.drawing import json_text
from console.forms import fork_form
from workflows.engine import bundle
from workflows.engine.bundle import Bundle
from workflows.models import Run
from workflows.queries import workflow_page
from workflows.spec.step_bodies import PromptBody

_RELEASES: Final = 20


def of(run: Run, typed: Mapping[str, str]) -> dict[str, Any]:
    """Say what of a run can be another: prompts, routes, params, snapshots, releases, the effects of its tools."""
    try:
        loaded = bundle.load(run.release_id)
    except LookupError:
        return {"damaged": True, "patch_name": "input"}
    secrets = loaded.plan.definition.secrets
    return {
        "patch": fork_form.patch_again(typed, secrets),
        "patch_name": fork_form.SEALED_INPUT if secrets else "input",
        "releases": workflow_page.releases(run.workflow)[:_RELEASES],
        "prompts": _prompts(loaded, typed),
        "routes": _routes(loaded, typed),
        "params": _params(loaded, typed),
        "models": sorted(
            f"{name}/{model.name}"
            for name, provider in bundle.providers().items()
            for model in provider.models
            if not model.embeds
        ),
        "snapshots": [
            {"corpus": corpus, "number": number, "typed": typed.get(f"snapshot:{corpus}", "")}
            for corpus, number in sorted(run.pins.items())
        ],
        "tools": [
            {"name": tool.name, "effect": tool.effect, "live": typed.get(f"effect:{tool.name}") == "live"}
            for tool in sorted(loaded.tools.values(), key=lambda tool: tool.name)
            if tool.effect != "read"
        ],
    }


def _prompts(loaded: Bundle, typed: Mapping[str, str]) -> list[dict[str, Any]]:
    found = {ref.split("@")[0]: ref for ref in sorted(loaded.prompts, reverse=True)}
    return [
        {
            "name": name,
            "version": loaded.versions[f"prompts/{ref}"],
            "number": typed.get(f"prompt:{name}", ""),
            "text": typed.get(f"text:{name}", ""),
            "messages": json_text.serialise({"messages": loaded.prompts[ref]["messages"]}),
        }
        for name, ref in sorted(found.items())
    ]


def _routes(loaded: Bundle, typed: Mapping[str, str]) -> list[dict[str, Any]]:
    found = {ref.split("@")[0]: ref for ref in sorted(loaded.routes)}
    return [
        {
            "name": name,
            "version": loaded.versions[f"routes/{ref}"],
            "number": typed.get(f"route:{name}", ""),
            "targets": [str(each) for each in loaded.routes[ref].targets],
            "model": typed.get(f"model:{name}", ""),
        }
        for name, ref in found.items()
    ]


def _params(loaded: Bundle, typed: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the steps that have params of their own, with those that they were asked with."""
    bodies = [(id, node.step.body) for id, node in loaded.plan.nodes.items()]
    return [
        {
            "step": step_id,
            "text": typed.get(f"params:{step_id}", ""),
            "own": json_text.serialise({**loaded.prompts[body.prompt].get("params", {}), **body.params}),
        }
        for step_id, body in bodies
        if isinstance(body, PromptBody)
    ]
