"""`GET /queue`: what waits, behind what, what workers do, what is paused."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests import engine
from tests.db.engine.test_fairness import KEYED, ONE
from tests.web.api.conftest import Api
from workflows import database, pauses
from workflows.actor import Actor

pytestmark = pytest.mark.django_db(transaction=True)


def test_an_empty_queue(api: Api) -> None:
    assert api.get("/queue").json() == {"lanes": [], "places": [], "workers": [], "pauses": []}


def test_what_waits_and_behind_what(as_role: Callable[[str], Api]) -> None:
    flood, keyed = engine.deploy(ONE.replace("NAME", "flood")), engine.deploy(KEYED)
    held = [engine.start(keyed, customer="acme") for _ in range(4)]
    engine.drain()
    for _ in range(3):
        engine.start(flood)
    database.call("interlock_heartbeat", "test", "host-1", 4711, 8, False, [], 30)
    taken = engine.claim()
    pauses.add(environment=None, workflow="flood", actor=Actor(kind="user", name="otto"), reason="A flood.")
    told = as_role("viewer").get("/queue").json()
    [lane] = told["lanes"]
    assert (lane["workflow"], lane["environment"], lane["priority"]) == ("flood", "production", "normal")
    assert (lane["waiting"], lane["paused"]) == (2, True)
    [place] = told["places"]
    assert (place["workflow"], place["key"]) == (keyed, "acme")
    assert place["waiting"] + place["limit"] == 4
    assert set(place["holders"]) <= {run.pk for run in held}
    [worker] = told["workers"]
    assert (worker["id"], worker["host"], worker["threads"], worker["draining"]) == (
        "test",
        "host-1",
        8,
        False,
    )
    assert [each["run"] for each in worker["doing"]] == [taken.run]
    assert [each["reason"] for each in told["pauses"]] == ["A flood."]
