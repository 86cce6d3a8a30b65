"""`set`: compute values. Everything happens while the input is rendered."""

from __future__ import annotations

from typing import Any

from workflows.engine.bundle import Bundle
from workflows.engine.port import Port
from workflows.spec import templates
from workflows.spec.step_bodies import SetBody
from workflows.spec.workflow import StepDef
from workflows.step_kinds.base import Acted, LeafKind, Scope


def prepare(step: StepDef, bundle: Bundle, scope: Scope) -> Any:
    assert isinstance(step.body, SetBody)
    return templates.render(step.body.values, scope)


def act(step: StepDef, bundle: Bundle, prepared: Any, port: Port) -> Acted:
    return Acted(output=prepared)


KIND = LeafKind(prepare=prepare, act=act, limit_s=lambda step, bundle: 30.0)
