"""Write a random workflow down as the documents that `apply` takes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tests.definitions.parts import ATTEMPTS, BOUND, ITEMS, Step, Total, Workflow

Json = Any
_OUTPUT: Final = "steps.{id}.output"
# What a step gives, as an expression; null, and what hangs on it, counts as 0.
_VALUES: Final[Mapping[str, str]] = {
    "set": "({o}.v or 0)",
    "divides": "({o}.v or 0)",
    "shaky": "({o}.v or 0)",
    "child": "({o}.v or 0)",
    "branch": "(0 if {o}.case is none else {o}.case + 1)",
    "map": "(({o} or []) | reject('none') | sum)",
    "loop": "(({o}.turns or 0) + ({o}.last.v or 0))",
    "nap": "0",
    "approval": "(1 if {o}.approved else 0)",
    "signal": "({o}.payload or 0)",
}


def written(workflow: Workflow, *, folder: Path) -> list[str]:
    """Return the documents of a workflow, its children first. `folder`: where shaky tools count their calls."""
    tool = {
        "kind": "Tool",
        "name": "shaky",
        "python": "tests.definitions.functions:shaky",
        "effect": "idempotent",
        "timeout": "20s",
    }
    every = [*workflow.children, workflow]
    return [json.dumps(tool), *(json.dumps(_Writer(each, folder).document()) for each in every)]


class _Writer:
    def __init__(self, workflow: Workflow, folder: Path) -> None:
        self.workflow, self.folder, self.steps = workflow, folder, workflow.index()

    def document(self) -> dict[str, Json]:
        named = tuple(step.id for step in self.workflow.steps)
        whole = Total(constant=0, steps=named)
        told = {name: [f"{{{{ {self.value(name)} }}}}", f"{{{{ steps.{name}.state }}}}"] for name in named}
        document: dict[str, Json] = {
            "kind": "Workflow",
            "name": self.workflow.name,
            "steps": [self.step(step) for step in self.workflow.steps],
            "output": {"v": f"{{{{ {self.total(whole)} }}}}", "steps": told},
        }
        if self.workflow.at_end:
            document["finally"] = [self.step(step) for step in self.workflow.at_end]
        return document

    def value(self, name: str) -> str:
        """Return the expression of what a step gives, its state included."""
        value = _VALUES[self.steps[name].kind].format(o=_OUTPUT.format(id=name))
        state = f"steps.{name}.state"
        return f"{value} + (10 if {state} == 'failed' else 20 if {state} == 'skipped' else 0)"

    def total(self, total: Total) -> str:
        names = ["(previous.v or 0)" if name == "previous" else name for name in total.names]
        parts = [str(total.constant), *names, *(self.value(name) for name in total.steps)]
        return f"({' + '.join(parts)}) % {BOUND}"

    def step(self, step: Step) -> dict[str, Json]:
        total = self.total(step.total)
        written: dict[str, Json] = {"id": step.id, "needs": list(step.needs)}
        if step.when is not None:
            written["when"] = f"{total} % {step.when} != 0"
        if step.absorbs:
            written["on_error"] = "continue"
        return {**written, **getattr(self, f"_{step.kind}")(step, total)}

    def _set(self, step: Step, total: str) -> dict[str, Json]:
        return {"set": {"v": f"{{{{ {total} }}}}"}}

    def _divides(self, step: Step, total: str) -> dict[str, Json]:
        return {"set": {"v": f"{{{{ {total} }}}}", "w": f"{{{{ 1 // ({total} % {step.number}) }}}}"}}

    def _shaky(self, step: Step, total: str) -> dict[str, Json]:
        given = {
            "v": f"{{{{ {total} }}}}",
            "fails": step.number,
            "counted_in": f"{self.folder}/{{{{ run.id }}}}-{step.id}",
        }
        return {
            "tool": "shaky",
            "with": given,
            "retry": {"attempts": ATTEMPTS, "first": "10ms", "max": "20ms"},
        }

    def _branch(self, step: Step, total: str) -> dict[str, Json]:
        cases: list[dict[str, Json]] = [
            {"when": f"{total} % 4 == {case}", "steps": [self.step(inner) for inner in scope]}
            for case, scope in enumerate(step.scopes)
        ]
        if step.number == 1:
            cases[-1].pop("when")
            cases[-1]["else"] = None
        return {"branch": cases}

    def _map(self, step: Step, total: str) -> dict[str, Json]:
        (body,) = step.scopes
        return {
            "map": {
                "over": f"{list(ITEMS)}[: {total} % {len(ITEMS) + 1}]",
                "as": f"item_{step.id}",
                "max_parallel": step.number,
                "on_item_error": "continue" if step.items_absorb else "fail",
                "steps": [self.step(inner) for inner in body],
                "output": f"{{{{ {self.value(body[-1].id)} }}}}",
            }
        }

    def _loop(self, step: Step, total: str) -> dict[str, Json]:
        (body,) = step.scopes
        return {
            "loop": {
                "until": f"({self.value(body[-1].id)} + turn) % 3 == 0",
                "max_turns": step.number,
                "steps": [self.step(inner) for inner in body],
            }
        }

    def _child(self, step: Step, total: str) -> dict[str, Json]:
        return {"workflow": step.child, "with": {"n": f"{{{{ {total} }}}}"}}

    def _nap(self, step: Step, total: str) -> dict[str, Json]:
        return {"wait": {"for": "0s"}}

    def _approval(self, step: Step, total: str) -> dict[str, Json]:
        return {"approval": {"title": f"{{{{ {total} % 2 }}}}!"}}

    def _signal(self, step: Step, total: str) -> dict[str, Json]:
        return {"wait": {"signal": step.id}}
