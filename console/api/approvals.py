"""Approvals: what people are asked, and their decisions."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field
from rest_framework.request import Request
from rest_framework.response import Response
from typing_extensions import TypedDict

from console import groups
from console.api import asking, pages
from console.api.auth import actor_of
from console.api.endpoint import Endpoint, needs
from console.api.openapi import answer, operation
from workflows import approvals
from workflows.models import Approval

ApprovalState = Literal["open", "approved", "rejected", "timed_out", "cancelled"]


class ApprovalShape(TypedDict):
    """A question to a person. `fields` is the JSON Schema of its form; `expires_at` null: it waits for ever."""

    id: int
    state: ApprovalState
    run: str
    step: str
    workflow: str
    environment: str
    group: str | None
    title: str
    details: str
    fields: Any
    requested_at: str
    expires_at: str | None
    closed_at: str | None
    decided_by: str | None
    comment: str


class ApprovalPage(TypedDict):
    """Approvals, newest first."""

    results: list[ApprovalShape]
    next: str | None


class ApprovalFilters(asking.Paged):
    """Which approvals; the open ones unless a state is named."""

    state: ApprovalState | Literal["any"] = "open"
    run: asking.Text = ""
    workflow: asking.Text = ""
    environment: asking.Text = ""
    group: asking.Text = ""


class Decision(asking.Ask):
    """What somebody decides; `fields` fills in the form where there is one."""

    approved: bool
    fields: Annotated[dict[str, Any] | None, Field(description="By the approval's own schema.")] = None
    comment: asking.LongText = ""


_ONE: Final = answer(ApprovalShape)


class Approvals(Endpoint):
    """`/approvals`."""

    permission_classes = needs("runs.view")

    @operation("List approvals", query=ApprovalFilters, answers={200: answer(ApprovalPage)})
    def get(self, request: Request) -> Response:
        """List what waits for a person, newest first."""
        asked = asking.query(request, ApprovalFilters)
        found = Approval.objects.all()
        if asked.state == "open":
            found = found.filter(closed_at__isnull=True)
        elif asked.state != "any":
            found = found.filter(outcome=asked.state)
        wanted = {"run_id": asked.run, "workflow": asked.workflow, "environment_id": asked.environment}
        wanted["group"] = asked.group
        found = found.filter(**{name: value for name, value in wanted.items() if value})
        page = pages.by_number(found, cursor=asked.cursor, limit=asked.limit)
        return Response(page.as_json(_shape))


class OneApproval(Endpoint):
    """`/approvals/ID`."""

    permission_classes = needs("runs.view")

    @operation("Show an approval", answers={200: _ONE}, problems_too=[404])
    def get(self, request: Request, approval_id: int) -> Response:
        """Show what is asked, and what was decided."""
        return Response(_shape(approvals.get(approval_id)))


class Decide(Endpoint):
    """`/approvals/ID/decide`."""

    http_method_names = ["post"]
    permission_classes = needs("runs.view", "approvals.decide")

    @operation("Decide an approval", asks=Decision, answers={200: _ONE}, problems_too=[404, 409])
    def post(self, request: Request, approval_id: int) -> Response:
        """Approve or reject, once. 409 where somebody was faster: the problem says who."""
        asked = asking.body(request, Decision)
        decided = approvals.decide(
            approval_id,
            approved=asked.approved,
            fields=asked.fields,
            comment=asked.comment,
            actor=actor_of(request),
            groups=groups.groups_of(request),
        )
        return Response(_shape(decided))


def _shape(approval: Approval) -> ApprovalShape:
    return ApprovalShape(
        id=approval.pk,
        state=approval.outcome or "open",  # type: ignore[typeddict-item]  # written by the engine alone
        run=approval.run_id,
        step=approval.path,
        workflow=approval.workflow,
        environment=approval.environment_id,
        group=approval.group or None,
        title=approval.title,
        details=approval.details,
        fields=approval.fields,
        requested_at=asking.moment(approval.requested_at) or "",
        expires_at=asking.moment(approval.expires_at),
        closed_at=asking.moment(approval.closed_at),
        decided_by=approval.decided_by or None,
        comment=approval.comment,
    )
