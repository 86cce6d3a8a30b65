"""Pieces of state by name, as quarantines and lineage take them: their forms, whether there is one, how they are found.

May not say who used one, or whether it is quarantined.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import F, QuerySet

from retrieval import documents, snapshots
from retrieval.errors import RetrievalError
from workflows.errors import Invalid, UnknownObject
from workflows.models import Call, Definition, DefinitionVersion, MemoryVersion, Release
from workflows.payloads import clean_text

# How each kind is named. A model is what requests or answers say; the others have an object of their own.
FORMS: Final[Mapping[str, str]] = {
    "document": "Name it CORPUS/NAME.",
    "revision": "Name it CORPUS/NAME@REVISION.",
    "chunk": "Name it CORPUS/NAME@REVISION#PASSAGE.",
    "snapshot": "Name it CORPUS@NUMBER.",
    "prompt": "Name it NAME@VERSION.",
    "tool": "Name it NAME@VERSION.",
    "memory": "Name it ENVIRONMENT/SCOPE/KEY@VERSION.",
    "release": "Name it WORKFLOW@NUMBER.",
    "provider": "Name it PROVIDER or PROVIDER/MODEL.",
    "model": "Name it as requests or answers do, such as gpt-4o.",
}
KINDS: Final = tuple(FORMS)
# Before the names of what belongs to another installation: nothing here is called so.
ELSEWHERE: Final = "imported:"
# What is used at times, and may be asked about a window of time.
TIMED: Final = frozenset({"provider", "model"})


@dataclass(frozen=True, kw_only=True)
class Piece:
    """One piece of state. `since` and `until` are a provider's or model's window."""

    kind: str
    name: str
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class Passages:
    """What a document, a revision or a chunk is in the corpus: versions by their ids, and the one chunk."""

    corpus: str
    versions: tuple[int, ...]
    chunk: int | None = None


def find(piece: Piece) -> Piece:
    """Return the piece if there is one.

    Raises:
        Invalid: an unknown kind, or a window that makes no sense.
        UnknownObject: there is nothing of that name.
    """
    check_window(piece)
    if "\x00" in piece.name or not _exists(piece):
        told = clean_text(piece.name, limit=200)
        message = f"There is no {piece.kind} {told}. {FORMS[piece.kind]}"
        raise UnknownObject(message, code=f"unknown_{piece.kind}")
    return piece


def check_window(piece: Piece) -> None:
    """Check the kind and the window. Raises: Invalid."""
    if piece.kind not in FORMS:
        raise Invalid(f"kind must be one of {', '.join(KINDS)}.", code="unknown_kind")
    if piece.kind not in TIMED and (piece.since or piece.until):
        raise Invalid("Only a provider or a model has a window of time.", code="window_not_allowed")
    if piece.since and piece.until and piece.since >= piece.until:
        raise Invalid("`since` must lie before `until`.", code="window_empty")


def lineage_refs(kind: str, name: str) -> list[str]:
    """Return the names under which lineage knows a piece; none for what lineage does not hold."""
    if kind in ("document", "revision"):
        found = passages(kind, name)
        return [f"{found.corpus}/{version}" for version in found.versions]
    if kind in ("prompt", "tool"):  # a step that pinned version 3 calls it `triage@3` itself
        return [name, f"{name}@{name.rpartition('@')[2]}"]
    return [name] if kind in ("snapshot", "memory") else []


def named(refs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return kinds and names of pieces from what lineage calls them, in order; a version that is gone is left out."""
    refs = list(refs)
    found = told(refs)
    return [found[each] for each in refs if each in found]


def told(refs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], tuple[str, str]]:
    """Map what lineage calls pieces to their kinds and names; a document's version that is gone is not there."""
    refs = set(refs)
    ours = {ref for kind, ref in refs if kind == "document" and not ref.startswith(ELSEWHERE)}
    revisions = documents.names_of([_number(ref.rpartition("/")[2]) for ref in ours]) if ours else {}
    found = {}
    for kind, ref in refs:
        if ref not in ours or kind != "document":
            found[kind, ref] = (kind, plain(ref) if kind in ("prompt", "tool") else ref)
            continue
        corpus, _, version = ref.rpartition("/")
        if _number(version) in revisions:
            name, number = revisions[_number(version)]
            found[kind, ref] = ("revision", f"{corpus}/{name}@{number}")
    return found


def from_elsewhere(kind: str, ref: str) -> str:
    """Name a piece of another installation's so that none of ours is meant; a run's id is nobody else's."""
    return ref if kind == "run" else f"{ELSEWHERE}{ref}"


def plain(ref: str) -> str:
    """Name a prompt's or tool's version; a step that pinned it says the version twice."""
    name, _, version = ref.rpartition("@")
    return f"{name.partition('@')[0]}@{version}"


def passages(kind: str, name: str) -> Passages:
    """Return what the name of a document, a revision or a chunk means; no versions: there is nothing of that name."""
    corpus, _, document = name.partition("/")
    if kind == "document":
        return Passages(corpus, tuple(documents.version_ids(corpus, document)))
    ordinal = ""
    if kind == "chunk":
        document, _, ordinal = document.rpartition("#")
    document, _, revision = document.rpartition("@")
    versions = tuple(documents.version_ids(corpus, document, number=_number(revision)))
    if kind == "revision" or not versions:
        return Passages(corpus, versions)
    chunk = documents.chunk_at(versions[0], int(ordinal)) if _is_number(ordinal) else None
    return Passages(corpus, versions if chunk is not None else (), chunk)


def release_rows(name: str) -> list[int]:
    """Return the rows of the release of a name: one, or none."""
    workflow, _, number = name.rpartition("@")
    return list(
        Release.objects.filter(workflow=workflow, number=_number(number)).values_list("pk", flat=True)
    )


def memory_version(name: str) -> MemoryVersion | None:
    """Return a version of a memory by its name."""
    place, _, number = name.rpartition("@")
    environment, _, rest = place.partition("/")
    scope, _, key = rest.partition("/")
    return MemoryVersion.objects.filter(
        memory__environment_id=environment, memory__scope=scope, memory__key=key, number=_number(number)
    ).first()


def answered_by(model: str) -> QuerySet[Call]:
    """Return the calls that a model answered although another name was asked for, as their index has it."""
    return Call.objects.filter(model_returned=model).exclude(model_returned=F("model_requested"))


def _exists(piece: Piece) -> bool:
    name, _, number = piece.name.rpartition("@")
    if piece.kind in ("document", "revision", "chunk"):
        return bool(passages(piece.kind, piece.name).versions)
    if piece.kind in ("prompt", "tool"):
        kind = piece.kind.capitalize()
        found = DefinitionVersion.objects.filter(
            definition__kind=kind, definition__name=name, version=_number(number)
        )
        return found.exists()
    if piece.kind == "release":
        return bool(release_rows(piece.name))
    if piece.kind == "memory":
        return memory_version(piece.name) is not None
    if piece.kind == "provider":
        provider = piece.name.partition("/")[0]
        return Definition.objects.filter(kind="Provider", name=provider).exists()
    if piece.kind == "model":
        return Call.objects.filter(model_requested=piece.name).exists() or answered_by(piece.name).exists()
    return _snapshot_exists(name, _number(number))


def _snapshot_exists(corpus: str, number: int) -> bool:
    try:
        snapshots.get(corpus, number)
    except RetrievalError:
        return False
    return True


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < len("1000000000")


def _number(text: str) -> int:
    """Read a version; what is no number is version 0, which nothing has."""
    return int(text) if _is_number(text) else 0
