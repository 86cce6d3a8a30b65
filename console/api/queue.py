"""The queue: what waits for a worker or for a place, what each worker does, and what is paused."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response
from typing_extensions import TypedDict

from console.api import asking
from console.api.endpoint import Endpoint, needs
from console.api.openapi import answer, operation
from console.api.run_shape import PRIORITY_NAMES
from console.api.steering import PauseShape, pause_shape
from workflows import pauses
from workflows.queries import queue


class LaneShape(TypedDict):
    """Steps of one workflow in one environment at one priority that could run now. `waiting` stops at 10,000."""

    workflow: str
    environment: str
    priority: str
    waiting: int
    oldest: str
    paused: bool


class PlaceShape(TypedDict):
    """Runs that wait for a place under a concurrency key: `limit` may go on at once, `holders` are some that do."""

    workflow: str
    environment: str
    key: str
    limit: int
    waiting: int
    oldest: str
    holders: list[str]


class InHandShape(TypedDict):
    """An attempt that a worker has in hand."""

    run: str
    step: str
    workflow: str
    since: str


class WorkerShape(TypedDict):
    """A worker that was seen within the last minute. One that is `draining` takes nothing new."""

    id: str
    host: str
    pid: int
    threads: int
    draining: bool
    seen_at: str
    doing: list[InHandShape]


class QueueShape(TypedDict):
    """What waits, behind what; at most 200 lanes, 50 keys and 200 attempts."""

    lanes: list[LaneShape]
    places: list[PlaceShape]
    workers: list[WorkerShape]
    pauses: list[PauseShape]


class Queue(Endpoint):
    """`/queue`."""

    http_method_names = ["get", "head"]
    permission_classes = needs("runs.view")

    @operation("Show the queue", answers={200: answer(QueueShape)})
    def get(self, request: Request) -> Response:
        """Show what waits for a worker or a place, what each worker does, and what is paused."""
        shape = QueueShape(
            lanes=[_lane(each) for each in queue.lanes()],
            places=[_place(each) for each in queue.places()],
            workers=[_worker(each) for each in queue.workers()],
            pauses=[pause_shape(each) for each in pauses.all_()],
        )
        return Response(shape)


def _lane(lane: queue.Lane) -> LaneShape:
    return LaneShape(
        workflow=lane.workflow,
        environment=lane.environment,
        priority=PRIORITY_NAMES.get(lane.priority, str(lane.priority)),
        waiting=lane.waiting,
        oldest=asking.moment(lane.oldest) or "",
        paused=lane.paused,
    )


def _place(key: queue.Key) -> PlaceShape:
    return PlaceShape(
        workflow=key.workflow,
        environment=key.environment,
        key=key.key,
        limit=key.limit,
        waiting=key.waiting,
        oldest=asking.moment(key.oldest) or "",
        holders=list(key.holders),
    )


def _worker(worker: queue.WorkerRow) -> WorkerShape:
    return WorkerShape(
        id=worker.id,
        host=worker.host,
        pid=worker.pid,
        threads=worker.threads,
        draining=worker.draining,
        seen_at=asking.moment(worker.seen_at) or "",
        doing=[
            InHandShape(
                run=each.run, step=each.path, workflow=each.workflow, since=asking.moment(each.since) or ""
            )
            for each in worker.doing
        ],
    )
