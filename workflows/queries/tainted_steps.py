"""Which steps of a run used what is quarantined, or what tainted runs left behind. Reads only."""

from __future__ import annotations

from django.db.models import Q

from workflows import pieces
from workflows.models import Call, Lineage, MemoryVersion, Quarantine, Run, Taint

WHOLE: str = ""  # stands for the run as a whole: it ran on a release that is quarantined


def users(quarantine: Quarantine, run: Run) -> set[str]:
    """Return the paths of the steps whose results stand on it."""
    if quarantine.kind == "release":
        direct = {WHOLE} if run.release_id in pieces.release_rows(quarantine.ref) else set()
    elif quarantine.kind == "provider":
        direct = _asked(quarantine, run)
    else:
        refs = pieces.lineage_refs(quarantine.kind, quarantine.ref)
        direct = _paths(run, Q(kind=quarantine.kind, ref__in=refs))
    return direct | _paths(run, _left_behind(quarantine, run))


def _paths(run: Run, used: Q) -> set[str]:
    found = Lineage.objects.filter(used, run=run, step_run__superseded=False)
    return set(found.values_list("step_run__path", flat=True))


def _asked(quarantine: Quarantine, run: Run) -> set[str]:
    provider, _, model = quarantine.ref.partition("/")
    calls = Call.objects.filter(run=run, provider=provider, step_run__superseded=False)
    if model:
        calls = calls.filter(Q(model_requested=model) | Q(model_returned=model))
    if quarantine.since:
        calls = calls.filter(started_at__gte=quarantine.since)
    if quarantine.until:
        calls = calls.filter(started_at__lt=quarantine.until)
    return set(calls.values_list("step_run__path", flat=True))


def _left_behind(quarantine: Quarantine, run: Run) -> Q:
    """Return what of tainted runs this run used: their results, and memory that they wrote."""
    used = Lineage.objects.filter(run=run, kind__in=["run", "memory"]).values_list("kind", "ref").distinct()
    runs = [ref for kind, ref in used if kind == "run"]
    written = {ref: _writer(ref) for kind, ref in used if kind == "memory"}
    writers = {writer for writer in written.values() if writer}
    tainted = set(
        Taint.objects.filter(quarantine=quarantine, run__in=[*runs, *writers]).values_list(
            "run_id", flat=True
        )
    )
    memory = [ref for ref, writer in written.items() if writer in tainted]
    return Q(kind="run", ref__in=tainted & set(runs)) | Q(kind="memory", ref__in=memory)


def _writer(ref: str) -> str:
    found: MemoryVersion | None = pieces.memory_version(ref)
    return found.run_id or "" if found is not None else ""
