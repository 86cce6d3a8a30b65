"""Check documents in a test: what is wrong with a few texts, together."""

from __future__ import annotations

from workflows.spec import documents
from workflows.spec.check import Catalog, check
from workflows.spec.documents import SourceText
from workflows.spec.places import SpecError


def told(*texts: str) -> list[SpecError]:
    """Return what is wrong with documents in JSON that know nothing but each other."""
    loaded = documents.load([SourceText(f"{n}.json", text, "json") for n, text in enumerate(texts)])
    return [*loaded.errors, *check(loaded.documents, catalog=Catalog({}))]
