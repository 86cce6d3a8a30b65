"""Text of definition files → documents, with the line of every node, all errors at once (pure).

May not: know what a document of a kind has to hold; `shapes` and `check` do.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from workflows.spec import json_source, yaml_source
from workflows.spec.building import Builder
from workflows.spec.kinds import DOCUMENT_KINDS, NAME, NAME_EXPECTED, UNSUPPORTED_DOCUMENTS, unsupported
from workflows.spec.near import nearest
from workflows.spec.places import NOWHERE, Mark, SpecError, Where

MAX_BYTES = 5_000_000
Media = Literal["yaml", "json"]


@dataclass(frozen=True)
class SourceText:
    """A file or request body; `name` is what errors call it."""

    name: str
    text: bytes | str
    media: Media = "yaml"


@dataclass(frozen=True)
class Document:
    """One document in its author's terms: `kind` and `name` are in its body, defaults are not filled in."""

    kind: str
    name: str
    body: Mapping[str, Any]
    where: Where = field(default=NOWHERE, compare=False)


@dataclass(frozen=True)
class Loaded:
    documents: tuple[Document, ...]
    errors: tuple[SpecError, ...]


def load(sources: Sequence[SourceText]) -> Loaded:
    """Read documents; one that cannot be read is left out and told among the errors."""
    documents: list[Document] = []
    errors: list[SpecError] = []
    for source in sources:
        text = _decoded(source)
        if isinstance(text, SpecError):
            errors.append(text)
            continue
        builder = Builder(source.name)
        reader = json_source if source.media == "json" else yaml_source
        reader.read(text, builder)
        errors.extend(builder.errors)
        for value, mark in _roots(builder, source.media):
            found = _document(value, Where(source.name, mark))
            if isinstance(found, Document):
                documents.append(found)
            else:
                errors.append(found)
    return Loaded(tuple(documents), tuple(sorted(set(errors))))


def content_hash(body: Mapping[str, Any]) -> str:
    """The sha-256 of the body's canonical JSON, in hex: the same for the same content, however written."""
    canonical = json.dumps(_canonical(body), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _canonical(value: Any) -> Any:
    """Whole numbers without a point: a database may give `1e2` back as `100`."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {key: _canonical(item) for key, item in value.items()}
    return [_canonical(item) for item in value] if isinstance(value, (list, tuple)) else value


def _decoded(source: SourceText) -> str | SpecError:
    """The text, or why there is none."""
    name, text = source.name, source.text
    if len(text) > MAX_BYTES:
        return SpecError(name, 0, "", f"this file is larger than {MAX_BYTES:,} bytes; split it")
    try:
        text = text.decode() if isinstance(text, bytes) else text.encode().decode()
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        return SpecError(name, line, "", f"this file is not UTF-8: byte {error.object[error.start]:#04x}")
    except UnicodeEncodeError as error:
        line = error.object[: error.start].count("\n") + 1
        return SpecError(name, line, "", "this text holds half of a character (a lone surrogate)")
    if text.startswith("\ufeff"):
        return SpecError(name, 1, "", "this file starts with a byte order mark; save it as UTF-8 without one")
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        return SpecError(name, line, "", "this file holds a NUL character; it seems not to be text")
    return text


def _roots(builder: Builder, media: Media) -> Iterator[tuple[Any, Mark]]:
    for value, mark in builder.finished:
        if media == "json" and isinstance(value, list):
            yield from ((item, (mark.children or {})[index]) for index, item in enumerate(value))
        elif value is not None:
            yield value, mark


def _document(value: Any, where: Where) -> Document | SpecError:
    if not isinstance(value, dict):
        return where.error((), "a document is a mapping with `kind` and `name`")
    kind, name = value.get("kind"), value.get("name")
    if not isinstance(kind, str):
        return where.error(("kind",), f"a document needs a `kind`: one of {', '.join(DOCUMENT_KINDS)}")
    if kind in UNSUPPORTED_DOCUMENTS:
        return where.error(("kind",), unsupported(f"the kind {kind}"))
    if kind not in DOCUMENT_KINDS:
        meant = nearest(kind.capitalize(), DOCUMENT_KINDS)
        hint = f"did you mean {meant}?" if meant else f"it is one of {', '.join(DOCUMENT_KINDS)}"
        return where.error(("kind",), f"there is no kind {kind[:80]!r}; {hint}")
    if not isinstance(name, str) or not NAME.match(name):
        return where.error(("name",), f"a {kind} needs a `name` of {NAME_EXPECTED}")
    return Document(kind, name, value, where)
