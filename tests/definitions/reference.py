"""What a random workflow must give: computed step by step, by one reader of `docs/language.md`, without faults.

When several steps can fail for good, which of them stops the run is chance: then each of them is right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.definitions.parts import ALWAYS, BOUND, ITEMS, Step, Total, Workflow

Json = Any
# (path, error class)
Failures = frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Result:
    """The state of one step, and its value as others see it."""

    state: str
    value: int = 0

    @property
    def seen(self) -> int:
        return self.value + {"failed": 10, "skipped": 20}.get(self.state, 0)


@dataclass(frozen=True, kw_only=True)
class Expected:
    """How a run has to end. `failures`: what may stop it; none: it succeeds with `output`."""

    output: Json
    failures: Failures

    def allows(self, *, state: str, output: Json, error: Mapping[str, Json] | None) -> bool:
        if self.failures:
            told = error or {}
            return state == "failed" and (told.get("step"), told.get("class")) in self.failures
        return state == "succeeded" and output == self.output


class Failed(Exception):
    def __init__(self, failures: Failures) -> None:
        super().__init__(str(sorted(failures)))
        self.failures = failures


@dataclass
class _Scope:
    """Where a step runs: the numbers that names stand for, what the steps around gave, and the path so far."""

    names: Mapping[str, int]
    results: dict[str, Result] = field(default_factory=dict)
    prefix: str = ""

    def total(self, total: Total) -> int:
        named = sum(self.names[name] for name in total.names)
        # A step that was never reached counts as skipped.
        steps = sum(self.results.get(name, Result("skipped")).seen for name in total.steps)
        return (total.constant + named + steps) % BOUND

    def inside(self, prefix: str, **names: int) -> _Scope:
        return _Scope({**self.names, **names}, dict(self.results), prefix)


def expected(workflow: Workflow, *, n: int) -> Expected:
    """Return what a run with the input `{n}` must come to."""
    reader = _Reader({child.name: child for child in workflow.children})
    return reader.run(workflow, n)


class _Reader:
    def __init__(self, children: Mapping[str, Workflow]) -> None:
        self.children = children

    def run(self, workflow: Workflow, n: int) -> Expected:
        scope = _Scope({"input.n": n})
        try:
            self.together(workflow.steps, scope)
            output = _output(workflow, scope)
            self.together(workflow.at_end, scope)
        except Failed as failed:
            return Expected(output=None, failures=failed.failures)
        return Expected(output=output, failures=frozenset())

    def together(self, steps: Sequence[Step], scope: _Scope) -> None:
        """Run the steps of a scope as far as their needs allow. Raises: Failed, with all that may fail."""
        failures: Failures = frozenset()
        for step in steps:
            if any(need not in scope.results for need in step.needs):
                continue  # a need failed: it is never reached
            try:
                scope.results[step.id] = self.step(step, scope)
            except Failed as failed:
                failures |= failed.failures
        if failures:
            raise Failed(failures)

    def step(self, step: Step, scope: _Scope) -> Result:
        """Run one step. Raises: Failed, where it does not absorb that."""
        total = scope.total(step.total)
        if step.when is not None and total % step.when == 0:
            return Result("skipped")
        try:
            return Result("succeeded", getattr(self, f"_{step.kind}")(step, scope, total))
        except Failed:
            if step.absorbs:
                return Result("failed")
            raise

    def _set(self, step: Step, scope: _Scope, total: int) -> int:
        return total

    def _divides(self, step: Step, scope: _Scope, total: int) -> int:
        if total % step.number == 0:
            raise Failed(frozenset({(scope.prefix + step.id, "expression")}))
        return total

    def _shaky(self, step: Step, scope: _Scope, total: int) -> int:
        if step.number == ALWAYS:
            raise Failed(frozenset({(scope.prefix + step.id, "tool_error")}))
        return total

    def _nap(self, step: Step, scope: _Scope, total: int) -> int:
        return 0

    def _approval(self, step: Step, scope: _Scope, total: int) -> int:
        return total % 2

    def _signal(self, step: Step, scope: _Scope, total: int) -> int:
        return step.number

    def _child(self, step: Step, scope: _Scope, total: int) -> int:
        ended = self.run(self.children[step.child], total)
        if ended.failures:
            raise Failed(frozenset((scope.prefix + step.id, name) for _, name in ended.failures))
        return int(ended.output["v"])

    def _branch(self, step: Step, scope: _Scope, total: int) -> int:
        for case, steps in enumerate(step.scopes):
            is_else = step.number == 1 and case == len(step.scopes) - 1
            if is_else or total % 4 == case:
                inner = scope.inside(f"{scope.prefix}{step.id}/")
                self.together(steps, inner)
                scope.results.update(inner.results)
                return case + 1
        return 0

    def _map(self, step: Step, scope: _Scope, total: int) -> int:
        (body,) = step.scopes
        items: list[int] = []
        failures: Failures = frozenset()
        for index, item in enumerate(ITEMS[: total % (len(ITEMS) + 1)]):
            inner = scope.inside(
                f"{scope.prefix}{step.id}[{index}]/", index=index, **{f"item_{step.id}": item}
            )
            try:
                self.together(body, inner)
            except Failed as failed:
                failures |= frozenset() if step.items_absorb else failed.failures
            else:
                items.append(inner.results[body[-1].id].seen)
        if failures:
            raise Failed(failures)
        return sum(items)

    def _loop(self, step: Step, scope: _Scope, total: int) -> int:
        (body,) = step.scopes
        last = Result("skipped")
        for turn in range(step.number):
            inner = scope.inside(f"{scope.prefix}{step.id}[{turn}]/", turn=turn, previous=last.value)
            self.together(body, inner)
            last = inner.results[body[-1].id]
            if (last.seen + turn) % 3 == 0:
                break
        return turn + 1 + last.value


def _output(workflow: Workflow, scope: _Scope) -> Json:
    results = {step.id: scope.results[step.id] for step in workflow.steps}
    whole = Total(constant=0, steps=tuple(results))
    return {
        "v": scope.total(whole),
        "steps": {name: [result.seen, result.state] for name, result in results.items()},
    }
