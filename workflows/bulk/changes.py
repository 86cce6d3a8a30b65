"""The one change of a bulk fork: where each run begins again, on what, and which effects are real."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from django.db.models import Q, QuerySet
from pydantic import TypeAdapter

from workflows import quarantine, runs
from workflows.actor import Actor
from workflows.engine import bundle
from workflows.errors import Conflict, Invalid, WorkflowError
from workflows.models import Deployment, Quarantine, Release, Run, Taint
from workflows.queries import tainted_steps
from workflows.replay import forking
from workflows.replay.forking import Ask, Effects
from workflows.replay.overriding import Overrides
from workflows.spec import secret_fields
from workflows.spec.places import written

Json = Any


@dataclass(frozen=True, kw_only=True)
class Change:
    """What is different in every fork.

    `clean_of`: the id of a quarantine: each run begins again at the first step that used what is quarantined, on
    what is trusted now, and `from_step` is not looked at.
    """

    from_step: str | None = None
    overrides: Overrides = field(default_factory=Overrides)
    effects: Effects = "stub"
    clean_of: int | None = None

    def as_json(self) -> dict[str, Json]:
        """Write it down; what was not asked for is left out."""
        effects = self.effects if isinstance(self.effects, str) else dict(self.effects)
        told = {**asdict(self), "overrides": self.overrides.as_json(), "effects": effects}
        return {key: value for key, value in told.items() if value not in (None, {})}


_CHANGE: TypeAdapter[Change] = TypeAdapter(Change)


def from_json(written: Mapping[str, Json]) -> Change:
    """Read what `as_json` wrote."""
    return _CHANGE.validate_python(dict(written))


def check_patch(change: Change, meant: QuerySet[Run]) -> None:
    """The change is written down for all of its runs at once, in clear. Raises: Invalid, where it holds a secret."""
    patch, number = change.overrides.input, change.overrides.release
    if patch is None:
        return
    wanted = Q(pk__in=meant.order_by().values("release"))
    if number is not None:
        wanted |= Q(workflow__in=meant.order_by().values("workflow"), number=number)
    for release in Release.objects.filter(wanted).values_list("pk", flat=True):
        definition = bundle.load(release).plan.definition
        found = secret_fields.texts(patch, definition.secrets)
        if found:
            raise Invalid(
                f"input.{written(next(iter(found)))} is a secret field of workflow {definition.name}. A bulk action is "
                "stored in clear and cannot hold a secret: leave it out, so that each fork has that of its run, or "
                "fork the runs one by one.",
                code="secret_in_bulk",
            )


def fork(run_id: str, change: Change, *, actor: Actor, reason: str) -> Run:
    """Fork one run as the change says. Raises: UnknownObject, Conflict, Invalid."""
    ask = Ask(from_step=change.from_step, overrides=change.overrides, effects=change.effects)
    if change.clean_of is not None:
        ask = _clean(runs.get(run_id), quarantine.get(change.clean_of), ask)
    return forking.fork(run_id, ask, actor=actor, reason=reason, audited=False)


def _clean(run: Run, of: Quarantine, ask: Ask) -> Ask:
    """Begin again without what is quarantined, before every step that used it. Raises: Conflict."""
    taint = Taint.objects.filter(quarantine=of, run=run).first()
    if taint is None:
        raise Conflict(f"Run {run.pk} did not use {of.kind} {of.ref}.", code="not_tainted")
    overrides = ask.overrides
    if of.kind == "snapshot":
        overrides = replace(overrides, snapshots={**overrides.snapshots, **_clean_pin(run, of)})
    if of.kind == "memory" or taint.via == "memory":
        overrides = replace(overrides, memory="live")
    if overrides.release is None and quarantine.held_back(run.release) is not None:
        overrides = replace(overrides, release=_clean_release(run, of))
    return replace(ask, from_step=_beginning(run, of, taint), overrides=overrides)


def _beginning(run: Run, of: Quarantine, taint: Taint) -> str | None:
    """Return the first step that used it, where all others that did follow from there; None: the whole run again."""
    used = tainted_steps.users(of, run)
    if not taint.path or taint.path not in used:
        return None
    try:
        again = forking.estimate(run.pk, taint.path).again
    except WorkflowError:  # it is not one that runs by itself
        return None
    return taint.path if used <= set(again) else None


def _clean_pin(run: Run, of: Quarantine) -> dict[str, int]:
    """Return the newest snapshot before it that is trusted. Raises: Conflict, where there is none."""
    corpus = of.ref.rpartition("@")[0]
    if corpus not in run.pins:
        return {}
    clean = quarantine.clean_pins({corpus: run.pins[corpus]})
    if not clean:
        raise Conflict(
            f"Corpus {corpus} has no snapshot that is trusted. Publish a clean one first.",
            code="no_clean_snapshot",
        )
    return clean


def _clean_release(run: Run, of: Quarantine) -> int:
    """Return the release that is deployed where the run ran. Raises: Conflict, where that holds it too."""
    deployed = Deployment.objects.select_related("stable").filter(
        workflow=run.workflow, environment=run.environment_id
    )
    found = deployed.first()
    held = quarantine.held_back(found.stable) if found is not None else f"{of.kind} {of.ref}"
    if found is None or held is not None:
        raise Conflict(
            f"The release of {run.workflow} that is live in {run.environment_id} holds {held} too, which is "
            "quarantined. Deploy a clean one first.",
            code="release_quarantined",
        )
    return int(found.stable.number)
