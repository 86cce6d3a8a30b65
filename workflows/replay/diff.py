"""Two runs side by side: what they were given, and step by step what went in, what came out, and at what price."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from workflows import payloads, pieces, saved
from workflows.errors import UnknownObject
from workflows.models import Call, Lineage, Release, Run, StepRun
from workflows.replay.compare import first_difference
from workflows.replay.overriding import INLINE
from workflows.spec import references

Json = Any
# What may differ in a step, in the order in which it would have come to be.
_GROUPS: Final = {
    "prompts": "prompt",
    "routes": "route",
    "tools": "tool",
    "corpora": "corpus",
    "workflows": "child workflow",
}
ASPECTS: Final = ("prompt", "input", "model", "documents", "memory", "state", "output", "error")


@dataclass(frozen=True, kw_only=True)
class Side:
    """One run's part of a step; `prompt` and `model` as they were used.

    `documents`: what a search found, by rank, as CORPUS/NAME@REVISION; what lineage calls it where it is gone.
    `memory`: what a memory step read or wrote: {operation, key: ENVIRONMENT/SCOPE/KEY, version, value}.
    """

    state: str
    input: Json
    output: Json
    error: Mapping[str, Json] | None
    prompt: str | None
    model: str | None
    documents: tuple[str, ...]
    memory: Mapping[str, Json] | None
    cost_usd: Decimal | None
    tokens: Mapping[str, int] | None
    begun_s: float | None  # after its run did
    duration_s: float | None

    def aspect(self, name: str) -> Json:
        return getattr(self, name)


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One aspect that differs, and where in it first."""

    aspect: str
    at: str
    left: Json
    right: Json


@dataclass(frozen=True, kw_only=True)
class StepPair:
    """The step runs of one path. A side is None where the run has none."""

    path: str
    kind: str
    left: Side | None
    right: Side | None
    differences: tuple[Difference, ...]

    @property
    def differs(self) -> bool:
        return bool(self.differences) or (self.left is None) != (self.right is None)


@dataclass(frozen=True, kw_only=True)
class RunDiff:
    """`given`: what the runs differ in before any step; `first`: the path of the first step that differs."""

    left: Run
    right: Run
    given: tuple[Difference, ...]
    output: Difference | None
    steps: tuple[StepPair, ...]
    first: str | None


def of(left: Run, right: Run) -> RunDiff:
    """Compare two runs, aligned by the paths of their steps in the order of the left one."""
    rows = {run.pk: _steps(run) for run in (left, right)}
    values = payloads.kept(
        key
        for run in (left, right)
        for key in (
            run.input_hash,
            run.output_hash,
            *(key for step in rows[run.pk].values() for key in (step.input_hash, step.output_hash)),
        )
        if key is not None
    )
    sides = {run.pk: _sides(run, rows[run.pk], values) for run in (left, right)}
    paths = [*rows[left.pk], *(path for path in rows[right.pk] if path not in rows[left.pk])]
    pairs = tuple(_pair(path, rows, left.pk, right.pk, sides) for path in paths)
    return RunDiff(
        left=left,
        right=right,
        given=tuple(_given(left, right, values)),
        output=_difference("output", _value(values, left.output_hash), _value(values, right.output_hash)),
        steps=pairs,
        first=next((pair.path for pair in pairs if pair.differs), None),
    )


def _steps(run: Run) -> dict[str, StepRun]:
    return {step.path: step for step in run.steps.filter(superseded=False).order_by("id")}


def _given(left: Run, right: Run, values: Mapping[str, Json]) -> Iterator[Difference]:
    """What the runs differ in before anything ran: release and its parts, input, snapshots, variables."""
    pairs = [
        ("workflow", left.workflow, right.workflow),
        ("release", left.release.number, right.release.number),
        ("input", _value(values, left.input_hash), _value(values, right.input_hash)),
        ("snapshots", left.pins, right.pins),
        ("environment", left.environment_id, right.environment_id),
        ("variables", left.variables, right.variables),
        ("session", left.session, right.session),
    ]
    for name, one, other in pairs:
        found = _difference(name, one, other)
        if found is not None:
            yield found
    yield from _parts(left.release, right.release)
    if left.release_id != right.release_id and left.workflow == right.workflow:
        yield from _params(left.release, right.release)


def _parts(left: Release, right: Release) -> Iterator[Difference]:
    """The versions of prompts, routes, tools and corpora that differ; 0 is one that only a fork has."""
    for group, word in _GROUPS.items():
        one, other = left.manifest.get(group, {}), right.manifest.get(group, {})
        for name in dict.fromkeys([*one, *other]):
            if one.get(name) != other.get(name) or not (one[name] or left.pk == right.pk):
                yield Difference(
                    aspect=word, at=name, left=_version(one.get(name)), right=_version(other.get(name))
                )


