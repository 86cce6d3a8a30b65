"""What somebody asks to be run, and which release it gets. `runs` starts it.

May not: write anything.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from retrieval import snapshots
from workflows import payloads, quarantine, sealing, targets
from workflows.actor import Actor
from workflows.engine import bundle, starting
from workflows.engine.plan import Plan
from workflows.errors import Invalid
from workflows.identifiers import new_run_id
from workflows.models import Release, Run
from workflows.models.rollouts import STABLE
from workflows.models.runs import PRIORITIES
from workflows.releases import traffic
from workflows.spec import schema, templates
from workflows.spec.masks import Veil

Json = Any


@dataclass(frozen=True, kw_only=True)
class Order:
    """What somebody asks for. `release` is a number of that workflow; None: what the environment has."""

    workflow: str
    input: Json
    environment: str = "production"
    release: int | None = None
    session: str | None = None
    title: str = ""
    priority: str = "normal"
    tags: Sequence[str] = ()
    deadline_s: float | None = None

    def digest(self, *, sealed: bool) -> str:
        """Return the hash that tells a repeated request from another one under the same key.

        `sealed`: it holds secrets, which nobody may find by trying whose hash fits.
        """
        asked = self._asked()
        return sealing.keyed_hashes(asked)[0].hex() if sealed else hashlib.sha256(asked).hexdigest()

    def is_that_of(self, run: Run) -> bool:
        """Say whether it is the request that started a run."""
        recorded = bytes(run.request_hash or b"")
        asked = self._asked()
        hashes = sealing.keyed_hashes(asked) if run.sealed else (hashlib.sha256(asked).digest(),)
        return recorded in hashes

    def _asked(self) -> bytes:
        return payloads.canonical({**self.__dict__, "tags": list(self.tags)})


class Ordered:
    """An order that is to be started as a run: the same id and attributes, whichever release it gets."""

    def __init__(self, order: Order, target: targets.Target, *, actor: Actor, trigger: str) -> None:
        self.order, self.target = order, target
        self.actor, self.trigger = actor, trigger
        self.id = new_run_id()

    def of(self, order: Order) -> starting.Given:
        """Return it for an order as it is written down."""
        return starting.Given(
            id=self.id,
            input=order.input,
            environment=self.target.environment.name,
            variables=self.target.environment.variables,
            pins={},
            priority=PRIORITIES[order.priority],
            trigger=self.trigger,
            created_by=str(self.actor),
            session=order.session,
            title=order.title,
            tags=tuple(order.tags),
            deadline_s=order.deadline_s,
        )

    def chosen(self) -> tuple[Release, bundle.Bundle, Mapping[str, Json]]:
        """Return the release that the run gets, loaded, and what is written down of how it came to that.

        What is sticky is computed by the stable release, and from an input whose secrets are masked. An input that
        only the stable release takes goes there, and counts for neither: where there are many, the split tells.
        """
        split = self.target.split
        stable = bundle.load(self.target.release.pk)
        if split is None or schema.errors(stable.plan.definition.input_schema or {}, self.order.input):
            return self.target.release, stable, {}
        written, _ = sealed(self.order, stable.plan)
        placed = traffic.place(split.salt, starting.sticky(stable, self.of(written), split.sticky))
        arm = traffic.arm_of(split, placed)
        told = {"rollout": split.rollout, "arm": arm, "sticky_hash": placed}
        if arm == STABLE:
            return self.target.release, stable, told
        candidate = self._fitting(split.candidate)
        return (split.candidate, candidate, told) if candidate else (self.target.release, stable, {})

    def _fitting(self, release: Release) -> bundle.Bundle | None:
        """Load a candidate; None where it would refuse what the stable release takes, or cannot be loaded."""
        try:
            loaded = bundle.load(release.pk)
            if schema.errors(loaded.plan.definition.input_schema or {}, self.order.input):
                return None
            document(loaded, self.of(sealed(self.order, loaded.plan)[0]))  # its session, its concurrency key
        except (Invalid, LookupError, *payloads.UNREADABLE):
            return None
        return loaded


def document(loaded: bundle.Bundle, given: starting.Given) -> dict[str, Json]:
    """Return what `interlock_start` writes of a run whose input was checked.

    Raises:
        Invalid: its session or concurrency key could not be computed.
    """
    try:
        return starting.document(loaded, replace(given, pins=_pins(loaded)))
    except templates.TemplateError as problem:
        raise Invalid(
            f"The session or concurrency key of workflow {loaded.plan.definition.name} could not be computed from "
            f"the input: {problem}",
            code="input_invalid",
        ) from problem


def sealed(order: Order, plan: Plan) -> tuple[Order, Veil]:
    """Return an order as it may be written down, with masks for its secrets, and what they stand for."""
    given, veil = sealing.seal(order.input, plan.definition.secrets)
    if not veil.secrets:
        return order, veil
    session = None if order.session is None else veil.scrub(order.session)
    tags = [veil.scrub(tag) for tag in order.tags]
    return replace(order, input=given, session=session, title=veil.scrub(order.title), tags=tags), veil


def _pins(loaded: bundle.Bundle) -> dict[str, int]:
    """Return the published head of each corpus of the release: what this run reads, whatever is published later."""
    names = loaded.all_corpora()
    if not names:
        return {}
    heads = {name: head for name, head in snapshots.heads(names).items() if head is not None}
    return quarantine.clean_pins(heads)
