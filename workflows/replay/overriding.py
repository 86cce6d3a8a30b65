"""The release of a fork: that of the run, with other prompts, routes, models or params in named places."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from workflows import payloads, quarantine, saved
from workflows.engine import bundle
from workflows.errors import Conflict, Invalid, UnknownObject
from workflows.models import Release
from workflows.payloads import Batch, clean_text
from workflows.spec import documents, references
from workflows.spec.check import check
from workflows.spec.documents import SourceText

Json = Any
INLINE: Final = 0  # the version of a document that is no version
_GROUPS: Final = ("prompts", "routes")  # what a fork can have of its own


@dataclass(frozen=True, kw_only=True)
class Overrides:
    """What is different in a fork. `prompts`, `routes`: {name: version, or a part of the document to put over it};
    `models`: {route: provider/model}; `params`: {step: {param: value}}, which win over the step's own and its prompt's;
    `input`: a JSON merge patch; `snapshots`: {corpus: number}."""

    input: Json = None
    prompts: Mapping[str, int | Mapping[str, Json]] = field(default_factory=dict)
    routes: Mapping[str, int | Mapping[str, Json]] = field(default_factory=dict)
    models: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)
    snapshots: Mapping[str, int] = field(default_factory=dict)
    release: int | None = None
    memory: str = "as_recorded"

    def as_json(self) -> dict[str, Json]:
        """Return what was asked for; what was not is left out."""
        return {key: value for key, value in self.__dict__.items() if value not in (None, {}, "as_recorded")}


def release(base: Release, asked: Overrides, *, owner: str) -> Release:
    """Return the release that a fork runs on: the base itself, or a new one made for it. Not saved.

    Raises:
        UnknownObject: a name or version that is not there.
        Conflict: a version of a prompt that is quarantined.
        Invalid: what comes of it does not fit together, with each place.
    """
    inherited = payloads.load_one(base.documents_hash) or {}
    manifest, given = json.loads(json.dumps(base.manifest)), json.loads(json.dumps(inherited))
    # Where a route has another model, that alone is asked.
    targets: Mapping[str, int | Mapping[str, Json]] = {
        name: {"targets": [model]} for name, model in asked.models.items()
    }
    for group, wanted in (("prompts", asked.prompts), ("routes", asked.routes), ("routes", targets)):
        for name, change in wanted.items():
            _override(manifest, given, group, name, change)
    for step, params in asked.params.items():
        _set_params(manifest, given, step, params)
    if manifest == base.manifest and given == inherited:
        return base
    _check(manifest, given)
    batch = Batch()
    key = batch.add(given)
    payloads.store(batch)
    return Release(
        workflow=owner,
        number=base.number,
        content_hash=payloads.digest([manifest, given]).hex(),
        manifest=manifest,
        documents_hash=bytes.fromhex(key),
        created_by=owner,
    )


def _override(manifest: Json, given: Json, group: str, name: str, change: int | Mapping[str, Json]) -> None:
    kind = bundle.KINDS[group]
    refs = [ref for ref in manifest.get(group, {}) if references.split(ref)[0] == name]
    if not refs:
        there = ", ".join(sorted({references.split(ref)[0] for ref in manifest.get(group, {})})) or "none"
        raise UnknownObject(
            f"The run's release uses no {kind} {clean_text(name, limit=80)}; it uses: {there}.",
            code="not_in_release",
        )
    for ref in refs:
        if isinstance(change, int):
            saved.body(kind, name, change)
            if change != manifest[group][ref]:  # what the run had, its fork may have
                _check_clean(kind, name, change)
            manifest[group][ref] = change
            given.get(group, {}).pop(ref, None)
            continue
        pinned = given.get(group, {}).get(ref) or saved.body(kind, name, manifest[group][ref])
        given.setdefault(group, {})[ref] = {**pinned, **change, "name": name}
        manifest[group][ref] = INLINE


def _check_clean(kind: str, name: str, version: int) -> None:
    """Raises: Conflict."""
    if f"{name}@{version}" in quarantine.in_force(kind.lower()):
        raise Conflict(
            f"The fork does not get {kind} {name}@{version}: it is quarantined. Name another version, give its text "
            "instead, or release the quarantine.",
            code=f"{kind.lower()}_quarantined",
        )


def _set_params(manifest: Json, given: Json, step_id: str, params: Mapping[str, Json]) -> None:
    """Give a step other params in the fork's own text of the workflow. Raises: UnknownObject, Invalid."""
    name, version = manifest["workflow"]
    pinned = given.get("workflow", {}).get(name) or saved.body("Workflow", name, version)
    body = json.loads(json.dumps(pinned))
    step: Json = next((each for each in references.steps_of(body) if each.get("id") == step_id), None)
    told = clean_text(step_id, limit=80)
    if step is None:
        raise UnknownObject(f"The run's release has no step {told}.", code="not_in_release")
    if "prompt" not in step:
        raise Invalid(
            f"Step {told} has no params of its own; an agent's are those of its prompt.",
            code="overrides_invalid",
        )
    step["params"] = {**step.get("params", {}), **params}
    given.setdefault("workflow", {})[name] = body


def _check(manifest: Json, given: Json) -> None:
    """Hold the workflow against the documents that it would use. Raises: Invalid, with each place."""
    name, version = manifest["workflow"]
    texts = {("Workflow", name): given.get("workflow", {}).get(name) or saved.body("Workflow", name, version)}
    for group in _GROUPS:
        kind = bundle.KINDS[group]
        for ref, number in manifest.get(group, {}).items():
            base = references.split(ref)[0]
            texts[kind, base] = given.get(group, {}).get(ref) or saved.body(kind, base, number)
    sources = [
        SourceText(f"{kind} {each}", json.dumps({**body, "kind": kind, "name": each}), "json")
        for (kind, each), body in texts.items()
    ]
    loaded = documents.load(sources)
    problems = [*loaded.errors, *check(loaded.documents, catalog=saved.load().catalog())]
    if problems:
        raise Invalid(
            "The overrides do not fit the workflow.",
            code="overrides_invalid",
            errors=tuple((f"{each.file}: {each.path}", each.message) for each in problems[:50]),
        )
