"""A run as one file: given out, to be replayed elsewhere, and taken in."""

from __future__ import annotations

import json
from typing import Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse

from console import formats, strict_json
from console.access import requires
from console.actors import actor_of
from console.views.run_find import find
from console.views.run_title import title_of
from workflows.errors import WorkflowError
from workflows.replay import packing, unpacking

_LARGEST: Final = 50 * 1024 * 1024  # bytes of a file


@requires("runs.view")
def export(request: HttpRequest, run_id: str) -> HttpResponse:
    """Ask what to take out of it, then give the file."""
    run = find(run_id)
    if request.method != "POST":
        return render(request, "replay/export.html", {"run": run, "title": title_of(run)})
    paths = [line.strip() for line in request.POST.get("redact", "").splitlines() if line.strip()][:50]
    try:
        packed = packing.pack(run.pk, redact=paths)
    except WorkflowError as problem:
        context = {"run": run, "title": title_of(run), "problem": problem.message, "redact": "\n".join(paths)}
        return render(request, "replay/export.html", context, status=409)
    answer = HttpResponse(
        json.dumps(packed), content_type="application/json", headers={"Cache-Control": "no-store"}
    )
    answer["Content-Disposition"] = f'attachment; filename="{run.id}.interlock.json"'
    return answer


@requires("definitions.apply")
def take_in(request: HttpRequest) -> HttpResponse:
    """Ask for the file, then take the run in and lead to its replay."""
    if request.method != "POST":
        return render(request, "replay/import.html")
    file = request.FILES.get("file")
    if file is None or (file.size or 0) > _LARGEST:
        problem = "Choose a file." if file is None else f"At most {formats.size(_LARGEST)} are taken here."
        return render(request, "replay/import.html", {"problem": problem}, status=422)
    try:
        made = unpacking.unpack(strict_json.loads(file.read()), actor=actor_of(request))
    except strict_json.JsonError as fault:
        return render(
            request, "replay/import.html", {"problem": f"The file cannot be read: {fault}"}, status=422
        )
    except WorkflowError as fault:
        return render(request, "replay/import.html", {"problem": fault.message}, status=409)
    messages.success(request, f"Run {made.pk} is here.")
    return HttpResponseRedirect(reverse("run-replay", args=[made.pk]))
