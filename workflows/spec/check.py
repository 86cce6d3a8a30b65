"""Is a batch of documents right? Shapes, references, expressions: every error at once, in its place (pure).

May not: stop at the first error, or raise for anything that an author wrote.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

from workflows.spec import document_check, effort, shape_check
from workflows.spec.documents import Document
from workflows.spec.library import Catalog, Library
from workflows.spec.places import SpecError
from workflows.spec.schema import Problem
from workflows.spec.workflow_check import WorkflowCheck

MAX_ERRORS = 1_000

__all__ = ["Catalog", "check"]


def check(documents: Sequence[Document], *, catalog: Catalog) -> tuple[SpecError, ...]:
    """Everything that is wrong with the documents, given what is saved; empty if they can be applied."""
    library = Library(documents, catalog)
    too_much = effort.problem(documents)
    if too_much:
        return (too_much,)
    found: set[SpecError] = set()
    for error in chain(_doubles(documents), _errors(documents, library)):
        found.add(error)
        if len(found) == MAX_ERRORS:
            found.add(SpecError("", 0, "", f"there is more; these are the first {MAX_ERRORS:,} errors"))
            break
    return tuple(sorted(found))


def _errors(documents: Sequence[Document], library: Library) -> Iterator[SpecError]:
    for document in documents:
        for path, message in _problems(document, library):
            yield document.where.error(path, message)


def _problems(document: Document, library: Library) -> Iterator[Problem]:
    checked = shape_check.check(document)
    yield from checked.problems
    if document.kind == "Workflow":
        yield from WorkflowCheck(document.body, checked.steps, checked.last, library).problems()
    elif checked.sound:
        yield from document_check.problems(document.kind, document.body, library)


def _doubles(documents: Sequence[Document]) -> Iterator[SpecError]:
    first: dict[tuple[str, str], Document] = {}
    for document in documents:
        before = first.setdefault((document.kind, document.name), document)
        if before is not document:
            file, line = before.where.find(("name",))
            message = f"there is another {document.kind} {document.name!r} in {file}:{line}"
            yield document.where.error(("name",), message)
