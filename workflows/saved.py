"""The definitions that are saved: their newest versions, for the checks and the builder of releases.

May not change anything; `definitions` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models import F

from workflows.errors import UnknownObject
from workflows.models import DefinitionVersion
from workflows.spec.check import Catalog
from workflows.spec.documents import Document
from workflows.spec.places import Mark, Where

Key = tuple[str, str]


@dataclass(frozen=True)
class Saved:
    """All newest versions by kind and name; of archived ones only their numbers."""

    versions: dict[Key, DefinitionVersion]
    archived: dict[Key, int]

    def catalog(self) -> Catalog:
        names: dict[str, dict[str, int]] = {}
        for (kind, name), found in self.versions.items():
            names.setdefault(kind, {})[name] = found.version
        return Catalog(names=names, bodies={key: found.body for key, found in self.versions.items()})

    def latest(self) -> dict[Key, int]:
        return {key: found.version for key, found in self.versions.items()}

    def document(self, key: Key) -> Document:
        """The newest version as a document; errors in it are said to stand in `saved KIND NAME`."""
        kind, name = key
        where = Where(f"saved {kind} {name}", Mark(0))
        return Document(kind, name, self.versions[key].body, where)


def load() -> Saved:
    """Load the newest version of every definition."""
    newest = DefinitionVersion.objects.select_related("definition").filter(
        version=F("definition__latest_version")
    )
    found = {(each.definition.kind, each.definition.name): each for each in newest}
    archived = {key: each.version for key, each in found.items() if each.definition.archived_at}
    return Saved({key: each for key, each in found.items() if key not in archived}, archived)


def body(kind: str, name: str, version: int) -> Mapping[str, Any]:
    """Return the body of one version. Raises: UnknownObject."""
    found = DefinitionVersion.objects.filter(
        definition__kind=kind, definition__name=name, version=version
    ).values_list("body", flat=True)
    if not found:
        raise UnknownObject(f"{kind} {name} has no version {version}.", code="unknown_version")
    given: Mapping[str, Any] = found[0]
    return given


def one_writer_at_a_time() -> None:
    """Wait until no other transaction changes definitions, and keep others out until this one ends.

    Locks on the rows at hand are not enough: whether a batch is right, and which releases it makes, depends
    on definitions that it does not name. Readers, and runs, are not held up.
    """
    with connection.cursor() as cursor:
        cursor.execute("LOCK TABLE workflows_definition IN SHARE ROW EXCLUSIVE MODE")
