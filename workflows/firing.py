"""Fire schedules: exactly one run for each fire time, whoever holds the clock and whatever dies meanwhile.

A fire time goes two ways, each safe to repeat and to do twice at once. `plan` moves `next_fire_at` by a guarded update
and writes down what is due in the same transaction; `start_due` then starts the run of each under an idempotency
key made of schedule and fire time, by the version of the document that was written down with it.
May not: read the clock but that of the database; moments are passed in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import structlog
from django.db import transaction
from django.db.models.functions import Now

from workflows import announcing, catching_up, database, runs
from workflows.actor import Actor
from workflows.duties import Duty
from workflows.errors import Conflict, TooMany, WorkflowError
from workflows.models import DefinitionVersion, Fire, Run, Schedule
from workflows.models.schedules import DUE, FAILED, MISSED, SKIPPED, STARTED
from workflows.payloads import clean_text
from workflows.releases.build import PRODUCTION
from workflows.spec import durations

log = structlog.get_logger()
Body = Mapping[str, Any]
Bodies = Mapping[tuple[str, int], Body]
BATCH: Final = 200
# With `overlap: queue`, so many fire times of one schedule may wait for those before.
MOST_WAITING: Final = 100
# So long, or for `catch_up` where that is longer, a fire time waits where too many runs are open.
WAITS_FOR_ROOM: Final = timedelta(minutes=10)
_OVERTAKEN: Final = "A later fire time took its place before the run in progress had ended."

# The first due fire time of each schedule, unless it waits for a run that goes on; and those that people ask for.
_READY: Final = """
SELECT id FROM (
    SELECT head.id, head.fire_at FROM (
        SELECT DISTINCT ON (schedule) id, fire_at, waits_for, not_before FROM workflows_fire
        WHERE outcome = 'due' AND NOT manual ORDER BY schedule, fire_at) AS head
    LEFT JOIN workflows_run AS run ON run.id = head.waits_for
    WHERE (run.id IS NULL OR run.ended_at IS NOT NULL)
      AND (head.not_before IS NULL OR head.not_before <= clock_timestamp())
    UNION ALL
    SELECT id, fire_at FROM workflows_fire WHERE outcome = 'due' AND manual) AS ready
ORDER BY fire_at, id LIMIT $1
"""
_ANYTHING_DUE: Final = f"""
SELECT clock_timestamp() WHERE EXISTS (
    SELECT FROM workflows_schedule WHERE paused_at IS NULL AND next_fire_at <= clock_timestamp())
OR EXISTS ({_READY})
"""  # noqa: S608  two constants
_MOVE: Final = """
UPDATE workflows_schedule AS schedule SET next_fire_at = moved.to_at
FROM unnest($1::text[], $2::integer[], $3::timestamptz[], $4::timestamptz[]) AS moved(name, version, from_at, to_at)
WHERE schedule.name = moved.name AND schedule.version = moved.version
  AND schedule.next_fire_at = moved.from_at AND schedule.paused_at IS NULL
RETURNING schedule.name
"""
# The newest run that has not ended, among the latest hundred of each schedule.
_OPEN: Final = """
SELECT name, (
    SELECT run.id FROM (
        SELECT run_id FROM workflows_fire WHERE schedule = name AND outcome = 'started'
        ORDER BY fire_at DESC LIMIT 100) AS latest
    JOIN workflows_run AS run ON run.id = latest.run_id AND run.ended_at IS NULL
    ORDER BY run.created_at DESC LIMIT 1)
FROM unnest($1::text[]) AS name
"""


def tend() -> None:
    """Fire what is due by the clock of the database, in a thread of its own. A duty of the engine's clock."""
    if database.fetch_all(_ANYTHING_DUE, [1]):
        _DUTY.begin()


def _now() -> None:
    tick(database.fetch_all("SELECT clock_timestamp()", [])[0][0])


_DUTY: Final = Duty("schedules", _now)


def tick(now: datetime) -> int:
    """Plan and start what is due at a moment; return how many runs were started. May run twice, or at once."""
    due = Schedule.objects.filter(paused_at=None, next_fire_at__lte=now).order_by("next_fire_at", "name")
    # All is planned before the first run is started: what is only late to be started was not missed.
    while (rows := list(due[:BATCH])) and plan(rows, now=now):
        pass
    return start_due()


