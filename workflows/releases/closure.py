"""The releases that a release starts, directly or below: steps that are workflows, and tools that are, agents' too.

May not say whether any of them may be used.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from django.db.models import Q

from workflows import payloads
from workflows.models import Release
from workflows.spec import references

Place = tuple[str, int]  # workflow and number


def of(releases: Sequence[Release]) -> dict[int, list[Release]]:
    """Return each release, by its row, with all those that it starts: itself first, then nearest first.

    One query for each level of all of them together, and none where nothing is started.
    """
    known = {_place(each): each for each in releases}
    below: dict[Place, list[Place]] = {}
    level = list(known.values())
    while level:
        below |= {_place(each): _children(each) for each in level}
        named = {place for each in level for place in below[_place(each)]}
        level = _rows(named - known.keys())
        known |= {_place(each): each for each in level}
    return {each.pk: [known[place] for place in _reached(_place(each), below, known)] for each in releases}


def _reached(root: Place, below: Mapping[Place, list[Place]], known: Mapping[Place, Release]) -> list[Place]:
    found = [root]
    for place in found:  # it grows while it is walked
        found += [child for child in below[place] if child in known and child not in found]
    return found


def _place(release: Release) -> Place:
    return release.workflow, release.number


def _children(release: Release) -> list[Place]:
    numbers = release.manifest.get("workflows", {})
    if not numbers:
        return []
    given = payloads.load_one(release.documents_hash) or {}
    owners = given.get("releases", {})  # of an imported one: what it starts is no workflow's own either
    places = ((owners.get(ref, references.workflow_of(ref)), number) for ref, number in numbers.items())
    return list(dict.fromkeys(places))  # two references may mean one release


def _rows(places: Iterable[Place]) -> list[Release]:
    wanted = Q()
    for workflow, number in places:
        wanted |= Q(workflow=workflow, number=number)
    return list(Release.objects.filter(wanted)) if wanted else []
