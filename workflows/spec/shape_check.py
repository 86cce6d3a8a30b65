"""Has a document the shape of its kind? Each part against its own schema, so that messages stay plain (pure).

May not: look at other documents or into expressions; `check` does, for the parts that are sound.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from workflows.spec import near, schema, shapes
from workflows.spec.documents import Document
from workflows.spec.kinds import UNSUPPORTED_KEYS, UNSUPPORTED_STEPS, unsupported
from workflows.spec.places import Path
from workflows.spec.schema import Problem
from workflows.spec.step_shapes import STEP_SHAPES
from workflows.spec.workflow import STEP_KINDS

MAX_NESTING = 8  # steps inside steps


@dataclass(frozen=True)
class StepNode:
    """A step as it stands in its document. Only a sound one (but for unknown keys) is checked further."""

    path: Path
    body: Mapping[str, Any]
    kind: str
    sound: bool
    inner: tuple[tuple[StepNode, ...], ...] = ()

    @property
    def id(self) -> str | None:
        found = self.body.get("id")
        return found if isinstance(found, str) else None


@dataclass(frozen=True)
class Checked:
    """The outcome for one document; `steps` for a workflow."""

    problems: tuple[Problem, ...]
    sound: bool
    steps: tuple[StepNode, ...] = ()
    last: tuple[StepNode, ...] = ()  # those of `finally`


def check(document: Document) -> Checked:
    """Check the shape of one document."""
    problems = list(schema.problems_of_value(shapes.DOCUMENTS[document.kind], document.body))
    problems += _unsupported(document.kind, document.body, ())
    for path, value, shape in _parts(document):
        problems += _under(path, schema.problems_of_value(shape, value))
    sound = not any(_is_hard(problem) for problem in problems)
    steps: tuple[StepNode, ...] = ()
    last: tuple[StepNode, ...] = ()
    if document.kind == "Workflow":
        reader = _StepReader()
        steps = reader.steps(document.body.get("steps"), ("steps",), 0)
        last = reader.steps(document.body.get("finally"), ("finally",), 0)
        problems += reader.problems
    return Checked(tuple(problems), sound, steps, last)


def _parts(document: Document) -> Iterator[tuple[Path, Any, shapes.Shape]]:
    """Parts that may have one of several forms, each with the form that its author seems to mean."""
    if document.kind == "Prompt":
        for index, message in _enumerated(document.body.get("messages")):
            insert = isinstance(message, dict) and "insert" in message
            yield ("messages", index), message, shapes.INSERT if insert else shapes.MESSAGE
    if document.kind == "Route":
        for index, target in _enumerated(document.body.get("targets")):
            yield ("targets", index), target, shapes.TARGET if isinstance(target, dict) else shapes.MODEL
    if document.kind == "Environment" and isinstance(document.body.get("rollout"), dict):
        for index, step in _enumerated(document.body["rollout"].get("steps")):
            yield ("rollout", "steps", index), step, _rollout_step(step)


def _rollout_step(step: Any) -> shapes.Shape:
    """The form that a step of a rollout seems to mean; without a hint, one that says what there is."""
    found = [kind for kind in shapes.ROLLOUT_STEPS if isinstance(step, dict) and kind in step]
    return shapes.ROLLOUT_STEPS[found[0]] if found else shapes.ANY_ROLLOUT_STEP


def _enumerated(value: Any) -> Iterator[tuple[int, Any]]:
    yield from enumerate(value) if isinstance(value, list) else ()


def _under(path: Path, problems: tuple[Problem, ...]) -> list[Problem]:
    return [((*path, *inner), message) for inner, message in problems]


def _is_hard(problem: Problem) -> bool:
    return not problem[1].startswith("unknown key")


def _unsupported(what: str, body: Mapping[str, Any], path: Path) -> list[Problem]:
    keys = UNSUPPORTED_KEYS.get(what, frozenset())
    return [((*path, key), unsupported(f"`{key}`")) for key in body if key in keys]


class _StepReader:
    """Walks the steps of a workflow and those inside them."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def steps(self, value: Any, path: Path, depth: int) -> tuple[StepNode, ...]:
        if depth > MAX_NESTING:
            self.problems.append((path, f"steps may be nested {MAX_NESTING} deep"))
            return ()
        # A list that is too long has one error, not one for each step.
        if not isinstance(value, list) or len(value) > shapes.MAX_STEPS:
            return ()
        nodes = (self._step(step, (*path, index), depth) for index, step in enumerate(value))
        return tuple(node for node in nodes if node is not None)

    def _step(self, step: Any, path: Path, depth: int) -> StepNode | None:
        if not isinstance(step, dict):
            self.problems.append((path, "a step is a mapping with an `id` and what it does"))
            return None
        kind = self._kind(step, path)
        if kind is None:
            return None
        problems = _under(path, schema.problems_of_value(STEP_SHAPES[kind], step))
        problems += _unsupported("step", step, path)
        if kind in UNSUPPORTED_STEPS:
            problems.append(((*path, kind), unsupported(f"the step kind `{kind}`")))
        if kind == "wait" and isinstance(step["wait"], dict):
            problems += _wait_problems(step["wait"], (*path, kind))
        inner = self._inner(step, kind, path, depth, problems)
        self.problems += problems
        return StepNode(path, step, kind, not any(_is_hard(problem) for problem in problems), inner)

    def _kind(self, step: Mapping[str, Any], path: Path) -> str | None:
        found = [kind for kind in STEP_KINDS if kind in step]
        if len(found) == 1:
            return found[0]
        one_of = f"a step has exactly one of {', '.join(STEP_KINDS)}"
        if found:
            names = " and ".join(f"`{kind}`" for kind in found)
            self.problems.append((path, f"has both {names}; {one_of}"))
            return None
        pairs = ((key, near.nearest(key, STEP_KINDS)) for key in list(step)[:20])
        hint = next((f"`{key}` may be meant as `{meant}`" for key, meant in pairs if meant), one_of)
        self.problems.append((path, f"does not say what it does; {hint}"))
        return None

    def _inner(
        self, step: Mapping[str, Any], kind: str, path: Path, depth: int, problems: list[Problem]
    ) -> tuple[tuple[StepNode, ...], ...]:
        body = step[kind]
        if kind in ("map", "loop") and isinstance(body, dict):
            return (self.steps(body.get("steps"), (*path, kind, "steps"), depth + 1),)
        if kind != "branch" or not isinstance(body, list):
            return ()
        problems += _case_problems(body, (*path, kind))
        return tuple(
            self.steps(case.get("steps"), (*path, kind, index, "steps"), depth + 1)
            for index, case in enumerate(body)
            if isinstance(case, dict)
        )


def _wait_problems(wait: Mapping[str, Any], path: Path) -> list[Problem]:
    given = [key for key in ("for", "until_time", "signal") if key in wait]
    if len(given) != 1:
        found = f"has {' and '.join(f'`{key}`' for key in given)}" if given else "has none of them"
        return [(path, f"a wait has exactly one of `for`, `until_time`, `signal`; this one {found}")]
    if "timeout" in wait and given != ["signal"]:
        return [((*path, "timeout"), "only a wait for a `signal` has a `timeout`")]
    return []


def _case_problems(cases: list[Any], path: Path) -> list[Problem]:
    problems: list[Problem] = []
    for index, case in enumerate(cases):
        if not isinstance(case, dict):
            continue
        if ("when" in case) == ("else" in case):
            problems.append(((*path, index), "a case has either `when` or `else`"))
        elif "else" in case and index != len(cases) - 1:
            problems.append(((*path, index, "else"), "only the last case may be the `else`"))
    return problems
