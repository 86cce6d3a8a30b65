"""`/schedules`: when they fire, what became of it, pause, resume, fire."""

from __future__ import annotations

import pytest

from tests import engine, example_schedules, factories
from tests.web.api.conftest import Api, assert_problem
from workflows.models import Run

pytestmark = pytest.mark.django_db(transaction=True)


def test_schedules_are_listed_and_shown(api: Api) -> None:
    factories.release()
    example_schedules.fill()
    first = api.get("/schedules", limit=3).json()
    rest = api.get("/schedules", limit=3, cursor=first["next"]).json()
    assert [each["name"] for each in (*first["results"], *rest["results"])] == sorted(
        example_schedules.BODIES
    )
    assert rest["next"] is None
    shown = api.get("/schedules/month-end").json()
    assert (shown["paused"], shown["paused_by"], shown["next_fire_at"]) == (True, "d.osei", None)
    assert len(set(shown["next"])) == 10
    assert_problem(api.get("/schedules/nope"), 404, "unknown_schedule")


def test_fire_times_are_listed_by_what_became_of_them(api: Api) -> None:
    factories.release()
    example_schedules.fill()
    found = api.get("/schedules/nightly-digest/fires", limit=2).json()
    assert len(found["results"]) == 2
    assert found["next"]
    [missed] = api.get("/schedules/nightly-digest/fires", outcome="missed").json()["results"]
    assert (missed["count"], missed["run"]) == (3, None)


def test_a_schedule_is_paused_resumed_and_fired(api: Api) -> None:
    engine.apply(
        "kind: Workflow\nname: echo\nsteps: [{id: note, set: {a: 1}}]\n",
        "kind: Schedule\nname: daily\nworkflow: echo\ncron: 0 6 * * *\n",
    )
    assert api.post("/schedules/daily/pause", {"reason": "x"}).json()["paused"] is True
    assert_problem(api.post("/schedules/daily/pause", {}), 409, "schedule_paused")
    assert api.post("/schedules/daily/resume", {}).json()["paused"] is False
    fired = [api.post("/schedules/daily/fire", {}, headers={"Idempotency-Key": "k"}) for _ in range(2)]
    assert [answer.status_code for answer in fired] == [201, 201]
    assert fired[0].json()["run"] == fired[1].json()["run"] == Run.objects.get().pk
