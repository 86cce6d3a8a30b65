"""Editing one saved document as text: check it as it is typed, save it as a new version of what it was read from.

Nobody overwrites what they have not seen: a save names the version that it began on. Permission was checked
above. May not: know forms or pages; what a document has to hold is the business of `spec`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction

from workflows import definitions, saved
from workflows.actor import Actor
from workflows.definitions import Applied
from workflows.errors import Conflict, UnknownObject
from workflows.models import Definition
from workflows.spec import documents
from workflows.spec.check import Catalog, check
from workflows.spec.documents import Document, SourceText
from workflows.spec.places import SpecError

MAX_NOTE = 1_000  # characters
NEW = "document"  # what errors call a text that has no name yet


@dataclass(frozen=True)
class Checked:
    """A text as it would be read: the document where there is one, and everything that is wrong with it."""

    document: Document | None = None
    errors: tuple[SpecError, ...] = ()

    @property
    def body(self) -> Mapping[str, Any]:
        """The document as a mapping; empty where the text could not be read."""
        return self.document.body if self.document else {}


@dataclass(frozen=True)
class Saving:
    """What became of a save: the version that counts now, whether it is new, or why nothing was saved."""

    version: int
    created: bool = False
    errors: tuple[SpecError, ...] = ()
    applied: Applied = field(default_factory=Applied)


def read(kind: str, name: str, text: str, *, catalog: Catalog | None = None) -> Checked:
    """Read and check the text of one document that has to be `kind` and `name`.

    Without a catalog its references are checked against nothing saved: right for documents that have none.
    """
    checked = _read(name, text, catalog or Catalog())
    if checked.document is None:
        return checked
    document, errors = checked.document, checked.errors
    for key, wanted in (("kind", kind), ("name", name)):
        if document.body[key] != wanted:
            message = f"has to stay {wanted}: another {key} would be another document"
            errors = (document.where.error((key,), message), *errors)
    return Checked(document, tuple(sorted(set(errors))))


def read_new(kind: str, text: str, *, catalog: Catalog) -> Checked:
    """Read and check the text of one document of a kind that has whatever name it gives itself."""
    checked = _read(NEW, text, catalog)
    if checked.document is None or checked.document.kind == kind:
        return checked
    wrong = checked.document.where.error(("kind",), f"has to be {kind}; apply other documents as files")
    return Checked(checked.document, (wrong, *checked.errors))


def _read(file: str, text: str, catalog: Catalog) -> Checked:
    loaded = documents.load([SourceText(file, text)])
    if loaded.errors or len(loaded.documents) != 1:
        wrong = SpecError(file, 1, "", f"one document is edited here, not {len(loaded.documents)}")
        return Checked(errors=loaded.errors or (wrong,))
    return Checked(loaded.documents[0], check(list(loaded.documents), catalog=catalog))


def save(kind: str, name: str, text: str, *, base: int, actor: Actor, note: str = "") -> Saving:
    """Save the text as a new version if `base` is still the newest one.

    Raises:
        UnknownObject: there is no such document.
        Conflict: somebody saved another version meanwhile; nothing was changed.
    """
    checked = read(kind, name, text, catalog=saved.load().catalog())
    if checked.errors:
        return Saving(base, errors=checked.errors)
    with transaction.atomic():
        saved.one_writer_at_a_time()
        newest = _newest(kind, name)
        if newest != base:
            raise Conflict(
                f"{kind} {name} is at version {newest}, the edited text began on version {base}.",
                code="changed_meanwhile",
            )
        done = definitions.apply([SourceText(name, text)], actor=actor, reason=note[:MAX_NOTE])
    if done.errors:
        return Saving(base, errors=done.errors)
    (change,) = done.plan
    return Saving(change.version, change.action != "unchanged", applied=done)


def _newest(kind: str, name: str) -> int:
    found = Definition.objects.filter(kind=kind, name=name).values_list("latest_version", flat=True).first()
    if found is None:
        raise UnknownObject(f"There is no {kind} {name}.", code="unknown_definition")
    return found