def _params(left: Release, right: Release) -> Iterator[Difference]:
    """Yield the params that differ, by the steps that have them: another version's, or a fork's own."""
    one, other = _params_of(left), _params_of(right)
    for step in dict.fromkeys([*one, *other]):
        if one.get(step) != other.get(step):
            yield Difference(aspect="params", at=step, left=one.get(step), right=other.get(step))


def _params_of(release: Release) -> dict[str, Json]:
    """Return the params in a release's workflow, by step; none where its text is not stored any more."""
    if "workflow" not in release.manifest:
        return {}
    name, version = release.manifest["workflow"]
    try:
        given = payloads.load_one(release.documents_hash) or {}
        body = given.get("workflow", {}).get(name) or saved.body("Workflow", name, version)
    except (LookupError, UnknownObject):
        return {}
    return {step["id"]: step["params"] for step in references.steps_of(body) if step.get("params")}


def _version(number: int | None) -> int | str | None:
    """Return a version; `inline` where a fork has a text of its own."""
    return "inline" if number == INLINE else number


def _difference(aspect: str, one: Json, other: Json) -> Difference | None:
    if one == other:
        return None
    at, left, right = first_difference(one, other)
    return Difference(aspect=aspect, at=at, left=left, right=right)


def _pair(
    path: str,
    rows: Mapping[str, Mapping[str, StepRun]],
    left: str,
    right: str,
    sides: Mapping[str, Mapping[str, Side]],
) -> StepPair:
    one, other = sides[left].get(path), sides[right].get(path)
    found: Sequence[Difference] = ()
    if one is not None and other is not None:
        found = [
            each
            for name in ASPECTS
            if (each := _difference(name, one.aspect(name), other.aspect(name))) is not None
        ]
    row = rows[left].get(path) or rows[right][path]
    return StepPair(path=path, kind=row.kind, left=one, right=other, differences=tuple(found))


def _sides(run: Run, steps: Mapping[str, StepRun], values: Mapping[str, Json]) -> dict[str, Side]:
    used = _used(run)
    models = _models(run)
    return {
        path: _side(step, values, used.get(step.pk, {}), models.get(path), begun=run.started_at)
        for path, step in steps.items()
    }


def _used(run: Run) -> dict[int, dict[str, list[str]]]:
    """Return what each step used, by kind: prompts and memory as lineage calls them, documents by name."""
    rows = list(
        Lineage.objects.filter(run_id=run.pk, kind__in=["prompt", "document", "memory"])
        .order_by("id")
        .values_list("step_run_id", "kind", "ref")
    )
    names = pieces.told((kind, ref) for _, kind, ref in rows if kind == "document")
    used: dict[int, dict[str, list[str]]] = {}
    for step_run, kind, ref in rows:
        name = names.get((kind, ref), (kind, ref))[1]
        used.setdefault(step_run, {}).setdefault(kind, []).append(name)
    return used


def _models(run: Run) -> dict[str, str]:
    """Return the model that answered each step; of one that a fork took over, where it ran."""
    answered = Call.objects.filter(run_id=run.pk, answer_hash__isnull=False, step_run__superseded=False)
    own = dict(answered.order_by("id").values_list("step_run__path", "model_returned"))
    other = run.forked_from
    if other is None:
        return own
    kept = run.steps.filter(attempts_made=0, superseded=False).values_list("path", flat=True)
    earlier = _models(other)
    return {**{path: earlier[path] for path in kept if path in earlier}, **own}


def _side(
    step: StepRun,
    values: Mapping[str, Json],
    used: Mapping[str, Sequence[str]],
    model: str | None,
    *,
    begun: datetime | None,
) -> Side:
    ran = step.attempts_made > 0  # else a fork has taken it over, and no time went into it
    took = (step.ended_at - step.started_at).total_seconds() if step.ended_at and step.started_at else None
    return Side(
        state=step.state,
        input=_value(values, step.input_hash),
        output=_value(values, step.output_hash),
        error=step.error,
        prompt=next(iter(used.get("prompt", ())), None),
        model=model or None,
        documents=tuple(used.get("document", ())),
        memory=_memory(step, values, used),
        cost_usd=step.cost_usd,
        tokens=step.tokens,
        begun_s=(step.started_at - begun).total_seconds() if ran and step.started_at and begun else None,
        duration_s=took if ran else None,
    )


def _memory(
    step: StepRun, values: Mapping[str, Json], used: Mapping[str, Sequence[str]]
) -> Mapping[str, Json] | None:
    """Return what a memory step read or wrote; None: it is none, or did neither."""
    if step.kind != "memory" or not used.get("memory"):
        return None
    key, _, version = used["memory"][-1].rpartition("@")
    asked, came_to = _value(values, step.input_hash) or {}, _value(values, step.output_hash) or {}
    return {
        "operation": asked.get("operation"),
        "key": key,
        "version": int(version),
        "value": came_to.get("value"),
    }


def _value(values: Mapping[str, Json], key: bytes | memoryview | None) -> Json:
    return None if key is None else values.get(bytes(key).hex())