def plan(rows: Sequence[Schedule], *, now: datetime) -> int:
    """Write down what is due and what was missed, and move on; return how many nobody else had moved before."""
    bodies = bodies_of((row.name, row.version) for row in rows)
    found = {row.name: _split(row, bodies, now=now) for row in rows}
    splits = {name: split for name, split in found.items() if split is not None}
    planned = [row for row in rows if row.name in splits]
    columns = [
        [row.name for row in planned],
        [row.version for row in planned],
        [row.next_fire_at for row in planned],
        [splits[row.name].next for row in planned],
    ]
    with transaction.atomic():
        moved = {name for (name,) in database.fetch_all(_MOVE, columns)}
        fires = [
            fire
            for row in planned
            if row.name in moved
            for fire in _fires(row, bodies[row.name, row.version], splits[row.name])
        ]
        # A conflict is a fire time that is written down already: it has, or had, its run.
        Fire.objects.bulk_create(fires, ignore_conflicts=True, batch_size=1000)
        for fire in fires:
            if fire.outcome in (MISSED, SKIPPED):
                _announce(fire.outcome, fire.schedule, fire.fire_at, fire.note)
    for row in planned:
        row.next_fire_at = splits[row.name].next
    return len(moved)


def _split(row: Schedule, bodies: Bodies, *, now: datetime) -> catching_up.Split | None:
    """Sort its fire times; None for a document that this machine cannot follow, which may not stop the others."""
    try:
        body = bodies[row.name, row.version]
        return catching_up.split(
            row.next_fire_at, body["cron"], zone_of(body), now=now, catch_up=_catch_up(body)
        )
    except (LookupError, ValueError):  # a time zone that the system does not have any more is a KeyError
        log.exception("schedule_cannot_be_planned", schedule=row.name, version=row.version)
        return None


def _catch_up(body: Body) -> timedelta:
    given = durations.optional_seconds(body.get("catch_up"))
    return catching_up.DEFAULT if given is None else timedelta(seconds=given)


def _fires(row: Schedule, body: Body, split: catching_up.Split) -> list[Fire]:
    """Return the fire times of one schedule to write down; those that wait make room for a later one."""
    overlap = body.get("overlap", "skip")
    room = MOST_WAITING
    if split.due and overlap == "cancel-running":
        skip_waiting(row.name, _OVERTAKEN)
    elif split.due and overlap == "queue":
        room -= Fire.objects.filter(schedule=row.name, outcome=DUE).count()
    made = [_missed(row, split.missed)] if split.missed else []
    for number, moment in enumerate(split.due):
        fire = Fire(schedule=row.name, version=row.version, fire_at=moment, outcome=DUE)
        if overlap == "cancel-running" and moment != split.due[-1]:
            fire.outcome, fire.note = SKIPPED, _OVERTAKEN
        elif number >= room:
            fire.outcome = SKIPPED
            fire.note = f"{MOST_WAITING} fire times before this one were still waiting."
        made.append(fire)
    return made


def _missed(row: Schedule, missed: catching_up.Missed) -> Fire:
    log.warning("schedule_missed", schedule=row.name, count=missed.count)
    several = {"until": missed.last, "count": missed.count} if missed.count > 1 else {}
    return Fire(
        schedule=row.name,
        version=row.version,
        fire_at=missed.first,
        outcome=MISSED,
        note="Nobody held the clock, and it was too late to catch up.",
        **several,
    )


def skip_waiting(name: str, why: str) -> None:
    """Skip what waits to be started, but for what a person asked for."""
    for fire in Fire.objects.filter(schedule=name, outcome=DUE, manual=False).order_by("fire_at"):
        _settle(fire, SKIPPED, note=why)


def start_due() -> int:
    """Start the run of each fire time that may have it now, in order; return how many were started."""
    started = 0
    for _ in range(
        MOST_WAITING
    ):  # each round settles the fire times that are ready, or sees what they wait for
        ready = [number for (number,) in database.fetch_all(_READY, [BATCH])]
        if not ready:
            break
        fires = list(Fire.objects.filter(pk__in=ready, outcome=DUE).order_by("fire_at", "pk"))
        bodies = bodies_of((fire.schedule, fire.version) for fire in fires)
        going = open_runs([fire.schedule for fire in fires])
        for fire in fires:
            started += _attempt(fire, bodies[fire.schedule, fire.version], going.get(fire.schedule))
    return started


def _attempt(fire: Fire, body: Body, going: str | None) -> bool:
    try:
        return start(fire, body, going=going)
    except database.AWAY:
        raise
    except WorkflowError:  # of a person who is not here any more; it is written down
        return False
    except Exception:  # the boundary of one fire time: it may not stop the others
        log.exception("schedule_start_failed", schedule=fire.schedule)
        _settle(fire, FAILED, note="The run could not be started: an error in Interlock; see its log.")
        return False


