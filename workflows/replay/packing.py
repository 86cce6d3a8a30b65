"""A run as one file: its record, those of its child runs, and every document and value that they name.

What the file holds is enough to replay the run on a machine that knows nothing else of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from workflows import payloads, pieces, saved
from workflows.engine import bundle
from workflows.models import Call, JournalEvent, Lineage, Release, Run
from workflows.replay import redaction, verify
from workflows.retained import check_kept
from workflows.spec import references

Json = Any
FORMAT: Final = "interlock-run"
VERSION: Final = 1
RUN_FIELDS: Final = (
    "id", "workflow", "state", "title", "trigger", "created_by", "session", "tags", "priority", "pins", "variables",
    "error", "parent_id", "parent_path", "tree_path", "fork", "sealed", "events", "cost_usd", "tokens", "created_at",
    "started_at", "ended_at",
)  # fmt: skip
_CALL_FIELDS: Final = (
    "attempt", "number", "state", "provider", "provider_version", "model_requested", "model_returned",
    "finish_reason", "usage", "cost_usd", "price_version", "timing_ms", "error", "started_at", "ended_at",
)  # fmt: skip
_CALL_VALUES: Final = ("request_hash", "response_hash", "answer_hash")


def pack(run_id: str, *, redact: Sequence[str] = ()) -> dict[str, Json]:
    """Return a run that has ended as one JSON value. `redact`: paths of texts in its input, such as `customer.email`;
    they are replaced wherever they stand, so that the run still replays.

    Raises:
        UnknownObject: no such run.
        Conflict: it has not ended.
        Invalid: a path does not lead to a text, or to one that is too short to be told from other text.
    """
    run = verify.ended(run_id, to_be="exported")
    check_kept(run)
    runs = list(_with_children(run))
    secrets = redaction.texts(payloads.load_one(run.input_hash), redact)
    packed = [_run(each) for each in runs]
    rows = {row for each in packed for row in _release_rows(each)}
    keys = {key for each in packed for key in _keys(each)}
    body = {
        "runs": packed,
        "releases": {str(row): _release(row) for row in sorted(_with_child_releases(rows))},
        "values": _values(keys),
    }
    if secrets:
        body = redaction.redacted(body, secrets)
    return {"format": FORMAT, "version": VERSION, "digest": payloads.digest(body).hex(), **body}


def _with_children(run: Run) -> Iterator[Run]:
    yield run
    for child in run.children.order_by("created_at", "pk"):
        yield from _with_children(child)


def _run(run: Run) -> dict[str, Json]:
    events = JournalEvent.objects.filter(run_id=run.pk).order_by("seq")
    calls = Call.objects.filter(run_id=run.pk).select_related("step_run").order_by("id")
    return {
        "run": {name: _plain(getattr(run, name)) for name in RUN_FIELDS},
        "release": run.release_id,
        "input": payloads.name_of(run.input_hash),
        "output": payloads.name_of(run.output_hash),
        "journal": [
            [each.type, _plain(each.at), each.step, each.epoch, each.attempt, each.n, each.data]
            for each in events
        ],
        "calls": [
            {
                "path": each.step_run.path,
                "epoch": each.step_run.epoch,
                **{name: _plain(getattr(each, name)) for name in _CALL_FIELDS},
                **{name: payloads.name_of(getattr(each, name)) for name in _CALL_VALUES},
            }
            for each in calls
        ],
        "lineage": _lineage(run),
    }


def _lineage(run: Run) -> list[Json]:
    """Return what each step used, named so that another installation can show it: documents by name and revision."""
    rows = Lineage.objects.filter(run_id=run.pk).select_related("step_run").order_by("id")
    names = pieces.told((each.kind, each.ref) for each in rows)
    return [
        [
            each.step_run.path,
            each.step_run.epoch,
            each.kind,
            names.get((each.kind, each.ref), (each.kind, each.ref))[1].removeprefix(pieces.ELSEWHERE),
        ]
        for each in rows
    ]


def _plain(value: Json) -> Json:
    if isinstance(value, datetime):
        return value.isoformat()
    return value if isinstance(value, str | int | float | list | dict | bool | None) else f"{value:f}"


def _release_rows(packed: Mapping[str, Json]) -> set[int]:
    named = {
        int(event[6]["release"]) for event in packed["journal"] if event[2] is None and "release" in event[6]
    }
    return named | {int(packed["release"])}


def _with_child_releases(rows: Iterable[int]) -> set[int]:
    found: set[int] = set()
    left = list(rows)
    while left:
        row = left.pop()
        if row not in found:
            found.add(row)
            left += bundle.load(row).children.values()
    return found


def _release(row: int) -> dict[str, Json]:
    release = Release.objects.get(pk=row)
    given = payloads.load_one(release.documents_hash) or {}
    name, version = release.manifest["workflow"]
    documents: dict[str, Json] = {
        "workflow": {name: given.get("workflow", {}).get(name) or saved.body("Workflow", name, version)}
    }
    for group, kind in bundle.KINDS.items():
        documents[group] = {
            ref: given.get(group, {}).get(ref) or saved.body(kind, references.split(ref)[0], number)
            for ref, number in release.manifest.get(group, {}).items()
        }
    return {
        "number": release.number,
        "manifest": release.manifest,
        "documents": documents,
        "children": bundle.load(row).children,
    }


def _keys(packed: Mapping[str, Json]) -> Iterator[str]:
    """Return the hashes of all values that a packed run names."""
    yield from (key for key in (packed["input"], packed["output"]) if key is not None)
    for event in packed["journal"]:
        data = event[6]
        yield from (
            data[key] for key in ("input", "output", "answer", "rows") if isinstance(data.get(key), str)
        )
        if event[0] == "run.signalled" and isinstance(data.get("payload"), str):
            yield data["payload"]
    for call in packed["calls"]:
        yield from (call[name] for name in _CALL_VALUES if call[name] is not None)


def _values(keys: Iterable[str]) -> dict[str, Json]:
    """Return what is stored of the values, and of those that they name: the rows of a fork, the frames of items."""
    found: dict[str, Json] = {}
    wanted = set(keys)
    while wanted:
        more = payloads.kept(wanted)
        found |= more
        wanted = {key for value in more.values() for key in _named_in(value)} - found.keys()
    return found


def _named_in(value: Json) -> Iterator[str]:
    rows = value if isinstance(value, list) and value and isinstance(value[0], dict) else []
    for row in rows:
        if {"frame", "settles", "waiting_on"} <= row.keys():
            yield from (row[key] for key in ("input", "output", "frame") if row[key] is not None)
    if (
        isinstance(value, dict)
        and {"item", "index", "outer"} <= value.keys() | {"item", "index"}
        and value.get("outer")
    ):
        yield str(value["outer"])
