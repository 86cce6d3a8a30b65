"""Save definitions: plan, apply and export documents, one transaction each.

Permission was checked above. May not: read files or requests; the caller passes their text.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from django.db import transaction
from django.utils import timezone

from providers.config import LOCAL
from retrieval import corpora
from retrieval.errors import RetrievalError
from workflows import audit, reserved, saved, schedules
from workflows.actor import SYSTEM, Actor
from workflows.errors import UnknownObject
from workflows.models import Definition, DefinitionVersion, Deployment, Release
from workflows.releases import build, environments, resolve
from workflows.reserved import is_builtin
from workflows.saved import Key, Saved
from workflows.spec import documents, writing
from workflows.spec.check import check
from workflows.spec.documents import Document, SourceText, content_hash
from workflows.spec.kinds import DOCUMENT_KINDS
from workflows.spec.places import SpecError
from workflows.webhooks import outbox

Action = Literal["create", "new_version", "unchanged"]
MAX_DIFF_LINES = 5_000
CHUNK_TOKENS = 400
CHUNK_OVERLAP = 40


@dataclass(frozen=True)
class Change:
    """What becomes of one document; `version` is the one that it has then, `before` and `after` are its texts."""

    kind: str
    name: str
    action: Action
    version: int
    diff: str = ""
    before: str = ""
    after: str = ""


@dataclass(frozen=True)
class Applied:
    """What `apply` did, or would do. With errors nothing was done.

    `deployed`: what new runs get because of it, as (workflow, release, environment).
    """

    plan: tuple[Change, ...] = ()
    applied: bool = False
    errors: tuple[SpecError, ...] = ()
    releases: tuple[Release, ...] = ()
    deployed: tuple[tuple[str, int, str], ...] = ()


def apply(sources: Sequence[SourceText], *, actor: Actor, dry_run: bool = False, reason: str = "") -> Applied:
    """Check all documents and save those that are new or changed; all of them or, with any error, none.

    A dry run does everything and takes it back, so that its plan is exact. The reason goes to the audit log.
    """
    loaded = documents.load(sources)
    with transaction.atomic():
        saved.one_writer_at_a_time()
        before = saved.load()
        errors = {*loaded.errors, *check(loaded.documents, catalog=before.catalog())}
        errors |= _reserved(loaded.documents, actor)
        if errors:
            return Applied(errors=tuple(sorted(errors)))
        changes = tuple(_change(document, before) for document in loaded.documents)
        errors = _broken_elsewhere(loaded.documents, changes, before)
        releases: tuple[Release, ...] = ()
        if not errors:
            errors, releases = _carry_out(loaded.documents, changes, actor=actor, reason=reason)
        deployed = _deployed(releases) if not errors else ()
        if errors or dry_run:
            transaction.set_rollback(True)
        if errors:
            return Applied(errors=tuple(sorted(errors)))
        return Applied(changes, not dry_run, releases=releases, deployed=deployed)


def save(kind: str, body: Mapping[str, Any], *, actor: Actor) -> Applied:
    """Save one document; as `apply`."""
    text = json.dumps({**body, "kind": kind}, ensure_ascii=False)
    return apply([SourceText("document", text, "json")], actor=actor)


def export(
    *, kinds: Sequence[str] | None = None, names: Sequence[str] | None = None, format: writing.Format = "yaml"
) -> str:
    """Write the newest versions as documents: applying them again changes nothing."""
    found = saved.load().versions
    keys = [key for key in found if _wanted(key, kinds, names)]
    keys.sort(key=lambda key: (DOCUMENT_KINDS.index(key[0]), key[1]))
    return writing.dump([found[key].body for key in keys], format)


def get(kind: str, name: str, version: int | None = None) -> DefinitionVersion:
    """Return a version of a definition, the newest if none is named.

    Raises: UnknownObject.
    """
    clean = name.replace("\0", "")
    definition = Definition.objects.filter(kind=kind, name=clean).first()
    number = version or (definition.latest_version if definition else 0)
    found = DefinitionVersion.objects.filter(definition=definition, version=number).first()
    if found is None:
        which = f"version {number} of " if definition else ""
        raise UnknownObject(f"There is no {which}{kind} {clean[:80]}.", code="unknown_definition")
    return found


def newest(kind: str) -> tuple[DefinitionVersion, ...]:
    """Return the newest version of every definition of a kind, by name."""
    found = saved.load().versions
    return tuple(found[key] for key in sorted(found) if key[0] == kind and not is_builtin(key[1]))


def _reserved(batch: Sequence[Document], actor: Actor) -> set[SpecError]:
    """What only the product itself may say: its own names, and its own functions."""
    if actor == SYSTEM:
        return set()
    errors = set()
    for document in batch:
        if is_builtin(document.name):
            message = f"names that begin with {reserved.PREFIX!r} belong to the product; choose another"
            errors.add(document.where.error(("name",), message))
        if document.kind == "Tool" and str(document.body.get("python", "")).startswith(reserved.FUNCTION):
            message = f"functions of {reserved.FUNCTION!r} belong to the product; name one as package.module:function"
            errors.add(document.where.error(("python",), message))
    return errors


def _wanted(key: Key, kinds: Sequence[str] | None, names: Sequence[str] | None) -> bool:
    if is_builtin(key[1]):
        return False
    return (not kinds or key[0] in kinds) and (not names or key[1] in names)


def _change(document: Document, before: Saved) -> Change:
    key = (document.kind, document.name)
    found = before.versions.get(key)
    if found is None:
        version = before.archived.get(key, 0) + 1
        return _compared(Change(document.kind, document.name, "create", version), None, document)
    if found.content_hash == content_hash(document.body):
        return Change(document.kind, document.name, "unchanged", found.version)
    change = Change(document.kind, document.name, "new_version", found.version + 1)
    return _compared(change, found, document)


def _compared(change: Change, old: DefinitionVersion | None, document: Document) -> Change:
    """The change with both texts, as YAML, and the unified diff of them."""
    before = writing.dump([old.body]) if old else ""
    after = writing.dump([document.body])
    diff = _diff(old, document, before.splitlines(keepends=True), after.splitlines(keepends=True))
    return replace(change, diff=diff, before=before, after=after)


def _diff(
    old: DefinitionVersion | None, document: Document, old_lines: Sequence[str], lines: Sequence[str]
) -> str:
    version = old.version if old else 0
    if len(lines) + len(old_lines) > MAX_DIFF_LINES:
        return f"{len(old_lines)} lines before, {len(lines)} lines now\n"
    label = f"{document.kind}/{document.name}"
    before = f"{label}@{version}" if old else "/dev/null"
    return "".join(difflib.unified_diff(old_lines, lines, before, f"{label}@{version + 1}"))


def _deployed(releases: Sequence[Release]) -> tuple[tuple[str, int, str], ...]:
    found = Deployment.objects.filter(stable__in=releases).order_by("workflow", "environment_id")
    return tuple(found.values_list("workflow", "stable__number", "environment_id")) if releases else ()


def _broken_elsewhere(batch: Sequence[Document], changes: Sequence[Change], before: Saved) -> set[SpecError]:
    """Errors that the batch would bring into saved documents which refer to changed ones."""
    changed = {(change.kind, change.name) for change in changes if change.action != "unchanged"}
    named = {(document.kind, document.name) for document in batch}
    users = [before.document(key) for key in _users(changed, before) - named]
    if not users:
        return set()
    catalog = before.catalog()
    broken = {*check([*batch, *users], catalog=catalog)} - {*check(users, catalog=catalog)}
    return {error for error in broken if error.file.startswith("saved ")}


def _users(changed: set[Key], saved_: Saved) -> set[Key]:
    """Saved documents that refer to one of these by its newest version."""
    return {
        key
        for key, found in saved_.versions.items()
        if any(reference in changed for reference in resolve.references(key[0], found.body))
    }


def _all_users(changed: set[Key], saved_: Saved) -> set[Key]:
    """These documents and all that refer to them, also through others: a tool, a child workflow."""
    found = set(changed)
    while more := _users(found, saved_) - found:
        found |= more
    return found


def _carry_out(
    batch: Sequence[Document], changes: Sequence[Change], *, actor: Actor, reason: str
) -> tuple[set[SpecError], tuple[Release, ...]]:
    """Write what changed: versions, corpora, releases; returns what could not be done."""
    todo = [
        (document, change)
        for document, change in zip(batch, changes, strict=True)
        if change.action != "unchanged"
    ]
    for document, change in todo:
        _write(document, change, actor=actor, reason=reason)
    after = saved.load()
    errors = {error for document, change in todo if (error := _ensure(document, change, after))}
    if errors:
        return errors, ()
    changed = {(change.kind, change.name) for _, change in todo}
    affected = {key for key in _all_users(changed, after) if key[0] == "Workflow"}
    bodies = {key[1]: after.versions[key].body for key in affected}
    return set(), build.build(bodies, latest=after.latest(), actor=actor)


def _write(document: Document, change: Change, *, actor: Actor, reason: str) -> None:
    definition, _ = Definition.objects.select_for_update(no_key=True).get_or_create(
        kind=document.kind, name=document.name
    )
    definition.latest_version = change.version
    definition.archived_at = None
    definition.save(update_fields=["latest_version", "archived_at"])
    DefinitionVersion.objects.create(
        definition=definition,
        version=change.version,
        content_hash=content_hash(document.body),
        body=document.body,
        created_by=str(actor),
    )
    audit.record(
        actor,
        "definition.save",
        document.kind,
        f"{document.name}@{change.version}",
        reason=reason,
        data={"diff": change.diff},
    )


def _ensure(document: Document, change: Change, after: Saved) -> SpecError | None:
    """Let what a document describes go by its new version; returns why that cannot be."""
    if document.kind == "Corpus":
        return _ensure_corpus(document, after)
    if document.kind == "Schedule":
        problem = schedules.ensure(document.name, document.body, change.version, now=timezone.now())
        return document.where.error(("environment",), problem) if problem else None
    if document.kind == "Environment":
        problem = environments.ensure(document.name, document.body)
        return document.where.error(("name",), problem) if problem else None
    if document.kind == "Webhook":
        problem = outbox.ensure(document.name, document.body)
        return document.where.error(("url",), problem) if problem else None
    return None


def _ensure_corpus(document: Document, after: Saved) -> SpecError | None:
    """Make the corpus that a Corpus document describes; returns why it cannot be made."""
    body = document.body
    chunk = body.get("chunk", {})
    try:
        corpora.ensure(
            document.name,
            embedding=body["embedding"],
            dims=_dims(body["embedding"], after),
            chunk_tokens=chunk.get("tokens", CHUNK_TOKENS),
            chunk_overlap=chunk.get("overlap", CHUNK_OVERLAP),
            publish=body.get("publish", "auto"),
        )
    except RetrievalError as error:
        return document.where.error(("embedding",), error.message)
    return None


def _dims(model: str, after: Saved) -> int:
    """How many dimensions an embeddings model has, as `check` found it."""
    provider, _, name = model.partition("/")
    document = after.versions.get(("Provider", provider))
    if document is None:
        return LOCAL.model(name).embeds or 0
    return next(int(each["embeds"]) for each in document.body["models"] if each["name"] == name)
