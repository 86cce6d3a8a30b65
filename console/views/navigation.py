"""The parts of the navigation that come after the page."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from console import access, sidebar
from console.access import requires


@requires("console.use")
def counts(request: HttpRequest) -> HttpResponse:
    """Answer with the numbers beside the entries, each for its place."""
    return render(request, "ui/nav_counts.html", {"counts": sidebar.counted(access.role_of(request))})
