"""`POST /runs/bulk`, `GET /bulk`, `GET /bulk/ID` and what leads it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from tests import bulk, engine
from tests.db.bulk.test_forks import GREETS
from tests.db.engine.test_forks import OTHERS
from tests.web.api.conftest import Api, assert_problem
from workflows.models import AuditEntry, BulkAction, Run

pytestmark = pytest.mark.django_db(transaction=True)


def _ask(**more: Any) -> dict[str, Any]:
    return {"action": "retry", "filter": {"state": ["failed"]}, "reason": "key renewed", **more}


def test_a_dry_run_says_what_would_happen_and_changes_nothing(api: Api) -> None:
    bulk.outage(2)
    going = engine.start("asking", text="x")
    answer = api.post("/runs/bulk", _ask(filter={}, dry_run=True, reason=""))
    assert answer.status_code == 200, answer.content
    told = answer.json()
    assert (told["id"], told["state"], told["matched"], told["total"]) == (None, None, 3, 2)
    assert told["excluded"] == [
        {"why": "going", "count": 1, "message": "is still going on: nothing to retry yet"}
    ]
    [group] = told["groups"]
    assert (group["step"], group["count"]) == ("ask", 2)
    assert told["rate"] == 5
    assert not BulkAction.objects.exists()
    assert Run.objects.get(pk=going.pk).state == "queued"


def test_runs_are_retried_and_each_has_its_result(api: Api) -> None:
    failed = bulk.outage(3)
    bulk.mend()
    answer = api.post("/runs/bulk", _ask(rate=100))
    assert answer.status_code == 202, answer.content
    made = answer.json()
    assert (made["state"], made["total"], made["outcomes"]) == ("waiting", 3, {"pending": 3})
    assert answer["Location"] == f"/api/v1/bulk/{made['id']}"
    engine.drain()
    shown = api.get(f"/bulk/{made['id']}", limit=2).json()
    assert (shown["state"], shown["outcomes"]) == ("finished", {"succeeded": 3})
    assert [row["run"] for row in shown["results"]] == [run.pk for run in failed[:2]]
    rest = api.get(f"/bulk/{made['id']}", limit=2, cursor=shown["next"]).json()
    assert [row["run"] for row in rest["results"]] == [failed[2].pk]
    assert rest["next"] is None
    assert api.get(f"/bulk/{made['id']}", outcome="failed").json()["results"] == []


def test_its_filter_knows_what_the_list_of_runs_knows(api: Api) -> None:
    failed = bulk.outage(3)
    Run.objects.filter(pk=failed[0].pk).update(cost_usd="2.5", tags=["vip"])
    dear = {
        "cost_min": "2",
        "duration_max": 3600.5,
        "tag": ["vip"],
        "state": ["attention"],
        "since": "2026-01-01T00:00:00Z",
    }
    answer = api.post("/runs/bulk", _ask(filter=dear, dry_run=True))
    assert answer.status_code == 200, answer.content
    assert answer.json()["matched"] == 1
    made = api.post("/runs/bulk", _ask(filter=dear)).json()
    assert made["total"] == 1
    assert {"of": "cost", "comparison": "gte", "amount": "2"} in made["selection"]["filter"]["bounds"]
    assert_problem(api.post("/runs/bulk", _ask(filter={"workflow": ""})), 409, "nothing_applies")
    assert_problem(api.post("/runs/bulk", _ask(filter={"cost": 1})), 422, "invalid_request")


def test_they_are_listed_with_the_newest_first(
    api: Api, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    assert api.get("/bulk").json() == {"results": [], "next": None}
    failed = bulk.outage(3)
    made = [api.post("/runs/bulk", _ask(ids=[run.pk], filter=None)).json()["id"] for run in failed]
    with django_assert_num_queries(3):  # token, actions, outcomes
        first = api.get("/bulk", limit=2).json()
    assert [each["id"] for each in first["results"]] == [made[2], made[1]]
    assert first["results"][0]["outcomes"] == {"pending": 1}
    rest = api.get("/bulk", limit=2, cursor=first["next"]).json()
    assert [each["id"] for each in rest["results"]] == [made[0]]
    assert rest["next"] is None


def test_the_same_key_starts_one_action(api: Api) -> None:
    bulk.outage(1)
    key = {"Idempotency-Key": "k"}
    first, again = (api.post("/runs/bulk", _ask(), headers=key) for _ in range(2))
    assert (first.status_code, again.status_code) == (202, 200)
    assert first.json()["id"] == again.json()["id"]
    assert again["Idempotency-Replayed"] == "true"
    assert_problem(api.post("/runs/bulk", _ask(reason="x"), headers=key), 422, "idempotency_key_reused")


def test_it_can_be_paused_resumed_and_stopped(api: Api) -> None:
    [failed] = bulk.outage(1)
    made = api.post("/runs/bulk", _ask(ids=[failed.pk], filter=None)).json()
    assert_problem(api.post(f"/bulk/{made['id']}/pause"), 409, "bulk_state")
    BulkAction.objects.update(state="running")
    assert api.post(f"/bulk/{made['id']}/pause", {"reason": "lunch"}).json()["state"] == "paused"
    assert api.post(f"/bulk/{made['id']}/resume").json()["state"] == "running"
    assert api.post(f"/bulk/{made['id']}/stop").json()["state"] == "stopped"
    entries = AuditEntry.objects.filter(object_kind="bulk").order_by("id").values_list("action", flat=True)
    assert list(entries) == ["bulk.retry", "bulk.pause", "bulk.resume", "bulk.stop"]
    assert_problem(api.post(f"/bulk/{made['id']}/resume"), 409, "bulk_state")


def test_more_runs_than_the_dry_run_counted_are_refused(api: Api) -> None:
    bulk.outage(2)
    problem = assert_problem(api.post("/runs/bulk", _ask(expected=1)), 409, "reach_grew")
    assert "2 runs would be retried now, more than the 1 that were shown" in problem["detail"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (_ask(reason=""), 422, "reason_missing"),
        (_ask(ids=["r_1"]), 422, "invalid_request"),
        (_ask(filter=None), 422, "invalid_request"),
        (_ask(action="delete"), 422, "invalid_request"),
        (_ask(rate=0), 422, "invalid_request"),
        (_ask(ids=["r_nothing"], filter=None), 409, "nothing_applies"),
        (_ask(filter={"state": ["nonsense"]}), 422, "invalid_request"),
    ],
)
def test_what_makes_no_sense_is_refused(api: Api, body: Any, status: int, code: str) -> None:
    assert_problem(api.post("/runs/bulk", body), status, code)


@pytest.mark.parametrize("path", ["/bulk/b_none", "/bulk/b_none/stop"])
def test_an_unknown_action(api: Api, path: str) -> None:
    answer = api.post(path) if path.endswith("stop") else api.get(path)
    assert_problem(answer, 404, "unknown_bulk")


def test_a_viewer_may_look_but_not_act(as_role: Callable[[str], Api]) -> None:
    viewer = as_role("viewer")
    assert_problem(viewer.post("/runs/bulk", _ask()), 403, "forbidden")
    assert_problem(viewer.get("/bulk/b_none"), 404, "unknown_bulk")


def test_one_change_over_many_runs(api: Api) -> None:
    engine.deploy(GREETS, others=OTHERS)
    for name in ("ann", "loud bob"):
        engine.run("greets", of=name)
    change = {"overrides": {"prompts": {"greet": {"messages": [{"role": "user", "content": "loud"}]}}}}
    asked = {"action": "fork", "filter": {"workflow": "greets"}, "reason": "a try", "fork": change}
    told = api.post("/runs/bulk", {**asked, "dry_run": True}).json()
    assert (told["total"], told["fork"]) == (2, {**change, "effects": "stub"})
    answer = api.post("/runs/bulk", {**asked, "canary": 1, "at_once": 3, "stop_above": 0.5})
    assert answer.status_code == 202, answer.content
    made = answer.json()
    assert (made["canary"], made["at_once"], made["release"]) == (1, 3, "own")
    bulk.carried(BulkAction.objects.get())
    results = api.get(f"/bulk/{made['id']}").json()["results"]
    forks = [api.get(f"/runs/{row['fork']}").json() for row in results]
    assert [fork["output"] for fork in forks] == ["LOUD", "LOUD"]
    assert [row["outcome"] for row in results] == ["succeeded", "succeeded"]


def test_what_makes_no_sense_is_refused_before_anything_starts(api: Api) -> None:
    bulk.outage(1)
    assert_problem(api.post("/runs/bulk", _ask(action="fork")), 422, "change_missing")
    assert_problem(api.post("/runs/bulk", _ask(fork={})), 422, "change_missing")
    gone = _ask(action="fork", fork={"clean_of": 12})
    assert_problem(api.post("/runs/bulk", gone), 404, "unknown_quarantine")
    for wrong in ({"canary": -1}, {"at_once": 0}, {"release": "newest"}, {"fork": {"overrides": {"x": 1}}}):
        assert api.post("/runs/bulk", _ask(**wrong)).status_code == 422
    assert not BulkAction.objects.exists()


def test_forks_need_the_permission_to_start_runs(as_role: Callable[[str], Api]) -> None:
    asked = {"action": "fork", "filter": {}, "reason": "a try", "fork": {}}
    assert as_role("viewer").post("/runs/bulk", asked).status_code == 403
