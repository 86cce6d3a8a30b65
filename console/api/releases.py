"""Releases and where they are deployed."""

from __future__ import annotations

from typing import Any, Literal

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from typing_extensions import TypedDict

from console.api import asking, pages
from console.api.auth import actor_of
from console.api.endpoint import Endpoint, needs
from console.api.openapi import answer, operation
from workflows.models import Deployment, Release
from workflows.releases import deployments, rollouts


class ReleaseShape(TypedDict):
    """An immutable bundle; `manifest` names the exact versions in it."""

    workflow: str
    number: int
    content_hash: str
    manifest: dict[str, Any]
    created_at: str
    created_by: str
    deployed_to: list[str]


class ReleasePage(TypedDict):
    """Releases, newest first."""

    results: list[ReleaseShape]
    next: str | None


class DeploymentShape(TypedDict):
    """What new runs of a workflow get in an environment: release numbers; `candidate` while a rollout goes on.

    `stable` is null where the first release waits for a second person.
    """

    workflow: str
    environment: str
    stable: int | None
    candidate: int | None
    rollout: int | None


class ReleaseFilters(asking.Paged):
    """Which releases."""

    workflow: asking.Text | None = None


class Deploy(asking.Ask):
    """Which release new runs get, from now on or step by step; `supersede`: a rollout that goes on ends for it."""

    release: asking.Number
    strategy: Literal["rollout", "now"] = "now"
    reason: asking.LongText = ""
    supersede: bool = False


class Releases(Endpoint):
    """`/releases`."""

    permission_classes = needs("definitions.view")

    @operation("List releases", query=ReleaseFilters, answers={200: answer(ReleasePage)})
    def get(self, request: Request) -> Response:
        """List releases of all workflows or of one, newest first."""
        asked = asking.query(request, ReleaseFilters)
        found = Release.objects.all()
        if asked.workflow is not None:
            found = found.filter(workflow=asked.workflow)
        page = pages.by_number(found, cursor=asked.cursor, limit=asked.limit)
        places = _places([release.pk for release in page.rows])
        return Response(page.as_json(lambda release: _shape(release, places.get(release.pk, []))))


class Deployments(Endpoint):
    """`/deployments/WORKFLOW/ENV`."""

    permission_classes = needs("definitions.view", "releases.deploy")

    @operation("Show a deployment", answers={200: answer(DeploymentShape)}, problems_too=[404, 409])
    def get(self, request: Request, workflow: str, environment: str) -> Response:
        """Show what new runs get, and the rollout that goes on."""
        if rollouts.active(workflow, environment) is None:
            deployments.get(workflow, environment=environment)
        return Response(_deployment(workflow, environment))

    @operation(
        "Deploy a release", asks=Deploy, answers={200: answer(DeploymentShape)}, problems_too=[404, 409]
    )
    def post(self, request: Request, workflow: str, environment: str) -> Response:
        """Give new runs another release; runs that have started keep theirs."""
        asked = asking.body(request, Deploy)
        ask = rollouts.Ask(
            workflow=workflow,
            environment=environment,
            release=asked.release,
            strategy=asked.strategy,
            reason=asked.reason,
            supersede=asked.supersede,
        )
        rollouts.deploy(ask, actor=actor_of(request), now=timezone.now())
        return Response(_deployment(workflow, environment))


def _places(releases: list[int]) -> dict[int, list[str]]:
    places: dict[int, list[str]] = {}
    for deployment in Deployment.objects.filter(stable__in=releases).order_by("environment_id"):
        places.setdefault(deployment.stable_id, []).append(deployment.environment_id)
    return places


def _shape(release: Release, places: list[str]) -> ReleaseShape:
    return ReleaseShape(
        workflow=release.workflow,
        number=release.number,
        content_hash=release.content_hash,
        manifest=release.manifest,
        created_at=asking.moment(release.created_at) or "",
        created_by=release.created_by,
        deployed_to=places,
    )


def _deployment(workflow: str, environment: str) -> DeploymentShape:
    places = Deployment.objects.select_related("stable")
    found = places.filter(workflow=workflow, environment_id=environment).first()
    rollout = rollouts.active(workflow, environment)
    return DeploymentShape(
        workflow=workflow,
        environment=environment,
        stable=found.stable.number if found else None,
        candidate=rollout.to_release.number if rollout else None,
        rollout=rollout.pk if rollout else None,
    )
