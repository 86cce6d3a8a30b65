"""Find the run that an address names. Nothing else."""

from __future__ import annotations

from django.http import Http404

from console import formats
from workflows import retained
from workflows.models import Run


def find(run_id: str) -> Run:
    """Return a run with its release. Raises: Http404."""
    run = Run.objects.select_related("release").filter(id=run_id.replace("\0", "")).first()
    if run is None:
        raise not_there(run_id)
    return run


def not_there(run_id: str) -> Http404:
    """Return what is raised where no run of that name is kept: whether there ever was one."""
    return Http404(retained.gone(run_id) or f"There is no run {formats.printable(run_id)}.")
