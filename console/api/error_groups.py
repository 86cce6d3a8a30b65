"""Failures by what makes them alike: what they are, how many runs stand failed, who looks after them."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field
from rest_framework.request import Request
from rest_framework.response import Response
from typing_extensions import TypedDict

from console.api import asking, pages
from console.api.auth import actor_of
from console.api.endpoint import Endpoint, needs
from console.api.openapi import answer, operation
from workflows.failures import groups
from workflows.failures.groups import Change
from workflows.models import ErrorGroup
from workflows.queries import error_groups
from workflows.queries.error_groups import Shown

State = Literal["open", "resolved"]

GroupShape = TypedDict(
    "GroupShape",
    {
        "id": int,
        "workflow": str,
        "step": str,
        "class": str,
        "provider": str | None,
        "message": str,
        "newest_message": str,
        "failed": int,
        "seen": int,
        "first_seen": str | None,
        "last_seen": str | None,
        "newest_run": str | None,
        "state": State,
        "assigned_to": str | None,
        "note": str,
        "resolved_by": str | None,
        "resolved_at": str | None,
        "came_back_at": str | None,
        "revision": int,
        "changed_by": str | None,
        "changed_at": str | None,
    },
)
GroupShape.__doc__ = """Failures that are alike. `message` has … and # for what varies, `newest_message` what the newest
one said; `step` has no indexes.

`failed`: runs that stand failed now, `GET /runs?error_group=ID`; `seen`: failures ever. `revision` counts the changes
that people made; `changed_by` made the last one.
"""


class GroupPage(TypedDict):
    """Error groups, the last seen first."""

    results: list[GroupShape]
    next: str | None


class GroupFilters(asking.Paged):
    """Filters of the list."""

    state: State | None = None
    workflow: asking.Text | None = None
    assigned_to: asking.Text | None = None


class GroupChange(asking.Ask):
    """What is to be different; what is left out stays."""

    assigned_to: Annotated[str, Field(max_length=200)] | None = Field(
        None, description="Who looks after it; empty: nobody."
    )
    note: Annotated[str, Field(max_length=2000)] | None = None
    state: State | None = None
    revision: Annotated[int, Field(ge=0)] | None = Field(
        None,
        description="The `revision` that was read before: 409 `changed_meanwhile` where there is another now. "
        "Without it, what others said is overwritten.",
    )


_ONE: Final = answer(GroupShape)


class ErrorGroups(Endpoint):
    """`/error-groups`."""

    permission_classes = needs("runs.view")

    @operation("List error groups", query=GroupFilters, answers={200: answer(GroupPage)})
    def get(self, request: Request) -> Response:
        """List failures by what went wrong, the last seen first; a failed run is in its group after some seconds."""
        asked = asking.query(request, GroupFilters)
        found = error_groups.groups(
            state=asked.state or "", workflow=asked.workflow or "", assigned_to=asked.assigned_to or ""
        )
        page = pages.by_time(found, cursor=asked.cursor, limit=asked.limit, field="last_seen", key_type=int)
        return Response(
            {"results": [_shape(each) for each in error_groups.shown(page.rows)], "next": page.next}
        )


class OneErrorGroup(Endpoint):
    """`/error-groups/ID`."""

    permission_classes = needs("runs.view", "runs.retry")

    @operation("Show an error group", answers={200: _ONE}, problems_too=[404])
    def get(self, request: Request, group_id: int) -> Response:
        """Show one group."""
        [shown] = error_groups.shown([groups.get(group_id)])
        return Response(_shape(shown))

    @operation("Change an error group", asks=GroupChange, answers={200: _ONE}, problems_too=[404, 409])
    def post(self, request: Request, group_id: int) -> Response:
        """Assign it, note something, resolve or open it. A failure after it was resolved opens it again."""
        asked = asking.body(request, GroupChange)
        change = Change(assigned_to=asked.assigned_to, note=asked.note, state=asked.state)
        changed = groups.change(group_id, change, actor=actor_of(request), base=asked.revision)
        [shown] = error_groups.shown([changed])
        return Response(_shape(shown))


def _shape(shown: Shown) -> GroupShape:
    group: ErrorGroup = shown.group
    return {
        "id": group.pk,
        "workflow": group.workflow,
        "step": group.step,
        "class": group.error_class,
        "provider": group.provider or None,
        "message": group.message,
        "newest_message": shown.words,
        "failed": shown.failed,
        "seen": group.seen,
        "first_seen": asking.moment(group.first_seen),
        "last_seen": asking.moment(group.last_seen),
        "newest_run": group.newest_run or None,
        "state": group.state,  # type: ignore[typeddict-item]  # a constraint of the table
        "assigned_to": group.assigned_to or None,
        "note": group.note,
        "resolved_by": group.resolved_by or None,
        "resolved_at": asking.moment(group.resolved_at),
        "came_back_at": asking.moment(group.came_back_at),
        "revision": group.revision,
        "changed_by": group.changed_by or None,
        "changed_at": asking.moment(group.changed_at),
    }
