"""Which version of a definition an address asks for."""

from __future__ import annotations

from collections.abc import Sequence

from django.http import Http404, HttpRequest

from workflows.models import DefinitionVersion


def chosen_version(request: HttpRequest, versions: Sequence[DefinitionVersion]) -> DefinitionVersion:
    """Return the version that `?version=` names, else the newest."""
    asked = request.GET.get("version", "")
    found = next((each for each in versions if not asked or str(each.version) == asked), None)
    if found is None:
        raise Http404("There is no such version of this definition.")
    return found