def start(fire: Fire, body: Body, *, going: str | None) -> bool:
    """Start the run of a due fire time, unless its overlap rule says to skip it or to wait for the run `going`.

    Raises: WorkflowError for what a person fired, once it is written down.
    """
    actor = Actor(kind="schedule", name=fire.schedule)
    if going is not None and not fire.manual and _held_back(fire, body, going, actor):
        return False
    order = runs.Order(
        workflow=body["workflow"],
        input=body.get("input", {}),
        environment=environment_of(body),
        title=title(fire, body),
        tags=(tag(fire.schedule),),
    )
    try:
        run = runs.start(order, actor=actor, trigger="schedule", idempotency_key=key(fire)).run
    except WorkflowError as problem:
        if not (isinstance(problem, TooMany) and _waits_for_room(fire, body, problem)):
            places = "".join(f" {path}: {message}." for path, message in problem.errors[:5])
            _settle(fire, FAILED, note=clean_text(problem.message + places, limit=2000))
        if fire.manual:
            raise
        return False
    return _settle(fire, STARTED, run_id=run.pk)


def _waits_for_room(fire: Fire, body: Body, full: TooMany) -> bool:
    """Ask again later where too many runs are open; False once it is too late, as after an outage."""
    patience = max(_catch_up(body), WAITS_FOR_ROOM)
    waiting = Fire.objects.filter(pk=fire.pk, outcome=DUE, manual=False, fire_at__gt=Now() - patience)
    again_at = Now() + timedelta(seconds=full.retry_after_s)
    return bool(waiting.update(not_before=again_at, note=clean_text(full.message, limit=2000)))


def _held_back(fire: Fire, body: Body, going: str, actor: Actor) -> bool:
    """Apply the overlap rule; True if the run may not be started now."""
    overlap = body.get("overlap", "skip")
    if overlap == "skip":
        _settle(fire, SKIPPED, note=f"Run {going} of this schedule had not ended.")
        return True
    waits_for: str | None = going
    if overlap == "cancel-running":
        _cancel(going, fire, actor)
        waits_for = open_runs([fire.schedule])[fire.schedule]
    if waits_for is not None:
        note = f"Waits for run {waits_for} to end."
        Fire.objects.filter(pk=fire.pk, outcome=DUE).update(note=note, waits_for=waits_for)
    return waits_for is not None


def _cancel(run_id: str, fire: Fire, actor: Actor) -> None:
    if Run.objects.filter(pk=run_id).exclude(stopping="cancelled").exists():
        reason = f"The schedule fired again at {fire.fire_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC."
        try:
            runs.cancel(run_id, actor=actor, reason=reason)
        except Conflict:
            log.info("schedule_cancels_nothing", run_id=run_id)  # it ended meanwhile


def open_runs(names: Sequence[str]) -> dict[str, str | None]:
    """Return the newest run of each schedule that has not ended, among its latest hundred."""
    return dict(database.fetch_all(_OPEN, [sorted(set(names))]))


def _settle(fire: Fire, outcome: str, *, note: str = "", run_id: str = "") -> bool:
    """Write down what became of a due fire time, once. A run that was started counts, whoever skipped it meanwhile."""
    expected = (DUE, SKIPPED) if outcome == STARTED else (DUE,)
    with transaction.atomic():
        moved = Fire.objects.filter(pk=fire.pk, outcome__in=expected).update(
            outcome=outcome, note=note, run_id=run_id, recorded_at=Now()
        )
        if outcome == FAILED and fire.manual:  # a request that was refused may be made again
            Fire.objects.filter(pk=fire.pk).update(key=None)
        if moved and outcome in (FAILED, SKIPPED):
            _announce(outcome, fire.schedule, fire.fire_at, note)
    return bool(moved)


def _announce(what: str, name: str, moment: datetime, why: str) -> None:
    at = moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
    told = {"schedule": {"name": name, "fire_at": at, "reason": why}}
    announcing.announce(f"schedule.{what}", name, told)


def bodies_of(wanted: Iterable[tuple[str, int]]) -> dict[tuple[str, int], Body]:
    """Return versions of schedules' documents, by name and number."""
    keys = set(wanted)
    found = DefinitionVersion.objects.filter(
        definition__kind="Schedule",
        definition__name__in={name for name, _ in keys},
        version__in={version for _, version in keys},
    )
    rows = found.values_list("definition__name", "version", "body")
    return {(name, version): body for name, version, body in rows if (name, version) in keys}


def zone_of(body: Body) -> str:
    return str(body.get("timezone", "UTC"))


def environment_of(body: Body) -> str:
    return str(body.get("environment", PRODUCTION))


def tag(name: str) -> str:
    """Return the tag that all runs of a schedule carry."""
    return f"schedule:{name}"


def key(fire: Fire) -> str:
    """Return the idempotency key of a fire time's run."""
    return f"schedule:{fire.schedule}:{fire.fire_at.astimezone(UTC).isoformat()}"


def title(fire: Fire, body: Body) -> str:
    """Return the title of its run: the schedule and the time on the wall there."""
    local = fire.fire_at.astimezone(ZoneInfo(zone_of(body)))
    return f"{fire.schedule} · {local:%Y-%m-%d %H:%M}"
